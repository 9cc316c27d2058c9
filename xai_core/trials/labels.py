"""Data randomisation (Adebayo et al. 2018): maps of a network that learnt, and of one that learnt permuted labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ..registry import METHODS, TRIALS, Value, parameter
from ..scores.base import unusable
from ..scores.randomisation import SIMILARITIES, similarities
from ..seeds import generator
from ..types import Cost, Measured
from .base import Earlier, Lab
from .training import Taught, training_of

FLAT = "a map is flat, or too small to compare"


@TRIALS.register(
    "labels",
    title="data randomisation",
    summary="Compares maps of a network that was trained on true labels with those of one that was trained on permuted "
    "ones, of the same pictures and classes. A map that stays alike does not show what was learnt.",
    cites=("Adebayo et al. 2018, Sanity checks for saliency maps",),
    values={
        "spearman": Value(
            "Data randomisation", "lower", -1, 1, help="Rank correlation of the two maps.", headline=True
        ),
        "spearman_abs": Value("Data randomisation, without sign", "lower", -1, 1, help="The same for absolute values."),
        "ssim": Value("Data randomisation, SSIM", "lower", -1, 1, help="Structural similarity of the scaled maps."),
        "hog": Value("Data randomisation, HOG", "lower", -1, 1, help="Rank correlation of oriented gradients."),
    },
)
class Labels(Taught):
    """Mean similarities of the two networks' maps of test pictures; each picture's are in the details; spec E-17."""

    method: str = parameter("gradient", "The method.")
    settings: Mapping[str, Any] = Field(default_factory=dict, description="The method's parameters.")
    explained: int = parameter(50, "Test pictures that are explained.", ge=1, le=10_000)

    def dependencies(self) -> dict[str, Any]:
        spec = METHODS[self.method]
        own = {"version": spec.version, "depends": spec.make(self.settings).dependencies()}
        return {**super().dependencies(), "method": own}

    def earlier(self, seed: int) -> tuple[Earlier, ...]:
        names: tuple[Literal["true", "permuted"], ...] = ("true", "permuted")
        return tuple(training_of(self, seed, labels=name) for name in names)

    def cost(self) -> Cost:
        each, count = METHODS[self.method].make(self.settings).cost(), min(self.explained, self.facts.tested)
        return Cost(2 * each.forward * count, 2 * each.backward * count)

    def run(self, lab: Lab) -> Measured:
        course, parameters = self.course(lab), METHODS[self.method].make(self.settings)
        tested = np.flatnonzero(course.data.tested)
        places = np.sort(generator(lab.seed, "explained").permutation(tested)[: self.explained])
        frames, targets = course.data.frames[places], course.data.labels[places]
        both = []
        for earlier in self.earlier(lab.seed):
            network = course.restored(lab.result(earlier).details)
            both.append(lab.explain(network, frames, targets, self.method, parameters))
        found = np.full((len(places), len(SIMILARITIES)), np.nan)
        for line, (learnt, mixed) in enumerate(zip(*both, strict=True)):
            if not unusable(learnt) and not unusable(mixed):
                found[line] = similarities(learnt, mixed)
        details = dict(zip(SIMILARITIES, found.T, strict=True))
        means = {name: float(np.nanmean(one)) if np.isfinite(one).any() else np.nan for name, one in details.items()}
        reasons = {name: FLAT for name, mean in means.items() if np.isnan(mean)}
        return Measured(means, reasons, details={**details, "places": places})
