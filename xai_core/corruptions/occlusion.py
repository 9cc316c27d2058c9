"""A part of the picture is covered."""

from __future__ import annotations

import math

import numpy as np

from ..registry import CORRUPTIONS, parameter
from ..types import Pixels
from .chain import Corrupted, Corruption


@CORRUPTIONS.register(
    "occlusion",
    title="Occlusion",
    summary="Covers one rectangle, placed at random, with black. It stands for an object in the way.",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): 10, 30 and 50 % of the area",),
    primary="area",
    neutral=0.0,
)
class Occlusion(Corruption):
    """A rectangle with the picture's proportions and `area` of its pixels, uniformly placed; spec C-02."""

    area: float = parameter(0.3, "Covered part of the area.", unit="fraction", ge=0, le=1, step=0.01)

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        height, width = pixels.shape[:2]
        side = math.sqrt(self.area)
        tall, wide = round(side * height), round(side * width)
        top, left = int(random.integers(0, height - tall + 1)), int(random.integers(0, width - wide + 1))
        covered = np.zeros((height, width), dtype=bool)
        covered[top : top + tall, left : left + wide] = True
        return Corrupted(np.where(covered[..., None], np.uint8(0), pixels), covered)
