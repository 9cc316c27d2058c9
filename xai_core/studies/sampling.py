"""S4: which samples gradients should be taken at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import field_validator
from pydantic_core import PydanticCustomError

from ..classifiers.cards import Card
from ..engine.cache import Cache
from ..engine.comparison import Variant
from ..engine.packing import Result
from ..engine.requests import Input, Trial, prepare_input
from ..registry import METHODS, STUDIES, TRIALS, parameter
from ..types import Bools, SaliencyMap, Score
from .base import Place, Reading, Study, Subject, Unit, predicted
from .plan import Plan

if TYPE_CHECKING:
    import pandas as pd

    from .exhibits import Section

NORM = "gradient_norm.mean"
"""The mean Euclidean norm of the gradients that a map is made of."""
NATS = "mutual_information.nats"
DROPPING = "feature_suppression"
TIMES = "times input"
"""Ends the variants that are multiplied with the picture."""
ABSOLUTE = "absolute"
"""The variant of SmoothGrad that averages absolute values, as feature suppression does."""
KINDS = {"noise": "smoothgrad", "path": "integrated_gradients", "dropping": DROPPING, "plain": "gradient"}
"""The samples of the embedding, and the methods that take them."""
AUGMENTATIONS = ("none", "noise", "luminance")


def label_of(drop: float) -> str:
    """The variant of feature suppression that drops pixels with a probability."""
    return f"p={drop:g}"


def drop_of(variant: str) -> float:
    """The probability in a variant's label, not-a-number where there is none."""
    start = variant.split(" ")[0]
    return float(start[2:]) if start.startswith("p=") else float("nan")


def _listed(text: str) -> list[float]:
    try:
        found = [float(one) for one in text.split(",")]
    except ValueError:
        raise PydanticCustomError("numbers", "these are no numbers with commas between them") from None
    if not all(0 <= one <= 1 for one in found):
        raise PydanticCustomError("range", "a probability lies between 0 and 1")
    return sorted(set(found))


def every_other(classes: Sequence[int]) -> Bools:
    """Which of pictures with these classes (N,) are not learnt from: every other one of each class.

    Classes begin by turns with one that is learnt from and one that is not. More pictures at the end change nothing.
    """
    turns: dict[int, int] = {}
    found = []
    for one in classes:
        turn = turns.setdefault(one, len(turns))
        found.append(turn % 2 == 1)
        turns[one] = turn + 1
    return np.array(found, dtype=bool)


TUNED = ("fine_tuning.nats_before", "fine_tuning.nats_after", "fine_tuning.similarity")


def _norm(result: Result) -> Iterator[Reading]:
    assert isinstance(result, SaliencyMap)
    yield Reading(NORM, float(result.details["norms"].mean()))


class _Embedded:
    """Reads one kind of samples of one picture: their distance, how many are at home, and their places."""

    def __init__(self, kind: str, number: int):
        self._kind, self._number = kind, number

    def __call__(self, result: Result) -> Iterable[Reading]:
        assert isinstance(result, Score)
        values: dict[str, Any] = {}
        if self._kind == "plain":
            values["others"] = result.details["others"][self._number]
        else:
            values["distance"] = result.details[f"{self._kind} distance"][self._number]
            values["home"] = result.details[f"{self._kind} home"][self._number]
        for sample, (first, second) in enumerate(result.details[self._kind][self._number]):
            values |= {f"first.{sample:03d}": first, f"second.{sample:03d}": second}
        for name, value in values.items():
            yield Reading(f"embedding.{name}", float(value), "" if np.isfinite(value) else "there is one picture only")


class _Tuned:
    """Reads one method's map of one picture before and after."""

    def __init__(self, method: int, number: int):
        self._place = method, number

    def __call__(self, result: Result) -> Iterable[Reading]:
        assert isinstance(result, Score)
        for name in TUNED:
            value = float(result.details[name.partition(".")[2]][self._place])
            yield Reading(name, value, "" if np.isfinite(value) else "a map is flat")


