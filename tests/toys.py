"""A `Classifier` and a `Run` around any small network, for tests of explainers and scores."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from xai_core.classifiers.cards import Card
from xai_core.classifiers.evaluator import Classifier
from xai_core.engine.run import EngineRun, Watch
from xai_core.images.geometry import Preprocess
from xai_core.types import Cost, Pixels


def classifier(
    network: nn.Module, size: int = 32, classes: int = 3, cam_layer: str = "", digest: str = "toy"
) -> Classifier:
    """The network as a classifier whose normalised input is the pixels in [0, 1] themselves."""
    card = Card(
        name="toy",
        title="Toy",
        architecture="tests.networks:tiny",
        weights="none",
        preprocess=Preprocess(resize=size, crop=size, mean=(0, 0, 0), std=(1, 1, 1)),
        categories=[f"class {index}" for index in range(classes)],
        cam_layer=cam_layer,
    )
    return Classifier(card, network.eval().requires_grad_(False), digest, torch.device("cpu"))


def run(
    model: Classifier,
    frame: Pixels,
    target: int = 0,
    seed: int = 0,
    batch: int = 8,
    background: torch.Tensor | None = None,
    watch: Watch | None = None,
) -> EngineRun:
    """A run on one frame, uint8 (H, W, 3); `background` (N, 3, H, W) is what every background set holds."""

    def pictures(name: str) -> torch.Tensor:
        assert background is not None, f"this test gives no background {name}"
        return background

    return EngineRun(model, frame, target, seed, batch, Cost(), pictures, watch or Watch())


def frame(size: int = 32, seed: int = 0) -> Pixels:
    """Random pixels, uint8 (size, size, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
