"""Masks as PNG files: black and white, or with a number for each object."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ...images.decoding import decoded, opened
from ...types import Bools
from ..reading import bright


def written(mask: Bools) -> bytes:
    """A grey PNG file of bool (H, W): 255 on the mask and 0 elsewhere."""
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def read(data: bytes, name: str, index: int | None = None) -> Bools:
    """The mask bool (H, W) of a PNG file, which may be empty; with `index` the pixels of this value alone.

    In a palette of more than black and white, and in grey without anything brighter than half, values number objects:
    all but 0 count. Else bright pixels do, or opaque ones, as for `open_mask`. Raises `XaiError` as that does.
    """
    image, name = opened(data, name)
    return decoded(image, name, lambda upright: _objects(upright, index))


def _objects(image: Image.Image, index: int | None) -> Bools:
    one_number = image.mode in ("P", "L", "1", "I") or image.mode.startswith("I;16")
    if not one_number:
        return bright(image) if index is None else np.asarray(image.convert("L")) == index
    values = np.asarray(image)
    if index is not None:
        return np.asarray(values == index)
    if image.mode == "P":
        return np.asarray(values != 0) if _coloured(image) else bright(image)
    half = 127 if image.mode == "L" else 0 if image.mode == "1" else 32767
    return np.asarray(values != 0) if values.max() <= half else bright(image)


def _coloured(image: Image.Image) -> bool:
    """Whether a palette has other colours than black and white among those in use."""
    used = image.convert("RGB").getcolors(maxcolors=2)
    return used is None or not {colour for _, colour in used} <= {(0, 0, 0), (255, 255, 255)}
