"""Training a network on labelled pictures: what retraining, data randomisation and composite pictures begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..classifiers.cards import Card
from ..registry import TRIALS, Value, parameter
from ..seeds import generator
from ..types import Bools, Cost, Measured, Pixels, digest_of
from . import datasets, networks
from .base import Earlier, Lab, TrialMethod
from .composites import KINDS, PASTING, Composites, drawn, folders, pasted
from .datasets import Facts, Labelled, Labels

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..classifiers.evaluator import Classifier

COMPOSITES = ("objects", "scenes", "empty")
EVALUATED = 256
"""Pictures per pass where nothing is learnt."""


class Taught(TrialMethod):
    """Base of what trains networks on labelled pictures: which pictures, which network, how long."""

    dataset: Literal["digits", "mnist", "food101", "folder", "given", "objects", "scenes", "empty"] = parameter(
        "digits", "Labelled pictures; the last three are composites with the one or the other label, or scenes alone."
    )
    folder: str = parameter("", "A folder with a folder of pictures for each class, or with objects and scenes.")
    pictures: int = parameter(0, "Pictures at most; 0 for all.", ge=0, le=1_000_000)
    side: int = parameter(0, "Pixels a side; 0 for what the data set has.", ge=0, le=512)
    network: Literal["auto", "small", "resnet18"] = parameter("auto", "The network; auto goes by the pictures' size.")
    epochs: int = parameter(0, "How often every picture is learnt from; 0 for what fits the data set.", ge=0, le=1000)
    count: int = parameter(0, "Pictures of a data set that comes along.", ge=0)
    kinds: int = parameter(KINDS, "Kinds of objects, and of scenes, in composites.", ge=2, le=KINDS)
    copies: int = parameter(20, "Composites of each object in each scene.", ge=5, le=1000)

    @property
    def taught(self) -> dict[str, Any]:
        """These parameters, for another trial with the same data set and network."""
        return {name: getattr(self, name) for name in Taught.model_fields}

    @property
    def facts(self) -> Facts:
        if self.dataset in COMPOSITES:
            kinds = [self.kinds, self.kinds] if not self.folder else [len(one) for one in folders(self.folder)]
            total = kinds[0] * kinds[1] * self.copies
            tested = kinds[0] * kinds[1] * max(1, round(datasets.TESTED * self.copies))
            return Facts(total - tested, tested, self.side or 32, 12)
        return datasets.facts(self.dataset, self.folder, self.pictures, self.side, self.count)

    @property
    def rounds(self) -> int:
        return self.epochs or self.facts.epochs

    def dependencies(self) -> dict[str, Any]:
        if not self.folder:
            return {}
        pasting = {"pasting": PASTING} if self.dataset in COMPOSITES else {}
        return {"folder": self.folder_digest, **pasting}

    @property
    def folder_digest(self) -> str:
        """SHA-256 of all that the trial depends on in the user's folder; nothing where there is none."""
        if not self.folder:
            return ""
        parts = ("objects", "scenes") if self.dataset in COMPOSITES else ("",)
        return digest_of(*(datasets.folder_digest(str(Path(self.folder) / part)) for part in parts))

    @property
    def composites(self) -> Composites:
        """Objects in scenes, the user's where there is a folder."""
        side = self.facts.side
        if self.folder:
            return pasted(self.folder, self.folder_digest, self.copies, side)
        return drawn(self.kinds, self.copies, side)

    @property
    def training_cost(self) -> Cost:
        """Passes of one training, and of looking at all pictures with its result."""
        facts = self.facts
        learnt = facts.trained * self.rounds
        return Cost(learnt + facts.trained + facts.tested, learnt)

    def course(self, lab: Lab) -> Course:
        """The pictures on the lab's device."""
        if self.dataset in COMPOSITES:
            found = self.composites.labelled(self.dataset)
        else:
            found = datasets.load(self.dataset, self.folder, self.pictures, self.side, lab.data)
        return Course(lab, found, networks.resolved(self.network, found.side), self.rounds, self.facts.flips)


