"""Pictures and strokes to draw with."""

from __future__ import annotations

import numpy as np

from xai_core.masks.runs import encoded
from xai_core.masks.strokes import Stroke
from xai_core.types import Picture


def a_picture(number: int = 0, size: tuple[int, int] = (9, 12)) -> Picture:
    """A picture that differs from all others of another number."""
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3)).astype(np.uint8)
    return Picture(pixels, name=f"picture{number}.png", title=f"Picture {number}")


SIZE = a_picture().size


def a_stroke(number: int, seed: int | None = None, tool: str = "brush") -> Stroke:
    """A box with random content, not empty."""
    random = np.random.default_rng(number if seed is None else seed)
    height, width = (int(random.integers(1, side + 1)) for side in SIZE)
    top, left = int(random.integers(0, SIZE[0] - height + 1)), int(random.integers(0, SIZE[1] - width + 1))
    part = random.random((height, width)) < 0.5
    part[0, 0] = True
    return Stroke(number, tool, (top, left, height, width), tuple(encoded(part)))
