"""How much a map changes with the class that it explains."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..registry import SCORES, Value, parameter
from ..types import Another, Bools, Cost, Floats, Measured, Run
from .base import BROUGHT_ALONG, ScoreMethod, Undefined
from .ranking import is_flat, rank_correlation


@SCORES.register(
    "class_sensitivity",
    title="Class sensitivity",
    summary="Makes the same map for other classes and compares it with this one. A map that stays the same whatever "
    "it is asked for shows the picture's edges rather than evidence for the class.",
    family="sanity",
    cites=("Adebayo et al. 2018, Sanity checks for saliency maps", "shap issue 673"),
    extra_maps=True,
    presets={"quick": {"classes": 1}},
    values={
        "change": Value(
            "Change with the class",
            "higher",
            0,
            2,
            help="1 − rank correlation with the maps of other classes: 0 is the same map, 1 an unrelated one.",
            headline=True,
        )
    },
)
class ClassSensitivity(ScoreMethod):
    """1 - mean Spearman correlation of the map with those of other classes by the same method, seed and parameters."""

    classes: int = parameter(3, "Other classes.", unit="classes", ge=1, le=10, step=1)
    others: Literal["likely", "unlikely"] = parameter("likely", "The most, or the least probable other classes.")

    def cost(self) -> Cost:
        return Cost(1, 0)

    @property
    def further_maps(self) -> int:
        return self.classes

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        ((_, logits),) = run.logits(1, lambda start, stop: run.x)
        order = np.argsort(-logits[0].cpu().numpy() * (1 if self.others == "likely" else -1), kind="stable")
        correlations = []
        for target in [int(one) for one in order if one != run.target][: self.classes]:
            other = run.another_map(Another(target=target))
            if other is None:
                raise Undefined(BROUGHT_ALONG)
            if not is_flat(other):
                correlations.append(rank_correlation(saliency, other))
        if not correlations:
            raise Undefined("the maps of the other classes are flat")
        return Measured({"change": 1 - float(np.mean(correlations))})
