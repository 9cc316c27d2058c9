"""From a file's bytes to a `Picture`, with limits that are checked before any pixel is decoded."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from .. import settings
from ..types import Floats, Picture, Pixels, XaiError

Values = TypeVar("Values", bound=npt.NDArray[Any])

log = logging.getLogger(__name__)

Image.MAX_IMAGE_PIXELS = None  # `opened` has a limit of its own, and Pillow's only warns
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # damaged files get a sentence instead
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
FORMAT_WORDS = "JPEG, PNG, WebP, TIFF, BMP or GIF"
SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"RIFF": "WebP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
}
"""How files of a format begin; two letters, as of BMP, say too little."""
WHITE_IS_ZERO = 0
"""A TIFF's photometric interpretation (tag 262) of negatives, which Pillow leaves as they are at 16 bits."""


def open_picture(source: str | Path | bytes | Image.Image, name: str | None = None) -> Picture:
    """Decodes a picture from a path, the bytes of a file, or a PIL image.

    The result is upright 8-bit RGB: EXIF rotation is applied, grey, palette, 16-bit, CMYK and float pictures are
    converted, transparency is laid over white, and of an animation the first frame is taken.

    Raises `XaiError` with one sentence when the file is missing, empty, too large, damaged or no picture.
    """
    image, name = opened(source, name)
    return Picture(decoded(image, name, lambda upright: np.asarray(as_rgb(upright), dtype=np.uint8)), name=name)


def open_thumbnail(source: str | Path | bytes, side: int) -> Pixels:
    """The middle square of a picture, uint8 (side, side, 3); raises `XaiError` as `open_picture` does."""
    image, name = opened(source)
    image.draft("RGB", (2 * side, 2 * side))  # of a JPEG only as many pixels are decoded as are needed

    def cut(upright: Image.Image) -> Pixels:
        edge = min(upright.size)
        left, top = (upright.width - edge) // 2, (upright.height - edge) // 2
        small = as_rgb(upright).resize((side, side), Image.Resampling.LANCZOS, (left, top, left + edge, top + edge))
        return np.asarray(small, dtype=np.uint8)

    return decoded(image, name, cut)


def opened(source: str | Path | bytes | Image.Image, name: str | None = None) -> tuple[Image.Image, str]:
    """The header of a picture and what to call it; its size is within the limits and no pixel is decoded yet.

    Raises `XaiError` as `open_picture` does.
    """
    if isinstance(source, Image.Image):
        image, name = source, name or Path(getattr(source, "filename", "") or "picture").name
    else:
        data, name = _read(source, name)
        image = _header(data, name)
    limit = settings.current().max_megapixels
    width, height = image.size
    if width * height > limit * 1_000_000:
        raise XaiError(
            f"{name} has {width} x {height} pixels, more than the limit of {limit} megapixels; "
            "make it smaller and try again."
        )
    return image, name


def decoded(image: Image.Image, name: str, convert: Callable[[Image.Image], Values]) -> Values:
    """What `convert` makes of the upright picture; raises `XaiError` when its pixels cannot be decoded."""
    try:
        upright = ImageOps.exif_transpose(image)
        upright.load()
        if image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(262) == WHITE_IS_ZERO:
            upright = Image.fromarray(65535 - np.asarray(upright, dtype=np.uint16))
        return convert(upright)
    except Exception:  # decoders of damaged files raise errors of every kind
        log.debug("cannot decode %s", name, exc_info=True)
        raise XaiError(f"{name} is damaged or cut off; save it again or choose another file.") from None


def _read(source: str | Path | bytes, name: str | None) -> tuple[bytes, str]:
    limit = settings.current().max_upload_mb
    if isinstance(source, bytes):
        data, name = source, name or "The picture"
        size = len(data)
    else:
        path = Path(source)
        name = name or path.name
        try:
            size = path.stat().st_size
            if path.is_dir():
                raise XaiError(f"{path} is a folder; name a picture file in it.")
            data = path.read_bytes() if 0 < size <= limit * settings.MEGABYTE else b""  # a pipe's size is 0
        except OSError as error:
            raise XaiError(f"The picture {path} cannot be read: {error.strerror or error}.") from None
    if size > limit * settings.MEGABYTE:
        raise XaiError(
            f"{name} has {size / settings.MEGABYTE:.1f} MB and the limit is {limit} MB; make it smaller and try again."
        )
    if not size:
        raise XaiError(f"{name} is empty; choose another file.")
    return data, name


def _header(data: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception:  # decoders of damaged files raise errors of every kind
        log.debug("cannot open %s", name, exc_info=True)
    known = next((words for start, words in SIGNATURES.items() if data.startswith(start)), None)
    if known is None or (known == "WebP" and data[8:12] != b"WEBP"):
        raise XaiError(f"{name} is not a picture that can be read; choose a {FORMAT_WORDS} file.")
    raise XaiError(f"{name} is damaged or cut off, or a {known} file of an unusual kind; save it again as PNG or JPEG.")


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB, transparency over white."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(_to_bytes(np.asarray(image, dtype=np.float32), 65535.0)).convert("RGB")
    if image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float32)
        top = float(values.max(initial=0.0, where=np.isfinite(values)))
        white = 1.0 if top <= 1.0 else 255.0 if top <= 255.0 else 65535.0 if top <= 65535.0 else top
        return Image.fromarray(_to_bytes(np.nan_to_num(values, posinf=white, neginf=0.0), white)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _to_bytes(values: Floats, white: float) -> Pixels:
    """0 to `white` as 0 to 255; in place, since a large picture has hundreds of megabytes of floats."""
    scaled = np.clip(values, 0, np.float32(white))
    scaled *= np.float32(255.0 / white)
    np.rint(scaled, out=scaled)
    return scaled.astype(np.uint8)
