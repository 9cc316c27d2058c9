"""Overlap of a map with a ground-truth mask."""

from __future__ import annotations

import math

import numpy as np

from ..registry import SCORES, Value, parameter
from ..types import Bools, Floats, Measured, Run
from .base import ScoreMethod
from .ranking import count_of, first, most_relevant_first


def intersection_over_union(first_mask: Bools, second_mask: Bools) -> float:
    """|A and B| / |A or B| of two bool masks, in [0, 1]; not-a-number when both are empty."""
    union = int(np.logical_or(first_mask, second_mask).sum())
    return int(np.logical_and(first_mask, second_mask).sum()) / union if union else math.nan


@SCORES.register(
    "iou",
    title="IoU",
    summary="How well the most relevant pixels cover the object that a person has marked. 1 is a perfect match, 0 no "
    "overlap; it tells whether the map agrees with people, not whether it is true of the network.",
    family="localisation",
    cites=("Devarakonda and Kim (S1): mean IoU with hand-drawn masks",),
    values={
        "top": Value(
            "IoU, top pixels",
            "higher",
            0,
            1,
            help="The most relevant pixels, as many as the fraction says, against the mask.",
        ),
        "area_matched": Value(
            "IoU, same area",
            "higher",
            0,
            1,
            help="As many of the most relevant pixels as the mask has, so that sharp and blurred maps compare fairly.",
            headline=True,
        ),
    },
    needs_mask=True,
)
class IoU(ScoreMethod):
    """IoU of the top `fraction`, and of the top |mask| pixels, with the mask; spec E-03."""

    fraction: float = parameter(0.2, "Part of the pixels that counts as highlighted.", ge=0.01, le=1, step=0.01)

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        if mask is None or not mask.any():
            reason = "there is no mask" if mask is None else "the mask is empty inside the model's input frame"
            return Measured({"top": math.nan, "area_matched": math.nan}, {"top": reason, "area_matched": reason})
        order = most_relevant_first(saliency, run.seed)
        shape = (saliency.shape[0], saliency.shape[1])
        top = first(order, count_of(self.fraction, saliency.size), shape)
        matched = first(order, int(mask.sum()), shape)
        return Measured(
            {"top": intersection_over_union(top, mask), "area_matched": intersection_over_union(matched, mask)}
        )
