"""How far a map agrees with what other methods say of the same class."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..registry import METHODS, SCORES, Value, parameter
from ..types import Bools, Floats, Measured, Run
from .base import ScoreMethod, Undefined
from .ranking import is_flat
from .similarity import agreement

PANEL = ("gradcam", "integrated_gradients", "smoothgrad", "occlusion")
"""Methods of different families that every network can run."""


@SCORES.register(
    "agreement",
    title="Agreement",
    summary="Compares the map with those of four methods of other kinds for the same class. Agreement is no proof, "
    "since methods may err together; a map that agrees with none of them needs a reason.",
    family="robustness",
    cites=("Krishna et al. 2022, The disagreement problem in explainable machine learning",),
    extra_maps=True,
    presets={"quick": {"effort": "quick"}, "balanced": {"effort": "balanced"}},
    values={
        "mean": Value(
            "Agreement",
            "higher",
            -1,
            1,
            help="Mean rank correlation with the maps of the other methods.",
            headline=True,
        ),
        "least": Value("Least agreement", "higher", -1, 1, help="Rank correlation with the one that differs most."),
        "disagreement": Value(
            "Disagreement of pixels", "lower", 0, 1, help="Mean spread of a pixel's rank over all five maps."
        ),
    },
)
class Agreement(ScoreMethod):
    """Spearman correlations with Grad-CAM, integrated gradients, SmoothGrad and occlusion; spec E-16.

    A method whose map is this very map is left out, and so is one whose map is flat.
    """

    effort: Literal["quick", "balanced", "paper"] = parameter("paper", "Samples of the other methods.")

    def dependencies(self) -> dict[str, Any]:
        return {name: METHODS[name].version for name in PANEL}

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        others = []
        for name in PANEL:
            found = run.reference_map(name, **METHODS[name].make({}, self.effort).model_dump())
            if found is not None and not is_flat(found) and not np.array_equal(found, saliency):
                others.append(found)
        if not others:
            raise Undefined("the maps of the other methods are flat, or not to be had")
        among = agreement([saliency, *others])
        correlations = among.correlations[0, 1:]
        return Measured(
            {
                "mean": float(correlations.mean()),
                "least": float(correlations.min()),
                "disagreement": float(among.disagreement.mean()),
            }
        )
