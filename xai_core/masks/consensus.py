"""One mask from several people's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..types import Bools, XaiError
from .agreement import Confusion, votes

ITERATIONS = 200
"""Steps of expectation maximisation at most; it settles in far fewer."""
ROUNDING = 1e-9
"""By how much a probability of one half may be off: a tie is no, whatever the last digits."""


def majority(masks: Sequence[Bools]) -> Bools:
    """The pixels that more than half of the masks hold, bool (H, W): a tie is no."""
    return np.asarray(2 * votes(masks).astype(np.int64) > len(masks))


def union(masks: Sequence[Bools]) -> Bools:
    """The pixels that any mask holds, bool (H, W)."""
    return np.asarray(votes(masks) > 0)


def intersection(masks: Sequence[Bools]) -> Bools:
    """The pixels that all masks hold, bool (H, W)."""
    return np.asarray(votes(masks) == len(masks))


@dataclass(frozen=True, eq=False)
class Staple:
    """What STAPLE makes of masks.

    `probability` is that each pixel belongs to the object, float64 (H, W); `mask` is where it is above 0.5, bool
    (H, W). `sensitivity` and `specificity` of each mask in turn are those that the probabilities were found with;
    not-a-number where there is no object, or nothing else.
    """

    probability: npt.NDArray[np.float64]
    mask: Bools
    sensitivity: tuple[float, ...]
    specificity: tuple[float, ...]


def staple(masks: Sequence[Bools]) -> Staple:
    """Simultaneous truth and performance level estimation (Warfield, Zou and Wells 2004), by SimpleITK.

    Who agrees with the others counts more. The prior is the masks' mean area, so that more background around an object
    changes the result a little. Masks that are all equal, or only one, are their own consensus; where the estimate
    fails, as for one mask that is empty and one that is full, the votes' part stands in for the probability.
    """
    share = votes(masks) / len(masks)
    if not ((share > 0) & (share < 1)).any():
        return _judged(share, masks)
    import SimpleITK as sitk

    estimate = sitk.STAPLEImageFilter()
    estimate.SetForegroundValue(1)
    estimate.SetMaximumIterations(ITERATIONS)
    found = estimate.Execute([sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in masks])
    probability = sitk.GetArrayFromImage(found)
    rates = estimate.GetSensitivity(), estimate.GetSpecificity()
    if not (np.isfinite(probability).all() and np.isfinite(rates).all()):
        return _judged(share, masks)
    return Staple(probability, probability > 0.5 + ROUNDING, *rates)


def _judged(share: npt.NDArray[np.float64], masks: Sequence[Bools]) -> Staple:
    """The votes' part as the probability, and each mask against what it makes."""
    consensus = share > 0.5
    people = [Confusion.of(mask, consensus) for mask in masks]
    return Staple(share, consensus, tuple(one.sensitivity for one in people), tuple(one.specificity for one in people))


Consensus = Callable[[Sequence[Bools]], Bools]
"""Masks bool (H, W) of the same size, at least one, as one mask; raises `XaiError` for others."""

CONSENSUS: dict[str, tuple[str, Consensus]] = {
    "majority": ("Majority", majority),
    "staple": ("STAPLE", lambda masks: staple(masks).mask),
    "union": ("Union", union),
    "intersection": ("Intersection", intersection),
}
"""Every way to a consensus: its title and its function."""


def consensus(name: str, masks: Sequence[Bools]) -> Bools:
    """The consensus of this name, bool (H, W); raises `XaiError` for an unknown one and for masks of several sizes."""
    if name not in CONSENSUS:
        raise XaiError(f"There is no consensus {name!r}; choose from {', '.join(CONSENSUS)}.")
    return CONSENSUS[name][1](masks)
