"""Colour scales: perceptually uniform, safe for colour-blind eyes, one rule for all maps that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..scores.ranking import average_ranks
from ..types import Floats, Pixels

SEQUENTIAL = ("inferno", "viridis", "cividis", "magma")
"""Colour maps for unsigned maps, the default first; all perceptually uniform."""
DIVERGING = ("RdBu_r", "PuOr_r", "bwr")
"""Colour maps for signed maps, zero in the middle, the default first; bwr is S4's."""

Mode = Literal["value", "rank", "minmax"]
"""How values become colours: by value on the fair scale, by rank (S3), or from least to most in bwr (S4)."""
MODES: dict[Mode, str] = {"value": "Value", "rank": "Rank (S3)", "minmax": "Blue-white-red (S4)"}


@lru_cache(maxsize=16)
def lookup_table(name: str) -> Pixels:
    """A colour map as uint8 (256, 3)."""
    from matplotlib import colormaps

    table = colormaps[name](np.linspace(0, 1, 256))[:, :3]
    result: Pixels = np.rint(table * 255).astype(np.uint8)
    result.setflags(write=False)
    return result


@dataclass(frozen=True)
class Scale:
    """What the ends of the colour bar stand for; `low` is -`high` for signed maps and mostly 0 for others."""

    low: float
    high: float
    unit: Literal["value", "rank"] = "value"


def fair_limit(values: Floats) -> float:
    """The 99th percentile of the absolute value, over which every map is shown; the maximum where that is zero."""
    finite = np.abs(values[np.isfinite(values)])
    if not finite.size:
        return 0.0
    limit = float(np.percentile(finite, 99))
    return limit if limit > 0 else float(finite.max())


def shades(values: Floats, signed: bool, mode: Mode = "value") -> tuple[npt.NDArray[np.uint8], Scale]:
    """A map as uint8 (H, W) indices into a 256-colour table, and the scale they stand for.

    `value`: 0 to the fair limit, or -limit to limit with 0 at the middle for signed maps; beyond is clipped. A map
    that never comes near 0, such as one of mean probabilities, begins at its least value instead.
    `rank`: the share of pixels that are smaller, ties averaged. `minmax`: from the least to the greatest value.
    Not-a-number is shown as the lowest.
    """
    wide = values.astype(np.float64)
    if mode == "rank":
        return _quantised(average_ranks(np.nan_to_num(wide, nan=-np.inf)), 0.0, 1.0), Scale(0.0, 1.0, "rank")
    if mode == "minmax":
        finite = wide[np.isfinite(wide)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        return _quantised(wide, low, high), Scale(low, high)
    limit = fair_limit(values)
    if signed and limit == 0:
        return np.full(values.shape, 128, dtype=np.uint8), Scale(0.0, 0.0)
    low = -limit if signed else _lowest(wide, limit)
    return _quantised(wide, low, limit), Scale(low, limit)


def _lowest(values: npt.NDArray[np.float64], limit: float) -> float:
    """Where the scale of an unsigned map begins."""
    finite = values[np.isfinite(values)]
    least = float(finite.min()) if finite.size else 0.0
    return least if limit / 2 < least < limit else 0.0


def _quantised(values: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.uint8]:
    if high <= low:
        return np.zeros(values.shape, dtype=np.uint8)
    bounded = np.clip(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)
    return np.rint((bounded - low) / (high - low) * 255).astype(np.uint8)


def table_for(signed: bool, mode: Mode, sequential: str, diverging: str) -> Pixels:
    """The colour table that a map is shown in."""
    if mode == "minmax":
        return lookup_table("bwr")
    return lookup_table(diverging if signed and mode == "value" else sequential)


def overlay(frame: Pixels, indices: npt.NDArray[np.uint8], table: Pixels, opacity: float, grey: bool = True) -> Pixels:
    """A picture with a coloured map over it, uint8 (H, W, 3); `grey` takes the picture's own colours away."""
    under = frame.astype(np.float32)
    if grey:
        under = np.repeat((under @ np.asarray([0.299, 0.587, 0.114], dtype=np.float32))[..., None], 3, axis=-1)
    return np.asarray(np.rint(under * (1 - opacity) + table[indices] * np.float32(opacity)), dtype=np.uint8)
