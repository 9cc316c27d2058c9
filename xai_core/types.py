"""What travels between the parts: pictures, masks, predictions, saliency maps, scores, and the `Run` that makes them.

Everything here is a frozen dataclass of numpy arrays and plain values, so that it can be hashed, cached, sent to
another process and shown without loading torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Array = TypeVar("Array", bound=npt.NDArray[Any])


class XaiError(Exception):
    """Something that a user can mend; its text is one sentence for the user: what was wrong and what to do."""


class Cancelled(Exception):  # not an error, whence the name
    """The work was cancelled; raised between two batches, never shown as an error."""


def digest_of(*parts: bytes | str) -> str:
    """SHA-256 of the parts, each preceded by its length, as 64 hexadecimal digits."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def array_digest(values: npt.NDArray[Any]) -> str:
    """SHA-256 of an array's type, shape and bytes."""
    values = np.ascontiguousarray(values)
    return digest_of(str(values.dtype), repr(values.shape), values.tobytes())


def frozen(values: Array) -> Array:
    """The array, contiguous and read-only, so that a shared result cannot be changed by accident.

    An array that could still be written to is copied: the caller's own stays as it was.
    """
    if values.flags.writeable or not values.flags.c_contiguous:
        values = values.copy(order="C")
        values.setflags(write=False)
    return values


@dataclass(frozen=True)
class Cost:
    """Passes of one image through the network: `forward` evaluations and `backward` gradients."""

    forward: int = 0
    backward: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.forward + other.forward, self.backward + other.backward)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.forward - other.forward, self.backward - other.backward)

    @property
    def total(self) -> int:
        """Forward and backward passes together: the unit of progress."""
        return self.forward + self.backward


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    `pixels` is uint8 (H, W, 3), RGB in 0-255, upright. `name` is the file's name. `title`, `licence` and `source`
    are for people only and no part of the digest.
    """

    pixels: Pixels
    name: str = "picture"
    title: str = ""
    licence: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"a picture needs uint8 (H, W, 3), not {self.pixels.dtype} {self.pixels.shape}")
        object.__setattr__(self, "pixels", frozen(self.pixels))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels: two files that decode to the same pixels are the same picture."""
        return array_digest(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, eq=False)
class Mask:
    """Which pixels of a picture belong to the object: `values` is bool (H, W) at the picture's own resolution."""

    values: Bools
    name: str = "mask"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen(np.asarray(self.values, dtype=bool)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the values."""
        return array_digest(self.values)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model sees in a (corrupted) picture.

    `probabilities` is float32 (K,), softmax over the classes; `frame` is the uint8 (H, W, 3) input frame after
    corruption; `occluded` is the bool (H, W) area that a corruption covered, or None.
    """

    probabilities: Floats
    frame: Pixels
    occluded: Bools | None
    key: str
    passes: Cost
    seconds: float
    profile: Mapping[str, Any]

    @property
    def top(self) -> int:
        """The index of the most probable class; the first one of equals."""
        return int(self.probabilities.argmax())

    def ranking(self, count: int) -> list[int]:
        """The `count` most probable classes, best first; ties by index."""
        return [int(index) for index in np.argsort(-self.probabilities, kind="stable")[:count]]


@dataclass(frozen=True, eq=False)
class Attribution:
    """What an explainer returns.

    `values` is float32 (H, W) in the input frame; `signed` tells whether negative values mean evidence against the
    target; `errors` is the standard error of `values` for sampled methods; `layer` names the layer it was taken at;
    `notes` are sentences to show beside the map. `completeness` is the error of a method whose values should add up
    to something known, such as a difference of logits: |sum of values - difference| / |difference|. `details` are
    small arrays by name that tell more of how the map came about.
    """

    values: npt.NDArray[Any]
    signed: bool
    errors: npt.NDArray[Any] | None = None
    layer: str | None = None
    notes: tuple[str, ...] = ()
    completeness: float | None = None
    details: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a drawer returns: a picture that a part of the network answers to.

    `pixels` is uint8 (H, W, 3). `objective` is what was raised, over the steps; `reached` is it for `pixels`
    themselves, and `probability` that of the target there. `layer` names the layer that was looked at.
    """

    pixels: Pixels
    objective: Curve
    reached: float
    probability: float | None = None
    layer: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """A saliency map with all that made it.

    `values` is float32 (H, W) in the model's input frame, not normalised; `errors` is its standard error per pixel
    for sampled methods, else None. `target` is the class index; `against` the class that it is explained against, or
    None. `passes` and `seconds` are what it cost.
    `corruptions` are those of the picture, as on the command line; `completeness` is the relative error of the sum of
    the values, where it should be something known, such as a difference of logits. `details` are small arrays that tell
    how it came about, and `layer_size` is (C, h, w) at `layer`, where it was seen.
    """

    values: Floats
    errors: Floats | None
    signed: bool
    method: str
    parameters: Mapping[str, Any]
    target: int
    seed: int
    layer: str | None
    notes: tuple[str, ...]
    key: str
    passes: Cost
    seconds: float
    profile: Mapping[str, Any]
    corruptions: tuple[str, ...] = ()
    completeness: float | None = None
    details: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    against: int | None = None
    layer_size: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Imagined:
    """A picture that a part of a network answers to, with all that made it; the fields are those of `Drawing`.

    `target` is the class index where a class was drawn, else None.
    """

    pixels: Pixels
    objective: Curve
    reached: float
    probability: float | None
    drawer: str
    parameters: Mapping[str, Any]
    target: int | None
    seed: int
    layer: str | None
    notes: tuple[str, ...]
    key: str
    passes: Cost
    seconds: float
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class Region:
    """A rectangle of the input frame: its upper left pixel, and its size in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True, eq=False)
