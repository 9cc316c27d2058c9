"""Colour scales: one rule for all maps that are compared, zero in the middle of signed ones, nothing that misleads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xai_core.render.colours import (
    DIVERGING,
    MODES,
    SEQUENTIAL,
    Mode,
    Scale,
    fair_limit,
    lookup_table,
    overlay,
    shades,
    table_for,
)
from xai_core.types import Floats

SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 8))
NUMBERS = st.floats(-1e6, 1e6, width=32)
MAPS = arrays.arrays(np.float32, SHAPES, elements=NUMBERS)
ROUND_MAPS = arrays.arrays(np.float32, SHAPES, elements=st.integers(-8000, 8000).map(lambda eighths: eighths / 8))
ANY_MAPS = arrays.arrays(np.float32, SHAPES, elements=st.floats(width=32))
every_mode = pytest.mark.parametrize("mode", MODES)


def values_of(*numbers: float) -> Floats:
    return np.array([numbers], dtype=np.float32)


def brightness(table: np.ndarray) -> np.ndarray:
    """Relative luminance of colours, in [0, 1]."""
    linear = (table / 255.0) ** 2.2
    return np.asarray(linear @ [0.2126, 0.7152, 0.0722])


# -- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SEQUENTIAL, *DIVERGING])
def test_a_table_has_256_colours_that_nobody_can_change(name: str) -> None:
    table = lookup_table(name)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    assert not table.flags.writeable
    assert lookup_table(name) is table


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_sequential_table_grows_brighter_step_by_step(name: str) -> None:
    assert np.diff(brightness(lookup_table(name))).min() > -0.004
    assert np.ptp(brightness(lookup_table(name))) > 0.5


@pytest.mark.parametrize("name", DIVERGING)
def test_a_diverging_table_is_brightest_in_the_middle_and_has_two_hues(name: str) -> None:
    table = lookup_table(name)
    light = brightness(table)
    assert 120 <= light.argmax() <= 135
    assert np.ptp(table[[127, 128]].astype(int)) <= 20  # nearly white
    assert np.argmax(table[40]) != np.argmax(table[215])


def test_signed_maps_get_a_diverging_table_and_others_a_sequential_one() -> None:
    chosen = ("viridis", "PuOr_r")
    assert table_for(True, "value", *chosen) is lookup_table("PuOr_r")
    assert table_for(False, "value", *chosen) is lookup_table("viridis")
    assert table_for(True, "rank", *chosen) is table_for(False, "rank", *chosen) is lookup_table("viridis")
    assert table_for(True, "minmax", *chosen) is table_for(False, "minmax", *chosen) is lookup_table("bwr")


# -- the fair limit ------------------------------------------------------------------------------------------------


def test_the_fair_limit_is_the_99th_percentile_of_the_size() -> None:
    values = np.linspace(-100, 100, 20_001, dtype=np.float32).reshape(-1, 1)
    assert fair_limit(values) == pytest.approx(99, abs=0.02)


def test_a_few_outliers_do_not_darken_a_map() -> None:
    values = np.ones((20, 20), dtype=np.float32)
    values[0, :3] = 1e6
    assert fair_limit(values) == 1


def test_the_fair_limit_of_a_map_with_a_few_points_is_its_maximum() -> None:
    values = np.zeros((20, 20), dtype=np.float32)
    values[3, 4] = -7
    assert fair_limit(values) == 7


def test_the_fair_limit_looks_at_finite_values_alone() -> None:
    assert fair_limit(values_of(np.nan, 2, -2, np.inf, -np.inf)) == 2
    assert fair_limit(values_of(np.nan, np.inf)) == 0


# -- shades --------------------------------------------------------------------------------------------------------


def test_unsigned_values_run_from_zero_to_the_limit() -> None:
    values = np.full((40, 40), 4, dtype=np.float32)
    values[0, :4] = (0, 1, 2, -3)
    indices, scale = shades(values, signed=False)
    assert (indices.dtype, indices.shape) == (np.uint8, (40, 40))
    assert indices[0, :5].tolist() == [0, 64, 128, 0, 255]
    assert scale == Scale(0, 4, "value")


def test_signed_values_have_zero_in_the_middle() -> None:
    values = np.full((40, 40), 4, dtype=np.float32)
    values[0, :5] = (-4, -2, 0, 2, -400)
    indices, scale = shades(values, signed=True)
    assert indices[0, :6].tolist() == [0, 64, 128, 191, 0, 255]
    assert scale == Scale(-4, 4, "value")


@given(MAPS)
def test_turning_the_signs_turns_the_colours(values: Floats) -> None:
    there, back = shades(values, signed=True)[0].astype(int), shades(-values, signed=True)[0]
    assert np.abs(there + back - 255).max() <= 1


@every_mode
@given(values=ROUND_MAPS, exponent=st.integers(-10, 10), signed=st.booleans())
def test_the_size_of_all_values_does_not_change_the_colours(
    mode: Mode, values: Floats, exponent: int, signed: bool
) -> None:
    scaled = values * np.float32(2.0**exponent)
    np.testing.assert_array_equal(shades(scaled, signed, mode)[0], shades(values, signed, mode)[0])


@every_mode
@given(values=MAPS, signed=st.booleans())
def test_larger_values_never_get_lower_shades(mode: Mode, values: Floats, signed: bool) -> None:
    indices, _ = shades(values, signed, mode)
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(indices.ravel()[order].astype(int)) >= 0).all()


@every_mode
@given(values=ANY_MAPS, signed=st.booleans())
def test_no_value_whatever_breaks_the_scale(mode: Mode, values: Floats, signed: bool) -> None:
    with np.errstate(all="raise", under="ignore"):
        indices, scale = shades(values, signed, mode)
    assert (indices.dtype, indices.shape) == (np.uint8, values.shape)
    assert np.isfinite([scale.low, scale.high]).all()
    assert scale.low <= scale.high
    assert (indices[np.isnan(values)] == indices.min()).all()


@pytest.mark.parametrize("mode", ["value", "minmax"])
@pytest.mark.parametrize("signed", [False, True])
def test_infinite_values_take_the_ends_and_leave_the_others_their_colours(signed: bool, mode: Mode) -> None:
    plain = np.linspace(-1, 1, 400, dtype=np.float32).reshape(20, 20)
    odd = np.concatenate([plain, np.array([[np.inf, -np.inf, np.nan] + 17 * [0]], dtype=np.float32)])
    expected, scale = shades(np.concatenate([plain, np.zeros((1, 20), np.float32)]), signed, mode)
    indices, found = shades(odd, signed, mode)
    np.testing.assert_allclose(indices[:20].astype(int), expected[:20], atol=2)
    assert indices[20, :3].tolist() == [255, 0, 0]
    assert found.high == pytest.approx(scale.high, abs=0.02)
    assert found.low == pytest.approx(scale.low, abs=0.02)


def test_a_map_of_zeros_has_the_colour_of_zero() -> None:
    zeros = np.zeros((4, 4), dtype=np.float32)
    assert (shades(zeros, signed=False)[0] == 0).all()
    assert (shades(zeros, signed=True)[0] == 128).all()
    assert shades(zeros, signed=True)[1] == Scale(0, 0, "value")


@given(MAPS)
def test_ranks_do_not_change_under_a_growing_function(values: Floats) -> None:
    grown = 3 * np.cbrt(values.astype(np.float64))
    np.testing.assert_array_equal(shades(grown, False, "rank")[0], shades(values, False, "rank")[0])  # type: ignore[arg-type]


def test_ranks_spread_evenly_and_equals_share_theirs() -> None:
    indices, scale = shades(values_of(5, 1e6, -3, 5), False, "rank")
    assert indices.tolist() == [[128, 255, 0, 128]]
    assert scale == Scale(0, 1, "rank")
    ranks = shades(np.random.default_rng(0).random((16, 16), dtype=np.float32), False, "rank")[0]
    np.testing.assert_array_equal(np.sort(ranks.ravel()), np.arange(256))


def test_minmax_runs_from_the_least_to_the_greatest_value() -> None:
    indices, scale = shades(values_of(-2, 0, 8), True, "minmax")
    assert indices.tolist() == [[0, 51, 255]]
    assert scale == Scale(-2, 8, "value")


@given(MAPS)
def test_the_map_itself_is_not_changed(values: Floats) -> None:
    before = values.copy()
    shades(values, True)
    np.testing.assert_array_equal(values, before)


# -- overlays ------------------------------------------------------------------------------------------------------

FRAME = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
INDICES = np.random.default_rng(1).integers(0, 256, (5, 6), dtype=np.uint8)


def laid_over(opacity: float, **more: Any) -> np.ndarray:
    result = overlay(FRAME, INDICES, lookup_table("inferno"), opacity, **more)
    assert (result.shape, result.dtype) == ((5, 6, 3), np.uint8)
    return result


def test_without_opacity_the_picture_is_seen_alone() -> None:
    np.testing.assert_array_equal(laid_over(0, grey=False), FRAME)


def test_with_full_opacity_the_map_is_seen_alone() -> None:
    for grey in (False, True):
        np.testing.assert_array_equal(laid_over(1, grey=grey), lookup_table("inferno")[INDICES])


def test_in_between_picture_and_map_are_mixed() -> None:
    expected = 0.25 * FRAME + 0.75 * lookup_table("inferno")[INDICES]
    np.testing.assert_allclose(laid_over(0.75, grey=False), expected, atol=0.51)


def test_a_grey_picture_has_no_colour_but_keeps_its_brightness() -> None:
    grey = laid_over(0)
    assert (grey == grey[..., :1]).all()
    np.testing.assert_allclose(grey[..., 0], FRAME @ [0.299, 0.587, 0.114], atol=0.51)
    white = np.full((1, 1, 3), 255, dtype=np.uint8)
    assert (overlay(white, np.zeros((1, 1), np.uint8), lookup_table("inferno"), 0) == 255).all()


def test_a_map_far_from_zero_begins_at_its_least_value_and_others_at_zero() -> None:
    ramp = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    for offset, low in ((0.0, 0.0), (0.3, 0.0), (5.0, 5.0)):
        indices, scale = shades(ramp + np.float32(offset), signed=False)
        assert scale.low == pytest.approx(low)
        assert indices.max() == 255
    indices, scale = shades(np.full((4, 4), 3, dtype=np.float32), signed=False)
    assert (scale.low, scale.high) == (0, 3) and (indices == 255).all()
