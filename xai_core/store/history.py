"""Who did what and when: every change of a version, a project, a draft's fate or a review adds a line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .database import reading
from .schema import Event, now

Kind = Literal["version", "draft", "project"]


@dataclass(frozen=True)
class Change:
    """One line: `who` did `action` to the version, draft or project with the id `subject`; `detail` says more."""

    at: datetime
    who: str
    action: str
    kind: str
    subject: int
    detail: str


def history(kind: Kind | None = None, subject: int | None = None, limit: int = 1000) -> tuple[Change, ...]:
    """The newest `limit` changes, the oldest of them first; of one kind, and of one subject, where they are named."""
    query = sa.select(Event).order_by(Event.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(Event.kind == kind)
    if subject is not None:
        query = query.where(Event.subject == subject)
    with reading() as session:
        rows = session.scalars(query).all()
    return tuple(Change(row.at, row.who, row.action, row.kind, row.subject, row.detail) for row in reversed(rows))


def note(session: Session, who: str, action: str, kind: Kind, subject: int, detail: str = "") -> None:
    """Adds a line to the history, in the transaction of what it tells of."""
    session.add(Event(at=now(), who=who, action=action, kind=kind, subject=subject, detail=detail))
