"""Where a map's relevance lies, seen from an object that a person has marked; four numbers of one map and mask.

Each is undefined, not-a-number, for an empty mask.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..registry import SCORES, Value, parameter
from ..types import Bools, Floats, Measured, Run
from .base import ScoreMethod, Undefined, no_object
from .ranking import average_ranks, first, most_relevant_first

Map = npt.NDArray[np.floating]


def pointing_hit(saliency: Map, mask: Bools, tolerance: float = 0) -> float:
    """Whether the greatest value lies on the mask, or at most `tolerance` pixels away; of several, their fraction."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return math.nan
    distance = np.asarray(distance_transform_edt(~mask))
    return float((distance[saliency == saliency.max()] <= tolerance).mean())


def energy_in_mask(saliency: Map, mask: Bools) -> float:
    """The part of the positive values that lies on the mask, in [0, 1]; undefined without positive values."""
    positive = np.maximum(np.asarray(saliency, dtype=np.float64), 0)
    total = float(positive.sum())
    return float(positive[mask].sum()) / total if total and mask.any() else math.nan


def relevance_rank(saliency: Map, mask: Bools, seed: int = 0) -> float:
    """The part of the most relevant |mask| pixels that lies on the mask, in [0, 1]."""
    count = int(mask.sum())
    top = first(most_relevant_first(saliency, seed), count, (mask.shape[0], mask.shape[1]))
    return int((top & mask).sum()) / count if count else math.nan


def roc_auc(saliency: Map, mask: Bools) -> float:
    """The chance that a pixel of the mask is more relevant than one outside, ties as a half; undefined if all are in.

    This is the area under the ROC curve of the map as a classifier of the mask's pixels (Mann and Whitney's U).
    """
    inside, total = int(mask.sum()), mask.size
    if not 0 < inside < total:
        return math.nan
    ranks = average_ranks(saliency) * (total - 1)  # from 0
    return float((ranks[mask].mean() - (inside - 1) / 2) / (total - inside))


class Localisation(ScoreMethod):
    """A score of a map and a mask alone."""

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        reason = no_object(mask)
        if mask is None or reason:
            raise Undefined(str(reason))
        return self.located(saliency, mask, run.seed)

    def located(self, saliency: Floats, mask: Bools, seed: int) -> Measured:
        """The score for a mask that is not empty."""
        raise NotImplementedError

    def between(self, person: Bools, others: Bools, seed: int) -> Measured:
        """The score of a person's mask, as if it were a map, for other people's mask that is not empty."""
        return self.located(person.astype(np.float32), others, seed)


@SCORES.register(
    "pointing_game",
    title="Pointing game",
    summary="Looks only at the map's greatest value, and asks whether it lies on the marked object. A hit is 1 and a "
    "miss 0; the mean over many pictures is the accuracy that is published.",
    family="localisation",
    cites=("Zhang et al. 2016, Top-down neural attention by excitation backprop",),
    values={
        "tolerant": Value(
            "Pointing game",
            "higher",
            0,
            1,
            help="Whether the greatest value is on the object, or near it; the fraction of several equal ones.",
            headline=True,
        ),
        "exact": Value("Pointing game, exact", "higher", 0, 1, help="The same without tolerance."),
    },
    needs_mask=True,
)
class PointingGame(Localisation):
    """Whether the maximum is at most `tolerance` pixels from the mask, and whether it is on it; spec E-04."""

    tolerance: int = parameter(15, "How far from the object counts as a hit.", unit="px", ge=0, le=100, step=1)

    def located(self, saliency: Floats, mask: Bools, seed: int) -> Measured:
        return Measured(
            {"tolerant": pointing_hit(saliency, mask, self.tolerance), "exact": pointing_hit(saliency, mask)}
        )


@SCORES.register(
    "energy_in_mask",
    title="Energy in the mask",
    summary="The part of all positive relevance that lies on the marked object. A map that is the same everywhere has "
    "the part that the object has of the picture, and one that keeps to the object has 1.",
    family="localisation",
    cites=("Wang et al. 2020, Score-CAM: energy-based pointing game",),
    values={"energy": Value("Energy in the mask", "higher", 0, 1, help="Positive values alone count.", headline=True)},
    needs_mask=True,
)
class EnergyInMask(Localisation):
    """Sum of the positive values on the mask, divided by all of them; spec E-05."""

    def located(self, saliency: Floats, mask: Bools, seed: int) -> Measured:
        energy = energy_in_mask(saliency, mask)
        if math.isnan(energy):
            raise Undefined("the map has no positive values")
        return Measured({"energy": energy})


@SCORES.register(
    "relevance_rank",
    title="Relevance rank",
    summary="Takes as many of the most relevant pixels as the marked object has, and asks how many of them lie on it. "
    "1 is a perfect match, and a random map has the part that the object has of the picture.",
    family="localisation",
    cites=("Arras, Osman and Samek 2022, CLEVR-XAI: relevance rank accuracy",),
    values={"accuracy": Value("Relevance rank accuracy", "higher", 0, 1, help="Of the top pixels.", headline=True)},
    needs_mask=True,
)
class RelevanceRank(Localisation):
    """|top |mask| pixels and mask| / |mask|; spec E-06."""

    def located(self, saliency: Floats, mask: Bools, seed: int) -> Measured:
        return Measured({"accuracy": relevance_rank(saliency, mask, seed)})


@SCORES.register(
    "roc_auc",
    title="ROC AUC",
    summary="The chance that a pixel of the marked object is more relevant than one outside of it. A random map has "
    "0.5 and a perfect one 1, whatever the size of the object.",
    family="localisation",
    cites=("Fawcett 2006, An introduction to ROC analysis",),
    values={"auc": Value("ROC AUC", "higher", 0, 1, help="0.5 is chance; all thresholds count.", headline=True)},
    needs_mask=True,
)
class RocAuc(Localisation):
    """Area under the ROC curve of the map against the mask; spec E-07."""

    def located(self, saliency: Floats, mask: Bools, seed: int) -> Measured:
        auc = roc_auc(saliency, mask)
        if math.isnan(auc):
            raise Undefined("the mask covers the whole input frame")
        return Measured({"auc": auc})
