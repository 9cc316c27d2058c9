"""Detail is lost."""

from __future__ import annotations

import numpy as np

from ..registry import CORRUPTIONS, parameter
from ..types import Pixels
from .chain import Corrupted, Corruption
from .noise import ROUNDING, Rounding


@CORRUPTIONS.register(
    "resolution",
    title="Low resolution",
    summary="Replaces every square block of pixels by its mean colour. It stands for a small or distant picture.",
    family="quality",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): blocks of 5, 10 and 20 px",),
    primary="block",
    neutral=1.0,
    severities=(5, 10, 20),
)
class Resolution(Corruption):
    """The mean of every block x block square, rounded; blocks at the right and lower edge are cut; spec C-03."""

    block: int = parameter(10, "Side of a block.", unit="px", ge=1, le=64, step=1)
    rounding: Rounding = parameter("nearest", ROUNDING)

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        height, width = pixels.shape[:2]
        rows, columns = np.arange(0, height, self.block), np.arange(0, width, self.block)
        sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.int64), rows, axis=0), columns, axis=1)
        tall, wide = np.diff(np.append(rows, height)), np.diff(np.append(columns, width))
        means = sums / (tall[:, None] * wide[None, :])[..., None]
        whole = (np.rint(means) if self.rounding == "nearest" else means).astype(np.uint8)
        return Corrupted(whole.repeat(tall, axis=0).repeat(wide, axis=1))
