"""Masks over their picture: each as an outline in its own colour, or as a filled area."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..types import Bools, Floats, Pixels
from .charts import CATEGORICAL

SIDE = 1200
"""Pixels that the longer side is shown with at most."""
ENLARGED = 3
"""How many times larger a small picture is shown at most, so that outlines are thin."""


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each name, as #rrggbb; they repeat after the eighth."""
    return {name: CATEGORICAL[at % len(CATEGORICAL)] for at, name in enumerate(names)}


def shown_size(size: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """Height and width that a picture is shown with, its longer side `side` at most."""
    scale = min(float(ENLARGED), side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shown_picture(pixels: Pixels, side: int = SIDE) -> Pixels:
    """The picture uint8 (H, W, 3) as it is shown, each pixel the mean of those that it stands for."""
    return np.asarray(_resized(pixels, side), dtype=np.uint8)


def shown_values(values: Floats, side: int = SIDE) -> Floats:
    """A map float32 (H, W) at the size of its picture as it is shown."""
    return np.asarray(_resized(values, side), dtype=np.float32)


def _resized(values: Pixels | Floats, side: int) -> Pixels | Floats:
    import cv2

    height, width = shown_size(values.shape[:2], side)
    way = cv2.INTER_AREA if height < values.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (width, height), interpolation=way))


def shown_mask(mask: Bools, side: int = SIDE) -> Bools:
    """A mask bool (H, W) at the size of its picture as it is shown: what is half covered stays."""
    return np.asarray(shown_values(mask.astype(np.float32), side) >= 0.5)


def outlined(pixels: Pixels, masks: Mapping[str, Bools], colour: Mapping[str, str], side: int = SIDE) -> Pixels:
    """The picture with the outline of each mask in its colour, on a dark line so that it shows on any ground.

    `pixels` is uint8 (H, W, 3), the masks bool (H, W); the result is uint8 and `side` pixels long at most.
    """
    import cv2

    shown = shown_picture(pixels, side)
    width = max(2, round(max(shown.shape) / 280))
    lines = {
        name: cv2.findContours(shown_mask(mask, side).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0]
        for name, mask in masks.items()
    }
    for line in lines.values():
        cv2.drawContours(shown, line, -1, (16, 20, 26), width + 2, cv2.LINE_AA)
    for name, line in lines.items():
        cv2.drawContours(shown, line, -1, rgb(colour[name]), width, cv2.LINE_AA)
    return shown


def filled(pixels: Pixels, mask: Bools, colour: str, side: int = SIDE) -> Pixels:
    """The picture, grey and dim where the mask is not, and tinted where it is; uint8, `side` pixels long at most."""
    shown = shown_picture(pixels, side).astype(np.float32)
    inside = shown_mask(mask, side)[..., None]
    grey = shown.mean(axis=-1, keepdims=True) * 0.45
    tinted = shown * 0.6 + np.array(rgb(colour), dtype=np.float32) * 0.4
    return np.asarray(np.where(inside, tinted, grey).round(), dtype=np.uint8)


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of #rrggbb."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
