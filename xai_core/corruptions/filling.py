"""What stands where a part of the picture is covered."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..types import Bools, Pixels

Fill = Literal["black", "white", "grey", "mean", "noise"]
FILLS = "What stands there: one colour, the picture's mean colour, or random colours."


def filled(pixels: Pixels, covered: Bools, fill: Fill, random: np.random.Generator) -> Pixels:
    """A copy of uint8 (H, W, 3) `pixels` whose bool (H, W) `covered` ones show the fill."""
    result = pixels.copy()
    if fill == "noise":
        result[covered] = random.integers(0, 256, pixels.shape, dtype=np.uint8)[covered]
    elif fill == "mean":
        result[covered] = np.rint(pixels.mean(axis=(0, 1)))
    else:
        result[covered] = {"black": 0, "grey": 128, "white": 255}[fill]
    return result
