"""How alike two maps are: identity, symmetry, bounds, closed forms, torchmetrics and scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import spearmanr

from xai_core.masks.agreement import intersection_over_union
from xai_core.scores.ranking import top_fraction
from xai_core.scores.similarity import (
    agreement,
    edge_correlation,
    pixel_variance,
    scaled,
    squared_error,
    structural_similarity,
    top_membership,
    top_overlap,
)

Pair = Callable[[np.ndarray, np.ndarray], float]


def overlap(left: np.ndarray, right: np.ndarray) -> float:
    return top_overlap(left, right, 0.2)


def noise(seed: int = 0, size: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)


@pytest.mark.parametrize("function", [structural_similarity, edge_correlation, overlap])
def test_a_map_is_like_itself_and_likeness_is_mutual(function: Pair) -> None:
    assert function(noise(), noise()) == pytest.approx(1)
    found = function(noise(0), noise(1))
    assert found == pytest.approx(function(noise(1), noise(0)), abs=1e-9)
    assert -1 <= found < 0.4


@pytest.mark.parametrize("function", [structural_similarity, edge_correlation, overlap])
def test_scaling_and_moving_a_map_changes_no_likeness(function: Pair) -> None:
    left, right = noise(0), noise(0) + noise(1)
    assert function(7 * left + 3, right / 9) == pytest.approx(function(left, right), abs=1e-4)


def test_the_error_grows_with_the_square_of_the_scale() -> None:
    left, right = noise(0), noise(1)
    assert squared_error(left, left) == 0
    assert squared_error(left, right) == pytest.approx(squared_error(right, left))
    assert squared_error(10 * left, 10 * right) == pytest.approx(100 * squared_error(left, right), rel=1e-5)
    assert squared_error(np.array([[0.0, 2.0]]), np.array([[1.0, 0.0]])) == 2.5


def test_a_scaled_map_goes_from_nothing_to_one() -> None:
    assert (scaled(noise()).min(), scaled(noise()).max()) == (0, 1)
    assert not scaled(np.full((3, 3), 5.0)).any()


@pytest.mark.parametrize("mix", [0.0, 0.3, 0.9])
def test_structural_similarity_is_torchmetrics(mix: float) -> None:
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    left, right = scaled(noise(0)), scaled(mix * noise(0) + (1 - mix) * noise(1))
    tensors = (torch.as_tensor(one)[None, None] for one in (left, right))
    _, everywhere = structural_similarity_index_measure(*tensors, data_range=1.0, sigma=1.5, return_full_image=True)
    whole_windows = everywhere[0, 0, 5:-5, 5:-5]  # scikit-image leaves out the border, where a window is reflected
    assert structural_similarity(left, right) == pytest.approx(float(whole_windows.mean()), abs=1e-9)


def test_maps_smaller_than_a_window_have_no_structural_similarity() -> None:
    assert math.isnan(structural_similarity(noise(size=10), noise(size=10)))
    assert edge_correlation(noise(size=10), noise(size=10)) == pytest.approx(1)


def test_edges_have_directions() -> None:
    stripes = np.tile(np.sin(np.arange(48) / 2), (48, 1))
    assert edge_correlation(stripes, -stripes) == pytest.approx(1), "a direction has no sign"
    assert edge_correlation(stripes, stripes.T) < 0.5


@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_without_ties_the_overlap_is_that_of_the_two_sets(seed: int, fraction: float) -> None:
    left, right = noise(seed, 12), noise(seed, 12) + noise(seed + 1, 12)
    sets = [top_fraction(one, fraction, 0) for one in (left, right)]
    assert top_overlap(left, right, fraction) == pytest.approx(intersection_over_union(*sets), abs=1e-9)


def blob(*at: int, side: int = 20) -> np.ndarray:
    """A map with a tenth of its pixels above the others, which are all 0: two of 20 rows, as `at` says."""
    found = np.zeros((side, side))
    found[list(at)] = np.random.default_rng(at[0]).uniform(1, 2, (len(at), side))
    return found


def test_to_be_tied_at_the_same_pixels_is_no_agreement() -> None:
    assert top_overlap(blob(0, 1), blob(5, 6), 0.2) < 0.2 / 1.8, "less than chance gives"
    assert top_overlap(blob(0, 1), blob(0, 1), 0.2) == pytest.approx(1)
    assert top_overlap(blob(0, 1), np.sqrt(blob(0, 1)) * 3 - 1, 0.2) == pytest.approx(1), "the same order"
    random = np.random.default_rng(0)
    found = [top_overlap(*((random.random((20, 20)) < 0.1).astype(float) for _ in range(2)), 0.2) for _ in range(200)]
    assert np.mean(found) == pytest.approx(0.2 / 1.8, abs=0.02), "what chance gives, ties or not"


@given(
    hnp.arrays(np.float64, (2, 6, 7), elements=st.integers(0, 3).map(float)),
    st.floats(0.01, 0.99),
)
def test_the_members_are_as_many_as_was_asked_for_and_the_overlap_is_a_part(maps: np.ndarray, fraction: float) -> None:
    for one in maps:
        members = top_membership(one, fraction)
        assert members.sum() == pytest.approx(round(fraction * 42))
        assert members.min() >= 0 and members.max() <= 1
        assert (np.diff(members.ravel()[np.argsort(one.ravel(), kind="stable")]) >= 0).all()
    found = top_overlap(*maps, fraction)
    if min(np.ptp(one) for one in maps) == 0 or round(fraction * 42) == 0:
        assert math.isnan(found)
    else:
        assert 0 <= found <= 1 + 1e-12
        assert found == pytest.approx(top_overlap(*maps[::-1], fraction))
        assert top_overlap(maps[0], maps[0], fraction) == pytest.approx(1)


def test_the_variance_is_that_of_every_pixel_over_the_maps() -> None:
    maps = [noise(seed) for seed in range(5)]
    assert pixel_variance(maps) == pytest.approx(np.stack([scaled(one) for one in maps]).var(axis=0).mean())
    assert pixel_variance([maps[0], maps[0] * 3]) == pytest.approx(0, abs=1e-12)
    assert pixel_variance([np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])]) == 0.25, "the greatest there is"


def test_agreement_is_the_matrix_of_rank_correlations() -> None:
    maps = [noise(0), noise(0) + noise(1), -noise(0), np.exp(noise(0))]
    found = agreement(maps).correlations
    for row, left in enumerate(maps):
        for column, right in enumerate(maps):
            assert found[row, column] == pytest.approx(spearmanr(left.ravel(), right.ravel()).statistic, abs=1e-6)
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 1).all()
    assert (found[0, 2], found[0, 3]) == (pytest.approx(-1), pytest.approx(1))


def test_disagreement_is_least_for_equal_maps_and_greatest_for_opposite_ends() -> None:
    assert agreement([noise(), 2 * noise() + 1]).disagreement.max() == 0
    ramp = np.arange(16.0).reshape(4, 4)
    for maps in ([ramp, -ramp], [ramp, -ramp, ramp]):
        found = agreement(maps).disagreement
        assert found[0, 0] == found[-1, -1] == pytest.approx(1)
        assert found.min() < 0.1
        assert found.shape == (4, 4)


def test_a_flat_map_agrees_with_none() -> None:
    found = agreement([noise(), np.ones((48, 48)), noise(1)]).correlations
    assert np.isnan(found[1]).all() and np.isnan(found[:, 1]).all()
    assert np.isfinite(found[[0, 0, 2], [0, 2, 2]]).all()
    with pytest.raises(ValueError, match="two maps"):
        agreement([noise()])
