"""Trials for tests: one that trains a line through points, and one that goes on from it and explains networks."""

from __future__ import annotations

import time

import numpy as np

from xai_core.classifiers.cards import Card
from xai_core.images.geometry import Preprocess
from xai_core.registry import METHODS, TRIALS, parameter
from xai_core.trials.base import Earlier, Lab, TrialMethod
from xai_core.types import Cost, Measured


@TRIALS.register("fitted", title="fitted line", summary="Fits a line to points.", values={})
class Fitted(TrialMethod):
    """A linear network of 3 x 8 x 8 inputs and 2 classes, trained for `steps`."""

    steps: int = parameter(20, "Steps.", ge=1)
    pause: float = 0.0

    def cost(self) -> Cost:
        return Cost(self.steps, self.steps)

    def run(self, lab: Lab) -> Measured:
        import torch

        with lab.seeded("fit"):
            network = torch.nn.Linear(192, 2)
            x = torch.randn(32, 192) + torch.as_tensor(lab.data["shift"])
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
        labels = (x[:, 0] > 0).long()
        for _ in range(self.steps):
            loss = torch.nn.functional.cross_entropy(network(x), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            time.sleep(self.pause)
            lab.took(Cost(1, 1))
        return Measured({"loss": float(loss.detach())}, details={"weight": network.weight.detach().numpy()})


@TRIALS.register("explained", title="explained line", summary="Explains the line.", values={})
class Explained(TrialMethod):
    """The gradient of class 1 of the fitted network, for two frames; and the user's model's, where there is one."""

    fitted: Fitted = Fitted()

    def earlier(self, seed: int) -> tuple[Earlier, ...]:
        return (Earlier("fitted", self.fitted, seed),)

    def cost(self) -> Cost:
        return Cost(2, 2)

    def run(self, lab: Lab) -> Measured:
        import torch

        found = lab.result(self.earlier(lab.seed)[0])
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2, bias=False))
        network[1].weight = torch.nn.Parameter(torch.as_tensor(found.details["weight"].copy()))
        preprocess = Preprocess(resize=8, crop=8, mean=(0, 0, 0), std=(1, 1, 1))
        card = Card(
            name="line",
            title="Line",
            architecture="tests.networks:tiny",
            weights="none",
            preprocess=preprocess,
            categories=["a", "b"],
            cam_layer="1",
        )
        classifier = lab.classifier(network, card)
        frames = np.arange(2 * 192, dtype=np.uint8).reshape(2, 8, 8, 3)
        maps = lab.explain(classifier, frames, np.array([1, 0]), "gradient", METHODS["gradient"].make())
        random = lab.explain(classifier, frames, np.array([1, 0]), "random", METHODS["random"].make())
        return Measured({"loss": found.values["loss"]}, details={"maps": maps, "random": random})


@TRIALS.register("changed", title="changed model", summary="Changes a copy of the user's model.", values={})
class Changed(TrialMethod):
    """The user's model before and after a copy of it was changed."""

    def cost(self) -> Cost:
        return Cost(1, 0)

    def run(self, lab: Lab) -> Measured:
        import torch

        network = lab.copy()
        with torch.no_grad():
            for values in network.parameters():
                values.mul_(2)
        targets = np.zeros(1, dtype=np.int64)
        before, after = (
            lab.explain(one, lab.frame[None], targets, "gradient", METHODS["gradient"].make())
            for one in (lab.model(), lab.classifier(network, lab.card))
        )
        return Measured({"logits": 1.0}, details={"before": before, "after": after})
