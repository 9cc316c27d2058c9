"""Intersection over union: literal masks, symmetry, scikit-learn, and what is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from sklearn.metrics import jaccard_score

from tests import networks, toys
from xai_core.masks.agreement import intersection_over_union
from xai_core.scores.base import Undefined
from xai_core.scores.iou import IoU, overlaps
from xai_core.scores.ranking import most_relevant_first, top_fraction
from xai_core.types import Cost, Measured

masks = arrays.arrays(bool, (6, 7))


def measured(saliency: np.ndarray, mask: np.ndarray | None, seed: int = 0, **parameters: float) -> Measured:
    run = toys.run(toys.classifier(networks.BrightPatch(), classes=2), toys.frame(32), seed=seed)
    found = IoU(**parameters).measure(run, saliency.astype(np.float32), mask)
    assert run.passes == Cost(0, 0)
    return found


def square(top: int, left: int, side: int = 4, size: int = 10) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (square(2, 2), 1.0),
        (square(6, 6), 0.0),
        (square(4, 4), 1 / 7),
        (square(3, 3, side=2), 1 / 4),
        (np.zeros((10, 10), dtype=bool), 0.0),
        (np.ones((10, 10), dtype=bool), 16 / 100),
    ],
    ids=["identical", "disjoint", "overlapping 2 x 2", "inside", "empty", "everything"],
)
def test_a_square_of_four_against_others(other: np.ndarray, expected: float) -> None:
    assert intersection_over_union(square(2, 2), other) == expected
    assert intersection_over_union(other, square(2, 2)) == expected


def test_two_empty_masks_have_no_overlap_to_speak_of() -> None:
    empty = np.zeros((3, 3), dtype=bool)
    assert math.isnan(intersection_over_union(empty, empty))


@settings(deadline=None, max_examples=60)
@given(left=masks, right=masks)
def test_it_is_symmetric_bounded_and_scikit_learns(left: np.ndarray, right: np.ndarray) -> None:
    found = intersection_over_union(left, right)
    if not (left | right).any():
        assert math.isnan(found)
        return
    assert found == intersection_over_union(right, left)
    assert 0 <= found <= 1
    assert found == pytest.approx(jaccard_score(left.ravel(), right.ravel()))


def test_a_map_that_is_the_mask_overlaps_fully_at_its_own_area() -> None:
    mask = square(5, 9, side=7, size=32)
    found = measured(mask + np.random.default_rng(0).random((32, 32)) / 2, mask).values
    assert found["area_matched"] == 1
    assert found["top"] == pytest.approx(49 / round(0.2 * 1024))


def test_a_map_that_is_the_masks_opposite_does_not_overlap() -> None:
    mask = square(5, 9, side=7, size=32)
    found = measured(np.random.default_rng(0).random((32, 32)) / 2 - mask, mask).values
    assert (found["top"], found["area_matched"]) == (0, 0)
    assert found["best"] == pytest.approx(49 / 1024), "the whole picture is the best there is"


@pytest.mark.parametrize("side", [1, 3, 16, 32])
def test_the_same_area_means_as_many_pixels_as_the_mask_has(side: int) -> None:
    saliency, mask = np.random.default_rng(side).random((32, 32)), square(0, 0, side=side, size=32)
    highlighted = top_fraction(saliency, side**2 / 32**2, seed=0)
    assert highlighted.sum() == side**2
    expected = jaccard_score(mask.ravel(), highlighted.ravel())
    assert measured(saliency, mask).values["area_matched"] == pytest.approx(expected)


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.7])
def test_the_top_is_the_fraction_asked_for(fraction: float) -> None:
    saliency, mask = np.random.default_rng(1).random((32, 32)), square(4, 4, side=12, size=32)
    highlighted = np.argsort(-saliency.ravel())[: round(fraction * 1024)]
    inside = mask.ravel()[highlighted].sum()
    expected = inside / (144 + len(highlighted) - inside)
    assert measured(saliency, mask, fraction=fraction).values["top"] == pytest.approx(expected)


def test_a_random_map_overlaps_as_chance_has_it() -> None:
    """Half of the pixels against half of the pixels: a third."""
    mask = np.zeros((32, 32), dtype=bool)
    mask[:16] = True
    found = [
        measured(np.random.default_rng(seed).random((32, 32)), mask, fraction=0.5).values["top"] for seed in range(60)
    ]
    assert abs(np.mean(found) - 1 / 3) < 4 * np.std(found) / np.sqrt(60) + 1e-3


@pytest.mark.parametrize(
    ("mask", "word"), [(None, "no mask"), (np.zeros((32, 32), dtype=bool), "empty")], ids=["missing", "empty"]
)
def test_without_an_object_it_is_undefined_and_says_why(mask: np.ndarray | None, word: str) -> None:
    with pytest.raises(Undefined, match=word):
        measured(np.random.default_rng(0).random((32, 32)), mask)


@pytest.mark.parametrize("side", [1, 5, 20, 32])
def test_the_best_area_is_the_best_of_all_areas(side: int) -> None:
    saliency, mask = np.random.default_rng(side).random((32, 32)), square(0, 0, side=side, size=32)
    saliency += 0.4 * mask
    every = [intersection_over_union(top_fraction(saliency, count / 1024, seed=0), mask) for count in range(1, 1025)]
    found = measured(saliency, mask).values
    assert found["best"] == pytest.approx(max(every))
    assert found["best"] >= max(found["top"], found["area_matched"])
    np.testing.assert_allclose(overlaps(most_relevant_first(saliency, 0), mask), every)


def test_ties_are_broken_by_the_runs_seed() -> None:
    saliency, mask = np.zeros((32, 32)), square(0, 0, side=16, size=32)
    saliency[0, 0] = 1
    first, again, other = (measured(saliency, mask, seed=seed).values["top"] for seed in (1, 1, 2))
    assert first == again != other
