"""Submitted masks: numbered, never overwritten; deletion is a flag that can be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..masks.names import checked_name
from ..types import Mask, XaiError
from .annotators import annotator as annotator_row
from .database import reading, writing
from .history import note
from .packing import packed, unpacked
from .pictures import stored
from .schema import Annotator, StoredPicture, StoredReview, StoredVersion, now

SMART_TOOLS = frozenset({"superpixel", "grabcut", "flood", "sam"})
"""Tools that look at the picture, by the first word of their strokes: a mask made with one is not by hand alone."""
Origin = Literal["studio", "import"]


@dataclass(frozen=True)
class Review:
    """What a reviewer said of a version."""

    who: str
    at: datetime
    accepted: bool
    comment: str


@dataclass(frozen=True)
class Version:
    """A submitted mask, without its pixels: number `number` of this annotator, picture and project (None: of none).

    `seconds` of drawing are None for an import; `tools` counts strokes by tool; `smart` tells whether one of
    `SMART_TOOLS` was used. `deleted` is when, or None; `review` the newest one, or None.
    """

    id: int
    annotator: str
    picture: str
    project: int | None
    number: int
    seconds: float | None
    tools: Mapping[str, int]
    smart: bool
    origin: Origin
    submitted: datetime
    submitted_by: str
    deleted: datetime | None
    deleted_by: str | None
    review: Review | None


def versions(
    picture: str | None = None,
    annotator: str | None = None,
    project: int | None = None,
    *,
    deleted: bool = False,
) -> tuple[Version, ...]:
    """Submitted versions, oldest first, of what is named; with `deleted` those too that were deleted."""
    query = _selected().order_by(StoredVersion.id)
    if picture is not None:
        query = query.where(StoredVersion.picture == picture)
    if annotator is not None:
        query = query.where(Annotator.name == annotator)
    if project is not None:
        query = query.where(StoredVersion.project_id == project)
    if not deleted:
        query = query.where(StoredVersion.deleted.is_(None))
    with reading() as session:
        return tuple(_version(*row) for row in session.execute(query))


def version(number: int) -> Version:
    """The version with this id; raises `XaiError` when there is none."""
    with reading() as session:
        return version_of(session, number)


def mask_of(number: int) -> Mask:
    """The mask of the version with this id, under its annotator's name; raises `XaiError` when there is none."""
    query = sa.select(StoredVersion.runs, StoredPicture.height, StoredPicture.width, Annotator.name)
    query = query.select_from(StoredVersion).join(StoredPicture).join(Annotator).where(StoredVersion.id == number)
    with reading() as session:
        row = session.execute(query).one_or_none()
    if row is None:
        raise _absent(number)
    return Mask(unpacked(row.runs, (row.height, row.width)), row.name)


def latest_masks(picture: str, project: int | None = None) -> dict[str, Mask]:
    """Each annotator's newest mask of a picture that is not deleted, by name; of one project where it is named."""
    newest = sa.select(sa.func.max(StoredVersion.id)).group_by(StoredVersion.annotator_id)
    newest = newest.where(StoredVersion.picture == picture, StoredVersion.deleted.is_(None))
    if project is not None:
        newest = newest.where(StoredVersion.project_id == project)
    query = sa.select(Annotator.name, StoredVersion.runs, StoredPicture.height, StoredPicture.width)
    query = query.select_from(StoredVersion).join(StoredPicture).join(Annotator)
    with reading() as session:
        rows = session.execute(query.where(StoredVersion.id.in_(newest)).order_by(Annotator.name)).all()
    return {row.name: Mask(unpacked(row.runs, (row.height, row.width)), row.name) for row in rows}


def pictures_with_masks(project: int | None = None) -> dict[str, int]:
    """How many annotators have a mask that is not deleted, by the picture's digest, for all pictures with one."""
    count = sa.func.count(StoredVersion.annotator_id.distinct())
    query = sa.select(StoredVersion.picture, count).where(StoredVersion.deleted.is_(None))
    if project is not None:
        query = query.where(StoredVersion.project_id == project)
    with reading() as session:
        query = query.group_by(StoredVersion.picture).order_by(sa.func.min(StoredVersion.id))
        return dict(session.execute(query).all())


def import_mask(annotator: str, picture: str, mask: Mask, who: str) -> Version:
    """A mask from a file as a submitted version without a project; `who` brought it in.

    The same mask again, as the annotator's newest one, makes no further version. Raises `XaiError` for a picture that
    is not registered, a mask of another size, an empty one, and a name that cannot be one.
    """
    who = checked_name(who)
    with reading() as session:
        known = stored(session, picture)
    check_mask(mask, known)
    runs = packed(mask.values)
    with writing() as session:
        person = annotator_row(session, annotator, alone=True)
        newest = session.scalars(line(person.id, picture, None).where(StoredVersion.deleted.is_(None))).first()
        if newest is not None and newest.runs == runs:
            return version_of(session, newest.id)
        row = add_version(session, person.id, picture, None, runs, who, origin="import")
        return version_of(session, row.id)


