"""What can be asked of the engine. Every request has a key that names its result everywhere.

The key is the SHA-256 of all that decides the result: picture digest, corruption chain, card and weights digest,
target, method with its version and parameters, digests of background pictures and masks, seed, score parameters and
the execution profile. The cache, the queue, exports and studies all use it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..classifiers import weights
from ..classifiers.cards import Card
from ..corruptions.chain import Step, chain
from ..images.geometry import Preprocess, mask_frame, picture_frame
from ..registry import DRAWERS, METHODS, SCORES, TRIALS, Parameters
from ..trials.base import Earlier, TrialMethod
from ..types import (
    Another,
    Bools,
    Cost,
    Floats,
    Mask,
    Picture,
    Pixels,
    Randomised,
    Region,
    XaiError,
    array_digest,
    digest_of,
    frozen,
)

Profile = Mapping[str, Any]
"""Device, dtype, threads, memory format, folding, batch size: results are bit-equal within one profile."""


class Request:
    """Base of all requests."""

    @property
    def description(self) -> dict[str, Any]:
        """All that decides the result but the execution profile, as JSON values."""
        raise NotImplementedError

    @property
    def cost(self) -> Cost:
        """Passes that the request takes; a score's map is a request of its own."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """What people call it."""
        raise NotImplementedError

    @property
    def needs(self) -> tuple[Request, ...]:
        """Requests whose results are computed on the way where they are not there yet."""
        return ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the description: equal requests have equal digests."""
        return digest_of(json.dumps(self.description, sort_keys=True))

    def key(self, profile: Profile) -> str:
        """SHA-256 of the description under an execution profile: the name of the result.

        Of the profile's `batches` only that of the own model counts, in place of `batch`.
        """
        own = dict(profile)
        measured = own.pop("batches", {}).get(self.input.card if self.input is not None else None)
        if measured is not None:
            own["batch"] = measured
        return digest_of(self.digest, json.dumps(own, sort_keys=True))

    if TYPE_CHECKING:  # at run time it would be the default of the field in the classes below

        @property
        def input(self) -> Input | None:
            """The picture as the model sees it; None where the request is about no model of the user's."""


@dataclass(frozen=True, eq=False)
class Input:
    """A picture as one model sees it: the clean frame, uint8 (H, W, 3), and the corruptions to apply to it."""

    picture: str
    """The picture's digest."""
    model: str
    card: str
    """The digest of the card with its weights."""
    frame: Pixels = field(repr=False)
    corruptions: tuple[Step, ...]
    seed: int
    randomised: Randomised | None = None
    """The layers of the model that are initialised anew."""

    @property
    def description(self) -> dict[str, Any]:
        steps = [step.describe() for step in self.corruptions]
        changed = {} if self.randomised is None else {"randomised": asdict(self.randomised)}
        return {
            **changed,
            "picture": self.picture,
            "card": self.card,
            "corruptions": steps,
            "corruption_seed": self.seed if steps else None,
        }

    @property
    def clean(self) -> Input:
        """The same without corruption."""
        return replace(self, corruptions=()) if self.corruptions else self

    def changed(self, change: Another) -> Input:
        """What the model sees for another map."""
        given = self if change.randomised is None else replace(self, randomised=change.randomised)
        if change.frame is not None:
            return replace(given, picture=array_digest(change.frame), frame=change.frame, corruptions=())
        steps = given.corruptions if change.corruptions is None else chain(change.corruptions)
        return replace(given, corruptions=steps, seed=given.seed if change.noise is None else change.noise)


def prepare_input(picture: Picture, card: Card, corruptions: tuple[Step, ...] = (), seed: int = 0) -> Input:
    """The input for a picture, a model and a chain of corruptions; raises `XaiError` when the weights are not here."""
    digest = card.digest(weights.digest(card))
    return Input(picture.digest, card.name, digest, _frame(picture, card.preprocess), chain(corruptions), seed)


_frames: WeakKeyDictionary[Picture, dict[Preprocess, Pixels]] = WeakKeyDictionary()
"""Frames that were cut from pictures still in use: a page asks for the same ones with every click."""


def _frame(picture: Picture, preprocess: Preprocess) -> Pixels:
    known = _frames.setdefault(picture, {})
    if preprocess not in known:
        known[preprocess] = frozen(picture_frame(picture.pixels, preprocess))
    return known[preprocess]


@dataclass(frozen=True, eq=False)
class Predict(Request):
    """What the model sees in the input; gives a `Prediction`."""

    input: Input

    @property
    def description(self) -> dict[str, Any]:
        return {"kind": "prediction", "version": 1, **self.input.description}

    @property
    def cost(self) -> Cost:
        return Cost(1, 0)

    @property
    def title(self) -> str:
        return "prediction"


