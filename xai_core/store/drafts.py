"""Drafts: what annotators draw, saved stroke by stroke.

A draft belongs to one annotator, picture, project (or none) and client: the random name of a browser's tab. Only its
own tab draws on it; another tab goes on in a copy, so that no two ever overwrite each other.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from ..masks.names import checked_name
from ..masks.strokes import Stroke, drawn
from ..types import Bools, Mask, XaiError, digest_of
from .annotators import annotator as annotator_row
from .database import reading, writing
from .history import note
from .packing import packed, packed_counts, unpacked, unpacked_counts
from .pictures import stored
from .projects import open_project
from .schema import Annotator, StoredDraft, StoredPicture, StoredStroke, StoredVersion, now
from .versions import Version, add_version, check_mask, line, version_of

FOLD_AFTER = 200
"""Strokes that a draft has beside its base before they are folded into it: what opening has to draw again."""
FOLD_AREA = 16
"""Or so many times the picture's pixels in their boxes."""
LONGEST_CLIENT = 100
Work = tuple[int, str, int | None]
"""An annotator's id, a picture's digest, and a project's id or None."""


class Conflict(XaiError):
    """Strokes that a draft cannot take, because it was submitted or another tab has drawn on it: open one anew."""


@dataclass(frozen=True, eq=False)
class Draft:
    """An unfinished mask and the state of its saving.

    `number` is that of the last saved stroke, 0 before the first; `tools` counts strokes by tool and `seconds` is the
    time of drawing so far, both with what the draft went on from: the draft `parent` or the version `version`.
    """

    id: int
    annotator: str
    picture: str
    project: int | None
    client: str
    mask: Mask
    number: int
    tools: Mapping[str, int]
    seconds: float
    parent: int | None
    version: int | None


@dataclass(frozen=True)
class DraftInfo:
    """An unfinished draft in a list: the `number` of its strokes, and whether another draft `continued` all of them.

    `began` is the draft that it is a copy of and the number of that one's last stroke then, or None. `discarded` is
    when, or None.
    """

    id: int
    annotator: str
    picture: str
    project: int | None
    client: str
    number: int
    started: datetime
    changed: datetime
    continued: bool
    began: tuple[int, int] | None
    discarded: datetime | None


def open_draft(
    annotator: str,
    picture: str,
    client: str,
    project: int | None = None,
    *,
    draft: int | None = None,
    version: int | None = None,
) -> Draft:
    """The draft that this tab draws on.

    It is the tab's own last one of this picture, after a reload too, unless that was submitted or discarded. Else a
    new one is made: of a copy of `draft` or `version` where one is named (which also leaves the tab's own one aside),
    else of the newest unfinished draft since this annotator's last version, else of that version, else empty.

    Raises `XaiError` for a picture that is not registered, a closed project, and a name that cannot be one.
    """
    if not 0 < len(client) <= LONGEST_CLIENT or not client.isprintable():
        raise XaiError("The browser's tab has no name that can be used; reload the page.")
    while True:
        with writing() as session:
            person = annotator_row(session, annotator, alone=True)
            stored(session, picture)
            if project is not None:
                open_project(session, project)
            work = person.id, picture, project
            row = _own(session, work, client) if draft is None and version is None else None
            if row is None:
                parent, origin = _origin(session, work, draft, version)
                if parent is None or parent.base_number == parent.number:
                    row = _begun(session, work, client, parent, origin)
            found = None if row is None else row.id
        if found is not None:
            return saved_draft(found)
        assert parent is not None
        fold(parent.id)  # outside of the transaction: nobody waits for it


