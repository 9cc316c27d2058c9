"""What every trial is: its parameters as fields, and `run`; and the `Lab` that it works in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..registry import METHODS, Parameters
from ..types import Cost, Floats, Measured, Pixels, Run, Score

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..classifiers.cards import Card
    from ..classifiers.evaluator import Classifier


@dataclass(frozen=True)
class Earlier:
    """A trial of the same input and data whose result another one goes on from; it is cached as any other."""

    trial: str
    parameters: Parameters
    seed: int


class TrialMethod(Parameters):
    """Base of every trial: its fields are its parameters.

    Its modules load torch only while a trial runs. The same seed must give the same bits on one execution profile:
    whatever is random comes from `seeds.generator`, or from torch while `Lab.seeded` is open.
    """

    def earlier(self, seed: int) -> tuple[Earlier, ...]:
        """The trials that must be there before this one with that seed."""
        return ()

    def run(self, lab: Lab) -> Measured:
        """The values, with a reason where one is undefined, and arrays for later trials as `details`."""
        raise NotImplementedError


def depending_on(methods: Mapping[str, Parameters]) -> dict[str, Any]:
    """What a trial depends on that takes these methods, by name: their versions, and what they depend on themselves."""
    return {
        name: {"version": METHODS[name].version, "depends": parameters.dependencies()}
        for name, parameters in methods.items()
    }


class Lab(Protocol):
    """What a trial gets: a device, its data, and explanations of any network by the code that explains all others."""

    seed: int
    data: Mapping[str, npt.NDArray[Any]]
    """The arrays that came with the request."""
    device: torch.device

    def check(self) -> None:
        """Raises `Cancelled` when nobody wants the result any more; for between two steps."""

    def took(self, passes: Cost) -> None:
        """Counts passes that the trial has made itself, tells how far it is, and checks."""

    def seeded(self, *labels: str | int) -> Any:
        """A context in which torch draws from a stream of its own, named by `labels`, as `seeds.derive` has it."""

    def result(self, earlier: Earlier) -> Score:
        """The result of one of the trials that this one names as `earlier`."""

    def classifier(self, network: nn.Module, card: Card) -> Classifier:
        """A network made explainable; it is put into evaluation mode, and its weights stay as they are.

        Of the card only `preprocess`, `labels`, `cam_layer` and `stages` count; see `trials.networks.card`.
        """

    def run(self, classifier: Classifier, frame: Pixels, target: int = 0, seed: int = 0) -> Run:
        """A run on one frame, uint8 (H, W, 3), for scores, logits and layers."""

    def explain(
        self,
        classifier: Classifier,
        frames: Pixels,
        targets: npt.NDArray[np.integer],
        method: str,
        parameters: Parameters,
    ) -> Floats:
        """Maps float32 (N, H, W) of frames uint8 (N, H, W, 3), each of the class in `targets` (N,).

        Each has a seed of its own, made of its place and its pixels.
        """

    @property
    def card(self) -> Card:
        """The card of the user's model; raises `XaiError` where the trial came without an input."""

    @property
    def frame(self) -> Pixels:
        """The user's picture in the model's input frame, uint8 (H, W, 3), corrupted as it was asked for."""

    def model(self) -> Classifier:
        """The user's model, which must stay as it is."""

    def copy(self) -> nn.Module:
        """A network of the user's model that the trial may change: on `lab.device`, in evaluation mode, trainable."""
