"""Noise on the pixels."""

from __future__ import annotations

import numpy as np

from ..registry import CORRUPTIONS, parameter
from ..types import Pixels
from .chain import Corrupted, Corruption


@CORRUPTIONS.register(
    "gaussian_noise",
    title="Gaussian noise",
    summary="Adds independent normal noise to every colour value. It stands for a bad sensor or little light.",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): sigma 10, 25 and 50",),
    primary="sigma",
    neutral=0.0,
)
class GaussianNoise(Corruption):
    """clip(round(x + N(0, sigma^2)), 0, 255) per channel; spec C-01. Rounded, where S0's notebook truncates."""

    sigma: float = parameter(25.0, "Standard deviation of the noise.", unit="of 255", ge=0, le=100, step=1)

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        noise = random.standard_normal(pixels.shape, dtype=np.float32) * np.float32(self.sigma)
        return Corrupted(np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8))
