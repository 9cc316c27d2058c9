"""How few pixels a map is made of: Gini index, entropy, effective complexity. Signs do not count."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..registry import SCORES, Value, parameter
from ..types import Bools, Floats, Measured, Run
from .base import ScoreMethod


def gini(saliency: npt.NDArray[np.floating]) -> float:
    """Gini index of the absolute values, in [0, 1 - 1/n]: 0 where all are equal, 1 - 1/n where one holds everything.

    Not-a-number for a map of zeros.
    """
    sizes = np.sort(shares(saliency))
    weights = 2 * np.arange(1, sizes.size + 1) - sizes.size - 1
    return float(weights @ sizes / sizes.size)


def entropy(saliency: npt.NDArray[np.floating]) -> float:
    """Entropy of the absolute values as shares of their sum, in nats, in [0, ln n]; not-a-number for zeros."""
    found = shares(saliency)
    if np.isnan(found).any():
        return math.nan
    positive = found[found > 0]
    return float(max(0.0, -(positive * np.log(positive)).sum()))


def effective_complexity(saliency: npt.NDArray[np.floating], threshold: float) -> float:
    """The part of the pixels whose absolute value is above `threshold` times the largest one, in [0, 1]."""
    sizes = np.abs(np.asarray(saliency, dtype=np.float64))
    return float((sizes > threshold * sizes.max()).mean()) if sizes.any() else math.nan


def shares(saliency: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The absolute values as shares of their sum, float64 (n,); not-a-number for a map of zeros."""
    sizes = np.abs(np.asarray(saliency, dtype=np.float64)).ravel()
    total = sizes.sum()
    return sizes / total if total else np.full(sizes.shape, math.nan)


@SCORES.register(
    "gini",
    title="Gini index",
    summary="How unequally the map shares itself out among the pixels, whatever their sign. 0 is an even map and 1 a "
    "single pixel: it tells how sharp a map is, not whether it is true.",
    family="information",
    cites=("Chalasani et al. 2020, Concise explanations of neural networks using adversarial training",),
    values={"gini": Value("Gini index", "higher", 0, 1, help="0 is even, 1 a single pixel.", headline=True)},
)
class Gini(ScoreMethod):
    """Sum of (2i - n - 1) a_i / (n sum a) over the sorted absolute values; spec E-21."""

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        return Measured({"gini": gini(saliency)})


@SCORES.register(
    "entropy",
    title="Entropy",
    summary="How many pixels share the map, whatever their sign: the entropy of their shares, and the part of them "
    "that counts at all. Low values are simple maps; they tell nothing about whether these are true.",
    family="information",
    cites=(
        "Bhatt, Weller, Moura 2020, Evaluating and aggregating feature-based model explanations",
        "Nguyen and Martinez 2020, On quantitative aspects of model interpretability",
    ),
    values={
        "nats": Value(
            "Entropy", "lower", 0, 20, "nats", "0 is a single pixel, the logarithm of all pixels an even map."
        ),
        "relative": Value(
            "Entropy, relative", "lower", 0, 1, help="Entropy as a part of that of an even map.", headline=True
        ),
        "effective": Value(
            "Effective complexity", "lower", 0, 1, help="Part of the pixels above the threshold, which is relative."
        ),
    },
)
class Entropy(ScoreMethod):
    """-sum of q ln q over the shares q of the absolute values; pixels above a part of the largest one; spec E-21."""

    threshold: float = parameter(0.05, "Part of the largest value that counts.", unit="of 1", ge=0, le=0.9, step=0.01)

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        nats = entropy(saliency)
        return Measured(
            {
                "nats": nats,
                "relative": min(nats / math.log(saliency.size), 1.0),
                "effective": effective_complexity(saliency, self.threshold),
            }
        )
