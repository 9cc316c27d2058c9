"""The Python interface: pictures in, maps and scores out, through the same engine as the page and the command line."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from .classifiers.cards import Card
from .corruptions import chain
from .corruptions.chain import Step
from .engine.requests import Explain, GivenMap, Predict, evaluate, prepare_input
from .registry import METHODS, MODELS, SCORES
from .types import Mask, Picture, Prediction, SaliencyMap, Score, XaiError, frozen

if TYPE_CHECKING:
    from .engine.inline import InlineEngine


def _class_index(target: Any) -> int:
    try:
        return operator.index(target)
    except TypeError:
        raise XaiError(f"A target is the index of a class, such as 0, and not {target!r}.") from None


def _as_map(values: Any) -> npt.NDArray[np.float32]:
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise XaiError("A map is a SaliencyMap or an array of numbers (H, W).") from None


def _as_mask(values: Any) -> Mask:
    mask = np.asarray(values)
    if mask.ndim != 2:
        raise XaiError(f"A mask has two dimensions (H, W), and not {mask.ndim}.")
    return Mask(mask.astype(bool))


def _as_seed(seed: Any) -> int:
    try:
        return operator.index(seed)
    except TypeError:
        raise XaiError(f"A seed is a whole number, and not {seed!r}.") from None


@lru_cache(maxsize=1)
def engine() -> InlineEngine:
    """This process's engine; made, and torch imported, on first use."""
    from .engine.inline import InlineEngine

    return InlineEngine()


@dataclass(frozen=True)
class Classifier:
    """A classifier by its card; its weights are on this machine."""

    card: Card

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of every class, by index."""
        return self.card.labels

    def predict(self, picture: Picture, corruptions: Sequence[str | Step] = (), seed: int = 0) -> Prediction:
        """The probabilities of a picture's classes.

        `corruptions` are as on the command line, "gaussian_noise=25", or steps; `corruptions.region.cover` makes the
        step that covers a region of the model's input frame.
        """
        given = prepare_input(picture, self.card, _steps(corruptions), seed)
        return cast(Prediction, engine().result(Predict(given)))


def load_classifier(name: str) -> Classifier:
    """A classifier by name, its weights downloaded if need be; raises `XaiError` when it cannot be had."""
    from .classifiers import weights

    card: Card = MODELS[name]
    weights.fetch(card)
    engine().executor.classifier(name)
    return Classifier(card)


def explain(
    model: Classifier,
    picture: Picture,
    method: str,
    target: int | None = None,
    seed: int = 0,
    corruptions: Sequence[str | Step] = (),
    against: int | None = None,
    **parameters: Any,
) -> SaliencyMap:
    """A saliency map, float32 (H, W) in the model's input frame.

    `target` is a class index; None is the model's top class on the uncorrupted picture. `against` is the class that it
    is explained against (why the one and not the other), for gradient, CAM and Shapley methods. `parameters` are the
    method's own, such as `samples=50`. Raises `XaiError` for what does not fit.
    """
    spec, seed = METHODS[method], _as_seed(seed)
    given = prepare_input(picture, model.card, _steps(corruptions), seed)
    if target is None:
        target = cast(Prediction, engine().result(Predict(given.clean))).top
    against = None if against is None else _class_index(against)
    request = Explain(given, method, spec.make(parameters), _class_index(target), seed, against)
    return cast(SaliencyMap, engine().result(request))


def score(
    model: Classifier,
    picture: Picture,
    saliency: SaliencyMap | npt.NDArray[np.floating],
    scores: Sequence[str],
    mask: Mask | npt.NDArray[np.bool_] | None = None,
    target: int | None = None,
    seed: int | None = None,
    corruptions: Sequence[str | Step] | None = None,
    **parameters: Any,
) -> dict[str, Score]:
    """Scores of a map by name.

    `saliency` is a `SaliencyMap`, or an array (H, W) in the model's input frame for `target` (None: the model's top
    class). Scores of several maps need the `SaliencyMap` that this model made of this picture. `mask` has the picture's
    own size. `corruptions` are the map's own where none are given. `parameters` go to
    the scores that have them. Raises `XaiError` for what does not fit.
    """
    known = {name: set(SCORES[name].parameters.model_fields) for name in scores}
    for unknown in set(parameters).difference(*known.values()):
        raise XaiError(f"None of the scores {', '.join(known)} has a parameter {unknown!r}.")
    if corruptions is None:
        corruptions = saliency.corruptions if isinstance(saliency, SaliencyMap) else ()
    steps = _steps(corruptions)
    if isinstance(saliency, SaliencyMap):
        values, target = saliency.values, saliency.target if target is None else target
        seed = saliency.seed if seed is None else seed
    else:
        values = _as_map(saliency)
    seed = _as_seed(seed or 0)
    given = prepare_input(picture, model.card, steps, seed)
    if target is None:
        target = cast(Prediction, engine().result(Predict(given.clean))).top
    if mask is not None and not isinstance(mask, Mask):
        mask = _as_mask(mask)
    subject = GivenMap(given, frozen(values), _class_index(target), seed)
    made = _request_of(saliency, subject) if isinstance(saliency, SaliencyMap) else None
    found = {}
    for name in scores:
        spec = SCORES[name]
        own = {key: value for key, value in parameters.items() if key in known[name]}
        scored = made if made is not None and spec.extra_maps else subject
        request = evaluate(scored, name, spec.make(own), model.card, mask, picture)
        found[name] = cast(Score, engine().result(request))
    return found


def _steps(corruptions: Sequence[str | Step]) -> tuple[Step, ...]:
    return tuple(one if isinstance(one, Step) else chain.parse(one) for one in corruptions)


def _request_of(saliency: SaliencyMap, given: GivenMap) -> Explain | None:
    """The request that made a map, where it was made of just this: then further maps by the same method can be, too."""
    try:
        parameters = METHODS[saliency.method].make(saliency.parameters)
    except XaiError:  # a method that this installation does not have
        return None
    request = Explain(given.input, saliency.method, parameters, given.target, given.seed, saliency.against)
    return request if request.key(engine().profile) == saliency.key else None
