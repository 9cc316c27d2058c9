"""What several commands share: how arguments are read, folders written, weights fetched and progress told."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from . import settings
from .classifiers import weights
from .classifiers.cards import Card
from .engine.jobs import Engine
from .render.numbers import duration
from .types import XaiError


def names_in(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    return list(dict.fromkeys(names))


def assignments(given: Sequence[str], kind: str) -> dict[str, dict[str, str]]:
    """{"lime": {"samples": "100"}} from ["lime.samples=100"]."""
    values: dict[str, dict[str, str]] = {}
    for text in given:
        left, equals, value = text.partition("=")
        name, dot, parameter = left.strip().rpartition(".")
        if not (equals and dot and name and parameter and value.strip()):
            raise XaiError(f"{text!r} is not {kind}.PARAMETER=VALUE.")
        values.setdefault(name, {})[parameter] = value.strip()
    return values


def chosen() -> Engine:
    """The engine in this process, or Ray where `XAI_ENGINE` says so."""
    if settings.current().engine == "ray":
        from .engine.choice import chosen_engine

        return chosen_engine()
    from .api import engine

    return engine()


def check_out(out: Path, option: str = "--out") -> None:
    """Refuses before anything is computed where nothing could be written."""
    try:
        str(out).encode()
    except UnicodeEncodeError:  # which could not be told either
        raise XaiError(f"The name that {option} gives is not UTF-8; name another folder.") from None
    try:
        if out.exists() and not out.is_dir():
            raise XaiError(f"{option} {out} is a file; name a folder.")
        parent = out
        while not parent.exists():
            parent = parent.parent
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise XaiError(f"{option} {out} cannot be used: {error.strerror or error}.") from None
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise XaiError(f"{option} {out} cannot be written: {parent} is not a folder that you may write to.")


def write_folder(out: Path, files: dict[str, bytes], obsolete: Collection[str] = ()) -> None:
    """Writes files into a folder, and removes the `obsolete` ones, all or none: under temporary names first.

    Raises `XaiError` when that is not possible; then everything is as it was before, and no folder made is left.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=out, ignore_cleanup_errors=True) as drafts:
            _write_all(out, files, obsolete, Path(drafts))
    except BaseException as error:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise XaiError(f"The results cannot be written to {out}: {error.strerror or error}.") from None
        raise


def _write_all(out: Path, files: dict[str, bytes], obsolete: Collection[str], drafts: Path) -> None:
    before = drafts / "before"
    before.mkdir()
    for name, data in files.items():
        (drafts / name).write_bytes(data)
    for name in (*files, *obsolete):
        if (out / name).exists():
            shutil.copy2(out / name, before / name)
    try:
        for name in files:
            (drafts / name).replace(out / name)
        for name in obsolete:
            (out / name).unlink(missing_ok=True)
    except BaseException:
        for name in (*files, *obsolete):
            if (before / name).exists():
                (before / name).replace(out / name)
            elif not (drafts / name).exists():
                (out / name).unlink(missing_ok=True)
        raise


def fetched(card: Card) -> Path:
    progress = Progress()
    try:
        return weights.fetch(
            card, lambda done, total: progress(_bytes(card, done, total), done / total if total else 0)
        )
    finally:
        clear_progress()


def _bytes(card: Card, done: int, total: int) -> str:
    amount = f"{done / settings.MEGABYTE:.0f}"
    return f"{card.title}: downloading {amount}{f' of {total / settings.MEGABYTE:.0f}' if total else ''} MB"


class Progress:
    """One line on a terminal that is written over; silent where standard error is no terminal.

    `estimates`: whether the time left may be guessed from the fraction; not where an earlier run has made a part of it.
    """

    def __init__(self, estimates: bool = True) -> None:
        self._estimates = estimates
        self._started = self._shown = time.monotonic()

    def __call__(self, what: str, fraction: float, seconds_left: float | None = None) -> None:
        """Shows what is done now, and how much of all."""
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._shown < 0.1:
            return
        self._shown = now
        if self._estimates and seconds_left is None and fraction > 0.01:
            seconds_left = (now - self._started) * (1 - fraction) / fraction
        rest = f", {duration(seconds_left)} left" if seconds_left is not None else ""
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[2K{f'{fraction:4.0%}  {what}{rest}'[:width]}")
        sys.stderr.flush()


def clear_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
        sys.stderr.flush()
