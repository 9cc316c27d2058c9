"""CIU: how far hiding a superpixel moves the class, and where in that range the picture stands."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Run
from .base import Explainer
from .superpixels import Fill, Segmentation, hiding, segments


@METHODS.register(
    "ciu",
    title="CIU",
    summary="Contextual importance and utility: hides one superpixel after the other and notes between which "
    "probabilities the class moves. Red superpixels hold it up, blue ones keep it down.",
    family="superpixel",
    cites=("Främling, Knapič, Malhi 2021, ciu.image: an R package for explaining image classification", "py-ciu-image"),
)
class Ciu(Explainer):
    """Influence CI (CU - 1/2) with CI = max - min of {p(x), p(x without s)} and CU = (p(x) - min) / CI; spec M-21.

    CU is 1/2 where nothing changes. `inverse` hides all but one superpixel, and CI is 1 minus what moves then.
    """

    cost_is_exact: ClassVar[bool] = False

    shown: Literal["influence", "importance", "utility"] = parameter("influence", "Which of the three the map shows.")
    strategy: Literal["straight", "inverse"] = parameter("straight", "Hide one superpixel, or all but one.")
    segmentation: Segmentation = parameter("slic", "How the picture is cut into superpixels.")
    segments: int = parameter(50, "Superpixels that slic aims at.", unit="superpixels", ge=2, le=400, step=1)
    fill: Fill = parameter("light_grey", "What shows where a superpixel is hidden.")

    def cost(self) -> Cost:
        return Cost(1 + self.segments, 0)

    def explain(self, run: Run) -> Attribution:
        labels = segments(run.frame, self.segmentation, self.segments)
        count = int(labels.max()) + 1
        run.expect(Cost(1 + count, 0))
        inverse = self.strategy == "inverse"
        keep = np.eye(count, dtype=bool) if inverse else ~np.eye(count, dtype=bool)
        keep = np.concatenate([np.ones((1, count), dtype=bool), keep])
        p = np.empty(1 + count)
        for rows, probabilities in run.probabilities(1 + count, hiding(run, labels, self.fill, keep)):
            p[rows] = probabilities.double().cpu().numpy()
        values = contextual(p[0], p[1:], inverse)[self.shown]
        return Attribution(values[labels], signed=self.shown == "influence")


def contextual(before: float, after: np.ndarray, inverse: bool = False) -> dict[str, np.ndarray]:
    """Importance, utility and influence (S,) from the probability before, and after each superpixel was hidden."""
    low, high = np.minimum(before, after), np.maximum(before, after)
    span = high - low
    importance = 1 - span if inverse else span
    utility = np.where(span > 0, (before - low) / np.where(span > 0, span, 1), 0.5)
    return {"importance": importance, "utility": utility, "influence": importance * (utility - 0.5)}
