"""How far a method's map drifts when the picture is corrupted, beside how far it moves by chance alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from ..masks.agreement import intersection_over_union
from ..registry import Value
from ..types import Bools
from .ranking import first, is_flat, most_relevant_first, rank_correlation
from .similarity import Map, scaled, squared_error, structural_similarity, top_overlap

MEASURES: Mapping[str, Value] = {
    "spearman": Value("Rank correlation", "higher", -1, 1, help="Spearman's, of the two maps.", headline=True),
    "ssim": Value("SSIM", "higher", -1, 1, help="Structural similarity of the two maps, both scaled to 0 to 1."),
    "mse": Value("MSE", "lower", 0, 1, help="Mean squared difference of the two maps, both scaled to 0 to 1."),
    "top": Value("IoU of top pixels", "higher", 0, 1, help="Overlap of the most relevant pixels of the two maps."),
}
"""What two maps are compared by."""

ROUNDING = 1e-9
"""What arithmetic alone may change."""


def compared(left: Map, right: Map, fraction: float = 0.2) -> dict[str, float]:
    """Every measure of two maps (H, W); not-a-number where one is flat. `fraction` is the part that is top."""
    if is_flat(left) or is_flat(right):
        return dict.fromkeys(MEASURES, math.nan)
    if np.array_equal(left, right):
        return {name: 1.0 if value.better == "higher" else 0.0 for name, value in MEASURES.items()}
    return {
        "spearman": rank_correlation(left, right),
        "ssim": structural_similarity(left, right),
        "mse": squared_error(scaled(left), scaled(right)),
        "top": top_overlap(left, right, fraction),
    }


def spread(runs: Sequence[Map], fraction: float = 0.2) -> dict[str, tuple[float, float]]:
    """The lowest and the highest of every measure between runs that differ by their seed alone: the method's own noise.

    One run is a method without chance, which agrees with itself. Not-a-number where a run is flat.
    """
    pairs = list(combinations(runs, 2)) or [(runs[0], runs[0])]
    found = [compared(left, right, fraction) for left, right in pairs]
    columns = {name: np.array([one[name] for one in found]) for name in MEASURES}
    return {name: (float(values.min()), float(values.max())) for name, values in columns.items()}


def beyond(name: str, value: float, noise: tuple[float, float]) -> bool:
    """Whether a map has drifted farther than any two runs are apart; a value that is not defined has not."""
    worse = noise[0] - value if MEASURES[name].better == "higher" else value - noise[1]
    return bool(worse > ROUNDING)


def onset(name: str, values: Sequence[float], noise: tuple[float, float]) -> int | None:
    """The first severity, by place, from which on every map has drifted beyond the noise; None where there is none."""
    out = [beyond(name, value, noise) for value in values]
    within = [place for place, one in enumerate(out) if not one]
    start = within[-1] + 1 if within else 0
    return start if start < len(out) else None


def object_overlap(saliency: Map, mask: Bools, seed: int = 0) -> float:
    """IoU of an object with as many of the most relevant pixels as it has; not-a-number for a flat map or no object."""
    if is_flat(saliency) or not mask.any():
        return math.nan
    chosen = first(most_relevant_first(saliency, seed), int(mask.sum()), (mask.shape[0], mask.shape[1]))
    return intersection_over_union(chosen, mask)
