"""Superpixels are numbered without gaps, survive noise, and hide what they should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.segmentation import quickshift, slic

from xai_core.corruptions import chain
from xai_core.explainers.superpixels import filled, segments
from xai_core.images import galleries
from xai_core.images.geometry import Preprocess, picture_frame
from xai_core.types import Pixels


def photo(size: int = 224, number: int = 0) -> Pixels:
    """One of the bundled photos, in a model's frame."""
    picture = galleries.bundled().samples[number].open()
    return picture_frame(picture.pixels, Preprocess(resize=size, crop=size))


def noisy(frame: Pixels, sigma: float) -> Pixels:
    return chain.apply(frame, [chain.step("gaussian_noise", sigma)], seed=0).pixels


@pytest.mark.parametrize("method", ["slic", "quickshift"])
@pytest.mark.parametrize("kind", ["photo", "constant", "noisy"])
def test_labels_are_numbered_from_zero_without_gaps(kind: str, method: Any) -> None:
    frame = np.zeros((40, 40, 3), np.uint8) if kind == "constant" else noisy(photo(64), 50 if kind == "noisy" else 0)
    labels = segments(frame, method, 50)
    assert labels.shape == frame.shape[:2]
    assert np.issubdtype(labels.dtype, np.integer)
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


@pytest.mark.parametrize("sigma", [0, 10, 25, 50])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_slic_finds_about_as_many_as_asked_for_under_noise_as_well(number: int, sigma: float) -> None:
    labels = segments(noisy(photo(number=number), sigma), "slic", 50)
    assert 25 <= labels.max() + 1 <= 100
    assert np.bincount(labels.ravel()).max() < 0.2 * labels.size


def test_without_smoothing_slic_would_collapse_under_noise() -> None:
    """The reason for the smoothing: when this fails, scikit-image has mended it."""
    labels = slic(noisy(photo(), 50), n_segments=50, compactness=10, start_label=0, channel_axis=-1)
    assert len(np.unique(labels)) < 5


@pytest.mark.parametrize("count", [10, 50, 200])
def test_slic_follows_the_number_asked_for(count: int) -> None:
    assert 0.5 * count <= segments(photo(), "slic", count).max() + 1 <= 1.6 * count


def test_quickshift_sees_bytes_with_limes_settings() -> None:
    """Of floats of 0-255 it makes far more segments: the defect that this guards against."""
    frame = photo(96)
    found = segments(frame, "quickshift", 50)
    library = quickshift(frame, kernel_size=4, max_dist=200, ratio=0.2)
    pairs = set(zip(found.ravel().tolist(), library.ravel().tolist(), strict=True))
    assert len(pairs) == found.max() + 1 == len(np.unique(library)), "the same segments, whatever their numbers"
    of_floats = quickshift(frame.astype(np.float32), kernel_size=4, max_dist=200, ratio=0.2)
    assert len(np.unique(of_floats)) > 1.5 * (found.max() + 1)


@pytest.mark.parametrize("method", ["slic", "quickshift"])
def test_the_same_picture_is_always_cut_alike(method: Any) -> None:
    np.testing.assert_array_equal(segments(photo(64), method, 30), segments(photo(64), method, 30))


def test_the_mean_colour_of_every_segment_is_exact() -> None:
    frame = photo(64)
    labels = segments(frame, "slic", 30)
    values = filled(frame, labels, "segment_mean")
    for number in range(labels.max() + 1):
        inside = labels == number
        mean = frame[inside].astype(np.float64).mean(axis=0) / 255
        np.testing.assert_allclose(values[inside], np.broadcast_to(mean, (inside.sum(), 3)), atol=1e-6)


@pytest.mark.parametrize(("fill", "colour"), [("black", 0.0), ("grey", 0.5)])
def test_a_plain_fill_is_its_colour(fill: Any, colour: float) -> None:
    values = filled(photo(32), np.zeros((32, 32), int), fill)
    np.testing.assert_array_equal(values, np.full((32, 32, 3), colour, np.float32))


@pytest.mark.parametrize("size", [32, 224])
def test_the_mean_fill_is_the_pictures_mean_colour(size: int) -> None:
    frame = photo(size)
    values = filled(frame, np.zeros((size, size), int), "mean")
    np.testing.assert_allclose(values, np.broadcast_to(frame.mean(axis=(0, 1)) / 255, values.shape), atol=1e-6)


def test_the_blur_is_a_gaussian_of_ten_pixels_that_mixes_no_channels() -> None:
    frame = photo(64).copy()
    frame[..., 1] = 0
    values = filled(frame, np.zeros((64, 64), int), "blur")
    np.testing.assert_array_equal(values[..., 1], 0)
    np.testing.assert_allclose(values[..., 0], gaussian_filter(frame[..., 0] / 255, 10), atol=1e-5)


@pytest.mark.parametrize("fill", ["segment_mean", "mean", "blur"])
def test_a_constant_picture_is_filled_with_itself(fill: Any) -> None:
    frame = np.full((224, 224, 3), 90, np.uint8)
    np.testing.assert_allclose(filled(frame, np.zeros((224, 224), int), fill), 90 / 255, atol=1e-6)


@pytest.mark.parametrize("fill", ["segment_mean", "black", "grey", "mean", "blur"])
def test_every_fill_is_a_picture_of_its_own(fill: Any) -> None:
    frame = photo(32)
    before = frame.copy()
    values = filled(frame, np.zeros((32, 32), int), fill)
    assert (values.dtype, values.shape, values.flags.writeable) == (np.float32, frame.shape, True)
    assert 0 <= values.min() <= values.max() <= 1
    np.testing.assert_array_equal(frame, before)