@dataclass(eq=False)
class Course:
    """Labelled pictures on a device, and a network's way through them."""

    lab: Lab
    data: Labelled
    network: str
    rounds: int
    flips: bool

    def __post_init__(self) -> None:
        import torch

        self.mean, self.std = self.data.moments()
        device = self.lab.device
        self._frames = torch.as_tensor(np.ascontiguousarray(self.data.frames.transpose(0, 3, 1, 2)), device=device)
        self._mean, self._std = (
            torch.as_tensor(values, dtype=torch.float32, device=device).view(3, 1, 1)
            for values in (self.mean, self.std)
        )

    @property
    def card(self) -> Card:
        return networks.card(self.network, self.data.side, self.data.classes, self.mean, self.std)

    def build(self) -> nn.Module:
        return networks.build(self.network, self.data.side, len(self.data.classes))

    def inputs(self, places: npt.NDArray[np.int64], removed: Bools | None = None) -> torch.Tensor:
        """Normalised pictures (n, 3, H, W); `removed` pixels, bool (N, H, W), show the mean colour of the data set."""
        import torch

        chosen = torch.as_tensor(places, device=self.lab.device)
        x = self._normalised(self._frames[chosen])
        if removed is not None:
            x = x.masked_fill(torch.as_tensor(removed[places], device=self.lab.device)[:, None], 0.0)
        return x

    def _normalised(self, frames: torch.Tensor) -> torch.Tensor:
        return (frames.float() / 255 - self._mean) / self._std

    def normalised(self, frames: Pixels) -> torch.Tensor:
        """Other pictures, uint8 (n, H, W, 3), as the network sees them, float32 (n, 3, H, W)."""
        import torch

        return self._normalised(torch.as_tensor(np.array(frames), device=self.lab.device).movedim(-1, 1))

    def pixels(self, x: torch.Tensor) -> Pixels:
        """What the network sees, (n, 3, H, W), as pictures uint8 (n, H, W, 3)."""
        values = ((x * self._std + self._mean) * 255).round().clamp(0, 255)
        return values.movedim(1, -1).cpu().numpy().astype(np.uint8)

    def trained(self, removed: Bools | None = None, labels: Labels | None = None) -> nn.Module:
        """A network that has learnt the pictures for training from scratch; `labels` (N,) take the place of theirs.

        SGD with Nesterov's momentum, label smoothing and a rate that falls to nothing along a cosine; the lab's seed
        decides on first weights, order and mirroring.
        """
        import torch

        wanted = self.data.labels if labels is None else labels
        targets = torch.as_tensor(wanted, device=self.lab.device)
        places = np.flatnonzero(~self.data.tested)
        size = min(256 if self.network == "resnet18" else 64, len(places))
        rate = 0.7 * size / 256 if self.network == "resnet18" else 0.05
        with self.lab.seeded("network"):
            network = self.build().to(self.lab.device).train()
        steps = -(-len(places) // size) * self.rounds
        optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4, nesterov=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
        for epoch in range(self.rounds):
            random = generator(self.lab.seed, "order", epoch)
            order = random.permutation(places)
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                x = self.inputs(chosen, removed)
                if self.flips:
                    mirrored = torch.as_tensor(random.random(len(chosen)) < 0.5, device=x.device)
                    x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
                found = network(x)
                loss = torch.nn.functional.cross_entropy(
                    found, targets[torch.as_tensor(chosen, device=x.device)], label_smoothing=0.1
                )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                self.lab.took(Cost(len(chosen), len(chosen)))
        return network.eval()

    def classes(self, network: nn.Module, removed: Bools | None = None) -> Labels:
        """The class of every picture, int64 (N,), in the eyes of a network."""
        import torch

        found = []
        with torch.inference_mode():
            for start in range(0, len(self.data.labels), EVALUATED):
                places = np.arange(start, min(start + EVALUATED, len(self.data.labels)))
                found.append(network(self.inputs(places, removed)).argmax(1).cpu().numpy())
                self.lab.took(Cost(len(places)))
        return np.concatenate(found)

    def accuracies(self, found: Labels, labels: Labels | None = None) -> dict[str, float]:
        """The part of the test pictures, and of those for training, whose class was found."""
        right = found == (self.data.labels if labels is None else labels)
        tested = self.data.tested
        return {"accuracy": float(right[tested].mean()), "trained_accuracy": float(right[~tested].mean())}

    def network_of(self, details: Mapping[str, npt.NDArray[Any]]) -> nn.Module:
        """The network of a result of `Training`, on the CPU."""
        return networks.with_weights(self.build(), details)

    def restored(self, details: Mapping[str, npt.NDArray[Any]]) -> Classifier:
        """The same, made explainable."""
        return self.lab.classifier(self.network_of(details), self.card)


ACCURACIES = {
    "accuracy": Value("Accuracy", "higher", 0, 1, help="Part of the test pictures that are recognised.", headline=True),
    "trained_accuracy": Value("Accuracy in training", "higher", 0, 1, help="The same for the pictures it learnt from."),
}


@TRIALS.register(
    "training",
    title="training of a network",
    summary="Trains a network on labelled pictures from scratch. Its weights are kept for what goes on from it.",
    values=ACCURACIES,
)
class Training(Taught):
    """A network trained on a data set; with permuted labels every picture for training has the class of another one."""

    labels: Literal["true", "permuted"] = parameter("true", "Whose class a picture for training has.")

    def cost(self) -> Cost:
        return self.training_cost

    def run(self, lab: Lab) -> Measured:
        course = self.course(lab)
        labels = course.data.labels
        if self.labels == "permuted":
            labels = permuted(labels, course.data.tested, lab.seed)
        network = course.trained(labels=labels)
        found = course.classes(network)
        return Measured(course.accuracies(found, labels), details={"found": found, **networks.weights_of(network)})


def permuted(labels: Labels, tested: Bools, seed: int) -> Labels:
    """The labels, with those of the pictures for training in another order among themselves."""
    places = np.flatnonzero(~tested)
    mixed = labels.copy()
    mixed[places] = labels[generator(seed, "labels").permutation(places)]
    return mixed


def training_of(trial: Taught, seed: int, **changes: Any) -> Earlier:
    """The training that a trial with the same data set and network goes on from."""
    return Earlier("training", Training(**trial.taught, **changes), seed)
