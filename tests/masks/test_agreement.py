"""Agreement: closed forms, scikit-learn, SimpleITK, brute force, and what is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import cohen_kappa_score, confusion_matrix, jaccard_score

from xai_core.masks.agreement import (
    ALONE,
    BOTH_EMPTY,
    UNANIMOUS,
    Agreement,
    Confusion,
    Tally,
    boundary_distances,
    compared,
    dice,
    disagreement,
    fleiss_kappa,
    intersection_over_union,
    votes,
)
from xai_core.types import Bools, XaiError

from .making import SEEDS, SIZES, noise, several

EMPTY = np.zeros((4, 6), dtype=bool)
LEFT = np.repeat(np.array([[1, 1, 1, 0, 0, 0]], dtype=bool), 4, axis=0)


def image(mask: Bools) -> sitk.Image:
    return sitk.GetImageFromArray(mask.astype(np.uint8))


def kappa(*masks: Bools) -> float:
    return fleiss_kappa([Tally.of(masks)])


@given(SIZES, SEEDS)
def test_overlaps_are_those_of_sklearn_and_simpleitk(size: tuple[int, int], seed: int) -> None:
    first, second = several(2, size, seed)
    assume(first.any() or second.any())
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(image(first), image(second))
    assert intersection_over_union(first, second) == pytest.approx(jaccard_score(first.ravel(), second.ravel()))
    assert intersection_over_union(first, second) == pytest.approx(overlap.GetJaccardCoefficient())
    assert dice(first, second) == pytest.approx(overlap.GetDiceCoefficient())
    assert dice(first, second) == dice(second, first)


def test_two_empty_masks_have_no_overlap_and_say_so() -> None:
    pair = compared(("a", "b"), EMPTY, EMPTY)
    assert math.isnan(pair.iou)
    assert math.isnan(pair.dice)
    assert pair.reasons["iou"] == BOTH_EMPTY
    assert (compared(("a", "b"), EMPTY, LEFT).iou, compared(("a", "b"), LEFT, LEFT).iou) == (0, 1)


# -- boundaries ----------------------------------------------------------------------------------------------------


def border(mask: Bools) -> np.ndarray:
    """The places of the boundary's pixels, by looking at each pixel's four neighbours."""
    inside = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    beside = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    return np.array([(y, x) for y, x in sorted(inside) if any((y + v, x + h) not in inside for v, h in beside)])


@settings(max_examples=60)
@given(SIZES, SEEDS)
def test_boundary_distances_are_those_between_all_pairs_of_pixels(size: tuple[int, int], seed: int) -> None:
    first, second = several(2, size, seed)
    assume(first.any() and second.any())
    table = cdist(border(first), border(second))
    expected = np.concatenate([table.min(axis=1), table.min(axis=0)])
    found = boundary_distances(first, second)
    np.testing.assert_allclose(np.sort(found), np.sort(expected))
    np.testing.assert_allclose(np.sort(boundary_distances(second, first)), np.sort(expected))


def test_the_greatest_boundary_distance_of_full_shapes_is_hausdorffs() -> None:
    down, right = np.mgrid[:50, :60]
    first = np.hypot(down - 25, right - 25) < 15
    second = np.hypot(down - 22, right - 33) < 12
    theirs = sitk.HausdorffDistanceImageFilter()
    theirs.Execute(image(border_mask(first)), image(border_mask(second)))
    assert boundary_distances(first, second).max() == pytest.approx(theirs.GetHausdorffDistance())


def border_mask(mask: Bools) -> Bools:
    found = np.zeros_like(mask)
    found[tuple(border(mask).T)] = True
    return found


def test_boundary_distances_of_shifted_lines_and_of_empty_masks() -> None:
    pair = compared(("a", "b"), np.eye(1, 9, 2, dtype=bool), np.eye(1, 9, 6, dtype=bool))
    assert (pair.boundary_mean, pair.boundary_95) == (4, 4)
    assert compared(("a", "b"), LEFT, LEFT).boundary_mean == 0
    lost = compared(("a", "b"), LEFT, EMPTY)
    assert math.isnan(lost.boundary_mean)
    assert set(lost.reasons) == {"boundary_mean", "boundary_95"}


# -- votes and kappa -----------------------------------------------------------------------------------------------


def test_kappa_of_a_table_worked_by_hand() -> None:
    """3 people, 4 pixels with 3, 2, 1 and 0 votes."""
    masks = [
        np.array([[1, 1, 1, 0]], dtype=bool),
        np.array([[1, 1, 0, 0]], dtype=bool),
        np.array([[1, 0, 0, 0]], dtype=bool),
    ]
    agreed = (1 + 1 / 3 + 1 / 3 + 1) / 4
    assert kappa(*masks) == pytest.approx((agreed - 0.5) / 0.5)


@given(SIZES, SEEDS)
def test_kappa_of_two_people_is_scotts_pi(size: tuple[int, int], seed: int) -> None:
    """Scott's pi is Cohen's kappa of the answers and the answers swapped, which makes both people's shares equal."""
    first, second = several(2, size, seed)
    together, swapped = np.append(first, second), np.append(second, first)
    assume(0 < together.sum() < together.size)
    assert kappa(first, second) == pytest.approx(cohen_kappa_score(together, swapped))