def add_strokes(draft: int, strokes: Iterable[Stroke], seconds: float | None = None) -> int:
    """Saves strokes and returns the number up to which all are saved: on the disk, whatever happens next.

    Strokes that are there already are left alone, those after a gap are not saved: the browser sends them anew from
    the returned number on. `seconds` is the time of drawing so far.

    Raises `XaiError` for a stroke beyond the picture, and `Conflict` where a stroke of the same number is another one
    or the draft was submitted; then nothing is saved.
    """
    rows = [(stroke, _values(stroke)) for stroke in sorted(strokes, key=lambda stroke: stroke.number)]
    with writing() as session:
        row = _alone(session, draft)
        picture = stored(session, row.picture)
        known = _digests(session, row, rows[0][0].number if rows else 1)
        fresh, last, moment = [], row.number, now()
        for stroke, values in rows:
            if stroke.number in known:
                if known[stroke.number] != values["digest"]:
                    raise Conflict("Another tab has drawn on this draft: reload the page to go on in a new one.")
            elif stroke.number == last + 1:
                if not _is_inside(stroke, picture):
                    raise _unfit(stroke)
                fresh.append({"draft_id": draft, "saved": moment, **values})
                known[stroke.number], last = str(values["digest"]), stroke.number
            else:
                break
        if fresh:
            if row.version_id is not None:
                raise Conflict("This draft was submitted already: reload the page to go on in a new one.")
            session.execute(sa.insert(StoredStroke), fresh)
            row.number, row.changed, row.discarded = last, moment, None
        row.seconds = max(row.seconds, _seconds(seconds))
        heavy = bool(fresh) and _is_heavy(session, row, picture)
    if heavy:
        fold(draft)
    return last


def fold(draft: int) -> None:
    """Draws a draft's strokes into its base, so that it opens fast; their runs go in the transaction that saves it."""
    with reading() as session:
        row = _row(session, draft)
        number, base = row.number, packed(_mask(session, row))
    with writing() as session:
        row = _alone(session, draft)
        if row.base_number < number:
            row.base, row.base_number = base, number
            folded = sa.update(StoredStroke).where(StoredStroke.draft_id == draft, StoredStroke.number <= number)
            session.execute(folded.values(counts=None))


def submit(draft: int, seconds: float | None = None, number: int | None = None) -> Version:
    """Makes a draft's mask the next version of its annotator, picture and project, and finishes the draft.

    `number` is the last stroke that the browser has drawn. A draft that was submitted already gives its version again.
    Raises `XaiError` for an empty mask, and where not all strokes up to `number` are saved.
    """
    while True:
        with reading() as session:
            row = _row(session, draft)
            if number is not None and number != row.number:
                raise XaiError("Not all strokes are saved yet: wait until they are, and submit again.")
            if row.version_id is not None:
                return version_of(session, row.version_id)
            mask, saved = _mask(session, row), row.number
            check_mask(Mask(mask), stored(session, row.picture))
            annotator = session.get_one(Annotator, row.annotator_id).name
        runs = packed(mask)
        with writing() as session:
            person = annotator_row(session, annotator, alone=True)
            row = _alone(session, draft)
            if row.version_id is not None or row.number != saved:
                continue  # somebody was faster: look again
            row.seconds = max(row.seconds, _seconds(seconds))
            tools = _tools(session, row)
            made = add_version(
                session, person.id, row.picture, row.project_id, runs, annotator,
                origin="studio", seconds=row.seconds, tools=tools,
            )  # fmt: skip
            row.version_id, row.changed = made.id, now()
            session.flush()
            return version_of(session, made.id)


def drafts(
    annotator: str | None = None, picture: str | None = None, project: int | None = None, *, discarded: bool = False
) -> tuple[DraftInfo, ...]:
    """The unfinished drafts of what is named, last changed first; with `discarded` those too that were discarded.

    One is continued by a copy that is listed with strokes of its own, or was submitted.
    """
    child = aliased(StoredDraft)
    continued = sa.exists().where(
        child.parent_id == StoredDraft.id,
        child.parent_number == StoredDraft.number,
        child.discarded.is_(None),
        sa.or_(child.number > 0, child.version_id.is_not(None)),
    )
    query = sa.select(StoredDraft, Annotator.name, continued).join(Annotator)
    query = query.where(StoredDraft.version_id.is_(None))
    query = query.order_by(StoredDraft.changed.desc(), StoredDraft.id.desc())
    query = query.options(sa.orm.defer(StoredDraft.base))
    if not discarded:
        query = query.where(StoredDraft.discarded.is_(None))
    if annotator is not None:
        query = query.where(Annotator.name == annotator)
    if picture is not None:
        query = query.where(StoredDraft.picture == picture)
    if project is not None:
        query = query.where(StoredDraft.project_id == project)
    with reading() as session:
        return tuple(_info(*row) for row in session.execute(query))


