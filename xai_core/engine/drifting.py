"""One picture through the severities of a corruption: the requests that it takes, and their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..classifiers.cards import Card
from ..corruptions.chain import Step
from ..types import Another, Prediction, SaliencyMap
from .comparison import Comparison, Variant
from .following import Place, Standing
from .requests import Explain, Input, Predict, Request

Levels = Mapping[str, Sequence[Step]]
"""By model one step per severity, from mild to worst; none where they are not known yet."""


@dataclass(frozen=True, eq=False)
class Drifting:
    """The maps of a clean picture's `comparison` at every one of `levels`, and further runs with other seeds.

    `runs` counts the clean map itself.
    """

    comparison: Comparison
    levels: Levels
    runs: int = 5

    def given(self, card: Card, level: int) -> Input:
        """What the model sees at a severity."""
        return self.comparison.inputs[card.name].changed(Another(corruptions=(self.levels[card.name][level],)))

    def requests(self, targets: Mapping[str, int], known: Callable[[Request], object | None]) -> dict[Place, Request]:
        """Of the models in `targets`: pictures first, then maps from mild to worst, then the other seeds.

        The first other seed comes alone: where its map is the same, nothing is left to chance. `known` tells results
        that are there.
        """
        cards = [card for card in self.comparison.cards if card.name in targets]
        variants = self.comparison.variants
        places: dict[Place, Request] = {}
        for card in cards:
            for level in range(len(self.levels[card.name])):
                places["seen", card.name, str(level)] = Predict(self.given(card, level))
        for level in range(max((len(self.levels[card.name]) for card in cards), default=0)):
            for card in cards:
                for variant in variants if level < len(self.levels[card.name]) else ():
                    request = self._clean(card, variant, targets)
                    places["drift", card.name, variant.name, str(level)] = replace(
                        request, input=self.given(card, level)
                    )
        for card in cards:
            for variant in variants:
                request = self._clean(card, variant, targets)
                for number in range(1, self._wanted_runs(request, known)):
                    places["run", card.name, variant.name, str(number)] = replace(request, seed=request.seed + number)
        return places

    def _clean(self, card: Card, variant: Variant, targets: Mapping[str, int]) -> Explain:
        return self.comparison.explanation(card, variant, targets[card.name])

    def _wanted_runs(self, request: Explain, known: Callable[[Request], object | None]) -> int:
        clean, second = known(request), known(replace(request, seed=request.seed + 1))
        if not (isinstance(clean, SaliencyMap) and isinstance(second, SaliencyMap)):
            return min(self.runs, 2)
        return 2 if np.array_equal(clean.values, second.values) else self.runs

    def seen(self, standing: Standing, card: Card) -> list[Prediction | None]:
        """What the model answered, for the clean picture and every severity."""
        clean = standing.outcome.clean.get(card.name)
        found = [_result(standing, "seen", card.name, str(level)) for level in range(len(self.levels[card.name]))]
        return [clean, *[one if isinstance(one, Prediction) else None for one in found]]

    def maps(self, standing: Standing, card: Card, variant: Variant) -> list[SaliencyMap | None]:
        """The maps of the clean picture and of every severity."""
        levels = range(len(self.levels[card.name]))
        found = [_result(standing, "drift", card.name, variant.name, str(level)) for level in levels]
        clean = standing.outcome.maps.get((card.name, variant.name))
        return [clean, *[one if isinstance(one, SaliencyMap) else None for one in found]]

    def clean_runs(self, standing: Standing, card: Card, variant: Variant) -> list[SaliencyMap]:
        """The clean picture's maps that differ by their seed alone, once all are there; until then, none."""
        first = standing.outcome.maps.get((card.name, variant.name))
        places = [place for place in standing.jobs if place[:3] == ("run", card.name, variant.name)]
        others = [_result(standing, *place) for place in places]
        found = [one for one in (first, *others) if isinstance(one, SaliencyMap)]
        if len(found) < 2 or len(found) <= len(places):
            return []
        same = np.array_equal(found[0].values, found[1].values)
        return found if same or len(found) == self.runs else []


def _result(standing: Standing, *place: str) -> object | None:
    job = standing.jobs.get(place)
    return None if job is None else job.result