@given(SIZES, SEEDS, st.integers(2, 5))
def test_kappa_does_not_know_names_or_sides_and_pools_pixels(size: tuple[int, int], seed: int, count: int) -> None:
    masks = several(count, size, seed)
    found = kappa(*masks)
    assume(not math.isnan(found))
    assert kappa(*masks[::-1]) == pytest.approx(found)
    assert kappa(*[~mask for mask in masks]) == pytest.approx(found)
    assert kappa(*[np.hstack([mask, mask]) for mask in masks]) == pytest.approx(found)
    assert fleiss_kappa([Tally.of(masks)] * 3) == pytest.approx(found)
    parts = [Tally.of([mask[:, :1] for mask in masks]), Tally.of([mask[:, 1:] for mask in masks])]
    assert fleiss_kappa(parts) == pytest.approx(found)
    assert found <= 1 + 1e-12


def test_kappa_at_its_ends() -> None:
    assert kappa(LEFT, LEFT, LEFT) == pytest.approx(1)
    assert kappa(LEFT, ~LEFT) == pytest.approx(-1)
    assert math.isnan(kappa(EMPTY, EMPTY))
    assert math.isnan(kappa(LEFT))
    masks = [noise((300, 300), 0.3, seed) for seed in range(4)]
    assert kappa(*masks) == pytest.approx(0, abs=0.01)  # chance


@given(SIZES, SEEDS, st.integers(1, 5))
def test_the_heat_map_is_the_variance_of_the_votes(size: tuple[int, int], seed: int, count: int) -> None:
    masks = several(count, size, seed)
    np.testing.assert_allclose(disagreement(masks), np.var(np.array(masks, dtype=float), axis=0), atol=1e-6)
    assert np.array_equal(votes(masks), np.sum(masks, axis=0))


@pytest.mark.parametrize("masks", [[], [LEFT, LEFT.T]])
def test_no_masks_and_masks_of_several_sizes_are_refused(masks: list[Bools]) -> None:
    with pytest.raises(XaiError, match="same size"):
        votes(masks)


# -- people --------------------------------------------------------------------------------------------------------


@given(SIZES, SEEDS)
def test_pixels_are_counted_as_sklearn_counts_them(size: tuple[int, int], seed: int) -> None:
    mask, reference = several(2, size, seed)
    rejections, alarms, misses, hits = confusion_matrix(reference.ravel(), mask.ravel(), labels=[False, True]).ravel()
    assert Confusion.of(mask, reference) == Confusion(hits, misses, rejections, alarms)


def test_rates_and_their_reasons() -> None:
    one = Confusion(hits=3, misses=1, rejections=8, alarms=2)
    assert (one.sensitivity, one.specificity, one.reasons) == (0.75, 0.8, {})
    assert (one + one).sensitivity == 0.75
    assert set(Confusion.of(LEFT, EMPTY).reasons) == {"sensitivity"}
    assert set(Confusion.of(LEFT, ~EMPTY).reasons) == {"specificity"}


def test_a_set_has_all_pairs_and_everybodys_pixels() -> None:
    one = Agreement.of({"a": LEFT, "b": LEFT, "c": EMPTY}, LEFT)
    other = Agreement.of({"a": LEFT, "d": ~LEFT}, LEFT)
    every = Agreement.over([one, other])
    assert [pair.people for pair in every.pairs] == [("a", "b"), ("a", "c"), ("b", "c"), ("a", "d")]
    assert every.mean("iou") == 1 / 4
    assert every.people["a"].hits == 24
    assert every.kappa == pytest.approx(fleiss_kappa([*one.tallies, *other.tallies]))
    assert set(every.people) == {"a", "b", "c", "d"}


def test_what_is_undefined_has_a_reason() -> None:
    nothing = Agreement.of({"a": EMPTY, "b": EMPTY}, EMPTY)
    assert nothing.reasons["kappa"] == UNANIMOUS
    assert nothing.reasons["iou"] == BOTH_EMPTY
    assert Agreement.of({"a": LEFT}, LEFT).reasons["kappa"] == ALONE
    assert Agreement.of({"a": LEFT, "b": EMPTY}, LEFT).reasons.keys() == {"boundary_mean", "boundary_95"}
    assert Agreement.of({"a": LEFT, "b": LEFT}, LEFT).reasons == {}
