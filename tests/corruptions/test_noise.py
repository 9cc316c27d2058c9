"""Gaussian noise: a rounded and clipped normal distribution of the stated width, seeded (spec C-01)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from xai_core.corruptions.noise import GaussianNoise
from xai_core.types import Pixels


def grey(level: int = 128, side: int = 300) -> Pixels:
    return np.full((side, side, 3), level, dtype=np.uint8)


def noisy(pixels: Pixels, sigma: float, seed: int = 0) -> Pixels:
    return GaussianNoise(sigma=sigma).apply(pixels, np.random.default_rng(seed)).pixels


def expected_moments(level: int, sigma: float) -> tuple[float, float]:
    """Mean and standard deviation of clip(round(level + N(0, sigma^2)), 0, 255)."""
    values = np.arange(256)
    edges = norm.cdf(np.arange(257) - 0.5, level, sigma)
    edges[0], edges[-1] = 0, 1
    probabilities = np.diff(edges)
    mean = float(probabilities @ values)
    return mean, float(np.sqrt(probabilities @ (values - mean) ** 2))


@pytest.mark.parametrize("sigma", [5, 10, 25])
def test_the_stated_width_is_measured_on_mid_grey(sigma: float) -> None:
    values = noisy(grey(), sigma).astype(float)
    assert values.std() == pytest.approx(sigma, rel=0.01)
    assert values.mean() == pytest.approx(128, rel=0.01)


@pytest.mark.parametrize("sigma", [10, 25, 50, 100])
@pytest.mark.parametrize("level", [0, 20, 128, 255])
def test_the_distribution_is_the_rounded_and_clipped_normal(level: int, sigma: float) -> None:
    values = noisy(grey(level), sigma).astype(float)
    mean, deviation = expected_moments(level, sigma)
    assert values.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(values.size))
    assert values.std() == pytest.approx(deviation, rel=0.01)


def test_noise_is_rounded_and_not_truncated() -> None:
    # S0's notebook truncates, which darkens the picture by half a step.
    assert noisy(grey(), 10).mean() == pytest.approx(128, abs=0.1)


def test_no_noise_changes_nothing() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(noisy(pixels, 0), pixels)


def test_the_seed_decides_the_noise() -> None:
    np.testing.assert_array_equal(noisy(grey(), 25, seed=1), noisy(grey(), 25, seed=1))
    assert (noisy(grey(), 25, seed=1) != noisy(grey(), 25, seed=2)).mean() > 0.9


def test_a_larger_sigma_is_more_of_the_same_noise() -> None:
    small, large = (noisy(grey(), sigma).astype(float) - 128 for sigma in (10, 20))
    np.testing.assert_allclose(large, 2 * small, atol=1.5)


def test_the_noise_is_independent_between_pixels_and_channels() -> None:
    noise = noisy(grey(), 25).astype(float) - 128
    for shifted in (np.roll(noise, 1, axis=0), np.roll(noise, 1, axis=1), np.roll(noise, 1, axis=2)):
        assert abs(np.corrcoef(noise.ravel(), shifted.ravel())[0, 1]) < 0.01


def test_dark_and_bright_values_are_clipped_and_do_not_wrap_around() -> None:
    assert noisy(grey(0), 50).max() < 255
    assert (noisy(grey(0), 50) == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert (noisy(grey(255), 50) == 255).mean() == pytest.approx(0.5, abs=0.01)


def test_shape_and_type_stay_and_the_picture_is_not_touched() -> None:
    pixels = grey(side=9)[:5]
    before = pixels.copy()
    result = GaussianNoise(sigma=50).apply(pixels, np.random.default_rng(0))
    assert (result.pixels.shape, result.pixels.dtype, result.occluded) == ((5, 9, 3), np.uint8, None)
    np.testing.assert_array_equal(pixels, before)


def test_s0s_notebook_truncates_which_darkens_by_half_a_step() -> None:
    cut = GaussianNoise(sigma=10, rounding="truncate").apply(grey(), np.random.default_rng(0)).pixels
    assert cut.mean() == pytest.approx(127.5, abs=0.1)
    assert set(np.unique(noisy(grey(), 10).astype(int) - cut)) == {0, 1}
