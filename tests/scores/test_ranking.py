"""Ranks: as many pixels as were asked for, whatever the ties; the test that thresholds fail (spec 10.5)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from xai_core.scores.ranking import (
    average_ranks,
    count_of,
    first,
    is_flat,
    most_relevant_first,
    places,
    rank_correlation,
    top_fraction,
)
from xai_core.scores.road import removed

FRACTIONS = [0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.8, 0.9]


def tied(share: float, shape: tuple[int, int] = (17, 23), seed: int = 0) -> np.ndarray:
    """A rectified map: a `share` of its pixels is zero, the others are positive and all different."""
    random = np.random.default_rng(seed)
    values = random.permutation(np.arange(1, shape[0] * shape[1] + 1)).astype(np.float32)
    values[: round(share * values.size)] = 0
    return random.permutation(values).reshape(shape)


maps = st.builds(
    tied,
    share=st.floats(0, 1),
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 10**6),
)


@pytest.mark.parametrize("share", [0, 0.5, 0.9, 1])
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_the_top_has_the_size_asked_for_whatever_the_ties(share: float, fraction: float) -> None:
    values = tied(share)
    assert abs(top_fraction(values, fraction, seed=0).sum() - fraction * values.size) <= 1


@pytest.mark.parametrize("share", [0, 0.5, 0.9, 1])
def test_road_removes_what_it_says_in_both_orders_whatever_the_ties(share: float) -> None:
    values = tied(share)
    for masks in removed(values, FRACTIONS, seed=0):
        for mask, fraction in zip(masks, FRACTIONS, strict=True):
            assert mask.shape == values.shape
            assert mask.dtype == bool
            assert abs(mask.sum() - fraction * values.size) <= 1


@settings(deadline=None, max_examples=60)
@given(values=maps, fraction=st.floats(0, 1), seed=st.integers(0, 100))
def test_sizes_are_right_on_any_map(values: np.ndarray, fraction: float, seed: int) -> None:
    most, least = removed(values, [fraction], seed)
    for mask in (top_fraction(values, fraction, seed), most[0], least[0]):
        assert abs(int(mask.sum()) - fraction * values.size) <= 1


@settings(deadline=None, max_examples=60)
@given(values=maps, seed=st.integers(0, 100))
def test_the_order_is_a_permutation_that_never_rises(values: np.ndarray, seed: int) -> None:
    order = most_relevant_first(values, seed)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(values.size))
    assert (np.diff(values.ravel()[order]) <= 0).all()


@settings(deadline=None, max_examples=60)
@given(values=maps, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 100))
def test_no_pixel_outside_the_top_is_more_relevant_than_one_inside(
    values: np.ndarray, fraction: float, seed: int
) -> None:
    most, least = removed(values, [fraction], seed)
    for top, sign in ((top_fraction(values, fraction, seed), 1), (most[0], 1), (least[0], -1)):
        if top.any() and not top.all():
            assert (sign * values[top]).min() >= (sign * values[~top]).max()


@settings(deadline=None, max_examples=60)
@given(values=maps, fractions=st.lists(st.floats(0, 1), min_size=2, max_size=6), seed=st.integers(0, 100))
def test_what_is_removed_stays_removed_and_the_two_orders_complement_each_other(
    values: np.ndarray, fractions: list[float], seed: int
) -> None:
    fractions = sorted(fractions)
    for masks in removed(values, fractions, seed):
        for smaller, larger in itertools.pairwise(masks):
            assert not (smaller & ~larger).any()
    most, least = removed(values, [0.25, 0.75], seed)
    if values.size % 4 == 0:
        np.testing.assert_array_equal(most[0], ~least[1])
        np.testing.assert_array_equal(least[0], ~most[1])


@settings(deadline=None, max_examples=60)
@given(values=maps, count=st.integers(0, 400))
def test_places_are_the_order_turned_round(values: np.ndarray, count: int) -> None:
    order, shape = most_relevant_first(values, 0), (values.shape[0], values.shape[1])
    np.testing.assert_array_equal(places(order, shape) < count, first(order, count, shape))


@pytest.mark.parametrize("seed", range(5))
def test_a_reversed_map_without_ties_reverses_the_order(seed: int) -> None:
    values = tied(0, seed=seed)
    np.testing.assert_array_equal(most_relevant_first(-values, 3), most_relevant_first(values, 3)[::-1])
    most, least = removed(values, FRACTIONS, 3)
    reversed_most, reversed_least = removed(-values, FRACTIONS, 3)
    np.testing.assert_array_equal(most, reversed_least)
    np.testing.assert_array_equal(least, reversed_most)


def test_ties_are_broken_by_the_seed_and_only_ties() -> None:
    values = tied(0.5)
    first_order, again, other = (most_relevant_first(values, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first_order, again)
    positive = int((values > 0).sum())
    np.testing.assert_array_equal(first_order[:positive], other[:positive])
    assert (first_order[positive:] != other[positive:]).mean() > 0.9


def test_ties_are_broken_without_regard_to_place() -> None:
    """A flat half must not be removed from the top left on: its order has to be as good as random."""
    orders = [most_relevant_first(np.zeros((20, 20)), seed) for seed in range(60)]
    places = np.concatenate([order[:200] for order in orders])
    rows, columns = places // 20, places % 20
    for coordinate in (rows, columns):
        assert abs(coordinate.mean() - 9.5) < 4 * np.sqrt(33.25 / places.size)
    assert len({int(order[0]) for order in orders}) > 40


def test_scaling_and_shifting_a_map_changes_no_rank() -> None:
    values = tied(0.3).astype(np.float64)
    np.testing.assert_array_equal(most_relevant_first(values, 0), most_relevant_first(values * 1e-9 - 4e-7, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_smallest_difference_counts(dtype: Any) -> None:
    values = np.ones((4, 4), dtype)
    values[2, 1] = np.nextafter(dtype(1), dtype(2))
    assert all(most_relevant_first(values, seed)[0] == 9 for seed in range(20))


def test_a_literal_map() -> None:
    values = np.array([[0.1, 0.9], [0.5, -2.0]])
    np.testing.assert_array_equal(most_relevant_first(values, 0), [1, 2, 0, 3])
    np.testing.assert_array_equal(first(np.array([1, 2, 0, 3]), 2, (2, 2)), [[False, True], [True, False]])
    np.testing.assert_array_equal(top_fraction(values, 0.25, 0), [[False, True], [False, False]])
    assert (count_of(0, 7), count_of(0.2, 49), count_of(1, 7)) == (0, 10, 7)


@pytest.mark.parametrize(
    ("values", "flat"),
    [(np.zeros((3, 3)), True), (np.full((3, 3), -2.5), True), (np.zeros((0, 0)), True), (np.eye(3), False)],
)
def test_a_flat_map_has_one_value(values: np.ndarray, flat: bool) -> None:
    assert is_flat(values) == flat


@settings(deadline=None, max_examples=60)
@given(values=maps)
def test_average_ranks_are_scipys_scaled_to_one(values: np.ndarray) -> None:
    found = average_ranks(values)
    assert found.shape == values.shape
    if is_flat(values):
        np.testing.assert_array_equal(found, 0.5)
    else:
        expected = (rankdata(values, axis=None) - 1) / (values.size - 1)
        np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)


@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_the_rank_correlation_is_spearmans(share: float) -> None:
    left, right = tied(share, seed=1), tied(0.2, seed=2) + tied(share, seed=1)
    assert rank_correlation(left, right) == pytest.approx(spearmanr(left, right, axis=None).statistic)
    assert rank_correlation(left, left) == pytest.approx(1)
    assert rank_correlation(left, -left) == pytest.approx(-1)
    assert np.isnan(rank_correlation(left, np.zeros_like(left)))
