"""The smallest crop around a map's top pixels that still shows the class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..registry import SCORES, Value, parameter
from ..types import Bools, Cost, Curve, Floats, Measured, Run
from .base import ScoreMethod
from .ranking import Order, count_of, most_relevant_first

SMALLEST_AREA = 0.05
"""Smaller crops gain nothing, as in the paper."""
SMALLEST = 1e-6
"""Smaller probabilities lose nothing."""


def boxes(order: Order, counts: list[int], shape: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """The tightest boxes (top, bottom, left, right) around the first pixels of an order, one for every count >= 1."""
    rows, columns = np.divmod(order, shape[1])
    top, left = np.minimum.accumulate(rows), np.minimum.accumulate(columns)
    bottom, right = np.maximum.accumulate(rows) + 1, np.maximum.accumulate(columns) + 1
    last = np.array(counts) - 1
    return [
        (int(a), int(b), int(c), int(d))
        for a, b, c, d in zip(*(one[last] for one in (top, bottom, left, right)), strict=True)
    ]


def trade_off(areas: npt.NDArray[np.float64], probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """ln max(a, 0.05) - ln p for areas and probabilities (N,): small where a small crop shows the class clearly."""
    kept = np.clip(probabilities, SMALLEST, 1)
    return np.asarray(np.log(np.maximum(areas, SMALLEST_AREA)) - np.log(kept))


@SCORES.register(
    "sufficient_region",
    title="Sufficient region",
    summary="Cuts the picture down to the tightest box around the map's top pixels and enlarges it, for one size of "
    "the top after the other. The smaller the crop that keeps the class, the better the map has found it; stray "
    "pixels far away make every box large.",
    family="localisation",
    cites=("Dabkowski and Gal 2017, Real time image saliency for black box classifiers", "Loreth 2023 (S2)"),
    presets={"quick": {"steps": 8}},
    values={
        "trade_off": Value(
            "Area against probability",
            "lower",
            float(np.log(SMALLEST_AREA)),
            float(-np.log(SMALLEST)),
            "nats",
            "Least ln max(area, 0.05) − ln probability over the crops; 0 is the whole picture with certainty.",
            headline=True,
        ),
        "area": Value(
            "Smallest crop",
            "lower",
            0,
            1,
            help="Least area in which the class ranks no lower than in the whole picture.",
        ),
    },
)
class SufficientRegion(ScoreMethod):
    """Crops to the boxes of the top pixels by rank, from 0.5 % of them to all: area against probability.

    The fractions grow by one factor; the last is the whole picture. Crops are enlarged bilinearly to the frame.
    """

    steps: int = parameter(20, "Sizes of the top, from 0.5 % to all pixels.", unit="sizes", ge=2, le=200, step=1)

    def cost(self) -> Cost:
        return Cost(self.steps, 0)

    @property
    def fractions(self) -> list[float]:
        return [float(fraction) for fraction in np.geomspace(0.005, 1, self.steps)]

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        import torch

        shape = (saliency.shape[0], saliency.shape[1])
        counts = [max(1, count_of(fraction, saliency.size)) for fraction in self.fractions]
        crops = boxes(most_relevant_first(saliency, run.seed), counts, shape)
        areas = np.array([(bottom - top) * (right - left) for top, bottom, left, right in crops]) / saliency.size

        def make(start: int, stop: int) -> torch.Tensor:
            return torch.cat(
                [
                    torch.nn.functional.interpolate(
                        run.x[:, :, top:bottom, left:right], shape, mode="bilinear", align_corners=False
                    )
                    for top, bottom, left, right in crops[start:stop]
                ]
            )

        found, ranks = np.empty(len(crops)), np.empty(len(crops), dtype=np.int64)
        for rows, logits in run.logits(len(crops), make):
            own = logits[:, run.target]
            found[rows] = logits.double().softmax(1)[:, run.target].cpu().numpy()
            ranks[rows] = (logits > own[:, None]).sum(1).cpu().numpy()
        x = np.array(self.fractions, dtype=np.float32)
        return Measured(
            {"trade_off": float(trade_off(areas, found).min()), "area": float(areas[ranks <= ranks[-1]].min())},
            curves={
                "probability": Curve(x, found.astype(np.float32)),
                "area": Curve(x, areas.astype(np.float32)),
            },
        )
