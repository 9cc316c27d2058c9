"""The way into a model's frame: torchvision's presets to the pixel, the same for masks, for pictures of any shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from xai_core.images.geometry import LONGEST_ASPECT, Preprocess, mask_frame, picture_frame
from xai_core.types import Bools, Pixels

SIZES = [(256, 256), (300, 500), (500, 300), (257, 999), (100, 31), (40, 48), (225, 224), (1200, 75)]


def pixels(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def preset_frame(values: Pixels, resize: int, crop: int, interpolation: str) -> Pixels:
    """The frame that torchvision's preset cuts, before it normalises."""
    preset = ImageClassification(
        crop_size=crop, resize_size=resize, interpolation=InterpolationMode(interpolation), mean=(0,) * 3, std=(1,) * 3
    )
    return np.rint(preset(Image.fromarray(values)).numpy().transpose(1, 2, 0) * 255).astype(np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (232, 224), (224, 224), (40, 33)])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_frame_is_the_one_of_torchvisions_preset(
    height: int, width: int, resize: int, crop: int, interpolation: str
) -> None:
    values = pixels(height, width)
    frame = picture_frame(values, Preprocess(resize=resize, crop=crop, interpolation=interpolation))  # type: ignore[arg-type]
    assert frame.dtype == np.uint8
    np.testing.assert_array_equal(frame, preset_frame(values, resize, crop, interpolation))


def test_a_picture_of_the_frames_size_stays_as_it_is() -> None:
    values = pixels(32, 32)
    np.testing.assert_array_equal(picture_frame(values, Preprocess(resize=32, crop=32)), values)
    bright = values[..., 0] > 99
    np.testing.assert_array_equal(mask_frame(bright, Preprocess(resize=32, crop=32)), bright)


def test_the_middle_is_cropped() -> None:
    values = pixels(40, 40)
    np.testing.assert_array_equal(picture_frame(values, Preprocess(resize=40, crop=20)), values[10:30, 10:30])


def white_inside(mask: Bools) -> Pixels:
    """The picture that is white inside the mask and black outside."""
    return np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(3, axis=-1)


def blob(height: int, width: int) -> Bools:
    down, right = np.mgrid[0:height, 0:width]
    squared = ((down / height - 0.4) / 0.25) ** 2 + ((right / width - 0.6) / 0.3) ** 2
    return np.asarray(squared < 1)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(8, 40), st.integers(0, 12), st.integers(0, 9))
def test_a_mask_takes_the_pictures_way_with_nearest_neighbour(
    height: int, width: int, crop: int, more: int, seed: int
) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    preprocess = Preprocess(resize=crop + more, crop=crop, interpolation="nearest")
    frame = mask_frame(mask, preprocess)
    assert frame.dtype == bool
    assert frame.shape == preprocess.size
    np.testing.assert_array_equal(frame, picture_frame(white_inside(mask), preprocess)[..., 1] > 127)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_mask_lies_where_its_object_lies(height: int, width: int, interpolation: str) -> None:
    mask = blob(height, width)
    preprocess = Preprocess(resize=64, crop=56, interpolation=interpolation)  # type: ignore[arg-type]
    frame = mask_frame(mask, preprocess)
    seen = picture_frame(white_inside(mask), preprocess)[..., 0]
    assert frame.any()
    inside, outside = (seen == 255).mean(), (seen == 0).mean()
    assert inside > 0.1
    assert outside > 0.1
    # Only pixels that the picture's smoothing makes grey may be counted either way.
    assert (frame[seen > 204]).mean() > 0.99
    assert (frame[seen < 51]).mean() < 0.01


@pytest.mark.parametrize(("height", "width"), [(1, 60_000), (60_000, 1), (2, 33), (3, 1000)])
def test_extreme_pictures_do_not_grow_without_bound(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def noted(self: Image.Image, size: tuple[int, int], *rest: Any) -> Image.Image:
        sizes.append(size)
        return resize(self, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", noted)
    preprocess = Preprocess()
    frame = picture_frame(pixels(height, width), preprocess)
    mask = mask_frame(np.ones((height, width), dtype=bool), preprocess)
    assert frame.shape == (224, 224, 3)
    assert mask.shape == (224, 224)
    assert mask.all()
    assert len(sizes) == 2
    assert max(max(size) for size in sizes) <= 256 * LONGEST_ASPECT


@pytest.mark.parametrize("transpose", [False, True], ids=["wide", "tall"])
def test_of_an_extreme_picture_the_middle_is_seen(transpose: bool) -> None:
    values = np.zeros((3, 3 * 60, 3), dtype=np.uint8)
    values[:, 85:95] = 255
    mask = values[..., 0] > 0
    if transpose:
        values, mask = values.transpose(1, 0, 2), mask.T
    preprocess = Preprocess(resize=32, crop=32)
    assert (picture_frame(np.ascontiguousarray(values), preprocess) == 255).all()
    assert mask_frame(mask, preprocess).all()


def test_a_crop_larger_than_the_resized_picture_is_refused() -> None:
    with pytest.raises(ValidationError, match="crop 224 is larger than resize 200"):
        Preprocess(resize=200, crop=224)


@pytest.mark.parametrize(
    "wrong", [{"resize": 0}, {"crop": 4}, {"resize": 100_000}, {"interpolation": "lanczos"}, {"size": 224}], ids=str
)
def test_a_way_that_cannot_be_gone_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preprocess(**wrong)  # type: ignore[arg-type]


def test_the_size_of_the_frame_is_the_crop() -> None:
    assert Preprocess(resize=300, crop=260).size == (260, 260)
