"""How much a map changes when only little does: the picture's quality, its noise, or the method's own randomness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..corruptions.chain import Step, chain, moving, step
from ..registry import CORRUPTIONS, SCORES, Value, parameter
from ..seeds import derive, generator
from ..types import Another, Bools, Floats, Measured, Pixels, Run
from .base import ScoreMethod, Undefined, other_maps
from .ranking import rank_correlation
from .similarity import pixel_variance, scaled, squared_error, structural_similarity, top_overlap

WORDS = ("mild", "medium", "strong")
"""What S0's three severities are called."""


def still(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, as long as they leave everything in its place; else maps cannot be compared pixel by pixel."""
    if titles := moving(steps):
        raise Undefined(f"{titles} moves pixels, so that maps before and after cannot be compared pixel by pixel")
    return tuple(steps)


class Corrupting(ScoreMethod):
    """A score of maps of a clean and of a corrupted picture. Where the picture is corrupted already, it stays so.

    Maps are compared pixel by pixel: it is undefined where a corruption moves pixels.
    """

    corruption: Literal["gaussian_noise", "occlusion", "resolution"] = parameter(
        "gaussian_noise", "How a clean picture is corrupted; one that is corrupted already stays as it is."
    )
    severity: Literal["mild", "medium", "strong"] = parameter("medium", "How much a clean picture is corrupted.")

    @property
    def steps(self) -> tuple[Step, ...]:
        """The corruption for a clean picture."""
        return chain([step(self.corruption, CORRUPTIONS[self.corruption].severities[WORDS.index(self.severity)])])

    def dependencies(self) -> dict[str, Any]:
        return {"corruptions": [one.describe() for one in self.steps]}


@SCORES.register(
    "robustness",
    title="Robustness",
    summary="Compares the maps of the clean and of the corrupted picture, both for the same class. A robust map stays "
    "as it is; so does one that never looks at the network, which is why it stands beside the baselines.",
    family="robustness",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): robustness",),
    version=2,
    extra_maps=True,
    values={
        "mse": Value(
            "Robustness MSE",
            "lower",
            0,
            1,
            help="Mean squared difference of the two maps, both scaled to 0 to 1.",
            headline=True,
        ),
        "raw_mse": Value(
            "MSE, unscaled", "lower", 0, math.inf, help="Of the maps as they are; two methods cannot be compared by it."
        ),
        "spearman": Value("Rank correlation", "higher", -1, 1, help="Of the two maps.", headline=True),
        "ssim": Value("SSIM", "higher", -1, 1, help="Structural similarity of the two maps, both scaled to 0 to 1."),
        "top": Value("IoU of top pixels", "higher", 0, 1, help="Overlap of the most relevant pixels of the two maps."),
    },
)
class Robustness(Corrupting):
    """MSE, Spearman, SSIM and IoU of the top `fraction`, between clean and corrupted; spec E-08."""

    fraction: float = parameter(0.2, "Part of the pixels that counts as highlighted.", ge=0.01, le=0.99, step=0.01)

    @property
    def further_maps(self) -> int:
        return 1

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        (other,) = other_maps(run, [Another(corruptions=() if still(run.corruptions) else self.steps)])
        ssim = structural_similarity(saliency, other)
        return Measured(
            {
                "mse": squared_error(scaled(saliency), scaled(other)),
                "raw_mse": squared_error(saliency, other),
                "spearman": rank_correlation(saliency, other),
                "ssim": ssim,
                "top": top_overlap(saliency, other, self.fraction),
            },
            {"ssim": "the maps are smaller than a window of SSIM"} if math.isnan(ssim) else {},
        )


@SCORES.register(
    "stability",
    title="Stability",
    summary="Corrupts the picture several times, each time with other noise, and takes the variance of every pixel of "
    "the map. 0 is a map that does not mind which noise there is.",
    family="robustness",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): stability",),
    extra_maps=True,
    presets={"quick": {"pictures": 3}},
    values={
        "variance": Value(
            "Stability variance",
            "lower",
            0,
            0.25,
            help="Of maps that are scaled to 0 to 1; the mean over the pixels.",
            headline=True,
        )
    },
)
class Stability(Corrupting):
    """Variance over `pictures` corruptions that differ in their noise alone, divided by their number; spec E-09."""

    pictures: int = parameter(10, "Corrupted pictures.", unit="pictures", ge=2, le=100, step=1)

    @property
    def further_maps(self) -> int:
        return self.pictures

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        steps = still(run.corruptions) or self.steps
        seeds = [derive(run.seed, "stability", number) for number in range(self.pictures)]
        maps = list(other_maps(run, (Another(corruptions=steps, noise=seed) for seed in seeds)))
        return Measured({"variance": pixel_variance(maps)})


def relative_changes(saliency: npt.NDArray[np.floating], others: Sequence[Any]) -> npt.NDArray[np.float64]:
    """|map - other| / |map| for every other map, Euclidean norms over the pixels; not-a-number for a map of zeros."""
    values = np.asarray(saliency, dtype=np.float64)
    norm = float(np.linalg.norm(values)) or math.nan
    return np.asarray([np.linalg.norm(values - other) / norm for other in others])


def shaken(frame: Pixels, radius: int, seed: int, number: int) -> Pixels:
    """The frame with uniform noise of at most `radius` on every colour value, rounded, within 0 to 255."""
    noise = generator(seed, "max sensitivity", number).uniform(-radius, radius, frame.shape)
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


@SCORES.register(
    "max_sensitivity",
    title="Max-sensitivity",
    summary="Changes every colour value by so little that nobody sees it, several times, and takes the greatest change "
    "of the map. 0 is a map that does not move; 1 one that changes by as much as it is.",
    family="robustness",
    cites=("Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",),
    extra_maps=True,
    presets={"quick": {"pictures": 3}},
    values={
        "largest": Value(
            "Max-sensitivity", "lower", 0, math.inf, help="|change| / |map|, the greatest of all.", headline=True
        ),
        "mean": Value("Mean sensitivity", "lower", 0, math.inf, help="|change| / |map|, the mean of all."),
    },
)
class MaxSensitivity(ScoreMethod):
    """Greatest relative change of the map under uniform noise in a box around the picture; spec E-20."""

    pictures: int = parameter(10, "Changed pictures.", unit="pictures", ge=1, le=100, step=1)
    radius: int = parameter(3, "The most that a colour value changes.", unit="of 255", ge=1, le=64, step=1)

    @property
    def further_maps(self) -> int:
        return self.pictures

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        frames = (shaken(run.frame, self.radius, run.seed, number) for number in range(self.pictures))
        changes = relative_changes(saliency, list(other_maps(run, (Another(frame=frame) for frame in frames))))
        return Measured({"largest": float(changes.max()), "mean": float(changes.mean())})


@SCORES.register(
    "repeatability",
    title="Repeatability",
    summary="Makes the map again with other seeds, and compares the maps with each other. 1 is a map that does not "
    "depend on chance; where it is lower, more samples are needed before two maps can be compared.",
    family="robustness",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): repeated runs",),
    version=2,
    extra_maps=True,
    presets={"quick": {"runs": 3}},
    values={
        "spearman": Value("Repeatability", "higher", -1, 1, help="Mean rank correlation of two runs.", headline=True),
        "top": Value("Repeatability, top pixels", "higher", 0, 1, help="Mean IoU of the top pixels of two runs."),
    },
)
class Repeatability(ScoreMethod):
    """Mean agreement of all pairs of `runs` runs, this map the first of them; one other is enough if it is the same."""

    runs: int = parameter(5, "Runs.", unit="runs", ge=2, le=30, step=1)
    fraction: float = parameter(0.2, "Part of the pixels that counts as highlighted.", ge=0.01, le=0.99, step=0.01)

    @property
    def further_maps(self) -> int:
        return self.runs - 1

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        maps = distinct_runs(run, [saliency], range(run.seed + 1, run.seed + self.runs))
        if len(maps) == 1:
            return Measured({"spearman": 1.0, "top": 1.0})
        pairs = list(combinations(maps, 2))
        return Measured(
            {
                "spearman": float(np.mean([rank_correlation(*pair) for pair in pairs])),
                "top": float(np.mean([top_overlap(*pair, self.fraction) for pair in pairs])),
            }
        )


def distinct_runs(run: Run, maps: Sequence[Floats], seeds: Sequence[int], clean: bool = False) -> list[Floats]:
    """The maps with those of further seeds, on the clean picture if asked for; a single one where chance plays no part,
    which the first two tell."""
    found = list(maps)
    corruptions = () if clean else None
    for other in other_maps(run, (Another(seed=seed, corruptions=corruptions) for seed in seeds)):
        if len(found) == 1 and np.array_equal(found[0], other):
            break
        found.append(other)
    return found
