"""Who draws which picture of a project next, and how far everybody is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..masks.names import checked_name
from ..types import XaiError, digest_of
from .annotators import annotator as annotator_row
from .database import reading, writing
from .projects import open_project, project_row
from .schema import (
    Annotator,
    ProjectPicture,
    Reservation,
    StoredDraft,
    StoredProject,
    StoredReview,
    StoredVersion,
    now,
)
from .versions import newest_review

SILENCE = timedelta(hours=4)
"""For so long after the last stroke, or after it was given out, a picture counts as being worked on."""
CONTROL_EVERY = 10
"""Controls come among so many pictures each, while there are that many."""
State = Literal["returned", "draft", "new", "done"]


@dataclass(frozen=True)
class Assignment:
    """A picture for an annotator: its digest, what is asked, and how far it is.

    `comment` is the reviewer's where it was returned; `version` is the annotator's own submitted one, or None.
    """

    picture: str
    question: str
    state: State
    comment: str = ""
    version: int | None = None


@dataclass(frozen=True)
class OwnProgress:
    """How far an annotator is: pictures submitted and not returned, begun, returned, and left to take, of `pictures`.

    `left` counts begun and returned ones too. Controls count as pictures.
    """

    annotator: str
    done: int
    begun: int
    returned: int
    left: int
    pictures: int


@dataclass(frozen=True)
class ProjectProgress:
    """How far a project is, controls aside: `submitted` of `wanted` masks, and `complete` of its `pictures`."""

    pictures: int
    complete: int
    submitted: int
    wanted: int
    annotators: tuple[OwnProgress, ...]


@dataclass(frozen=True)
class _Mine:
    """What an annotator has done in a project."""

    versions: dict[str, int]
    returned: dict[str, str]
    drafts: list[str]
    reserved: list[str]

    @property
    def done(self) -> set[str]:
        return set(self.versions) - set(self.returned)


def next_picture(project: int, annotator: str, after: str | None = None) -> Assignment | None:
    """The picture that this annotator draws next, reserved for `SILENCE`; None when there is none left.

    Returned ones come first, then own drafts, then those with the fewest annotators who have submitted or are at work,
    in an order of the annotator's own, and never one that has as many as are wanted. Controls, which everybody draws,
    are mixed in. `after` is the picture before the annotator, who goes on to another one: it is given back unless
    something is drawn on it, and comes again when the others are through.

    Raises `XaiError` when there is no such project or it is closed.
    """
    with writing() as session:
        person = annotator_row(session, annotator)
        place = open_project(session, project, alone=True)
        mine = _mine(session, project, person.id)
        order = _order(session, place, person.id, mine)
        if after is not None:
            if after not in mine.drafts:
                _give_back(session, project, after, person.id)
            at = order.index(after) + 1 if after in order else 0
            order = [picture for picture in order[at:] + order[:at] if picture != after]
        else:
            given = [picture for picture in mine.reserved if picture in order]
            begun = [picture for picture in order if picture in mine.returned or picture in mine.drafts]
            order = [*begun, *given, *order]
        if not order:
            return None
        key = {"project_id": project, "picture": order[0], "annotator_id": person.id}
        session.merge(Reservation(**key, at=now()))
        return _assignment(session, project, order[0], mine)


def assignment_of(project: int, annotator: str, picture: str) -> Assignment:
    """A picture of a project as it stands for an annotator; raises `XaiError` when it is not, or no more, in it."""
    with reading() as session:
        project_row(session, project)
        row = session.get(ProjectPicture, (project, picture))
        if row is None or row.removed is not None:
            raise XaiError("This picture is not in the project any more; go on with the next one.")
        person = session.scalars(sa.select(Annotator.id).where(Annotator.name == annotator)).one_or_none()
        return _assignment(session, project, picture, _mine(session, project, person or 0))


def worked_on(project: int, annotator: str) -> tuple[Assignment, ...]:
    """The project's pictures of which this annotator has a version or a draft, in the order they were begun in."""
    with reading() as session:
        project_row(session, project)
        person = session.scalars(sa.select(Annotator.id).where(Annotator.name == annotator)).one_or_none()
        if person is None:
            return ()
        mine = _mine(session, project, person)
        query = sa.select(StoredDraft.picture).group_by(StoredDraft.picture).order_by(sa.func.min(StoredDraft.id))
        query = query.where(StoredDraft.project_id == project, StoredDraft.annotator_id == person)
        touched = [picture for picture in session.scalars(query) if picture in mine.versions or picture in mine.drafts]
        there = {row.picture for row in _tasks(session, project)}
        return tuple(_assignment(session, project, picture, mine) for picture in touched if picture in there)


