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


def open_picture(source: str | Path | bytes | Image.Image, name: str | None = None) -> Picture:
    """Decodes a picture from a path, the bytes of a file, or a PIL image.

    The result is upright 8-bit RGB: EXIF rotation is applied, grey, palette, 16-bit, CMYK and float pictures are
    converted, transparency is laid over white, and of an animation the first frame is taken.

    Raises `XaiError` with one sentence when the file is missing, empty, too large, damaged or no picture.
    """
    image, name = opened(source, name)
    return Picture(decoded(image, name, lambda upright: np.asarray(as_rgb(upright), dtype=np.uint8)), name=name)


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
        raise XaiError(f"{name} is not a picture that can be read; choose a {FORMAT_WORDS} file.") from None


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
