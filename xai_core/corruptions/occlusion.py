"""A part of the picture is covered."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from ..registry import CORRUPTIONS, parameter
from ..types import Pixels
from .chain import Corrupted, Corruption
from .filling import FILLS, Fill, filled


@CORRUPTIONS.register(
    "occlusion",
    title="Occlusion",
    summary="Covers one or several rectangles, placed at random. It stands for an object in the way.",
    family="quality",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): 10, 30 and 50 % of the area",),
    primary="area",
    neutral=0.0,
    severities=(0.1, 0.3, 0.5),
)
class Occlusion(Corruption):
    """Rectangles with the picture's proportions, uniformly placed, that share `area` of its pixels; spec C-02.

    With `measure=side_fraction`, as in S0's notebook, `area` is the part of each side, rounded down, and no rectangle
    touches the lower or the right border.
    """

    area: float = parameter(0.3, "Covered part of the area.", unit="fraction", ge=0, le=1, step=0.01)
    patches: int = parameter(1, "Rectangles that share the area; they may overlap, and then cover less.", ge=1, le=64)
    fill: Fill = parameter("black", FILLS)
    measure: Literal["area", "side_fraction"] = parameter(
        "area", "Whether the value is a part of the area, or of each side as in S0's notebook."
    )

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        height, width = pixels.shape[:2]
        by_area = self.measure == "area"
        shrunk = math.sqrt((self.area if by_area else self.area**2) / self.patches)
        tall, wide = (round(shrunk * side) if by_area else int(shrunk * side) for side in (height, width))
        covered = np.zeros((height, width), dtype=bool)
        for _ in range(self.patches):
            top, left = (
                int(random.integers(0, max(side - size + by_area, 1))) for side, size in ((height, tall), (width, wide))
            )
            covered[top : top + tall, left : left + wide] = True
        return Corrupted(filled(pixels, covered, self.fill, random), covered)
