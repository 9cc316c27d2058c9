"""Noise on the pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..registry import CORRUPTIONS, parameter
from ..types import Pixels
from .chain import Corrupted, Corruption

Rounding = Literal["nearest", "truncate"]
ROUNDING = "How values become whole numbers: the nearest one, or cut off as in S0's notebook."


@CORRUPTIONS.register(
    "gaussian_noise",
    title="Gaussian noise",
    summary="Adds independent normal noise to every colour value. It stands for a bad sensor or little light.",
    family="quality",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): sigma 10, 25 and 50",),
    primary="sigma",
    neutral=0.0,
    severities=(10, 25, 50),
)
class GaussianNoise(Corruption):
    """clip(round(x + N(0, sigma^2)), 0, 255) per channel; spec C-01. S0's notebook truncates: 0.5 darker."""

    sigma: float = parameter(25.0, "Standard deviation of the noise.", unit="of 255", ge=0, le=100, step=1)
    rounding: Rounding = parameter("nearest", ROUNDING)

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        noisy = np.clip(
            pixels + random.standard_normal(pixels.shape, dtype=np.float32) * np.float32(self.sigma), 0, 255
        )
        return Corrupted((np.rint(noisy) if self.rounding == "nearest" else noisy).astype(np.uint8))