@dataclass(frozen=True, eq=False)
class Explain(Request):
    """A map of one class by one method; gives a `SaliencyMap`."""

    input: Input
    method: str
    parameters: Parameters
    target: int
    seed: int = 0
    against: int | None = None
    """The class that the target is explained against: why the one and not the other."""
    passes_of: Explain | None = None
    """The map whose passes this one shares; see `sharing`. It does not change the result."""

    @property
    def description(self) -> dict[str, Any]:
        contrast = {} if self.against is None else {"against": self.against}
        return {
            "kind": "map",
            **contrast,
            **self.input.description,
            "method": self.method,
            "version": METHODS[self.method].version,
            "parameters": self.parameters.model_dump(mode="json"),
            "depends": self.parameters.dependencies(),
            "target": self.target,
            "seed": self.seed,
        }

    @property
    def cost(self) -> Cost:
        return self.parameters.cost() if self.passes_of is None else Cost()

    @property
    def needs(self) -> tuple[Request, ...]:
        return () if self.passes_of is None else (self.passes_of,)

    @property
    def title(self) -> str:
        return METHODS[self.method].title

    def sharing(self, parameters: Parameters) -> Explain:
        """The request for a map with other parameters that is made of the passes of this one, and takes none itself.

        Its result and its digest are those of the request on its own. Raises `ValueError` where the parameters differ
        in more than the fields `after_passes`.
        """
        source = self if self.passes_of is None else self.passes_of
        before, after = (one.model_dump(exclude=set(one.after_passes)) for one in (source.parameters, parameters))
        if type(parameters) is not type(source.parameters) or before != after:
            raise ValueError(f"these two maps of {self.method} do not take the same passes")
        return source if parameters == source.parameters else replace(self, parameters=parameters, passes_of=source)

    def another(self, change: Another) -> Explain:
        """The request for another map by the same method; of another class it is not explained against any."""
        target = change.target if isinstance(change.target, int) else self.target
        return replace(
            self,
            input=self.input.changed(change),
            target=target,
            against=self.against if change.target is None else None,
            seed=self.seed if change.seed is None else change.seed,
            passes_of=None,
        )


@dataclass(frozen=True, eq=False)
class Imagine(Request):
    """A picture that a part of the network answers to; gives an `Imagined`. `input` is the grey frame it begins at.

    `target` is the class that is drawn, or None where the parameters ask for something else.
    """

    input: Input
    drawer: str
    parameters: Parameters
    target: int | None
    seed: int = 0

    @property
    def description(self) -> dict[str, Any]:
        return {
            "kind": "picture",
            **self.input.description,
            "drawer": self.drawer,
            "version": DRAWERS[self.drawer].version,
            "parameters": self.parameters.model_dump(mode="json"),
            "depends": self.parameters.dependencies(),
            "target": self.target,
            "seed": self.seed,
        }

    @property
    def cost(self) -> Cost:
        return self.parameters.cost()

    @property
    def title(self) -> str:
        return DRAWERS[self.drawer].title


def imagine(card: Card, drawer: str, parameters: Parameters, target: int | None, seed: int = 0) -> Imagine:
    """The request for a picture; raises `XaiError` when the weights are not here."""
    grey = Picture(np.full((*card.preprocess.size, 3), 128, dtype=np.uint8), name="grey")
    given = Input(grey.digest, card.name, card.digest(weights.digest(card)), grey.pixels, (), seed)
    return Imagine(given, drawer, parameters, target, seed)


Action = Literal["hide", "blur", "keep"]
"""What is done to a region: it shows the mean colour, which the model gets as 0, or is blurred, or all but it shows the
mean colour."""


@dataclass(frozen=True, eq=False)
class Probe(Request):
    """What becomes of a class when a region of the picture is changed; gives a `Probed`.

    `places` random regions of the same size are changed in the same way, or all others where there are fewer.
    """

    input: Input
    target: int
    region: Region
    action: Action = "hide"
    places: int = 50
    seed: int = 0

    @property
    def description(self) -> dict[str, Any]:
        return {
            "kind": "probe",
            "version": 1,
            **self.input.description,
            "target": self.target,
            "region": asdict(self.region),
            "action": self.action,
            "places": self.places,
            "seed": self.seed,
        }

    @property
    def others(self) -> int:
        """How many other places there are for a region of this size."""
        height, width = self.input.frame.shape[:2]
        return int((height - self.region.height + 1) * (width - self.region.width + 1)) - 1

    @property
    def cost(self) -> Cost:
        return Cost(2 + min(self.places, max(self.others, 0)), 0)

    @property
    def title(self) -> str:
        return "region"


