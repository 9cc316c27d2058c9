"""People who draw, by name."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ..masks.names import checked_name
from .database import reading
from .schema import Annotator, now


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
