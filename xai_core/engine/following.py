"""How a comparison stands while it is computed: for a page that asks again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from ..classifiers.cards import Card
from ..types import Prediction, SaliencyMap, Score, XaiError
from .comparison import Comparison, Outcome
from .jobs import Engine, Job
from .requests import Request

Place = tuple[str, ...]
"""("clean", model), ("prediction", model), ("map", model, variant), ("score", model, variant, score), ("rival", model,
number, score), or another."""
More = Callable[[Mapping[str, int]], Mapping[Place, Request]]
"""Further requests, once the explained class of every model that can be asked is known."""


@dataclass(eq=False)
class Standing:
    """A comparison's results so far, and the job behind each."""

    outcome: Outcome
    jobs: dict[Place, Job] = field(default_factory=dict)

    @property
    def pending(self) -> bool:
        """Whether anything may still change by itself."""
        return any(job.pending for job in self.jobs.values())

    @property
    def lost(self) -> set[str]:
        """The models that can not even say what they see in the clean picture."""
        return {place[1] for place, job in self.jobs.items() if place[0] == "clean" and job.state == "failed"}

    @property
    def cancelled(self) -> bool:
        """Whether something was cancelled and is not there."""
        return any(job.state == "cancelled" for job in self.jobs.values())

    @property
    def failures(self) -> list[str]:
        """The sentences of all that failed, each once."""
        return list(dict.fromkeys(job.error for job in self.jobs.values() if job.state == "failed"))

    @property
    def passes(self) -> tuple[int, int]:
        """Passes made, and passes expected in all."""
        jobs = self.jobs.values()
        return sum(job.total if job.result is not None else job.done for job in jobs), sum(job.total for job in jobs)

    @property
    def seconds(self) -> float:
        """Seconds that all that is there took to compute."""
        return sum(job.result.seconds for job in self.jobs.values() if job.result is not None)

    @property
    def running(self) -> Job | None:
        """The job that is computed now, if it is one of these."""
        return next((job for job in self.jobs.values() if job.state == "running"), None)


def follow(
    comparison: Comparison,
    engine: Engine,
    session: str,
    patience: float = 0.3,
    background: bool = False,
    more: More | None = None,
) -> Standing:
    """Declares all that the comparison needs and tells how it stands.

    Predictions come first, because the default target is the top class; when they are not there yet, this waits for
    them up to `patience` seconds, so that the maps are asked for at once. Then come maps, then scores, cheap ones
    first, then `more`, of the models whose prediction did not fail. `background` as in `Engine.want`. Raises `XaiError`
    when the comparison cannot be computed at all.
    """
    until = time.monotonic() + patience
    clean: dict[str, Prediction] = {}
    lost: set[str] = set()
    while True:
        for card in comparison.cards:
            if card.name not in clean:
                known = engine.known(comparison.clean_prediction(card))
                if known is not None:
                    clean[card.name] = cast(Prediction, known)
        places = _places(comparison, clean, lost, more)
        refused = _refused(places)
        wanted = {place: request for place, request in places.items() if place not in refused}
        jobs = refused | dict(zip(wanted, engine.want(session, list(wanted.values()), background), strict=True))
        found = {card.name: jobs["clean", card.name].result for card in comparison.cards}
        news = {name: cast(Prediction, result) for name, result in found.items() if result and name not in clean}
        clean.update(news)
        standing = Standing(_outcome(comparison, clean, jobs), jobs)
        waiting = any(jobs["clean", card.name].pending for card in comparison.cards)
        moved = bool(news) or standing.lost != lost
        lost = standing.lost
        if not moved and (not waiting or time.monotonic() >= until):
            return standing
        if not moved:
            engine.wait(session, max(until - time.monotonic(), 0))


def _refused(places: dict[Place, Request]) -> dict[Place, Job]:
    """The maps and scores that cannot even be asked for, such as those against a background that is not here."""
    refused = {}
    for place, request in places.items():
        try:
            _ = request.digest
        except XaiError as error:
            if place[0] in ("clean", "prediction"):
                raise
            refused[place] = Job(request, "failed", error=str(error))
    return refused


def _target(comparison: Comparison, card: Card, clean: dict[str, Prediction]) -> int | None:
    chosen = comparison.checked_target(card)
    return clean[card.name].top if chosen is None and card.name in clean else chosen


def _places(
    comparison: Comparison, clean: dict[str, Prediction], lost: set[str], more: More | None
) -> dict[Place, Request]:
    """Every request in the order of its importance; nothing further is asked of a model that is `lost`."""
    places: dict[Place, Request] = {}
    for card in comparison.cards:
        places["clean", card.name] = comparison.clean_prediction(card)
        places["prediction", card.name] = comparison.prediction(card)
    targets = {card.name: _target(comparison, card, clean) for card in comparison.cards}
    baselines = comparison.shown_baselines
    for variants in (comparison.variants, baselines):
        for card in comparison.cards:
            target = targets[card.name]
            for variant in variants if target is not None else ():
                places["map", card.name, variant.name] = comparison.explanation(card, variant, cast(int, target))
    for name in sorted(comparison.scores, key=lambda name: comparison.scores[name].cost().total):
        for variants in (comparison.variants, baselines):
            for card in comparison.cards:
                target = targets[card.name]
                for variant in variants if target is not None else ():
                    requests = comparison.evaluations(card, variant, cast(int, target))
                    places["score", card.name, variant.name, name] = requests[name]
    for card in comparison.cards:
        target = targets[card.name]
        for number in range(comparison.rivals if target is not None else 0):
            for name, request in comparison.rival_evaluations(card, number, cast(int, target)).items():
                places["rival", card.name, str(number), name] = request
    known = {name: target for name, target in targets.items() if target is not None and name not in lost}
    if more is not None and known and len(known) + len(lost) == len(targets):
        places.update(more(known))
    return places


def _outcome(comparison: Comparison, clean: dict[str, Prediction], jobs: dict[Place, Job]) -> Outcome:
    outcome = Outcome(comparison, clean=clean)
    for card in comparison.cards:
        target = _target(comparison, card, clean)
        if target is not None:
            outcome.targets[card.name] = target
    requested = {variant.name for variant in comparison.variants}
    for place, job in jobs.items():
        if job.result is None:
            continue
        if place[0] == "prediction":
            outcome.predictions[place[1]] = cast(Prediction, job.result)
        elif place[0] == "map":
            kept = outcome.maps if place[2] in requested else outcome.baseline_maps
            kept[place[1], place[2]] = cast(SaliencyMap, job.result)
        elif place[0] == "score":
            outcome.scores[place[1], place[2], place[3]] = cast(Score, job.result)
        elif place[0] == "rival":
            outcome.rivals.setdefault((place[1], place[3]), []).append(cast(Score, job.result))
    return outcome
