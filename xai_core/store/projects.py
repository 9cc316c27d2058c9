"""Projects: pictures that several annotators draw each, with instructions, examples and hidden controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..masks.names import checked_name
from ..types import Bools, Mask, XaiError
from .database import reading, writing
from .history import note
from .packing import packed, unpacked
from .pictures import stored
from .schema import (
    Annotator,
    ProjectExample,
    ProjectPicture,
    StoredPicture,
    StoredProject,
    StoredVersion,
    now,
)
from .versions import check_mask

MOST_WANTED = 100


@dataclass(frozen=True)
class Task:
    """A picture of a project, by its digest; `question` is the class's text or a question.

    One with a `known` mask is a control: annotators see no difference, and the project's owner sees their IoU with it.
    """

    picture: str
    question: str = ""
    known: Mask | None = None


@dataclass(frozen=True)
class Entry:
    """A picture of a project in a list: what `Task` has without the known mask, and the picture's file name."""

    picture: str
    name: str
    question: str
    control: bool


@dataclass(frozen=True)
class Example:
    """A picture with a mask as it should be."""

    picture: str
    mask: Mask
    caption: str = ""


@dataclass(frozen=True)
class Project:
    """A project without its pictures: `instructions` are Markdown, `wanted` is the number of annotators per picture."""

    id: int
    name: str
    owner: str
    instructions: str
    wanted: int
    created: datetime
    closed: datetime | None


def create_project(
    name: str,
    owner: str,
    tasks: Iterable[Task],
    *,
    instructions: str = "",
    wanted: int = 1,
    examples: Iterable[Example] = (),
) -> Project:
    """A new project; raises `XaiError` for a name that is taken, a picture that is not registered or a wrong mask."""
    name, owner = checked_name(name, "A project's"), checked_name(owner)
    with writing() as session:
        row = StoredProject(
            name=name, owner=owner, instructions=instructions, wanted=_wanted(wanted), created=now(), closed=None
        )
        if session.scalars(sa.select(StoredProject.id).where(StoredProject.name == name)).first() is not None:
            raise _taken(name)
        session.add(row)
        try:
            session.flush()
        except sa.exc.IntegrityError:
            raise _taken(name) from None
        note(session, owner, "create", "project", row.id, name)
        _add_tasks(session, row.id, tasks)
        _set_examples(session, row.id, examples)
        return _project(row)


def change_project(
    project: int,
    who: str,
    *,
    instructions: str | None = None,
    wanted: int | None = None,
    examples: Iterable[Example] | None = None,
    closed: bool | None = None,
) -> Project:
    """Changes what is named; a closed project gives out no pictures. Raises `XaiError` as `create_project` does."""
    who = checked_name(who)
    with writing() as session:
        row = project_row(session, project, alone=True)
        said = []
        if instructions is not None and instructions != row.instructions:
            row.instructions = instructions
            said.append("instructions")
        if wanted is not None and wanted != row.wanted:
            said.append(f"wanted {row.wanted} -> {wanted}")
            row.wanted = _wanted(wanted)
        if examples is not None:
            _set_examples(session, project, examples)
            said.append("examples")
        if closed is not None and closed != (row.closed is not None):
            row.closed = now() if closed else None
            said.append("closed" if closed else "reopened")
        if said:
            note(session, who, "change", "project", project, ", ".join(said))
        return _project(row)


def add_tasks(project: int, tasks: Iterable[Task], who: str) -> None:
    """Adds pictures to a project; one that is in it gets the new question and known mask. Raises `XaiError`."""
    who = checked_name(who)
    with writing() as session:
        project_row(session, project, alone=True)
        count = _add_tasks(session, project, tasks)
        note(session, who, "change", "project", project, f"{count} pictures added")


def remove_task(project: int, picture: str, who: str) -> None:
    """Takes a picture out of a project's queue; its masks stay, and `add_tasks` brings it back."""
    who = checked_name(who)
    with writing() as session:
        project_row(session, project, alone=True)
        row = session.get(ProjectPicture, (project, picture))
        if row is not None and row.removed is None:
            row.removed = now()
            note(session, who, "change", "project", project, f"picture {picture[:12]} removed")


def projects(*, closed: bool = False) -> tuple[Project, ...]:
    """All projects that are open, oldest first; with `closed` the others too."""
    query = sa.select(StoredProject).order_by(StoredProject.id)
    if not closed:
        query = query.where(StoredProject.closed.is_(None))
    with reading() as session:
        return tuple(_project(row) for row in session.scalars(query))


def project_of(project: int) -> Project:
    """The project with this id; raises `XaiError` when there is none."""
    with reading() as session:
        return _project(project_row(session, project))


def tasks_of(project: int) -> tuple[Task, ...]:
    """The pictures of a project in the owner's order, with the known masks: not for annotators' eyes."""
    query = sa.select(ProjectPicture, StoredPicture.height, StoredPicture.width).join(StoredPicture)
    query = query.where(ProjectPicture.project_id == project, ProjectPicture.removed.is_(None))
    with reading() as session:
        project_row(session, project)
        rows = session.execute(query.order_by(ProjectPicture.position, ProjectPicture.picture)).all()
    return tuple(
        Task(row.picture, row.question, Mask(unpacked(row.known, (height, width)), "known") if row.known else None)
        for row, height, width in rows
    )


def entries_of(project: int) -> tuple[Entry, ...]:
    """The pictures of a project in the owner's order; which are controls is not for annotators' eyes."""
    control = ProjectPicture.known.is_not(None).label("control")
    query = sa.select(ProjectPicture.picture, StoredPicture.name, ProjectPicture.question, control).join(StoredPicture)
    query = query.where(ProjectPicture.project_id == project, ProjectPicture.removed.is_(None))
    with reading() as session:
        project_row(session, project)
        rows = session.execute(query.order_by(ProjectPicture.position, ProjectPicture.picture)).all()
    return tuple(Entry(row.picture, row.name, row.question, row.control) for row in rows)


