"""A localisation score where several people have drawn the object: against each, against all, and people among
themselves, which is as well as a map can be expected to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..masks.consensus import majority
from ..registry import SCORES
from ..types import Bools, Floats, Measured, XaiError
from .base import Undefined, undefined, unusable
from .localisation import Localisation

EMPTY = "the mask is empty inside the model's input frame"
EMPTY_CONSENSUS = "the people's consensus is empty inside the model's input frame"
EMPTY_OTHERS = "the consensus of the other people is empty inside the model's input frame"
ALONE = "only one person drew a mask, so that there is no other to agree with"
NOBODY = "nobody's agreement is defined"


@dataclass(frozen=True, eq=False)
class Several:
    """A score's parts, not-a-number with a reason where undefined.

    `each` has the map against each person's mask, by name; `consensus` against the consensus of all. `people` has each
    person's mask, in the map's place, against the consensus of the others, and `ceiling` the mean of these.
    """

    each: Mapping[str, Measured]
    consensus: Measured
    people: Mapping[str, Measured]
    ceiling: Measured


def against_several(
    name: str,
    saliency: Floats,
    masks: Mapping[str, Bools],
    seed: int,
    parameters: Mapping[str, Any] | None = None,
    agreed: Callable[[Sequence[Bools]], Bools] = majority,
) -> Several:
    """A localisation score of a map float32 (H, W) for masks bool (H, W) by the people's names, in the same frame.

    `parameters` are the score's, and `agreed` makes one mask of several, as `masks.consensus` has them. With two
    people, the consensus of the others is the other's mask. Raises `XaiError` for a score that needs more than map and
    mask, without masks, and where their size is not the map's.
    """
    score = SCORES[name].make(parameters or {})
    if not isinstance(score, Localisation):
        raise XaiError(f"The score {name!r} does not compare a map with a mask; choose one that does, such as 'iou'.")
    if not masks or any(mask.shape != saliency.shape for mask in masks.values()):
        raise XaiError("A map can only be compared with people's masks when there are some, all of its own size.")
    parts = tuple(SCORES[name].values)
    reason = unusable(saliency)

    def located(mask: Bools, empty: str) -> Measured:
        return _measured(parts, lambda: score.located(saliency, mask, seed), reason or (None if mask.any() else empty))

    def beside_others(whose: str) -> Measured:
        rest = [mask for person, mask in masks.items() if person != whose]
        if not rest:
            return undefined(parts, ALONE)
        others = agreed(rest)
        return _measured(
            parts, lambda: score.between(masks[whose], others, seed), None if others.any() else EMPTY_OTHERS
        )

    people = {whose: beside_others(whose) for whose in masks}
    return Several(
        {whose: located(mask, EMPTY) for whose, mask in masks.items()},
        located(agreed(list(masks.values())), EMPTY_CONSENSUS),
        people,
        _mean(parts, list(people.values())),
    )


def _measured(parts: tuple[str, ...], measure: Callable[[], Measured], reason: str | None) -> Measured:
    """What is measured, unless there is a reason why not."""
    if reason:
        return undefined(parts, reason)
    try:
        return measure()
    except Undefined as why:
        return undefined(parts, str(why))


def _mean(parts: tuple[str, ...], measured: Sequence[Measured]) -> Measured:
    """The mean of each part over those for whom it is defined."""
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for part in parts:
        known = [one.values[part] for one in measured if not math.isnan(one.values[part])]
        values[part] = float(np.mean(known)) if known else math.nan
        if not known:
            reasons[part] = ALONE if len(measured) == 1 else NOBODY
    return Measured(values, reasons)
