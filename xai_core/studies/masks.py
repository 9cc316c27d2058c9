"""Which masks are the ground truth of a study."""

from __future__ import annotations

from collections.abc import Callable

from ..masks.consensus import consensus
from ..masks.starters import starter
from ..store.annotators import annotators
from ..store.versions import latest_masks
from ..types import Mask, Picture, XaiError

Masks = Callable[[Picture], Mask | None]
"""The mask of a picture, or None."""


def masks_for(whose: str) -> Masks:
    """Whose masks: "none", "starter" for those of the bundled photos, an annotator's name, or "all".

    "all" is the majority of the newest submitted mask of each annotator, and else the starter mask. Raises `XaiError`
    for a name that is nobody's.
    """
    if whose == "none":
        return lambda picture: None
    if whose == "starter":
        return starter
    if whose == "all":
        return _majority
    people = annotators()
    if whose not in people:
        known = ", ".join(("all", "starter", "none", *people))
        raise XaiError(f"There is no annotator {whose!r}; choose from {known}.")
    return lambda picture: latest_masks(picture.digest).get(whose)


def _majority(picture: Picture) -> Mask | None:
    drawn = latest_masks(picture.digest)
    if not drawn:
        return starter(picture)
    return Mask(consensus("majority", [mask.values for mask in drawn.values()]), "majority")
