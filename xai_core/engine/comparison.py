"""One comparison: a picture, models, methods, corruptions and scores, as the requests that it takes.

The page and the command line both build their requests here, so that the same choice gives the same keys.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from ..classifiers.cards import Card
from ..corruptions.chain import Step, label
from ..explainers.baselines import BASELINES
from ..masks.starters import starter
from ..registry import METHODS, SCORES, Parameters
from ..types import Mask, Picture, Prediction, SaliencyMap, Score, XaiError
from .jobs import Engine
from .packing import Result
from .requests import Evaluate, Explain, Input, Predict, Request, evaluate, prepare_input


@dataclass(frozen=True, eq=False)
class Variant:
    """A method with its parameters; `label` tells two variants of one method apart and is empty for the only one."""

    method: str
    parameters: Parameters
    label: str = ""

    @property
    def name(self) -> str:
        """ "method", or "method@label"."""
        return f"{self.method}@{self.label}" if self.label else self.method

    @property
    def title(self) -> str:
        title = METHODS[self.method].title
        return f"{title} · {self.label}" if self.label else title


def variants_for(
    names: Sequence[str], preset: str, values: Mapping[str, Mapping[str, object]] | None = None
) -> list[Variant]:
    """Methods by name, as on the command line: NAME, NAME@STUDY with a study's settings, or NAME@LABEL.

    `values` are parameters by NAME, and on top of them those by NAME@LABEL. Raises `XaiError` for what does not fit.
    """
    values = values or {}
    variants = []
    for name in names:
        method, _, label = name.partition("@")
        own = {**values.get(method, {}), **(values.get(name, {}) if label else {})}
        start = label if label in METHODS[method].studies else preset
        variants.append(Variant(method, METHODS[method].make(own, start), label))
    used = {name for one in variants for name in (one.method, one.name)}
    check_used(values, used, "method")
    return variants


def check_used(given: Iterable[str], names: Collection[str], kind: str) -> None:
    """Raises `XaiError` when parameters are set for something that nobody asked for."""
    for name in given:
        if name not in names:
            asked = ", ".join(sorted(names)) or "none"
            raise XaiError(f"A parameter is set for the {kind} {name!r}, which is not asked for; asked for: {asked}.")


AHEAD = 64
"""Requests that `compute` declares at once, so that several workers have something to do."""

DEFAULT_SCORES = ("occlusion", "road", "iou")
"""The scores that a page shows until somebody chooses others."""
RIVAL_SEED = 7_000_000
"""Random maps to compare with have seeds from here on, which nobody uses for anything else."""
DEFAULT_METHODS = ("gradcam", "shap", "lime", "smoothgrad")
"""The methods that a page compares until somebody chooses others."""

Place = tuple[str, str, int]
"""Model, variant and target."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that is compared at once; `target` None is each model's own top class on the clean picture."""

    picture: Picture
    cards: Sequence[Card]
    variants: Sequence[Variant]
    corruptions: tuple[Step, ...] = ()
    scores: Mapping[str, Parameters] = field(default_factory=dict)
    mask: Mask | None = None
    target: int | None = None
    seed: int = 0
    against: int | None = None
    """The class that methods which can do so explain the target against."""
    rivals: int = 0
    """Random maps beside the baselines, among which every score tells where a map stands."""
    _explanations: dict[Place, Explain] = field(default_factory=dict, init=False, repr=False)
    _evaluations: dict[Place, dict[str, Evaluate]] = field(default_factory=dict, init=False, repr=False)

    @property
    def corruption_label(self) -> str:
        return label(self.inputs[self.cards[0].name].corruptions) if self.cards else "clean"

    @cached_property
    def inputs(self) -> dict[str, Input]:
        """What every model sees, by its name."""
        return {card.name: prepare_input(self.picture, card, self.corruptions, self.seed) for card in self.cards}

    @cached_property
    def baselines(self) -> tuple[Variant, ...]:
        """The maps that explain nothing and stand beside every score; one that was chosen stands as it was chosen."""
        chosen = {variant.name: variant for variant in self.variants}
        return tuple(chosen.get(name) or Variant(name, METHODS[name].make()) for name in BASELINES)

    @property
    def shown_baselines(self) -> tuple[Variant, ...]:
        """The baselines where there are scores to put them beside."""
        return self.baselines if self.scores else ()

    def clean_prediction(self, card: Card) -> Predict:
        """What the model sees in the clean picture; its top class is the default target."""
        return self._predictions[card.name, True]

    def prediction(self, card: Card) -> Predict:
        """What the model sees in the corrupted picture."""
        return self._predictions[card.name, False]

    @cached_property
    def _predictions(self) -> dict[tuple[str, bool], Predict]:
        return {
            (name, clean): Predict(given.clean if clean else given)
            for name, given in self.inputs.items()
            for clean in (True, False)
        }

    def explanation(self, card: Card, variant: Variant, target: int) -> Explain:
        """The request for one map; the same object each time, so that its digest is computed once."""
        place = (card.name, variant.name, target)
        if place not in self._explanations:
            given = self.inputs[card.name]
            against = self.against if METHODS[variant.method].contrasts and self.against != target else None
            self._explanations[place] = Explain(given, variant.method, variant.parameters, target, self.seed, against)
        return self._explanations[place]

    def evaluations(self, card: Card, variant: Variant, target: int) -> dict[str, Evaluate]:
        """The requests for the scores of one map, by the score's name; the same objects each time."""
        place = (card.name, variant.name, target)
        if place not in self._evaluations:
            subject = self.explanation(card, variant, target)
            self._evaluations[place] = {
                name: evaluate(subject, name, parameters, card, self.mask, self.picture)
                for name, parameters in self.scores.items()
            }
        return self._evaluations[place]

    def rival_evaluations(self, card: Card, number: int, target: int) -> dict[str, Evaluate]:
        """The requests for the scores of the random map of this number, by the score's name."""
        place = (card.name, f"rival {number}", target)
        if place not in self._evaluations:
            subject = Explain(self.inputs[card.name], "random", METHODS["random"].make(), target, RIVAL_SEED + number)
            self._evaluations[place] = {
                name: evaluate(subject, name, parameters, card, self.mask, self.picture)
                for name, parameters in self.scores.items()
                if not SCORES[name].extra_maps
            }
        return self._evaluations[place]

    def checked_target(self, card: Card) -> int | None:
        """The chosen target; raises `XaiError` when the model has no such class, or none to explain it against."""
        for chosen in (self.target, self.against):
            if chosen is not None and not 0 <= chosen < len(card.labels):
                raise XaiError(
                    f"There is no class {chosen}; the classes of {card.title} are 0 to {len(card.labels) - 1}."
                )
        return self.target


