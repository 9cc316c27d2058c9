"""The sanity check of maps: a network that forgets what it learnt must have another map (Adebayo et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..registry import SCORES, Value, parameter
from ..types import Another, Bools, Curve, Floats, Measured, Randomised, Run
from .base import BROUGHT_ALONG, ScoreMethod, Undefined, unusable
from .ranking import rank_correlation
from .similarity import edge_correlation, structural_similarity

SIMILARITIES = ("spearman", "spearman_abs", "ssim", "hog")
UNCHANGED, CHANGED = 0.9, 0.5
"""Mean rank correlations from which on a method counts as blind to what the network has learnt, and as passing."""


def similarities(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> tuple[float, ...]:
    """Rank correlation with and without sign, SSIM, and the correlation of oriented gradients: each in [-1, 1]."""
    return (
        rank_correlation(left, right),
        rank_correlation(np.abs(left), np.abs(right)),
        structural_similarity(left, right),
        edge_correlation(left, right),
    )


def stages(blocks: Sequence[tuple[str, ...]], order: str, count: int) -> list[tuple[str, ...]]:
    """The layers that are initialised anew at every stage, for at most `count` blocks from the logits down.

    "cascading" adds a block to those before, "independent" takes one alone.
    """
    chosen = list(blocks[:count])
    if order == "independent":
        return chosen
    return [sum(chosen[: place + 1], ()) for place in range(len(chosen))]


def verdict(correlations: Sequence[float]) -> str:
    """What the mean rank correlations of a method's maps, one for each picture, say of it: one sentence.

    Those that are not numbers are left out.
    """
    known = [one for one in correlations if math.isfinite(one)]
    if not known:
        return "Whether the maps depend on what the network has learnt could not be told."
    mean = float(np.mean(known))
    told = f"rank correlation {mean:.2f} on {len(known)} picture{'s' if len(known) > 1 else ''}"
    if mean >= UNCHANGED:
        return f"The maps stay the same when the network forgets ({told}), so they show the picture alone."
    if mean > CHANGED:
        return f"The maps change only in part when the network forgets ({told}), so read them with care."
    return f"The maps change when the network forgets ({told}), as maps that explain it must."


@SCORES.register(
    "randomisation",
    title="Sanity check",
    summary="Lets the network forget what it has learnt, block by block from the logits down, and compares each map "
    "with the first one. A map that stays alike shows the picture's edges and not what the network has learnt.",
    family="sanity",
    cites=("Adebayo et al. 2018, Sanity checks for saliency maps",),
    extra_maps=True,
    presets={"quick": {"blocks": 2}},
    values={
        "spearman": Value(
            "Sanity check",
            "lower",
            -1,
            1,
            help="Mean rank correlation with the maps of the networks that forgot; 1 is a map that does not notice.",
            headline=True,
        ),
        "spearman_abs": Value("Sanity check, without sign", "lower", -1, 1, help="The same for absolute values."),
        "ssim": Value("Sanity check, SSIM", "lower", -1, 1, help="Mean structural similarity of the scaled maps."),
        "hog": Value(
            "Sanity check, HOG", "lower", -1, 1, help="Mean rank correlation of histograms of oriented gradients."
        ),
    },
)
class Randomisation(ScoreMethod):
    """Mean similarity over the stages of parameter randomisation, and each stage as a curve; spec E-17.

    Stages whose map is flat compare with nothing and are left out.
    """

    order: Literal["cascading", "independent"] = parameter(
        "cascading", "Whether a stage adds a block to those before it, or takes one alone."
    )
    blocks: int = parameter(32, "Blocks of layers at most, from the logits down.", unit="blocks", ge=1, le=64, step=1)
    explained: Literal["same", "top"] = parameter(
        "same", "The class that is explained: the same at every stage, or the one that is then most probable."
    )

    @property
    def further_maps(self) -> int:
        return self.blocks

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        at, found = [0], [similarities(saliency, saliency)]
        for stage, layers in enumerate(stages(run.blocks, self.order, self.blocks), start=1):
            change = Another(randomised=Randomised(layers, run.seed), target="top" if self.explained == "top" else None)
            other = run.another_map(change)
            if other is None:
                raise Undefined(BROUGHT_ALONG)
            if not unusable(other):
                at.append(stage)
                found.append(similarities(saliency, other))
        if len(found) == 1:
            raise Undefined("every map of a network that forgot is flat")
        return _measured(np.asarray(at), np.asarray(found))


def _measured(at: npt.NDArray[np.int64], found: npt.NDArray[np.float64]) -> Measured:
    """Means over the stages, and the curves; `found` is (stages, similarities), with the map itself first."""
    values, reasons, curves = {}, {}, {}
    for name, column in zip(SIMILARITIES, found.T, strict=True):
        known = np.isfinite(column)
        values[name] = float(column[1:][known[1:]].mean()) if known[1:].any() else math.nan
        if known[1:].any():
            curves[name] = Curve(at[known].astype(np.float32), column[known].astype(np.float32))
        else:
            reasons[name] = "the maps are too small, or have nothing to compare by it"
    return Measured(values, reasons, curves)