def saved_draft(draft: int) -> Draft:
    """A draft as it is saved, unfinished or not; raises `XaiError` when there is none."""
    with reading() as session:
        row = _row(session, draft)
        return _opened(session, row, session.get_one(Annotator, row.annotator_id).name)


def discard_draft(draft: int, who: str) -> None:
    """Takes an unfinished draft out of the lists; it stays, and `restore_draft` or its next stroke bring it back."""
    _flag(draft, checked_name(who), discarded=True)


def restore_draft(draft: int, who: str) -> None:
    """Brings a discarded draft back."""
    _flag(draft, checked_name(who), discarded=False)


def stroke_digest(stroke: Stroke) -> str:
    """SHA-256 of what a stroke does, by which a repeated one is told from another."""
    return digest_of(json.dumps([stroke.tool, stroke.box, stroke.counts]))


_UNFINISHED = StoredDraft.version_id.is_(None), StoredDraft.discarded.is_(None)


def _info(row: StoredDraft, name: str, continued: bool) -> DraftInfo:
    return DraftInfo(
        id=row.id,
        annotator=name,
        picture=row.picture,
        project=row.project_id,
        client=row.client,
        number=row.number,
        started=row.started,
        changed=row.changed,
        continued=continued,
        began=None if row.parent_id is None else (row.parent_id, row.parent_number or 0),
        discarded=row.discarded,
    )


def _flag(draft: int, who: str, discarded: bool) -> None:
    with writing() as session:
        row = _alone(session, draft)
        if (row.discarded is not None) != discarded:
            row.discarded = now() if discarded else None
            note(session, who, "discard" if discarded else "restore", "draft", draft)


def _row(session: Session, draft: int) -> StoredDraft:
    row = session.get(StoredDraft, draft)
    if row is None:
        raise _absent()
    return row


def _alone(session: Session, draft: int) -> StoredDraft:
    """The draft's row, while whoever else wants to change the draft waits."""
    row = session.get(StoredDraft, draft, with_for_update={"key_share": True})
    if row is None:
        raise _absent()
    return row


def _absent() -> XaiError:
    return XaiError("There is no such draft; reload the page.")


def _line(work: Work) -> sa.Select[StoredDraft]:
    annotator_id, picture, project = work
    query = sa.select(StoredDraft).limit(1)
    query = query.where(StoredDraft.annotator_id == annotator_id, StoredDraft.picture == picture)
    return query.where(StoredDraft.project_id.is_(None) if project is None else StoredDraft.project_id == project)


def _own(session: Session, work: Work, client: str) -> StoredDraft | None:
    query = _line(work).where(StoredDraft.client == client).order_by(StoredDraft.id.desc())
    row = session.scalars(query).first()
    return row if row is not None and row.version_id is None and row.discarded is None else None


def _origin(
    session: Session, work: Work, draft: int | None, version: int | None
) -> tuple[StoredDraft | None, StoredVersion | None]:
    """What a new draft goes on from, a draft or a version or neither; raises `XaiError` for what it cannot."""
    if draft is not None:
        parent = _alone(session, draft)
        if (parent.annotator_id, parent.picture) != work[:2]:
            raise XaiError("This draft is another picture's or another annotator's; take up one of your own.")
        return parent, None
    if version is not None:
        origin = session.get(StoredVersion, version)
        if origin is None or (origin.annotator_id, origin.picture) != work[:2]:
            raise XaiError("This mask is another picture's or another annotator's; take up one of your own.")
        return None, origin
    origin = session.scalars(line(*work).where(StoredVersion.deleted.is_(None))).first()
    query = _line(work).where(*_UNFINISHED).order_by(StoredDraft.changed.desc(), StoredDraft.id.desc())
    if origin is not None:
        query = query.where(StoredDraft.changed > origin.submitted)
    found = session.scalars(query).first()
    return (None, origin) if found is None else (_alone(session, found.id), None)