def scores_for(
    names: Sequence[str], preset: str, values: Mapping[str, Mapping[str, object]] | None = None
) -> dict[str, Parameters]:
    """Parameters of scores by name; "all" are those that need no further maps, "full" is every score."""
    chosen: list[str] = []
    for name in names:
        if name in ("all", "full"):
            chosen += [spec.name for spec in SCORES if name == "full" or not spec.extra_maps]
        else:
            chosen.append(SCORES[name].name)
    return {name: SCORES[name].make((values or {}).get(name), preset) for name in dict.fromkeys(chosen)}


def default_comparison(picture: Picture, cards: Sequence[Card], preset: str = "quick") -> Comparison:
    """What a page shows of a picture until somebody chooses something: four methods, the baselines, three scores.

    The object is the starter mask, where the picture has one.
    """
    variants = [Variant(name, METHODS[name].make({}, preset)) for name in DEFAULT_METHODS]
    return Comparison(picture, cards, variants, scores=scores_for(DEFAULT_SCORES, preset), mask=starter(picture))


@dataclass(eq=False)
class Outcome:
    """What has been computed of a comparison so far, by model name, variant name and score name."""

    comparison: Comparison
    clean: dict[str, Prediction] = field(default_factory=dict)
    predictions: dict[str, Prediction] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    maps: dict[tuple[str, str], SaliencyMap] = field(default_factory=dict)
    baseline_maps: dict[tuple[str, str], SaliencyMap] = field(default_factory=dict)
    scores: dict[tuple[str, str, str], Score] = field(default_factory=dict)
    rivals: dict[tuple[str, str], list[Score]] = field(default_factory=dict)
    """Scores of random maps, by model and score."""

    def wins(self, model: str, variant: str, score: str, part: str) -> tuple[int, int] | None:
        """How many of how many random maps this map beats in a value; None where that is not known."""
        own = self.scores.get((model, variant, score))
        others = [one.values[part] for one in self.rivals.get((model, score), []) if not math.isnan(one.values[part])]
        if own is None or not others or math.isnan(own.values[part]):
            return None
        sign = 1 if SCORES[score].values[part].better == "higher" else -1
        return sum(sign * own.values[part] > sign * other for other in others), len(others)


