"""Reviews, and what annotators may see of each other."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..masks.names import checked_name
from ..types import Mask, XaiError
from .database import reading, writing
from .history import note
from .projects import project_row
from .schema import Annotator, StoredReview, StoredVersion, now
from .versions import Version, latest_masks, version_of


def accept(version: int, who: str, comment: str = "") -> Version:
    """Says that a version is good. Raises `XaiError` when there is none."""
    return _review(version, who, True, comment)


def return_version(version: int, who: str, comment: str) -> Version:
    """Hands a version back: it comes first in its annotator's queue, with the comment, until a new one is submitted.

    Raises `XaiError` when there is no such version, or no comment.
    """
    if not comment.strip():
        raise XaiError("A returned mask needs a comment: say what should be drawn otherwise.")
    return _review(version, who, False, comment)


def _review(version: int, who: str, accepted: bool, comment: str) -> Version:
    who = checked_name(who)
    with writing() as session:
        found = version_of(session, version)
        if found.deleted is not None:
            raise XaiError("This mask was deleted; restore it before you review it.")
        session.add(StoredReview(version_id=version, who=who, at=now(), accepted=accepted, comment=comment.strip()))
        note(session, who, "accept" if accepted else "return", "version", version, comment.strip())
        session.flush()
        return version_of(session, version)


def may_see(annotator: str, picture: str, project: int | None = None) -> bool:
    """Whether others' masks and saliency maps of a picture are open to this annotator.

    They are once the annotator has submitted a mask of it (in this project, where one is named), and always to the
    project's owner: whoever has not drawn yet shall not be led by them.
    """
    with reading() as session:
        return _may_see(session, annotator, picture, project)


def visible_masks(annotator: str, picture: str, project: int | None = None) -> dict[str, Mask]:
    """The newest masks of a picture, by name, as far as this annotator `may_see` them: of the own name always."""
    masks = latest_masks(picture, project)
    if may_see(annotator, picture, project):
        return masks
    return {name: mask for name, mask in masks.items() if name == annotator}


def _may_see(session: Session, annotator: str, picture: str, project: int | None) -> bool:
    if project is not None and project_row(session, project).owner == annotator:
        return True
    query = sa.select(StoredVersion.id).join(Annotator).limit(1)
    query = query.where(Annotator.name == annotator, StoredVersion.picture == picture)
    if project is not None:
        query = query.where(StoredVersion.project_id == project)
    return session.scalars(query).first() is not None
