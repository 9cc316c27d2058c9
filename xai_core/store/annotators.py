"""People who draw, by name; a name becomes a folder's on export."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ..types import XaiError
from .database import reading
from .schema import Annotator, now

LONGEST = 80
"""Letters of a name."""
LONGEST_BYTES = 255
"""Bytes of a folder's name, in most file systems."""


def checked_name(name: str) -> str:
    """The name without blanks around it; raises `XaiError` for one that cannot be a folder's."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > LONGEST or not name.isprintable() or set("/\\") & set(name) or name in (".", ".."):
        raise XaiError(
            f"An annotator's name has 1 to {LONGEST} printable letters and no slash, and {name[:LONGEST]!r} does not; "
            "choose another one."
        )
    if len(name.encode()) > LONGEST_BYTES:
        raise XaiError(f"The name {name!r} is too long for a folder; choose a shorter one.")
    return name


def annotators() -> tuple[str, ...]:
    """Everybody who has opened or imported something, by name."""
    with reading() as session:
        return tuple(session.scalars(sa.select(Annotator.name).order_by(Annotator.name)))


def annotator(session: Session, name: str, *, alone: bool = False) -> Annotator:
    """The row of this name, made where there is none; `alone`: others who ask so for the same person wait.

    Raises `XaiError` as `checked_name` does.
    """
    name = checked_name(name)
    add_missing(session, Annotator, name=name, created=now())
    query = sa.select(Annotator).where(Annotator.name == name)
    return session.scalars(query.with_for_update(key_share=True) if alone else query).one()


def add_missing(session: Session, table: type, **values: object) -> None:
    """Adds a row unless one with its key is there, or is just being added by somebody else."""
    insert: Callable[..., postgresql.Insert | sqlite.Insert] = (
        postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    )
    session.execute(insert(table).values(**values).on_conflict_do_nothing())