class Probed:
    """What becomes of a class when one region of the picture is changed, and when others of its size are.

    `before` is the probability of the class for the whole picture, `after` that for the changed one, and `elsewhere`,
    float32 (N,), those for the same change at N random places.
    """

    before: float
    after: float
    elsewhere: Floats
    key: str
    passes: Cost
    seconds: float
    profile: Mapping[str, Any]

    @property
    def above(self) -> float:
        """The part of the random places after which the class is more probable than after the region, in [0, 1]."""
        return float((self.elsewhere > np.float32(self.after)).mean())

    @property
    def below(self) -> float:
        """The part of the random places after which the class is less probable than after the region, in [0, 1]."""
        return float((self.elsewhere < np.float32(self.after)).mean())


@dataclass(frozen=True, eq=False)
class Blocks:
    """A network's layers that have weights, by their dotted paths, in blocks from the logits down to the picture."""

    layers: tuple[tuple[str, ...], ...]
    key: str
    passes: Cost
    seconds: float
    profile: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Curve:
    """A line behind a score: `y` float32 (N,) over `x` float32 (N,)."""

    x: Floats
    y: Floats


@dataclass(frozen=True, eq=False)
class Measured:
    """What a score returns: `values` by part (not-a-number where undefined), `reasons` for those, and its curves.

    `details` are arrays by name that tell more of how the values came about; only trials have them.
    """

    values: Mapping[str, float]
    reasons: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    details: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Score:
    """A score of one map, or the result of a trial; the fields are those of `Measured`, with all that made them.

    `values` are by part, not-a-number where undefined, and then `reasons` says why.
    """

    name: str
    values: Mapping[str, float]
    reasons: Mapping[str, str]
    curves: Mapping[str, Curve]
    parameters: Mapping[str, Any]
    key: str
    passes: Cost
    seconds: float
    profile: Mapping[str, Any]
    details: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Randomised:
    """A network some of whose layers have forgotten what they learnt: `layers` are initialised anew, by `seed`."""

    layers: tuple[str, ...]
    seed: int


@dataclass(frozen=True, eq=False)
class Another:
    """In what another map by the same method and parameters differs from the one that is scored; None: in nothing.

    `target` is another class, or "top" for the most probable one of what the network then sees. `seed` is the method's.
    `corruptions` are steps of a `corruptions.chain`, () for the clean picture, and `noise` the seed that they draw
    from. `frame`, uint8 (H, W, 3), takes the place of picture and corruptions. `randomised` changes the network.
    """

    target: int | Literal["top"] | None = None
    seed: int | None = None
    corruptions: tuple[Any, ...] | None = None
    noise: int | None = None
    frame: Pixels | None = None
    randomised: Randomised | None = None