def own_progress(project: int, annotator: str) -> OwnProgress:
    """How far an annotator is; raises `XaiError` when there is no such project."""
    name = checked_name(annotator)
    with reading() as session:
        place = project_row(session, project)
        person = session.scalars(sa.select(Annotator.id).where(Annotator.name == name)).one_or_none()
        return _own_progress(session, place, person or 0, name)


def progress(project: int) -> ProjectProgress:
    """How far a project is, and all who have worked on it; raises `XaiError` when there is no such project."""
    with reading() as session:
        place = project_row(session, project)
        ordinary = [row.picture for row in _tasks(session, project) if row.known is None]
        query = sa.select(StoredVersion.picture, sa.func.count(StoredVersion.annotator_id.distinct()))
        query = query.where(StoredVersion.project_id == project, StoredVersion.deleted.is_(None))
        counts = dict(session.execute(query.group_by(StoredVersion.picture)).all())
        people = sa.union(
            sa.select(StoredVersion.annotator_id).where(StoredVersion.project_id == project),
            sa.select(StoredDraft.annotator_id).where(StoredDraft.project_id == project),
        ).subquery()
        names = sa.select(Annotator.id, Annotator.name).where(Annotator.id.in_(sa.select(people.c.annotator_id)))
        rows = session.execute(names.order_by(Annotator.name)).all()
        return ProjectProgress(
            pictures=len(ordinary),
            complete=sum(counts.get(picture, 0) >= place.wanted for picture in ordinary),
            submitted=sum(min(counts.get(picture, 0), place.wanted) for picture in ordinary),
            wanted=len(ordinary) * place.wanted,
            annotators=tuple(_own_progress(session, place, person, name) for person, name in rows),
        )


def _own_progress(session: Session, place: StoredProject, person: int, name: str) -> OwnProgress:
    tasks = {row.picture for row in _tasks(session, place.id)}
    mine = _mine(session, place.id, person)
    left = _order(session, place, person, mine)
    return OwnProgress(
        annotator=name,
        done=len(mine.done & tasks),
        begun=len(set(mine.drafts) & set(left) - set(mine.returned)),
        returned=len(set(mine.returned) & tasks),
        left=len(left),
        pictures=len(tasks),
    )


def _order(session: Session, place: StoredProject, person: int, mine: _Mine) -> list[str]:
    """What this annotator may draw now, best first."""
    others = _others(session, place.id, person)
    tasks = _tasks(session, place.id)
    there = {row.picture for row in tasks}
    controls = {row.picture for row in tasks if row.known is not None}
    open_ones = [
        row.picture
        for row in tasks
        if row.picture not in mine.versions and (row.picture in controls or others.get(row.picture, 0) < place.wanted)
    ]
    free = set(open_ones)
    begun = [picture for picture in mine.drafts if picture in free]
    place_of = {picture: digest_of(str(place.id), str(person), picture) for picture in open_ones}
    fresh = sorted(free - controls - set(begun), key=lambda picture: (others.get(picture, 0), place_of[picture]))
    waiting = sorted(free & controls - set(begun), key=place_of.__getitem__)
    among = max(1, min(len(tasks) - len(controls), CONTROL_EVERY * len(controls)))
    done = len(mine.done - controls)
    due = [picture for picture in waiting if int(place_of[picture][:8], 16) % among <= done]
    later = [picture for picture in waiting if picture not in due]
    returned = [picture for picture in mine.returned if picture in there]
    return [*returned, *begun, *due, *fresh, *later]


