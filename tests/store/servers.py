"""Databases to test on: SQLite in the data folder, and a PostgreSQL server of our own on a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + sorted(Path("/usr/local/pgsql/bin").glob(".."))


def programs() -> Path | None:
    """Where PostgreSQL's server programs are, or None."""
    for folder in reversed(PLACES):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def as_user() -> list[str] | None:
    """How to start a program that refuses root: nothing for others, None where root has no other user to be."""
    if os.geteuid() != 0:
        return []
    for user in ("postgres", "nobody"):
        if shutil.which("runuser") and subprocess.run(["id", user], capture_output=True).returncode == 0:
            return ["runuser", "-u", user, "--"]
    return None


@contextmanager
def postgres() -> Iterator[str]:
    """A running server that listens on a socket alone; its address, for a database `test`."""
    place, user = programs(), as_user()
    assert place is not None and user is not None
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has 107 letters at most
    if user:
        shutil.chown(folder, user[2])
    data = folder / "data"
    quiet = {"check": True, "capture_output": True, "cwd": folder, "text": True}
    try:
        setup = [str(place / "initdb"), "-D", str(data), "-A", "trust", "-U", "tester", "-E", "UTF8", "--no-sync"]
        subprocess.run([*user, *setup], **quiet)  # type: ignore[call-overload]
        options = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=100"
        start = [str(place / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start"]
        subprocess.run([*user, *start], **{**quiet, "capture_output": False, "stdout": subprocess.DEVNULL})  # type: ignore[call-overload]
        yield f"postgresql://tester@/test?host={folder}"
    finally:
        stop = [str(place / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"]
        subprocess.run([*user, *stop], capture_output=True, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)


def created(address: str) -> str:
    """The address, once its database is there and holds no tables."""
    with psycopg.connect(address.replace("/test?", "/postgres?"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS test WITH (FORCE)")
        connection.execute("CREATE DATABASE test")
    return address


def emptied(address: str) -> str:
    """The address, once its database's tables hold no rows."""
    with psycopg.connect(address, autocommit=True) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        names = ", ".join(name for (name,) in found if name != "alembic_version")
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode())
    return address
