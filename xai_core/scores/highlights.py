"""What a map highlights: how much of the picture, and how much of it wrongly after a corruption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..masks.agreement import intersection_over_union
from ..registry import SCORES, Value, parameter
from ..types import Another, Bools, Floats, Measured, Run
from .base import ScoreMethod, Undefined, other_maps
from .ranking import top_fraction
from .robustness import Corrupting, distinct_runs, still
from .similarity import scaled

Map = npt.NDArray[np.floating]


def half_of_greatest(saliency: Map) -> Bools:
    """The pixels that have at least half of the greatest value, bool (H, W); none where no value is positive."""
    greatest = saliency.max()
    return np.asarray(saliency >= greatest / 2) if greatest > 0 else np.zeros(saliency.shape, dtype=bool)


def above_otsu(saliency: Map) -> Bools:
    """The pixels above the threshold that parts the values best into two groups, bool (H, W); Otsu 1979."""
    from skimage.filters import threshold_otsu

    values = scaled(saliency)
    return np.asarray(values > threshold_otsu(values))


def highlighted(saliency: Map, rule: str, fraction: float, seed: int) -> Bools:
    """What counts as highlighted by a rule, "top", "half" or "otsu", bool (H, W)."""
    if rule == "top":
        return top_fraction(saliency, fraction, seed)
    return half_of_greatest(saliency) if rule == "half" else above_otsu(saliency)


def false_rates(found: Bools, truth: Bools) -> tuple[float, float]:
    """The false positive rate |found and not truth| / |not truth| and the false discovery rate, the same / |found|.

    Both are in [0, 1], and not-a-number where their denominator is empty.
    """
    wrong, outside, total = int((found & ~truth).sum()), int((~truth).sum()), int(found.sum())
    return wrong / outside if outside else math.nan, wrong / total if total else math.nan


def ceiling(maps: Sequence[Map], rule: str, fraction: float, seed: int) -> float:
    """How well one run agrees with the mean of the others: the mean IoU of what they highlight; 1 for a single run."""
    if len(maps) < 2:
        return 1.0
    total = np.sum(maps, axis=0, dtype=np.float64)
    pairs = ((one, (total - one) / (len(maps) - 1)) for one in maps)
    return float(np.nanmean([_overlap(*pair, rule, fraction, seed) for pair in pairs]))


def _overlap(left: Map, right: Map, rule: str, fraction: float, seed: int) -> float:
    return intersection_over_union(highlighted(left, rule, fraction, seed), highlighted(right, rule, fraction, seed))


@SCORES.register(
    "false_positive_rate",
    version=2,
    title="False positives",
    summary="Takes what the mean of many runs on the clean picture highlights for the truth, and asks how much the map "
    "of the corrupted picture highlights beside it. 0 is a map that keeps to what it showed before.",
    family="robustness",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): false positive rate, pseudo ground truth",),
    extra_maps=True,
    presets={"quick": {"runs": 3}, "balanced": {"runs": 10}},
    values={
        "rate": Value(
            "False positive rate",
            "lower",
            0,
            1,
            help="Of the pixels that the truth leaves out, the part that is highlighted.",
            headline=True,
        ),
        "discovery": Value(
            "False discovery rate", "lower", 0, 1, help="Of the highlighted pixels, the part that the truth leaves out."
        ),
        "ceiling": Value(
            "Agreement of runs",
            "higher",
            0,
            1,
            help="Mean IoU of one run and the mean of the others, on the clean picture: what chance alone leaves.",
        ),
    },
)
class FalsePositiveRate(Corrupting):
    """FPR and FDR of the corrupted picture's map against the pseudo ground truth of `runs` runs; spec E-10, E-11.

    The runs have the seeds after the map's own, which would bring its noise into the truth; a method without chance
    has one run.
    """

    runs: int = parameter(30, "Runs on the clean picture.", unit="runs", ge=2, le=100, step=1)
    rule: Literal["top", "half", "otsu"] = parameter(
        "top", "What is highlighted: the top fraction, at least half of the greatest value, or Otsu's threshold."
    )
    fraction: float = parameter(0.2, "Part of the pixels that the top is.", ge=0.01, le=0.99, step=0.01)

    def known_maps(self, corruptions: Sequence[Any], seed: int) -> Sequence[Another]:
        runs = [Another(seed=seed + number, corruptions=()) for number in range(1, self.runs + 1)]
        return runs if corruptions else [Another(corruptions=self.steps), *runs]

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        corrupted, changes = saliency, list(self.known_maps(still(run.corruptions), run.seed))
        if not run.corruptions:
            (corrupted,) = other_maps(run, [changes.pop(0)])
        runs = distinct_runs(run, [], changes)
        found = highlighted(corrupted, self.rule, self.fraction, run.seed)
        truth = highlighted(np.mean(runs, axis=0, dtype=np.float64), self.rule, self.fraction, run.seed)
        rate, discovery = false_rates(found, truth)
        values = {
            "rate": rate,
            "discovery": discovery,
            "ceiling": ceiling(runs, self.rule, self.fraction, run.seed),
        }
        reasons = {
            "rate": "the truth is the whole picture",
            "discovery": "nothing is highlighted",
            "ceiling": "the runs highlight nothing",
        }
        return Measured(values, {part: reasons[part] for part, value in values.items() if math.isnan(value)})


@SCORES.register(
    "highlighted_area",
    title="Highlighted area",
    summary="How much of the picture the map highlights. A small area is easier to read, and says nothing about "
    "whether it is the right one.",
    family="information",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): total highlighted area", "Poppi et al. 2021, complexity"),
    values={
        "area": Value("Highlighted area", "lower", 0, 1, help="Part of the pixels.", headline=True),
        "mass": Value("Mean of the scaled map", "lower", 0, 1, help="The map scaled to 0 to 1; takes no threshold."),
    },
)
class HighlightedArea(ScoreMethod):
    """|highlighted| / pixels by a rule that leaves its number open, and the mean of the scaled map; spec E-10."""

    rule: Literal["half", "otsu"] = parameter(
        "half", "What is highlighted: at least half of the greatest value, or what Otsu's threshold parts."
    )

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        found = highlighted(saliency, self.rule, 0, run.seed)
        if not found.any():
            raise Undefined("the map has no positive values, so that nothing is highlighted")
        return Measured({"area": float(found.mean()), "mass": float(scaled(saliency).mean())})
