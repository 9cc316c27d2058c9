"""The way of a picture, and of its mask, into a model's input frame."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..types import Bools, Pixels

LONGEST_ASPECT = 16
"""Pictures longer than this are cropped in the middle first, so that resizing cannot grow without bound."""


class Preprocess(BaseModel):
    """How a model wants its input: part of a model card, and of every key.

    The shorter side is resized to `resize` pixels (antialiased), the middle `crop` x `crop` pixels are taken, and
    the pixels in [0, 1] are normalised by `mean` and `std` per channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: int = Field(256, ge=8, le=4096)
    crop: int = Field(224, ge=8, le=4096)
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @model_validator(mode="after")
    def _crop_fits(self) -> Preprocess:
        if self.crop > self.resize:
            raise ValueError(f"crop {self.crop} is larger than resize {self.resize}")
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input frame."""
        return self.crop, self.crop


_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}


def picture_frame(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """The uint8 (H, W, 3) input frame of a picture, as torchvision's presets cut it from a PIL image."""
    image = Image.fromarray(_bounded(pixels))
    return np.asarray(_resized_and_cropped(image, preprocess, _FILTERS[preprocess.interpolation]))


def mask_frame(values: Bools, preprocess: Preprocess) -> Bools:
    """The bool (H, W) input frame of a mask: the picture's geometry with nearest neighbour."""
    image = Image.fromarray(_bounded(values).astype(np.uint8) * np.uint8(255))
    return np.asarray(_resized_and_cropped(image, preprocess, Image.Resampling.NEAREST)) > 127


def _bounded(values: np.ndarray) -> np.ndarray:
    for axis in (0, 1):
        longest = values.shape[1 - axis] * LONGEST_ASPECT
        surplus = values.shape[axis] - longest
        if surplus > 0:
            values = np.take(values, range(surplus // 2, surplus // 2 + longest), axis=axis)
    return np.ascontiguousarray(values)


def _resized_and_cropped(image: Image.Image, preprocess: Preprocess, resampling: Image.Resampling) -> Image.Image:
    width, height = image.size
    short, long = preprocess.resize, int(preprocess.resize * max(width, height) / min(width, height))
    size = (short, long) if width <= height else (long, short)
    image = image.resize(size, resampling)
    crop = preprocess.crop
    left, top = round((image.width - crop) / 2), round((image.height - crop) / 2)
    return image.crop((left, top, left + crop, top + crop))
