"""Which masks are the ground truth of a study."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..masks.consensus import CONSENSUS, consensus
from ..masks.starters import starter
from ..store.annotators import annotators
from ..store.versions import latest_masks
from ..types import Mask, Picture, XaiError

Masks = Callable[[Picture], Mask | None]
"""The mask of a picture, or None."""


def masks_for(whose: str) -> Masks:
    """Whose masks: "none", "starter" for those of the bundled photos, an annotator's name, or one of `CONSENSUS`.

    A consensus is that of the newest submitted mask of each annotator, and else the starter mask; "all" is their
    majority. Raises `XaiError` for a name that is nobody's.
    """
    if whose == "none":
        return lambda picture: None
    if whose == "starter":
        return starter
    if whose == "all" or whose in CONSENSUS:
        return partial(_agreed, "majority" if whose == "all" else whose)
    people = annotators()
    if whose not in people:
        known = ", ".join(("all", *CONSENSUS, "starter", "none", *people))
        raise XaiError(f"There is no annotator {whose!r}; choose from {known}.")
    return lambda picture: latest_masks(picture.digest).get(whose)


def _agreed(name: str, picture: Picture) -> Mask | None:
    drawn = latest_masks(picture.digest)
    if not drawn:
        return starter(picture)
    return Mask(consensus(name, [mask.values for mask in drawn.values()]), name)
