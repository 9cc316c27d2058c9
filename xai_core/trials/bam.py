"""BAM (Yang and Kim 2019): what a map says of an object that one network needs and another one does not.

Three networks are trained on the same composites: one on the objects, one on the scenes, and one on scenes alone. What
a map gives to an object is its mean over the object, of positive values clipped at their 99th percentile and scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ..registry import METHODS, TRIALS, Value, parameter
from ..scores.similarity import scaled
from ..seeds import generator
from ..types import Bools, Cost, Floats, Measured, Pixels
from .base import Earlier, Lab, TrialMethod
from .composites import KINDS
from .datasets import Labels
from .training import Course, Training

if TYPE_CHECKING:
    import torch

    from ..classifiers.evaluator import Classifier

Doubles = npt.NDArray[np.float64]
TOLERANCE = 0.1
"""The part of its value by which a patch that does nothing may move what a map gives to it."""
STEPS, LOUDNESS = 100, 0.05
"""Steps in which a patch is found, and how much a large one is worth, in logits per unit of normalised colour."""
WRONG = "a network does not recognise this picture"


def given_to(maps: npt.NDArray[np.floating], masks: Bools) -> Doubles:
    """What maps (N, H, W) give to the objects in bool (N, H, W): numbers (N,) from 0 to 1; a flat map gives nothing."""
    found = []
    for values, mask in zip(maps, masks, strict=True):
        positive = np.maximum(np.asarray(values, dtype=np.float64), 0)
        found.append(float(scaled(np.minimum(positive, np.percentile(positive, 99)))[mask].mean()))
    return np.asarray(found)


def contrast(objects: Doubles, scenes: Doubles) -> Doubles:
    """What a map gives to the object more for the network that needs it: from -1 to 1; their mean is the MCS."""
    return objects - scenes


def dependence(without: Doubles, within: Doubles) -> Doubles:
    """1 where the place of the object gets more without the object, in the eyes of a network that does not need it,
    and 0 elsewhere; their mean is the IDR."""
    return (without > within).astype(np.float64)


def independence(plain: Doubles, patched: Doubles) -> Doubles:
    """1 where a patch that does nothing moves what its place gets by no more than a tenth; their mean is the IIR."""
    return (np.abs(plain - patched) <= TOLERANCE * plain).astype(np.float64)


class Pasted(TrialMethod):
    """Base of what looks at composites with the three networks."""

    folder: str = parameter("", "A folder with objects and scenes.")
    kinds: int = parameter(KINDS, "Kinds of objects, and of scenes.", ge=2, le=KINDS)
    copies: int = parameter(20, "Composites of each object in each scene.", ge=5, le=1000)
    side: int = parameter(0, "Pixels a side; 0 for 32.", ge=0, le=512)
    epochs: int = parameter(0, "How often every picture is learnt from; 0 for what fits.", ge=0, le=1000)
    explained: int = parameter(50, "Pictures that are explained, of those for testing.", ge=1, le=10_000)

    @property
    def pasted(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Pasted.model_fields}

    def training(self, what: Any) -> Training:
        """The training of one of the networks: on "objects", on "scenes" or on "empty" scenes."""
        return Training(dataset=what, **{name: value for name, value in self.pasted.items() if name != "explained"})

    def trained(self, what: str, seed: int) -> Earlier:
        return Earlier("training", self.training(what), seed)

    @property
    def count(self) -> int:
        return min(self.explained, self.training("objects").facts.tested)

    def dependencies(self) -> dict[str, Any]:
        return self.training("objects").dependencies()

    def places(self, lab: Lab) -> npt.NDArray[np.int64]:
        """Which composites are explained."""
        tested = np.flatnonzero(self.training("objects").composites.tested)
        return np.sort(generator(lab.seed, "explained").permutation(tested)[: self.explained])

    def course(self, lab: Lab, what: str) -> Course:
        return self.training(what).course(lab)


@TRIALS.register(
    "patches",
    title="patches that do nothing",
    summary="Changes the place of an object in scenes without one so that it shows and the network's logits stay.",
    version=2,
)
class Patches(Pasted):
    """uint8 (N, side, side, 3) as its detail, of the network that knows scenes alone; it begins with the object."""

    def earlier(self, seed: int) -> tuple[Earlier, ...]:
        return (self.trained("empty", seed),)

    def cost(self) -> Cost:
        return Cost(self.count * (STEPS + 1), self.count * STEPS)

    def run(self, lab: Lab) -> Measured:
        found, places = self.training("empty").composites, self.places(lab)
        course = self.course(lab, "empty")
        classifier = course.restored(lab.result(self.trained("empty", lab.seed)).details)
        frames, masks, empty = found.frames[places], found.masks[places], found.empty[places]
        patched = empty.copy()

        def shown(start: int, stop: int) -> torch.Tensor:
            rows = slice(start, stop)
            return patches(lab, course, classifier, empty[rows], frames[rows], masks[rows])

        for rows, x in lab.run(classifier, empty[0]).batches(len(places), shown):
            patched[rows] = np.where(masks[rows][..., None], course.pixels(x), empty[rows])
        return Measured({}, details={"frames": patched})


def patches(
    lab: Lab, course: Course, classifier: Classifier, empty: Pixels, frames: Pixels, masks: Bools
) -> torch.Tensor:
    """Scenes (n, 3, H, W) as the network sees them, changed where bool (n, H, W) says; they begin as `frames`.

    The loss is a sum over pictures and Adam steps value by value, so that it is the same however they are dealt out.
    """
    import torch

    network = classifier.network
    x = course.normalised(empty)
    mask = torch.as_tensor(masks, device=lab.device)[:, None]
    low, high = (course.normalised(np.full((1, 1, 1, 3), value, dtype=np.uint8)) for value in (0, 255))
    size = mask.sum((1, 2, 3)).clamp(min=1).sqrt()
    shown = torch.where(mask, course.normalised(frames), x).requires_grad_()
    optimiser = torch.optim.Adam([shown], lr=0.05)
    with torch.no_grad():
        wanted = network(x)
    for _ in range(STEPS):
        lab.took(Cost())  # the classifier counts; this tells how far it is
        change = torch.where(mask, shown - x, 0.0)
        moved = (network(x + change) - wanted).square().sum(1).add(1e-12).sqrt()
        loudness = change.square().sum((1, 2, 3)).add(1e-12).sqrt() / size
        optimiser.zero_grad(set_to_none=True)
        (moved - LOUDNESS * loudness).sum().backward()
        optimiser.step()
        with torch.no_grad():
            shown.clamp_(low, high)
    return shown.detach()


@TRIALS.register(
    "bam",
    title="attribution of objects",
    summary="Explains composites with a network that was trained on their objects and one that was trained on their "
    "scenes: only the first one needs the object.",
    version=2,
    cites=("Yang and Kim 2019, Benchmarking attribution methods with relative feature importance",),
    values={
        "mcs": Value(
            "Model contrast",
            "higher",
            -1,
            1,
            help="What the map gives to the object more for the network that was trained on objects.",
            headline=True,
        ),
        "idr": Value(
            "Input dependence",
            "higher",
            0,
            1,
            help="Part of the pictures in which the object gets less than the scene that it hides, for the network "
            "that was trained on scenes.",
        ),
        "iir": Value(
            "Input independence",
            "higher",
            0,
            1,
            help="Part of the pictures in which a patch that does nothing to the network gets what the scene got.",
        ),
    },
)
class Bam(Pasted):
    """MCS, IDR and IIR of one method; what each picture adds to them is in the details; spec E-16."""

    method: str = parameter("gradient", "The method.")
    settings: Mapping[str, Any] = Field(default_factory=dict, description="The method's parameters.")

    def dependencies(self) -> dict[str, Any]:
        spec = METHODS[self.method]
        own = {"version": spec.version, "depends": spec.make(self.settings).dependencies()}
        return {**super().dependencies(), "method": own}

    def earlier(self, seed: int) -> tuple[Earlier, ...]:
        networks = [self.trained(what, seed) for what in ("objects", "scenes", "empty")]
        return (*networks, Earlier("patches", Patches(**self.pasted), seed))

    def cost(self) -> Cost:
        each = METHODS[self.method].make(self.settings).cost()
        return Cost(5 * self.count * each.forward, 5 * self.count * each.backward)

    def run(self, lab: Lab) -> Measured:
        found, places = self.training("objects").composites, self.places(lab)
        frames, empty, masks = found.frames[places], found.empty[places], found.masks[places]
        patched = lab.result(self.earlier(lab.seed)[-1]).details["frames"]
        objects, scenes = found.objects[places], found.scenes[places]
        of_objects, knows = self._given(lab, "objects", [frames], objects, masks)
        of_scenes, sees = self._given(lab, "scenes", [frames, empty], scenes, masks)
        of_empty, holds = self._given(lab, "empty", [empty, patched], scenes, masks)
        parts = {
            "mcs": np.where(knows[0] & sees[0], contrast(of_objects[0], of_scenes[0]), np.nan),
            "idr": np.where(sees[0] & sees[1], dependence(of_scenes[1], of_scenes[0]), np.nan),
            "iir": np.where(holds[0] & holds[1], independence(of_empty[0], of_empty[1]), np.nan),
        }
        means = {name: float(np.nanmean(one)) if np.isfinite(one).any() else np.nan for name, one in parts.items()}
        reasons = {name: WRONG for name, mean in means.items() if np.isnan(mean)}
        return Measured(means, reasons, details={**parts, "places": places})

    def _given(
        self, lab: Lab, what: str, seen: list[Pixels], labels: Labels, masks: Bools
    ) -> tuple[list[Doubles], list[Bools]]:
        """What the maps of one network give to the objects' places, and which pictures it recognises."""
        course = self.course(lab, what)
        classifier = course.restored(lab.result(self.trained(what, lab.seed)).details)
        parameters = METHODS[self.method].make(self.settings)
        given, right = [], []
        for frames in seen:
            maps: Floats = lab.explain(classifier, frames, labels, self.method, parameters)
            given.append(given_to(maps, masks))
            right.append(_classes(lab, course, classifier, frames) == labels)
        return given, right


def _classes(lab: Lab, course: Course, classifier: Classifier, frames: Pixels) -> Labels:
    """The classes int64 (n,) that a network sees in pictures uint8 (n, H, W, 3)."""
    logits = lab.run(classifier, frames[0]).logits(
        len(frames), lambda start, stop: course.normalised(frames[start:stop])
    )
    return np.concatenate([values.argmax(1).cpu().numpy() for _, values in logits])