Make = Callable[[int, int], "torch.Tensor"]
"""Makes inputs `start` to `stop`, float32 (stop-start, 3, H, W), normalised, on the run's device."""


class Run(Protocol):
    """What explainers and scores get instead of the network: it batches, counts, reports, caches and cancels.

    Every method that takes `count` and `make` calls `make(start, stop)` for one batch after the other, so that no
    method ever holds all its inputs, and yields `(rows, values)` with `rows` the slice of the batch. Each raises
    `Cancelled` between two batches when the request was cancelled.
    """

    frame: Pixels
    """The corrupted picture in the model's input frame, uint8 (H, W, 3)."""
    target: int
    """The class that is explained. Where it is explained against another one, its logit is the difference of the two
    in all that this run computes, and its probability the difference of the two probabilities."""
    seed: int
    corruptions: tuple[Any, ...]
    """Steps of the `corruptions.chain` that the picture has gone through; () for a clean one."""

    @property
    def x(self) -> torch.Tensor:
        """The normalised input, float32 (1, 3, H, W), on the run's device."""

    def normalise(self, pixels: npt.NDArray[Any] | torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] (..., H, W, 3) as network input (..., 3, H, W) float32 on the run's device."""

    def pictures(self, name: str) -> torch.Tensor:
        """The normalised pictures of a background set, float32 (N, 3, H, W), on the run's device."""

    def tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        """An array as a tensor on the run's device."""

    def batches(self, count: int, compute: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        """What `compute(start, stop)` makes of `count` inputs, for one batch after the other, with passes of its own.

        A batch that does not fit into memory is halved, and computed again. All that takes `count` goes through here.
        """

    def logits(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        """Logits (batch, K) of `count` inputs."""

    def probabilities(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        """Probabilities of the target (batch,) of `count` inputs."""

    def gradients(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        """Gradients (batch, 3, H, W) of the target's logit with respect to `count` inputs."""

    def activations(self, layer: str, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        """Inputs (batch, C, h, w) of a layer for `count` network inputs; stops there, but counts as forward passes."""

    def features(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        """What the layer of the logits gets (batch, D) for `count` network inputs; counts as forward passes."""

    def gradients_from(self, layer: str, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        """Gradients (batch, C, h, w) of the target's logit with respect to `count` given inputs of a layer."""

    def output_of(self, layer: str) -> torch.Tensor:
        """Output (C, h, w) of a layer for `x`; one forward pass that ends there."""

    def expect(self, cost: Cost) -> None:
        """Corrects what the parameters could only guess: all passes that this run will take."""

    def activations_and_gradients(self, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Output (C, h, w) of a layer for `x`, and the gradient of the target's logit with respect to it."""

    def answer(self, x: torch.Tensor, score: Callable[[torch.Tensor], torch.Tensor], layer: str = "") -> Any:
        """Scores (batch,) of the logits (batch, K) of a batch `x`, or of a layer's output (batch, C, h, w), and their
        gradients (batch, 3, H, W) by `x`; a pass forward, which ends at the layer, and one backward for each."""

    def layer(self, name: str) -> str:
        """The layer's dotted path; "auto" is the model card's `cam_layer`; raises `XaiError` for an unknown one."""

    def network(self, folded: bool = False) -> Any:
        """A context manager that lends the prepared network to a reference library and gives it back unchanged.

        With `folded` it is the one in which a batch norm that follows its convolution is part of it.
        """

    def apart(self) -> Any:
        """A context manager for passes that only check a result: they are neither reported nor counted."""

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        """The layers that have weights, by their dotted paths, in blocks from the logits down to the picture."""

    def another_map(self, change: Another) -> Floats | None:
        """Another map float32 (H, W) by the method that made the map that is scored, from the cache where it is there;
        its passes are its own. None for a map that somebody brought along."""

    def reference_map(self, method: str, **values: Any) -> Floats | None:
        """The map float32 (H, W) of the run's class by another method with these parameters, from the cache where it
        is there; its passes are its own. None where nobody makes maps."""

    def partial(self, values: Callable[[], npt.NDArray[Any]], signed: bool = False) -> None:
        """Offers an intermediate map (H, W), or a picture uint8 (H, W, 3).

        `values` is only called when somebody is due to see one.
        """
