"""Low resolution: every block becomes its mean, checked against a double loop (spec C-03)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xai_core.corruptions.resolution import Resolution
from xai_core.types import Pixels

PICTURES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 23), st.integers(1, 23), st.just(3)))
BLOCKS = st.integers(1, 30)


def coarse(pixels: Pixels, block: int) -> Pixels:
    return Resolution(block=block).apply(pixels, np.random.default_rng(0)).pixels


def by_double_loop(pixels: Pixels, block: int) -> Pixels:
    result = pixels.copy()
    for top in range(0, pixels.shape[0], block):
        for left in range(0, pixels.shape[1], block):
            here = (slice(top, top + block), slice(left, left + block))
            result[here] = np.rint(pixels[here].reshape(-1, 3).mean(axis=0))
    return result


@given(PICTURES, BLOCKS)
def test_the_result_is_that_of_a_double_loop(pixels: Pixels, block: int) -> None:
    np.testing.assert_array_equal(coarse(pixels, block), by_double_loop(pixels, block))


@pytest.mark.parametrize("block", [5, 10, 20])
def test_the_result_at_224_pixels_is_that_of_a_double_loop(block: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(coarse(pixels, block), by_double_loop(pixels, block))


@given(PICTURES, BLOCKS)
def test_a_second_time_changes_nothing(pixels: Pixels, block: int) -> None:
    once = coarse(pixels, block)
    np.testing.assert_array_equal(coarse(once, block), once)


@given(PICTURES)
def test_blocks_of_one_pixel_change_nothing(pixels: Pixels) -> None:
    np.testing.assert_array_equal(coarse(pixels, 1), pixels)


@given(PICTURES, BLOCKS)
def test_the_mean_of_every_channel_is_kept_up_to_rounding(pixels: Pixels, block: int) -> None:
    np.testing.assert_allclose(coarse(pixels, block).mean(axis=(0, 1)), pixels.mean(axis=(0, 1)), atol=0.5 + 1e-9)


def test_the_picture_is_rounded_and_not_darkened() -> None:
    # S0's notebook truncates, which darkens by half a step on average.
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert coarse(pixels, 5).mean() == pytest.approx(pixels.mean(), abs=0.05)


def test_blocks_at_the_edges_are_smaller() -> None:
    down, right = np.mgrid[0:7, 0:8]
    pixels = np.stack([10 * down + right] * 3, axis=-1).astype(np.uint8)
    result = coarse(pixels, 5)[..., 0]
    assert result[0, 0] == 22  # rows 0-4, columns 0-4
    assert result[0, 7] == 26  # rows 0-4, columns 5-7
    assert result[6, 0] == 57  # rows 5-6, columns 0-4
    assert result[6, 7] == 61  # rows 5-6, columns 5-7
    for line in (result[0], result[:, 0]):
        assert np.flatnonzero(np.diff(line)).tolist() == [4]


def test_a_block_larger_than_the_picture_is_its_mean() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    result = coarse(pixels, 64)
    np.testing.assert_array_equal(result, np.broadcast_to(np.rint(pixels.mean(axis=(0, 1))), pixels.shape))


def test_shape_and_type_stay_and_nothing_is_covered() -> None:
    pixels = np.zeros((5, 9, 3), dtype=np.uint8)
    result = Resolution(block=4).apply(pixels, np.random.default_rng(0))
    assert (result.pixels.shape, result.pixels.dtype, result.occluded) == ((5, 9, 3), np.uint8, None)


@pytest.mark.parametrize("block", [5, 10, 20])
def test_s0s_notebook_truncates_which_darkens_by_half_a_step(block: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (220, 220, 3), dtype=np.uint8)
    cut = Resolution(block=block, rounding="truncate").apply(pixels, np.random.default_rng(0)).pixels
    assert pixels.mean() - cut.mean() == pytest.approx(0.5, abs=0.1)
    assert set(np.unique(coarse(pixels, block).astype(int) - cut)) == {0, 1}
