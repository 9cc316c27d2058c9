"""Brightness and contrast against their closed forms, and dropped pixels against their probability."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_core.corruptions.light import Brightness, Contrast
from xai_core.corruptions.suppression import PixelDropping
from xai_core.types import Pixels

FACTORS = st.floats(0, 4, allow_nan=False)


def frame(low: int = 0, high: int = 256) -> Pixels:
    return np.random.default_rng(0).integers(low, high, (40, 50, 3), dtype=np.uint8)


@given(FACTORS)
def test_brightness_multiplies_and_cuts_off(factor: float) -> None:
    found = Brightness(factor=factor).apply(frame(), np.random.default_rng(0)).pixels
    np.testing.assert_allclose(found, np.minimum(frame().astype(float) * factor, 255), atol=0.5)


@given(FACTORS)
def test_contrast_keeps_the_mean_and_multiplies_the_spread(factor: float) -> None:
    given_ = frame(115, 140)  # so that nothing is cut off
    found = Contrast(factor=factor).apply(given_, np.random.default_rng(0)).pixels.astype(float)
    np.testing.assert_allclose(found.mean(axis=(0, 1)), given_.mean(axis=(0, 1)), atol=0.51)
    np.testing.assert_allclose(found.std(axis=(0, 1)), factor * given_.std(axis=(0, 1)), atol=0.51)


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.9])
def test_every_pixel_is_dropped_with_the_same_probability(probability: float) -> None:
    white = np.full((300, 300, 3), 255, dtype=np.uint8)
    found = PixelDropping(probability=probability).apply(white, np.random.default_rng(0))
    assert found.occluded is not None
    assert found.occluded.mean() == pytest.approx(probability, abs=4 * (probability * (1 - probability)) ** 0.5 / 300)
    np.testing.assert_array_equal((found.pixels == 0).all(axis=-1), found.occluded)
    beside = found.occluded[:, 1:] & found.occluded[:, :-1]
    assert beside.mean() == pytest.approx(probability**2, abs=0.01), "neighbours are independent"


def test_what_is_dropped_stays_dropped_at_a_greater_probability() -> None:
    areas = [PixelDropping(probability=p).apply(frame(), np.random.default_rng(0)).occluded for p in (0.1, 0.3, 0.5)]
    for less, more in pairwise(areas):
        assert less is not None and more is not None
        assert more[less].all() and more.sum() > less.sum()
