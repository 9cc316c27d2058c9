"""Single pixels are lost."""

from __future__ import annotations

import numpy as np

from ..registry import CORRUPTIONS, parameter
from ..types import Pixels
from .chain import Corrupted, Corruption
from .filling import FILLS, Fill, filled


@CORRUPTIONS.register(
    "pixel_dropping",
    title="Pixel dropping",
    summary="Covers every pixel with the same probability, independently of the others. It is how S4 samples pictures "
    "around a picture.",
    family="quality",
    cites=("Luo et al. (S4): feature suppression",),
    primary="probability",
    neutral=0.0,
    severities=(0.1, 0.3, 0.5),
)
class PixelDropping(Corruption):
    """A pixel that is dropped with one probability is dropped with every greater one too."""

    probability: float = parameter(0.3, "How likely a pixel is dropped.", unit="probability", ge=0, le=1, step=0.01)
    fill: Fill = parameter("black", FILLS)

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        dropped = random.random(pixels.shape[:2]) < self.probability
        return Corrupted(filled(pixels, dropped, self.fill, random), dropped)