def _tasks(session: Session, project: int) -> Sequence[sa.Row[str, bool | None]]:
    """Picture and, as `known`, whether it is a control (else None), of all that are in the project."""
    control = sa.case((ProjectPicture.known.is_not(None), sa.true()), else_=sa.null()).label("known")
    query = sa.select(ProjectPicture.picture, control).order_by(ProjectPicture.position, ProjectPicture.picture)
    return session.execute(query.where(ProjectPicture.project_id == project, ProjectPicture.removed.is_(None))).all()


def _others(session: Session, project: int, person: int) -> dict[str, int]:
    """How many other annotators have submitted or are at work, by picture."""
    since = _since()
    engaged = sa.union(
        sa.select(StoredVersion.picture, StoredVersion.annotator_id).where(
            StoredVersion.project_id == project, StoredVersion.deleted.is_(None)
        ),
        sa.select(StoredDraft.picture, StoredDraft.annotator_id).where(
            StoredDraft.project_id == project,
            StoredDraft.version_id.is_(None),
            StoredDraft.discarded.is_(None),
            StoredDraft.number > 0,
            StoredDraft.changed > since,
        ),
        sa.select(Reservation.picture, Reservation.annotator_id).where(
            Reservation.project_id == project, Reservation.at > since
        ),
    ).subquery()
    query = sa.select(engaged.c.picture, sa.func.count()).where(engaged.c.annotator_id != person)
    return dict(session.execute(query.group_by(engaged.c.picture)).all())


def _mine(session: Session, project: int, person: int) -> _Mine:
    newest = newest_review()
    query = sa.select(StoredVersion.picture, StoredVersion.id, StoredReview.accepted, StoredReview.comment)
    query = query.outerjoin(newest, newest.c.version_id == StoredVersion.id)
    query = query.outerjoin(StoredReview, StoredReview.id == newest.c.id).order_by(StoredVersion.id)
    query = query.where(StoredVersion.project_id == project, StoredVersion.annotator_id == person)
    versions: dict[str, int] = {}
    returned: dict[str, str] = {}
    for picture, version, accepted, comment in session.execute(query.where(StoredVersion.deleted.is_(None))):
        versions[picture] = version
        returned.pop(picture, None)
        if accepted is False:
            returned[picture] = comment
    begun = sa.select(StoredDraft.picture).group_by(StoredDraft.picture).order_by(sa.func.min(StoredDraft.id))
    begun = begun.where(
        StoredDraft.project_id == project,
        StoredDraft.annotator_id == person,
        StoredDraft.version_id.is_(None),
        StoredDraft.discarded.is_(None),
        sa.or_(StoredDraft.number > 0, StoredDraft.base.is_not(None)),
    )
    reserved = sa.select(Reservation.picture).order_by(Reservation.at.desc())
    reserved = reserved.where(
        Reservation.project_id == project, Reservation.annotator_id == person, Reservation.at > _since()
    )
    return _Mine(versions, returned, list(session.scalars(begun)), list(session.scalars(reserved)))


def _assignment(session: Session, project: int, picture: str, mine: _Mine) -> Assignment:
    question = session.get_one(ProjectPicture, (project, picture)).question
    state: State = "new"
    if picture in mine.returned:
        state = "returned"
    elif picture in mine.versions:
        state = "done"
    elif picture in mine.drafts:
        state = "draft"
    return Assignment(picture, question, state, mine.returned.get(picture, ""), mine.versions.get(picture))


def _give_back(session: Session, project: int, picture: str, person: int) -> None:
    session.execute(
        sa.delete(Reservation).where(
            Reservation.project_id == project, Reservation.picture == picture, Reservation.annotator_id == person
        )
    )


def _since() -> datetime:
    return now() - SILENCE
