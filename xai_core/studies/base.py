"""What a study is: units of work, and the rows that their results become."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from ..classifiers.cards import Card
from ..engine.packing import Result
from ..engine.requests import Evaluate, Input, Predict, Request, Trial
from ..registry import SCORES, TRIALS, Parameters
from ..types import Cost, Mask, Picture, Prediction, Score, digest_of

if TYPE_CHECKING:
    import pandas as pd

    from .exhibits import Section
    from .plan import Plan


@dataclass(frozen=True)
class Place:
    """What a row is about. `target` and `truth` are class indices, -1 where there is none."""

    picture: str = ""
    """The file's path below the folder of pictures, with slashes."""
    digest: str = ""
    """The picture's digest."""
    truth: int = -1
    """The class that the folder's labels name."""
    corruption: str = "clean"
    """As `corruptions.chain.label` has it."""
    model: str = ""
    target: int = -1
    method: str = ""
    variant: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Reading:
    """One value of a result: "score.part", not-a-number where undefined, and then the reason.

    `place` is where it belongs when that is not the unit's: a unit may be about many pictures.
    """

    score: str
    value: float
    reason: str = ""
    place: Place | None = None


Read = Callable[[Result], Iterable[Reading]]


@dataclass(frozen=True, eq=False)
class Unit:
    """One request, where its values belong, and what they are called.

    `read` makes values of the result; None reads a `Score` or a `Prediction`. `values` names what is undefined when the
    request fails; None takes those of the score. `further` are maps that the request asks for on its way, at most, and
    `more` the passes of others, which are not known beforehand.
    """

    place: Place
    request: Request
    read: Read | None = None
    values: tuple[str, ...] | None = None
    further: tuple[Request, ...] = ()
    more: Cost = field(default_factory=Cost)

    @cached_property
    def name(self) -> str:
        """SHA-256 of request and place: what a study that goes on has done already."""
        return digest_of(self.request.digest, json.dumps(asdict(self.place), sort_keys=True))

    def passes(self, counted: set[str]) -> int:
        """Passes at most, but for those of requests whose digests are `counted` already; puts its own there."""
        total = self.more.total
        for one in (*self.request.needs, self.request, *self.further):
            if one.digest not in counted:
                counted.add(one.digest)
                total += one.cost.total
        return total

    def readings(self, result: Result) -> list[Reading]:
        """The values of its result."""
        return list((self.read or _read)(result))

    def failed(self, reason: str) -> list[Reading]:
        """Undefined values, for one reason."""
        names = self.values
        if names is None and isinstance(self.request, Evaluate):
            names = tuple(f"{self.request.score}.{part}" for part in SCORES[self.request.score].values)
        if names is None and isinstance(self.request, Trial):
            names = tuple(f"{self.request.trial}.{part}" for part in TRIALS[self.request.trial].values)
        return [Reading(name, math.nan, reason) for name in names or ("prediction.probability",)]


def _read(result: Result) -> Iterator[Reading]:
    if not isinstance(result, Score):
        raise TypeError(f"nobody says how a {type(result).__name__} is read")
    for part, value in result.values.items():
        yield Reading(f"{result.name}.{part}", value, result.reasons.get(part, "") if math.isnan(value) else "")


def predicted(place: Place, given: Input) -> Unit:
    """What the model sees in an input: the probability of the place's target, the top class, and whether it is right.

    "prediction.correct" is only there where the picture has a label.
    """

    def read(result: Result) -> Iterator[Reading]:
        assert isinstance(result, Prediction)
        yield Reading("prediction.probability", float(result.probabilities[place.target]))
        yield Reading("prediction.top", float(result.top))
        if place.truth >= 0:
            yield Reading("prediction.correct", float(result.top == place.truth))

    return Unit(place, Predict(given), read)


def each_picture(place: Place, parts: tuple[str, ...], reason: str) -> Read:
    """Reads what every picture adds to a trial's values: details by part, and the pictures' numbers in `places`."""

    def read(result: Result) -> Iterator[Reading]:
        assert isinstance(result, Score)
        for row, number in enumerate(result.details["places"]):
            picture = replace(place, picture=f"{place.picture}{int(number):05d}")
            for part in parts:
                value = float(result.details[part][row])
                yield Reading(f"{result.name}.{part}", value, reason if math.isnan(value) else "", picture)

    return read


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture of the study before one model: the clean `input`, and the class that is explained, its own top class.

    `mask` is the object at the picture's own resolution, or None. `place` is that of the clean picture.
    """

    picture: Picture
    mask: Mask | None
    card: Card
    input: Input
    place: Place

    @property
    def target(self) -> int:
        return self.place.target


class Study(Parameters):
    """Base of every study: its fields are its parameters."""

    of_pictures: ClassVar[bool] = True
    """Whether it looks at the user's pictures, with models."""
    of_methods: ClassVar[bool] = True
    """Whether methods can be chosen."""
    default_models: ClassVar[tuple[str, ...]] = ("efficientnet_lite0",)
    default_methods: ClassVar[tuple[str, ...]] = ("gradcam", "smoothgrad")

    def units(self, plan: Plan, subject: Subject) -> Iterator[Unit]:
        """The work on one picture by one model, in an order that shares what is computed."""
        return iter(())

    def trials(self, plan: Plan) -> Iterator[Unit]:
        """The work that belongs to no picture of the user's."""
        return iter(())

    def sections(self, plan: Plan, rows: pd.DataFrame) -> list[Section]:
        """What the rows say, for the report; `rows` as `results.read` gives them, perhaps of a study that goes on."""
        return []