def _begun(
    session: Session, work: Work, client: str, parent: StoredDraft | None, origin: StoredVersion | None
) -> StoredDraft:
    """A new draft in the state of another one that is folded, or of a version, or empty."""
    annotator_id, picture, project = work
    moment = now()
    continued: tuple[int | None, int | None] = (parent.id, parent.number) if parent else (None, None)
    if parent and not parent.number and parent.parent_id is not None:
        continued = parent.parent_id, parent.parent_number  # an untouched copy is what it was copied from
    row = StoredDraft(
        annotator_id=annotator_id,
        picture=picture,
        project_id=project,
        client=client,
        begun_from=origin.id if origin else None,
        parent_id=continued[0],
        parent_number=continued[1],
        begun_tools=_tools(session, parent) if parent else dict(origin.tools) if origin else {},
        base=parent.base if parent else origin.runs if origin else None,
        base_number=0,
        number=0,
        seconds=parent.seconds if parent else (origin.seconds or 0.0) if origin else 0.0,
        started=moment,
        changed=moment,
        version_id=None,
        discarded=None,
    )
    session.add(row)
    session.flush()
    return row


def _mask(session: Session, row: StoredDraft) -> Bools:
    """The fold of all strokes of a draft, bool (H, W)."""
    picture = session.get_one(StoredPicture, row.picture)
    size = picture.height, picture.width
    base = np.zeros(size, dtype=bool) if row.base is None else unpacked(row.base, size)
    query = sa.select(StoredStroke).where(StoredStroke.draft_id == row.id, StoredStroke.number > row.base_number)
    return drawn(base, (_stroke(found) for found in session.scalars(query.order_by(StoredStroke.number))))


def _stroke(row: StoredStroke) -> Stroke:
    counts = tuple(unpacked_counts(row.counts or b""))
    return Stroke(row.number, row.tool, (row.top, row.left, row.height, row.width), counts)


def _values(stroke: Stroke) -> dict[str, object]:
    """What a row of the table `strokes` holds of a stroke; raises `XaiError` for one that could not be drawn."""
    top, left, height, width = stroke.box
    fits = min(top, left, height - 1, width - 1, *stroke.counts) >= 0 and sum(stroke.counts) == height * width
    if not fits or not stroke.tool.isprintable():
        raise _unfit(stroke)
    return {
        "number": stroke.number,
        "tool": stroke.tool,
        "top": top,
        "left": left,
        "height": height,
        "width": width,
        "counts": packed_counts(stroke.counts),
        "digest": stroke_digest(stroke),
    }


def _is_inside(stroke: Stroke, picture: StoredPicture) -> bool:
    top, left, height, width = stroke.box
    return top + height <= picture.height and left + width <= picture.width


def _unfit(stroke: Stroke) -> XaiError:
    return XaiError(f"Stroke {stroke.number} does not fit the picture: reload the page and draw it again.")


def _digests(session: Session, row: StoredDraft, first: int) -> dict[int, str]:
    """The digests of a draft's strokes from number `first` on."""
    if first > row.number:
        return {}
    query = sa.select(StoredStroke.number, StoredStroke.digest)
    query = query.where(StoredStroke.draft_id == row.id, StoredStroke.number >= first)
    return dict(session.execute(query).all())


def _is_heavy(session: Session, row: StoredDraft, picture: StoredPicture) -> bool:
    """Whether opening the draft means too much drawing."""
    query = sa.select(sa.func.count(), sa.func.sum(StoredStroke.height * StoredStroke.width))
    query = query.where(StoredStroke.draft_id == row.id, StoredStroke.number > row.base_number)
    count, area = session.execute(query).one()
    return count >= FOLD_AFTER or (area or 0) > FOLD_AREA * picture.height * picture.width


def _tools(session: Session, row: StoredDraft) -> dict[str, int]:
    """Strokes by tool, with those of what the draft went on from."""
    query = sa.select(StoredStroke.tool, sa.func.count()).where(StoredStroke.draft_id == row.id)
    counts = Counter(row.begun_tools)
    counts.update(dict(session.execute(query.group_by(StoredStroke.tool)).all()))
    return dict(sorted(counts.items()))


def _opened(session: Session, row: StoredDraft, annotator: str) -> Draft:
    return Draft(
        id=row.id,
        annotator=annotator,
        picture=row.picture,
        project=row.project_id,
        client=row.client,
        mask=Mask(_mask(session, row), annotator),
        number=row.number,
        tools=_tools(session, row),
        seconds=row.seconds,
        parent=row.parent_id,
        version=row.begun_from,
    )


def _seconds(seconds: float | None) -> float:
    if seconds is None:
        return 0.0
    if not math.isfinite(seconds) or seconds < 0:
        raise XaiError("The time of drawing is no number of seconds; reload the page.")
    return float(seconds)