def delete_version(number: int, who: str) -> Version:
    """Takes a version out of use; it stays and can be restored. Raises `XaiError` when there is none."""
    return _flag(number, checked_name(who), deleted=True)


def restore_version(number: int, who: str) -> Version:
    """Takes a deletion back. Raises `XaiError` when there is no such version."""
    return _flag(number, checked_name(who), deleted=False)


def _flag(number: int, who: str, deleted: bool) -> Version:
    with writing() as session:
        row = session.get(StoredVersion, number, with_for_update={"key_share": True})
        if row is None:
            raise _absent(number)
        if (row.deleted is not None) != deleted:
            row.deleted, row.deleted_by = (now(), who) if deleted else (None, None)
            note(session, who, "delete" if deleted else "restore", "version", number)
            session.flush()
        return version_of(session, number)


def add_version(
    session: Session,
    annotator_id: int,
    picture: str,
    project: int | None,
    runs: bytes,
    who: str,
    *,
    origin: Origin,
    seconds: float | None = None,
    tools: Mapping[str, int] | None = None,
) -> StoredVersion:
    """The next version of this annotator, picture and project; the caller holds the annotator's row alone."""
    last = session.scalars(line(annotator_id, picture, project)).first()
    row = StoredVersion(
        annotator_id=annotator_id,
        picture=picture,
        project_id=project,
        number=1 + (last.number if last else 0),
        runs=runs,
        seconds=seconds,
        tools=dict(tools or {}),
        smart=any(tool.split()[0] in SMART_TOOLS for tool in tools or ()),
        origin=origin,
        submitted=now(),
        submitted_by=who,
        deleted=None,
        deleted_by=None,
    )
    session.add(row)
    session.flush()
    note(session, who, "submit" if origin == "studio" else "import", "version", row.id)
    session.flush()
    return row


def check_mask(mask: Mask, picture: StoredPicture) -> None:
    """Raises `XaiError` for a mask of another size than the picture's, and for one without an object."""
    height, width = mask.values.shape
    if (height, width) != (picture.height, picture.width):
        raise XaiError(
            f"The mask {mask.name} has {width} x {height} pixels and its picture {picture.name} "
            f"{picture.width} x {picture.height}; save it in the picture's own size."
        )
    if not mask.values.any():
        raise XaiError(f"The mask of {picture.name} is empty: mark the object first.")


def version_of(session: Session, number: int) -> Version:
    """The version with this id as this session sees it; raises `XaiError` when there is none."""
    row = session.execute(_selected().where(StoredVersion.id == number)).one_or_none()
    if row is None:
        raise _absent(number)
    return _version(*row)


def newest_review() -> sa.Subquery:
    """The id of the newest review of each version."""
    newest = sa.select(sa.func.max(StoredReview.id).label("id"), StoredReview.version_id)
    return newest.group_by(StoredReview.version_id).subquery()


def line(annotator_id: int, picture: str, project: int | None) -> sa.Select[StoredVersion]:
    """The newest version of this annotator, picture and project."""
    query = sa.select(StoredVersion).order_by(StoredVersion.number.desc()).limit(1)
    query = query.where(StoredVersion.annotator_id == annotator_id, StoredVersion.picture == picture)
    return query.where(StoredVersion.project_id.is_(None) if project is None else StoredVersion.project_id == project)


def _selected() -> sa.Select[StoredVersion, str, StoredReview]:
    newest = newest_review()
    query = sa.select(StoredVersion, Annotator.name, StoredReview).join(Annotator)
    query = query.outerjoin(newest, newest.c.version_id == StoredVersion.id)
    return query.outerjoin(StoredReview, StoredReview.id == newest.c.id).options(sa.orm.defer(StoredVersion.runs))


def _version(row: StoredVersion, name: str, review: StoredReview | None) -> Version:
    said = Review(review.who, review.at, review.accepted, review.comment) if review else None
    return Version(
        id=row.id,
        annotator=name,
        picture=row.picture,
        project=row.project_id,
        number=row.number,
        seconds=row.seconds,
        tools=dict(row.tools),
        smart=row.smart,
        origin="import" if row.origin == "import" else "studio",
        submitted=row.submitted,
        submitted_by=row.submitted_by,
        deleted=row.deleted,
        deleted_by=row.deleted_by,
        review=said,
    )


def _absent(number: int) -> XaiError:
    return XaiError(f"There is no submitted mask {number}; reload the page.")