def compute(comparison: Comparison, engine: Engine, progress: Callable[[str, float], None]) -> Outcome:
    """Computes all of a comparison, in order; for the command line. An engine in the background may be ahead.

    `progress(what, fraction)` is told what is computed now, and how much of all passes is done. Raises `XaiError`.
    """
    outcome = Outcome(comparison)
    shown = [*comparison.variants, *comparison.shown_baselines]
    per_model = sum(
        (variant.parameters.cost().total + sum(score.cost().total for score in comparison.scores.values()))
        for variant in shown
    )
    total = max(len(comparison.cards) * (2 + per_model), 1)
    done = 0
    upcoming: list[Request] = []
    session = f"comparison {id(comparison)}"

    def declare() -> None:
        if engine.in_background:
            engine.want(session, upcoming[:AHEAD])

    def result(request: Request, what: str) -> Result:
        nonlocal done

        def follow(now: int, _: int) -> None:
            declare()  # again and again: a session that does not ask is gone
            progress(what, min((done + now) / total, 1.0))

        progress(what, done / total)
        answer = engine.result(request, follow)
        done += request.cost.total
        del upcoming[:1]
        return answer

    try:
        _collect(outcome, result, upcoming)
    finally:
        upcoming.clear()
        declare()
    return outcome


def _collect(outcome: Outcome, result: Callable[[Request, str], Result], upcoming: list[Request]) -> None:
    """Fills the outcome; `upcoming` gets, before a model's maps and scores, all of these in their order."""
    comparison = outcome.comparison
    shown = [*comparison.variants, *comparison.shown_baselines]
    for card in comparison.cards:
        clean = cast(Prediction, result(comparison.clean_prediction(card), f"{card.title}: prediction"))
        seen = cast(Prediction, result(comparison.prediction(card), f"{card.title}: prediction"))
        outcome.clean[card.name], outcome.predictions[card.name] = clean, seen
        chosen = comparison.checked_target(card)
        target = outcome.targets[card.name] = clean.top if chosen is None else chosen
        for variant in shown:
            own = [comparison.explanation(card, variant, target)] if variant in comparison.variants else []
            upcoming += [*own, *comparison.evaluations(card, variant, target).values()]
        for variant in shown:
            what = f"{card.title}: {variant.title}"
            if variant in comparison.variants:
                request = comparison.explanation(card, variant, target)
                outcome.maps[card.name, variant.name] = cast(SaliencyMap, result(request, what))
            for name, evaluation in comparison.evaluations(card, variant, target).items():
                what = f"{card.title}: {SCORES[name].title} of {variant.title}"
                outcome.scores[card.name, variant.name, name] = cast(Score, result(evaluation, what))
