"""A region that somebody has chosen is covered: what a map ranks highest or lowest, or an object.

It is no entry of the registry, because it takes an array: whoever has the map or the mask makes the step. The region's
digest is part of the key of what is computed from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..registry import parameter
from ..types import Bools, Pixels, XaiError, array_digest
from .chain import Corrupted, Corruption, Step
from .filling import FILLS, Fill, filled

NAME, VERSION = "region", 1


class Region(Corruption):
    """Covers the pixels of a bool (H, W) region, which must have the frame's size."""

    height: int
    width: int
    packed: bytes
    """The region's bits, row by row."""
    fill: Fill = parameter("black", FILLS)

    @property
    def covered(self) -> Bools:
        """The region, bool (H, W)."""
        bits = np.unpackbits(np.frombuffer(self.packed, dtype=np.uint8), count=self.height * self.width)
        return cast(Bools, bits.reshape(self.height, self.width).astype(bool))

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        if pixels.shape[:2] != (self.height, self.width):
            frame = "{} x {}".format(*pixels.shape[:2])
            raise XaiError(f"The region is {self.height} x {self.width} pixels and the frame {frame}: make it anew.")
        return Corrupted(filled(pixels, self.covered, self.fill, random), self.covered)


@dataclass(frozen=True)
class RegionStep(Step):
    """A step that covers a `Region`; its value is the covered part of the area."""

    @property
    def value(self) -> float:
        return float(cast(Region, self.corruption).covered.mean())

    @property
    def text(self) -> str:
        """A name that tells regions apart; it cannot be read back."""
        return f"{NAME}={self.describe()['parameters']['region'][:16]}"

    @property
    def label(self) -> str:
        return f"{NAME}={self.value:.3g}"

    @property
    def is_neutral(self) -> bool:
        return self.value == 0

    @property
    def moves_pixels(self) -> bool:
        return False

    def describe(self) -> dict[str, Any]:
        region = cast(Region, self.corruption)
        parameters = {"region": array_digest(region.covered), "fill": region.fill}
        return {"name": NAME, "version": VERSION, "parameters": parameters, "occurrence": self.occurrence}


def cover(region: Bools, fill: Fill = "black") -> RegionStep:
    """The step that covers a bool (H, W) `region` of the model's input frame."""
    height, width = region.shape
    packed = np.packbits(np.asarray(region, dtype=bool)).tobytes()
    return RegionStep(NAME, Region(height=height, width=width, packed=packed, fill=fill))


def core(mask: Bools, part: float) -> Bools:
    """The `part` of an object that is farthest from its border, bool (H, W); all of it with 1."""
    from scipy.ndimage import distance_transform_edt

    inside = np.flatnonzero(mask)
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1].ravel()[inside]
    kept = inside[np.argsort(-depth, kind="stable")[: round(part * len(inside))]]
    result = np.zeros(mask.size, dtype=bool)
    result[kept] = True
    return result.reshape(mask.shape)