def ask(project: int, questions: Mapping[str, str], who: str) -> None:
    """Asks other questions of pictures of a project, by digest; a picture that is not in it is left alone."""
    who = checked_name(who)
    with writing() as session:
        project_row(session, project, alone=True)
        rows = session.scalars(sa.select(ProjectPicture).where(ProjectPicture.project_id == project))
        changed = [row for row in rows if questions.get(row.picture, row.question) != row.question]
        for row in changed:
            row.question = questions[row.picture]
        if changed:
            note(session, who, "change", "project", project, f"{len(changed)} questions")


def examples_of(project: int) -> tuple[Example, ...]:
    """The examples of a project in their order."""
    query = sa.select(ProjectExample, StoredPicture.height, StoredPicture.width).join(StoredPicture)
    query = query.where(ProjectExample.project_id == project).order_by(ProjectExample.position)
    with reading() as session:
        project_row(session, project)
        rows = session.execute(query).all()
    return tuple(
        Example(row.picture, Mask(unpacked(row.runs, (height, width)), "example"), row.caption)
        for row, height, width in rows
    )


def control_results(project: int, who: str) -> dict[str, dict[str, float]]:
    """IoU with the known mask, in [0, 1], of each annotator's first mask of each control, by name and picture.

    The first one counts, deleted or not, as later ones may be drawn by whoever has guessed what is a control. Only the
    project's owner may see it; raises `XaiError` for anybody else.
    """
    first = sa.select(sa.func.min(StoredVersion.id)).where(StoredVersion.project_id == project)
    first = first.group_by(StoredVersion.annotator_id, StoredVersion.picture)
    query = sa.select(
        Annotator.name, StoredVersion.picture, StoredVersion.runs, ProjectPicture.known, StoredPicture.height,
        StoredPicture.width,
    )  # fmt: skip
    query = query.select_from(StoredVersion).join(Annotator).join(StoredPicture)
    query = query.join(
        ProjectPicture,
        sa.and_(ProjectPicture.project_id == project, ProjectPicture.picture == StoredVersion.picture),
    )
    query = query.where(StoredVersion.id.in_(first), ProjectPicture.known.is_not(None)).order_by(Annotator.name)
    with reading() as session:
        if project_row(session, project).owner != who:
            raise XaiError("Only the project's owner sees the results of its control pictures.")
        rows = session.execute(query).all()
    results: dict[str, dict[str, float]] = {}
    for name, picture, runs, known, height, width in rows:
        size = height, width
        results.setdefault(name, {})[picture] = _iou(unpacked(runs, size), unpacked(known or b"", size))
    return results


def project_row(session: Session, project: int, *, alone: bool = False) -> StoredProject:
    """The row of a project; `alone`: others who ask so wait. Raises `XaiError` when there is none."""
    row = session.get(StoredProject, project, with_for_update={"key_share": True} if alone else None)
    if row is None:
        raise XaiError("There is no such project; choose another one.")
    return row


def open_project(session: Session, project: int, *, alone: bool = False) -> StoredProject:
    """As `project_row`; raises `XaiError` for a closed project too."""
    row = project_row(session, project, alone=alone)
    if row.closed is not None:
        raise XaiError(f"The project {row.name} is closed; choose another one.")
    return row


def _taken(name: str) -> XaiError:
    return XaiError(f"There is a project {name} already; choose another name.")


def _wanted(wanted: int) -> int:
    if not 1 <= wanted <= MOST_WANTED:
        raise XaiError(f"A picture wants 1 to {MOST_WANTED} annotators, not {wanted}; choose another number.")
    return wanted


def _add_tasks(session: Session, project: int, tasks: Iterable[Task]) -> int:
    rows = session.scalars(sa.select(ProjectPicture).where(ProjectPicture.project_id == project))
    there = {row.picture: row for row in rows}
    registered = set(session.scalars(sa.select(StoredPicture.digest)))
    start = 1 + max((row.position for row in there.values()), default=-1)
    tasks = list(tasks)
    for position, task in enumerate(tasks, start):
        if task.picture not in registered:
            stored(session, task.picture)  # says so
        known = None if task.known is None else _checked(session, task.picture, task.known)
        if task.picture not in there:
            there[task.picture] = ProjectPicture(project_id=project, picture=task.picture, position=position)
            session.add(there[task.picture])
        row = there[task.picture]
        kept = row.removed is None  # one that is there keeps what is not said anew
        row.question = task.question or (row.question if kept else "") or ""
        row.known = known or (row.known if kept else None)
        row.removed = None
    session.flush()
    return len(tasks)


def _set_examples(session: Session, project: int, examples: Iterable[Example]) -> None:
    session.execute(sa.delete(ProjectExample).where(ProjectExample.project_id == project))
    for position, example in enumerate(examples):
        runs = _checked(session, example.picture, example.mask)
        session.add(
            ProjectExample(
                project_id=project, position=position, picture=example.picture, runs=runs, caption=example.caption
            )
        )
    session.flush()


def _checked(session: Session, picture: str, mask: Mask) -> bytes:
    with session.no_autoflush:
        check_mask(mask, stored(session, picture))
    return packed(mask.values)


def _iou(one: Bools, other: Bools) -> float:
    union = np.count_nonzero(one | other)
    return float(np.count_nonzero(one & other) / union) if union else 1.0


def _project(row: StoredProject) -> Project:
    return Project(row.id, row.name, row.owner, row.instructions, row.wanted, row.created, row.closed)
