"""Explanation certainty: what a map tells about the picture that it was made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..registry import METHODS, SCORES, Value, parameter
from ..types import Bools, Floats, Measured, Run
from .base import ScoreMethod, undefined
from .ranking import average_ranks, is_flat

LEAST = 1e-3
"""Nats: where integrated gradients tell less, nothing is measured by them."""
MOST_BINS = 128


def mutual_information(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating], bins: int) -> float:
    """I(left; right) in nats, in [0, ln bins], of two arrays of one shape.

    Both are ranked and cut into bins of equal frequency; equal values stay in one bin. Miller and Madow's correction
    takes away what the finite number of values feigns, as far as bins are occupied. Rising maps of either change
    nothing.
    """
    first, second = (np.minimum(average_ranks(one).ravel() * bins, bins - 1).astype(int) for one in (left, right))
    joint = np.bincount(first * bins + second, minlength=bins**2).reshape(bins, bins)
    corrected = _entropy(joint.sum(1)) + _entropy(joint.sum(0)) - _entropy(joint.ravel())
    return float(np.clip(corrected, 0, math.log(bins)))


def _entropy(counts: npt.NDArray[np.integer]) -> float:
    """Entropy in nats of counts, with Miller and Madow's correction."""
    occupied = counts[counts > 0]
    shares = occupied / occupied.sum()
    return float(-(shares * np.log(shares)).sum() + (len(occupied) - 1) / (2 * occupied.sum()))


@SCORES.register(
    "mutual_information",
    title="Explanation certainty",
    summary="How much the map tells about the picture's grey values, and how much more than integrated gradients do. "
    "It measures likeness to the picture, not faithfulness: it is highest for the picture itself, and methods that "
    "multiply by the input get it for nothing.",
    family="information",
    cites=("Luo, McDermott, O'Riordan, Sampling matters in explanations (S4)",),
    presets={"quick": {"steps": 16}, "balanced": {"steps": 32}},
    values={
        "nats": Value(
            "Mutual information",
            "higher",
            0,
            math.log(MOST_BINS),
            "nats",
            "Between grey picture and map.",
            headline=True,
        ),
        "relative": Value(
            "Against integrated gradients",
            "higher",
            0,
            math.log(MOST_BINS) / LEAST,
            help="1 tells as much as integrated gradients of the same class and picture.",
        ),
    },
)
class MutualInformation(ScoreMethod):
    """I(x; z) in nats of the picture's mean over the channels and the map, by ranks; spec E-18.

    The map of integrated gradients comes from the cache where it is there.
    """

    bins: int = parameter(64, "Bins of equal frequency.", unit="bins", ge=2, le=MOST_BINS, step=1)
    steps: int = parameter(50, "Points of integrated gradients.", unit="steps", ge=1, le=1000, step=1)

    def dependencies(self) -> dict[str, Any]:
        return {"integrated_gradients": METHODS["integrated_gradients"].version}

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        grey = run.frame.mean(axis=2)
        if is_flat(grey):
            return undefined(
                ["nats", "relative"], "the picture has one grey value everywhere: there is nothing to tell"
            )
        nats = mutual_information(grey, saliency, self.bins)
        reference = run.reference_map("integrated_gradients", steps=self.steps)
        against = mutual_information(grey, reference, self.bins) if reference is not None else 0.0
        if against < LEAST:
            reason = f"integrated gradients tell less than {LEAST} nats here"
            return Measured({"nats": nats, "relative": math.nan}, {"relative": reason})
        return Measured({"nats": nats, "relative": nats / against})
