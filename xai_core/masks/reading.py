"""Masks from picture files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..images.decoding import as_rgb, decoded, opened
from ..types import Bools, Mask, XaiError


def open_mask(source: str | Path | bytes | Image.Image, name: str | None = None) -> Mask:
    """Reads a mask: pixels brighter than half are the object; bool (H, W) at the file's own resolution.

    A file whose transparency differs between pixels is read by its transparency instead, and a wholly transparent
    one is empty. Raises `XaiError` as `open_picture` does, and when a mask is empty.
    """
    image, name = opened(source, name)
    values = decoded(image, name, bright)
    if not values.any():
        raise XaiError(f"The mask {name} is empty: paint the object white on black and try again.")
    return Mask(values, name=name)


def bright(image: Image.Image) -> Bools:
    """The pixels brighter than half, bool (H, W), or the opaque ones where transparency differs between pixels."""
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if alpha.min() != alpha.max() or not alpha.any():
            return np.asarray(alpha > 127)
    return np.asarray(as_rgb(image).convert("L")) > 127