@STUDIES.register(
    "sampling",
    title="Which samples",
    summary="Takes gradients at noisy pictures, on the way from a grey one, and at pictures with dropped pixels, and "
    "asks what the maps tell about the picture, how long the gradients are, and how far the samples are from the "
    "pictures in the eyes of the network.",
    cites=("Luo, McDermott, O'Riordan, Sampling matters in explanations (S4)",),
    version=2,
    presets={
        "quick": {"samples": 8, "drops": "0, 0.3, 0.5, 0.7, 0.9, 1", "embedded": 3, "epochs": 1, "explained": 2},
        "balanced": {"samples": 20, "embedded": 6, "explained": 4},
    },
)
class SamplingStudy(Study):
    """Mutual information and gradient norm against the probability to drop, beside SmoothGrad, integrated gradients
    and the gradient; the samples in the embedding; and, with labels, maps before and after fine-tuning; spec 2.5, M-23,
    E-18."""

    of_methods = False

    samples: int = parameter(50, "Samples of every method.", unit="samples", ge=2, le=1000, step=1)
    drops: str = parameter("0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1", "Probabilities to drop a pixel.")
    noise_level: float = parameter(0.15, "SmoothGrad's noise.", unit="of the picture's range", ge=0, le=1, step=0.01)
    method_seed: int = parameter(1860867, "Seed of the samples, S4's; the picture's own is added.", ge=0, le=2**31 - 1)
    embedded: int = parameter(10, "Pictures in the embedding; 0 for none.", unit="pictures", ge=0, le=50, step=1)
    each: int = parameter(20, "Samples of a picture in the embedding.", unit="samples", ge=2, le=100, step=1)
    explained: int = parameter(
        8, "Pictures explained before and after fine-tuning; 0 for none.", unit="pictures", ge=0, le=50, step=1
    )
    epochs: int = parameter(3, "Epochs of fine-tuning.", unit="epochs", ge=1, le=100, step=1)
    layers: Literal["last", "all"] = parameter("all", "What is tuned: the logits and the last block, or all.")
    rate: float = parameter(0.001, "Learning rate of fine-tuning.", ge=0, le=1)

    @field_validator("drops")
    @classmethod
    def _plain(cls, text: str) -> str:
        return ", ".join(f"{one:g}" for one in _listed(text))

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """The maps of a picture: integrated gradients first, which the others are held against."""
        middle = min(_listed(self.drops), key=lambda drop: abs(drop - 0.7))
        return (
            Variant("integrated_gradients", METHODS["integrated_gradients"].make({"steps": self.samples})),
            Variant("gradient", METHODS["gradient"].make()),
            self._noisy("signed"),
            self._noisy(ABSOLUTE),
            *(self._dropping(drop) for drop in _listed(self.drops)),
            self._dropping(middle, times_input=True),
        )

    def _noisy(self, average: str) -> Variant:
        values = {"samples": self.samples, "noise_level": self.noise_level, "average": average}
        return Variant("smoothgrad", METHODS["smoothgrad"].make(values), ABSOLUTE if average == ABSOLUTE else "")

    def _dropping(self, drop: float, times_input: bool = False) -> Variant:
        values = {"samples": self.samples, "drop": drop, "times_input": times_input}
        label = f"{label_of(drop)} {TIMES}" if times_input else label_of(drop)
        return Variant(DROPPING, METHODS[DROPPING].make(values), label)

    def units(self, plan: Plan, subject: Subject) -> Iterator[Unit]:
        yield predicted(subject.place, subject.input)
        beside = (*plan.baselines, Variant("luminance", METHODS["luminance"].make()))
        for variant in (*self.variants, *beside):
            request = plan.explain(subject, variant, seed=self.method_seed)
            if variant in self.variants:
                yield Unit(plan.place(subject, request, variant), request, _norm, (NORM,))
            yield plan.evaluation(subject, request, variant, "mutual_information", steps=self.samples)

    def trials(self, plan: Plan) -> Iterator[Unit]:
        for card in plan.cards:
            if self.embedded:
                yield from self._embedding(plan, card)
            if self.explained:
                yield from self._tuning(plan, card)

    # -- trials ----------------------------------------------------------------------------------------------------

    def _inputs(self, plan: Plan, card: Card, labelled: bool, limit: int | None = None) -> list[tuple[Place, Input]]:
        """The first pictures, or those whose class the model knows, before a model."""
        assert plan.pictures is not None
        seed = plan.seed + self.method_seed
        chosen = [entry for entry in plan.pictures.entries if not labelled or entry.truth(card) >= 0][:limit]
        found = []
        for entry in chosen:
            picture = entry.open()
            place = Place(entry.name, picture.digest, entry.truth(card), model=card.name, seed=seed)
            found.append((place, prepare_input(picture, card, (), plan.seed)))
        return found

    def _embedding(self, plan: Plan, card: Card) -> Iterator[Unit]:
        """A unit for every picture and kind of samples, all of one trial."""
        inputs = self._inputs(plan, card, False, self.embedded)
        values = {"pictures": len(inputs), "samples": self.each, "noise_level": self.noise_level}
        parameters = TRIALS["embedding"].make(values)
        frames = np.stack([given.frame for _, given in inputs])
        seed = plan.seed + self.method_seed
        trial = Trial("embedding", parameters, seed, inputs[0][1], {"frames": frames})
        for number, (place, _) in enumerate(inputs):
            for kind, method in KINDS.items():
                variant = label_of(0.7) if method == DROPPING else ""
                at = replace(place, method=method, variant=variant)
                yield Unit(at, trial, _Embedded(kind, number), ("embedding.distance",))

    def _tuning(self, plan: Plan, card: Card) -> Iterator[Unit]:
        """Units for accuracy, and for every method and picture, all of one trial for each augmentation."""
        inputs = self._inputs(plan, card, True) if plan.pictures is not None and plan.pictures.labelled else []
        if len(inputs) < 2:
            return
        tested = every_other([place.truth for place, _ in inputs])
        shown = [place for (place, _), chosen in zip(inputs, tested, strict=True) if chosen][: self.explained]
        data = {
            "frames": np.stack([given.frame for _, given in inputs]),
            "labels": np.array([place.truth for place, _ in inputs]),
            "tested": tested,
        }
        seed = plan.seed + self.method_seed
        for augmentation in AUGMENTATIONS:
            values: dict[str, Any] = {"pictures": len(inputs), "explained": len(shown), "samples": self.samples}
            values |= {name: getattr(self, name) for name in ("epochs", "layers", "rate", "noise_level")}
            parameters = TRIALS["fine_tuning"].make({**values, "augmentation": augmentation})
            trial = Trial("fine_tuning", parameters, seed, inputs[0][1], data)
            yield Unit(Place(model=card.name, variant=augmentation, seed=seed), trial)
            for number, place in enumerate(shown):
                yield from self._tuned(trial, replace(place, target=place.truth, variant=augmentation), number)

    def _tuned(self, trial: Trial, place: Place, number: int) -> Iterator[Unit]:
        from ..trials.finetuning import EXPLAINED_BY

        for row, method in enumerate(EXPLAINED_BY):
            yield Unit(replace(place, method=method), trial, _Tuned(row, number), TUNED)

    def sections(self, plan: Plan, rows: pd.DataFrame) -> list[Section]:
        from .sampling_findings import sections

        assert plan.pictures is not None
        embedded = [entry.name for entry in plan.pictures.entries[: self.embedded]]
        stale = rows["score"].str.startswith("embedding.") & ~rows["picture"].isin(embedded)  # of fewer pictures
        return sections(rows[~stale], self._explained(plan), Cache.from_settings().get)

    def _explained(self, plan: Plan) -> dict[str, list[str]]:
        """The pictures that each model's fine-tuning explains, in its order."""
        assert plan.pictures is not None
        found = {}
        for card in plan.cards:
            known = [(entry.name, entry.truth(card)) for entry in plan.pictures.entries if entry.truth(card) >= 0]
            tested = every_other([truth for _, truth in known])
            names = [name for (name, _), chosen in zip(known, tested, strict=True) if chosen]
            found[card.name] = names[: self.explained]
        return found