@dataclass(frozen=True, eq=False)
class Survey(Request):
    """Which layers a network has; gives its `Blocks`. Nothing of the input counts but the model."""

    input: Input

    @property
    def description(self) -> dict[str, Any]:
        return {"kind": "blocks", "version": 1, "card": self.input.card}

    @property
    def cost(self) -> Cost:
        return Cost()

    @property
    def title(self) -> str:
        return "layers of the network"


@dataclass(frozen=True, eq=False)
class GivenMap(Request):
    """A map that somebody brings along, float32 (H, W) in the model's input frame, to be scored."""

    input: Input
    values: Floats = field(repr=False)
    target: int
    seed: int = 0

    @property
    def description(self) -> dict[str, Any]:
        values = array_digest(self.values)
        return {
            "kind": "given map",
            **self.input.description,
            "values": values,
            "target": self.target,
            "seed": self.seed,
        }

    @property
    def cost(self) -> Cost:
        return Cost()

    @property
    def title(self) -> str:
        return "given map"


@dataclass(frozen=True, eq=False)
class Evaluate(Request):
    """One score of one map; gives a `Score`. `mask` is the object in the input frame, bool (H, W), or None."""

    subject: Explain | GivenMap
    score: str
    parameters: Parameters
    mask: Bools | None = field(default=None, repr=False)
    mask_digest: str | None = None

    @property
    def input(self) -> Input:
        return self.subject.input

    @property
    def needs(self) -> tuple[Request, ...]:
        return (*self.subject.needs, self.subject) if isinstance(self.subject, Explain) else ()

    @property
    def description(self) -> dict[str, Any]:
        return {
            "kind": "score",
            "subject": self.subject.description,
            "score": self.score,
            "version": SCORES[self.score].version,
            "parameters": self.parameters.model_dump(mode="json"),
            "depends": self.parameters.dependencies(),
            "mask": self.mask_digest,
        }

    @property
    def cost(self) -> Cost:
        return self.parameters.cost()

    @property
    def title(self) -> str:
        return f"{SCORES[self.score].title} of {self.subject.title}"


@dataclass(frozen=True, eq=False)
class Trial(Request):
    """An experiment that trains networks of its own, or changes a copy of the user's; gives a `Score`.

    `input` names the user's model and picture where there is one; `data` are arrays that the trial works with.
    """

    trial: str
    parameters: Parameters
    seed: int = 0
    input: Input | None = None
    data: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict, repr=False)

    def at(self, earlier: Earlier) -> Trial:
        """The request for another trial of the same input and data."""
        return replace(self, trial=earlier.trial, parameters=earlier.parameters, seed=earlier.seed)

    @property
    def needs(self) -> tuple[Request, ...]:
        return tuple(self.at(one) for one in cast(TrialMethod, self.parameters).earlier(self.seed))

    @property
    def description(self) -> dict[str, Any]:
        return {
            "kind": "trial",
            "input": None if self.input is None else self.input.description,
            "data": {name: array_digest(values) for name, values in self.data.items()},
            "trial": self.trial,
            "version": TRIALS[self.trial].version,
            "parameters": self.parameters.model_dump(mode="json"),
            "depends": self.parameters.dependencies(),
            "seed": self.seed,
        }

    @property
    def cost(self) -> Cost:
        return self.parameters.cost()

    @property
    def title(self) -> str:
        return TRIALS[self.trial].title


def evaluate(
    subject: Explain | GivenMap, score: str, parameters: Parameters, card: Card, mask: Mask | None, picture: Picture
) -> Evaluate:
    """The request for a score; the mask takes the picture's way into the model's frame.

    Raises `XaiError` when the mask has not the picture's size.
    """
    if mask is None or not SCORES[score].needs_mask:
        return Evaluate(subject, score, parameters)
    check_mask(mask, picture)
    return Evaluate(subject, score, parameters, frozen(mask_frame(mask.values, card.preprocess)), mask.digest)


def check_mask(mask: Mask, picture: Picture) -> None:
    """Raises `XaiError` unless the mask has the picture's size."""
    if mask.values.shape != picture.size:
        raise XaiError(
            f"The mask {mask.name} has {mask.values.shape[1]} x {mask.values.shape[0]} pixels and the picture "
            f"{picture.name} {picture.size[1]} x {picture.size[0]}; draw it on the picture's own size."
        )
