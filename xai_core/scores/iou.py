"""Overlap of a map with a ground-truth mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..masks.agreement import intersection_over_union
from ..registry import SCORES, Value, parameter
from ..types import Bools, Floats, Measured
from .localisation import Localisation
from .ranking import Order, count_of, first, most_relevant_first


def overlaps(order: Order, mask: Bools) -> npt.NDArray[np.float64]:
    """IoU of the first 1, 2, ..., all pixels of an order with a mask that is not empty, float64 (H*W,)."""
    inside = np.cumsum(mask.ravel()[order])
    return np.asarray(inside / (np.arange(1, order.size + 1) + int(mask.sum()) - inside))


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
        "best": Value(
            "IoU, best area",
            "higher",
            0,
            1,
            help="The highest IoU of all numbers of most relevant pixels: what the map could reach at its best.",
        ),
    },
    needs_mask=True,
    version=2,
)
class IoU(Localisation):
    """IoU with the mask of the top `fraction`, of the top |mask| pixels, and of the best number of them; spec E-03."""

    fraction: float = parameter(0.2, "Part of the pixels that counts as highlighted.", ge=0.01, le=1, step=0.01)

    def located(self, saliency: Floats, mask: Bools, seed: int) -> Measured:
        order = most_relevant_first(saliency, seed)
        top = first(order, count_of(self.fraction, saliency.size), (saliency.shape[0], saliency.shape[1]))
        by_area = overlaps(order, mask)
        return Measured(
            {
                "top": intersection_over_union(top, mask),
                "area_matched": float(by_area[int(mask.sum()) - 1]),
                "best": float(by_area.max()),
            }
        )

    def between(self, person: Bools, others: Bools, seed: int) -> Measured:
        """The IoU of the two masks, under every part's name: a mask has no order to take the top of."""
        return Measured(dict.fromkeys(("top", "area_matched", "best"), intersection_over_union(person, others)))
