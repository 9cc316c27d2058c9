"""The connection: SQLite in the data folder or what `XAI_DATABASE_URL` names, brought up to date when first opened.

A change is committed when `writing` ends without an error, and then it is on the disk: SQLite writes ahead and waits
for the disk at every commit, PostgreSQL does so by default.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.orm import Session

from .. import settings
from ..types import XaiError

WAIT = 30
"""Seconds to wait for another process that writes."""
CONNECTIONS = 20
LOCK = 0x5A11E4C7
"""The advisory lock of PostgreSQL that whoever migrates holds."""
FAULTS = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)


class Unanswered(XaiError):
    """The database did not answer; nothing was changed, and the same may work later."""


@dataclass(frozen=True)
class _Database:
    """An engine, and the lock that lets threads write to SQLite one after the other instead of polling for it."""

    engine: sa.Engine
    turn: Any = field(default_factory=nullcontext)


_open: dict[tuple[int, str], _Database] = {}
_opening = threading.Lock()


def address() -> sa.URL:
    """Where the database is; raises `XaiError` for an address that means nothing."""
    now = settings.current()
    if not now.database_url:
        return sa.URL.create("sqlite", database=str(now.data / "saliency.db"))
    try:
        url = sa.make_url(now.database_url)
    except sa.exc.ArgumentError:
        raise XaiError(
            "XAI_DATABASE_URL is no address of a database; write postgresql://USER:PASSWORD@HOST/NAME, or unset it."
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("postgresql+psycopg", "sqlite") or (url.drivername == "sqlite" and not url.database):
        raise XaiError(
            f"XAI_DATABASE_URL names {url.drivername}, and only PostgreSQL (postgresql://...) and a file of SQLite "
            "(sqlite:////PATH) are known; change or unset it."
        )
    return url


@contextmanager
def reading() -> Iterator[Session]:
    """A session that sees one state of the database throughout."""
    with _session(_opened().engine) as session:
        yield session


@contextmanager
def writing() -> Iterator[Session]:
    """A session whose changes are committed at its end, or all undone by an error."""
    database = _opened()
    with database.turn, _session(database.engine.execution_options(**_WRITING[database.engine.name])) as session:
        yield session


_WRITING: dict[str, dict[str, Any]] = {"sqlite": {"writing": True}, "postgresql": {"isolation_level": "READ COMMITTED"}}


@contextmanager
def _session(engine: sa.Engine) -> Iterator[Session]:
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session
    except FAULTS as error:
        raise _unanswered(error) from error
    except (sa.exc.DataError, UnicodeEncodeError) as error:
        raise XaiError(
            f"The database cannot take a text or a number of this ({_reason(error)}); nothing was changed: write it "
            "otherwise and try again."
        ) from error


def _unanswered(error: Exception) -> Unanswered:
    return Unanswered(
        f"The database does not answer ({_reason(error)}); nothing was changed: try again, or tell the operator."
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")


def close() -> None:
    """Closes every connection of this process; the next call opens them again."""
    with _opening:
        for database in _open.values():
            database.engine.dispose()
        _open.clear()


def _opened() -> _Database:
    url = address()
    key = os.getpid(), url.render_as_string(hide_password=False)  # a forked process must open its own connections
    database = _open.get(key)
    if database is None:
        with _opening:
            database = _open.get(key)
            if database is None:
                database = _open[key] = _connected(url)
    return database


def _connected(url: sa.URL) -> _Database:
    try:
        if url.drivername == "sqlite":
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
            database = _Database(_sqlite(url), threading.Lock())
        else:
            options: dict[str, Any] = {"pool_pre_ping": True, "isolation_level": "REPEATABLE READ"}
            database = _Database(sa.create_engine(url, pool_size=CONNECTIONS, max_overflow=CONNECTIONS, **options))
        migrate(database.engine)
    except (*FAULTS, sa.exc.DatabaseError, OSError) as error:
        raise Unanswered(
            f"The database {url.render_as_string(hide_password=True)} cannot be opened ({_reason(error)}); check "
            f"{'XAI_DATABASE_URL' if settings.current().database_url else 'XAI_DATA'} and that it can be reached."
        ) from error
    return database


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url, pool_size=CONNECTIONS, max_overflow=CONNECTIONS, connect_args={"timeout": WAIT, "check_same_thread": False}
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions begin below
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turns write-ahead on, for which SQLite does not wait by itself where two processes do it at once."""
    until = time.monotonic() + WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def migrations() -> Config:
    """Alembic's configuration: where the revisions are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config


def migrate(engine: sa.Engine, target: str = "head") -> None:
    """Brings the schema up to revision `target`; processes do so one after the other, each all or nothing.

    Raises `XaiError` where the database is of a newer version of the program.
    """
    config = migrations()
    options = {"writing": True} if engine.name == "sqlite" else {"isolation_level": "READ COMMITTED"}
    with engine.connect() as connection:
        if engine.name == "sqlite":  # tables may be rebuilt; references are checked at the end
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        connection = connection.execution_options(**options)
        try:
            with connection.begin():
                if engine.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                found = MigrationContext.configure(connection).get_current_revision()
                if not _known(config, found):
                    raise XaiError(
                        f"The database was made by a newer version of this program (revision {found}); update the "
                        "program, or name another database by XAI_DATA or XAI_DATABASE_URL."
                    )
                config.attributes["connection"] = connection
                command.upgrade(config, target)
                if engine.name == "sqlite" and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                    raise XaiError(f"The database holds references to nothing ({broken[0]}); restore a backup of it.")
        finally:
            if engine.name == "sqlite":
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]


def _known(config: Config, revision: str | None) -> bool:
    if revision is None:
        return True
    try:
        return ScriptDirectory.from_config(config).get_revision(revision) is not None
    except CommandError:
        return False
