"""ROAR and KAR (Hooker et al. 2019): what a network can still learn when the pixels that a map ranks are gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ..registry import METHODS, TRIALS, parameter
from ..scores.ranking import count_of, most_relevant_first, places
from ..seeds import derive
from ..types import Bools, Cost, Floats, Measured
from .base import Earlier, Lab
from .training import ACCURACIES, Taught, training_of

Levels = npt.NDArray[np.uint8]


def levels(saliency: npt.NDArray[np.floating], seed: int) -> Levels:
    """How many of the percentages 1 to 99 of a map's pixels each pixel outlasts, most relevant first; uint8 (H, W).

    The most relevant p percent, as `ranking` counts them, are exactly the pixels with a level below p.
    """
    place = places(most_relevant_first(saliency, seed), (saliency.shape[0], saliency.shape[1]))
    counts = [count_of(percent / 100, saliency.size) for percent in range(1, 100)]
    return np.searchsorted(counts, place, side="right").astype(np.uint8)


def removed(level: Levels, percent: int, order: str) -> Bools:
    """The pixels that are taken away: "roar" removes the top `percent`, "kar" keeps them and removes the others."""
    top = level < percent
    return top if order == "roar" else ~top


class Ranked(Taught):
    """Base of what needs maps of all pictures: by which method, with which parameters."""

    method: str = parameter("gradient", "The method, or given for maps that come along.")
    settings: Mapping[str, Any] = Field(default_factory=dict, description="The method's parameters.")
    squared: bool = parameter(True, "Rank by the square of the map, as the authors' code does: without sign.")

    @property
    def ranked(self) -> dict[str, Any]:
        return {**self.taught, **{name: getattr(self, name) for name in ("method", "settings", "squared")}}

    def dependencies(self) -> dict[str, Any]:
        if self.method == "given":
            return super().dependencies()
        spec = METHODS[self.method]
        own = {"version": spec.version, "depends": spec.make(self.settings).dependencies()}
        return {**super().dependencies(), "method": own}


@TRIALS.register(
    "ranking",
    title="maps of all pictures",
    summary="Ranks the pixels of every picture of a data set by a map of its own class, of the network that was "
    "trained on them.",
)
class Ranking(Ranked):
    """Levels uint8 (N, H, W) as its detail; spec E-15."""

    def earlier(self, seed: int) -> tuple[Earlier, ...]:
        return () if self.method == "given" else (training_of(self, seed),)

    def cost(self) -> Cost:
        if self.method == "given":
            return Cost()
        each, count = METHODS[self.method].make(self.settings).cost(), self.facts.trained + self.facts.tested
        return Cost(each.forward * count, each.backward * count)

    def run(self, lab: Lab) -> Measured:
        maps = self._maps(lab)
        maps = np.square(maps, dtype=np.float64) if self.squared else maps
        found = np.stack([levels(one, derive(lab.seed, "map", place)) for place, one in enumerate(maps)])
        return Measured({}, details={"levels": found})

    def _maps(self, lab: Lab) -> Floats:
        if self.method == "given":
            return lab.data["maps"]
        course = self.course(lab)
        network = course.restored(lab.result(training_of(self, lab.seed)).details)
        parameters = METHODS[self.method].make(self.settings)
        return lab.explain(network, course.data.frames, course.data.labels, self.method, parameters)


@TRIALS.register(
    "retraining",
    title="retraining",
    summary="Trains a network from scratch on pictures of which a part of the pixels is gone, in training and test.",
    cites=("Hooker et al. 2019, A benchmark for interpretability methods in deep neural networks",),
    values=ACCURACIES,
)
class Retraining(Ranked):
    """Accuracy after retraining without (roar) or with nothing but (kar) the top `percent` of each map; spec E-15."""

    order: Literal["roar", "kar"] = parameter("roar", "Remove the most relevant pixels, or keep them alone.")
    percent: int = parameter(50, "Pixels that are removed or kept.", unit="%", ge=1, le=99)

    def earlier(self, seed: int) -> tuple[Earlier, ...]:
        ranking = Ranking(**self.ranked)
        return (*ranking.earlier(seed), Earlier("ranking", ranking, seed))

    def cost(self) -> Cost:
        return self.training_cost

    def run(self, lab: Lab) -> Measured:
        found = lab.result(self.earlier(lab.seed)[-1]).details["levels"]
        course = self.course(lab)
        gone = removed(found, self.percent, self.order)
        network = course.trained(gone)
        return Measured(course.accuracies(course.classes(network, gone)))
