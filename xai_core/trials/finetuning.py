"""What becomes of a network's maps when it learns a little more, from pictures that are noisy, brighter or darker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..registry import METHODS, SCORES, TRIALS, Parameters, Value, parameter
from ..scores.information import mutual_information
from ..scores.ranking import rank_correlation
from ..seeds import generator
from ..types import Cost, Floats, Measured
from .base import Earlier, Lab, TrialMethod, depending_on

if TYPE_CHECKING:
    import torch

    from ..classifiers.evaluator import Classifier

EXPLAINED_BY = ("gradient", "smoothgrad", "integrated_gradients", "feature_suppression")
"""The methods whose maps are compared."""
BINS = 64
BATCH = 8
"""Pictures that one step learns from."""
DRAWN = 3
"""Pictures whose maps are kept to be looked at."""


class Labelled(TrialMethod):
    """Base of what looks at labelled pictures with the user's model.

    The data are `frames`, uint8 (P, H, W, 3), `labels`, int (P,), the classes in the model, and `tested`, bool (P,):
    pictures that are not learnt from. The first `explained` of these are explained, each of its own class.
    """

    pictures: int = parameter(2, "Labelled pictures.", unit="pictures", ge=1, step=1)
    explained: int = parameter(1, "Pictures that are explained.", unit="pictures", ge=0, le=50, step=1)
    samples: int = parameter(50, "Samples of the methods that sample.", unit="samples", ge=1, le=1000, step=1)

    def cost(self) -> Cost:
        each = sum((parameters.cost() for parameters in self.methods.values()), Cost())
        return Cost(self.pictures + self.explained * each.forward, self.explained * each.backward)

    @property
    def methods(self) -> dict[str, Parameters]:
        """How each of `EXPLAINED_BY` explains."""
        chosen = {"smoothgrad": "samples", "integrated_gradients": "steps", "feature_suppression": "samples"}
        given = {name: {chosen[name]: self.samples} if name in chosen else {} for name in EXPLAINED_BY}
        return {name: METHODS[name].make(values) for name, values in given.items()}

    def dependencies(self) -> dict[str, Any]:
        return {"methods": depending_on(self.methods)}

    def shown(self, lab: Lab) -> npt.NDArray[np.int64]:
        """The places of the pictures that are explained."""
        return np.flatnonzero(lab.data["tested"])[: self.explained]

    def looked_at(self, lab: Lab, model: Classifier) -> dict[str, npt.NDArray[Any]]:
        """`classes`, int (P,), that the model sees, and `maps`, float32 (methods, pictures explained, H, W)."""
        frames, labels, shown = lab.data["frames"], lab.data["labels"], self.shown(lab)
        run = lab.run(model, frames[0])
        logits = run.logits(len(frames), lambda start, stop: run.normalise(frames[start:stop] / np.float32(255)))
        classes = np.concatenate([rows.argmax(1).cpu().numpy() for _, rows in logits])
        maps = [lab.explain(model, frames[shown], labels[shown], name, made) for name, made in self.methods.items()]
        return {"classes": classes, "maps": np.stack(maps)}


@TRIALS.register(
    "labelled_maps",
    title="Maps of labelled pictures",
    summary="Explains labelled pictures by the model as it is. Maps after more learning are held against these.",
    values={},
)
class LabelledMaps(Labelled):
    """Classes and maps of the untouched model, as details."""

    def run(self, lab: Lab) -> Measured:
        return Measured({}, details=self.looked_at(lab, lab.model()))


@TRIALS.register(
    "fine_tuning",
    title="Fine-tuning",
    summary="Lets a copy of the model learn a little more, from pictures with noise or another light, and compares the "
    "maps before and after. Without either it tells what learning more does by itself.",
    family="sampling",
    cites=("Luo, McDermott, O'Riordan, Sampling matters in explanations (S4)",),
    version=2,
    values={
        f"{part}_{when}": Value(f"{title}, {when}", "higher", 0, 1)
        for part, title in (("accuracy", "Accuracy"), ("trained_accuracy", "Accuracy in training"))
        for when in ("before", "after")
    },
)
class FineTuning(Labelled):
    """Accuracy, and for every method and picture (methods, pictures explained) the mutual information of picture and
    map `nats_before` and `nats_after`, and the rank correlation of the two maps, `similarity`, as details. Of the first
    `DRAWN` pictures explained there are the `frames`, uint8 (D, H, W, 3), and the maps themselves, `maps_before` and
    `maps_after`, float32 (methods, D, H, W).

    The network stays in evaluation mode: the statistics of its batch norms are not learnt from so few pictures.
    """

    augmentation: Literal["none", "noise", "luminance"] = parameter("none", "What is done to pictures to learn from.")
    noise_level: float = parameter(0.15, "Noise.", unit="of the picture's range", ge=0, le=1, step=0.01)
    luminance: float = parameter(0.5, "Brightness is multiplied by 1 less to 1 plus this.", ge=0, le=1, step=0.05)
    layers: Literal["last", "all"] = parameter("last", "What learns: the logits and the last block, or all.")
    epochs: int = parameter(3, "How often every picture is learnt from.", unit="epochs", ge=1, le=100, step=1)
    rate: float = parameter(0.001, "Learning rate of SGD with momentum 0.9.", ge=0, le=1)

    @property
    def untouched(self) -> LabelledMaps:
        return LabelledMaps(**{name: getattr(self, name) for name in Labelled.model_fields})

    def dependencies(self) -> dict[str, Any]:
        return {**super().dependencies(), "mutual_information": SCORES["mutual_information"].version}

    def earlier(self, seed: int) -> tuple[Earlier, ...]:
        return (Earlier("labelled_maps", self.untouched, seed),)

    def cost(self) -> Cost:
        learnt = self.epochs * ((self.pictures + 1) // 2)
        return super().cost() + Cost(learnt, learnt)

    def run(self, lab: Lab) -> Measured:
        before = lab.result(self.earlier(lab.seed)[0]).details
        after = self.looked_at(lab, self.tuned(lab))
        tested = lab.data["tested"]
        values = {}
        for when, found in (("before", before), ("after", after)):
            right = found["classes"] == lab.data["labels"]
            for part, chosen in (("accuracy", tested), ("trained_accuracy", ~tested)):
                values[f"{part}_{when}"] = float(right[chosen].mean()) if chosen.any() else float("nan")
        frames = lab.data["frames"][self.shown(lab)]
        grey = frames.mean(axis=3)
        details = {
            "nats_before": nats(grey, before["maps"]),
            "nats_after": nats(grey, after["maps"]),
            "similarity": similarities(before["maps"], after["maps"]),
            "frames": frames[:DRAWN],
            "maps_before": before["maps"][:, :DRAWN],
            "maps_after": after["maps"][:, :DRAWN],
        }
        reasons = {part: "there is no such picture" for part, value in values.items() if np.isnan(value)}
        return Measured(values, reasons, details=details)

    def tuned(self, lab: Lab) -> Classifier:
        """A copy of the model that has learnt."""
        import torch

        from ..classifiers.randomising import blocks

        network = lab.copy()
        if self.layers == "last":
            network.requires_grad_(False)
            last = blocks(network, lab.card.layers)[: 2 if len(lab.card.layers) > 1 else 1]
            for path in (path for block in last for path in block):
                network.get_submodule(path).requires_grad_(True)
        learning = [values for values in network.parameters() if values.requires_grad]
        optimiser = torch.optim.SGD(learning, lr=self.rate, momentum=0.9)
        normalise = lab.model().normalise
        labels = torch.as_tensor(lab.data["labels"], device=lab.device)
        places = np.flatnonzero(~lab.data["tested"])
        for epoch in range(self.epochs):
            random = generator(lab.seed, "fine-tuning", epoch)
            order = random.permutation(places)
            for start in range(0, len(order), BATCH):
                chosen = order[start : start + BATCH]
                x = self.augmented(normalise, lab.data["frames"][chosen], random)
                loss = torch.nn.functional.cross_entropy(network(x), labels[torch.as_tensor(chosen, device=x.device)])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                lab.took(Cost(len(chosen), len(chosen)))
        return lab.classifier(network, lab.card)

    def augmented(self, normalise: Any, frames: npt.NDArray[np.uint8], random: np.random.Generator) -> torch.Tensor:
        """The normalised pictures (n, 3, H, W), changed anew at every call."""
        import torch

        pixels = frames / np.float32(255)
        if self.augmentation == "luminance":
            factors = 1 + self.luminance * (2 * random.random((len(frames), 1, 1, 1), dtype=np.float32) - 1)
            pixels = (pixels * factors).clip(0, 1)
        x: torch.Tensor = normalise(torch.as_tensor(pixels))
        if self.augmentation == "noise":
            width = self.noise_level * (x.amax((1, 2, 3), keepdim=True) - x.amin((1, 2, 3), keepdim=True))
            drawn = random.standard_normal(tuple(x.shape), dtype=np.float32)
            x = x + torch.as_tensor(drawn, device=x.device) * width
        return x


def nats(grey: npt.NDArray[np.floating], maps: Floats) -> npt.NDArray[np.float64]:
    """Mutual information of pictures (E, H, W) and their maps (methods, E, H, W), as (methods, E)."""
    return np.array([[mutual_information(*pair, BINS) for pair in zip(grey, of_one, strict=True)] for of_one in maps])


def similarities(before: Floats, after: Floats) -> npt.NDArray[np.float64]:
    """Spearman's correlation of maps (methods, E, H, W) before and after, as (methods, E)."""
    both = zip(before, after, strict=True)
    return np.array([[rank_correlation(*pair) for pair in zip(*of_one, strict=True)] for of_one in both])
