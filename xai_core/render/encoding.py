"""Pictures as data URIs, small enough to travel with every update of a page."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..images.decoding import open_thumbnail
from ..types import Pixels


def data_uri(data: bytes, mime: str) -> str:
    """Bytes as a data URI."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def photo_uri(pixels: Pixels, quality: int = 90) -> str:
    """A picture as WebP."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=2)
    return data_uri(buffer.getvalue(), "image/webp")


def indices_uri(indices: npt.NDArray[np.uint8]) -> str:
    """A map's colour indices, uint8 (H, W), as a lossless grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(indices).save(buffer, "PNG", compress_level=4)
    return data_uri(buffer.getvalue(), "image/png")


def table_text(table: Pixels) -> str:
    """A colour table (256, 3) as base64."""
    return base64.b64encode(np.ascontiguousarray(table, dtype=np.uint8).tobytes()).decode()


@lru_cache(maxsize=512)
def thumbnail_uri(path: Path, changed: int, side: int = 72) -> str:
    """A square thumbnail of a picture file, cut from its middle; `changed` is the file's time of change in ns.

    Raises `XaiError` for a file that is too large, damaged or no picture.
    """
    return photo_uri(open_thumbnail(path, side), quality=80)
