"""The light changes."""

from __future__ import annotations

import numpy as np

from ..registry import CORRUPTIONS, parameter
from ..types import Pixels
from .chain import Corrupted, Corruption


@CORRUPTIONS.register(
    "brightness",
    title="Brightness",
    summary="Multiplies every colour value, and cuts off what becomes too bright. Below 1 it stands for little light, "
    "above 1 for too much of it.",
    family="light",
    cites=("Hendrycks and Dietterich 2019, ImageNet-C, has brightness and contrast in five steps",),
    primary="factor",
    neutral=1.0,
    severities=(0.6, 0.4, 0.2),
)
class Brightness(Corruption):
    """clip(round(factor * x), 0, 255)."""

    factor: float = parameter(0.5, "What colour values are multiplied by.", unit="times", ge=0, le=4, step=0.05)

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        return Corrupted(np.clip(np.rint(pixels * self.factor), 0, 255).astype(np.uint8))


@CORRUPTIONS.register(
    "contrast",
    title="Contrast",
    summary="Brings every colour value nearer to the picture's mean colour, or takes it away from it. Below 1 it "
    "stands for haze, above 1 for hard light.",
    family="light",
    cites=("Hendrycks and Dietterich 2019, ImageNet-C, has brightness and contrast in five steps",),
    primary="factor",
    neutral=1.0,
    severities=(0.6, 0.4, 0.2),
)
class Contrast(Corruption):
    """clip(round(mean + factor * (x - mean)), 0, 255), the mean per channel."""

    factor: float = parameter(
        0.5, "What the distance to the mean is multiplied by.", unit="times", ge=0, le=4, step=0.05
    )

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        mean = pixels.mean(axis=(0, 1))
        return Corrupted(np.clip(np.rint(mean + self.factor * (pixels - mean)), 0, 255).astype(np.uint8))
