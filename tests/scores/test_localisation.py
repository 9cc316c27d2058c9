"""Relevance and a marked object: closed forms, invariances, scikit-learn, Quantus where it is right."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import roc_auc_score

from tests import networks, toys
from xai_core.registry import SCORES
from xai_core.scores.base import Undefined
from xai_core.scores.localisation import energy_in_mask, pointing_hit, relevance_rank, roc_auc
from xai_core.types import Cost, Measured

NAMES = ("pointing_game", "energy_in_mask", "relevance_rank", "roc_auc")
Pure = Callable[[np.ndarray, np.ndarray], float]
every_function = pytest.mark.parametrize("function", [pointing_hit, energy_in_mask, relevance_rank, roc_auc])
maps = arrays.arrays(np.float32, (6, 7), elements=st.floats(-2, 2, width=16))
masks = arrays.arrays(bool, (6, 7))


def square(top: int = 4, left: int = 6, side: int = 8, size: int = 32) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def measured(name: str, saliency: np.ndarray, mask: np.ndarray | None, **parameters: object) -> Measured:
    run = toys.run(toys.classifier(networks.BrightPatch(), classes=2), toys.frame(32))
    found = SCORES[name].make(parameters).measure(run, saliency.astype(np.float32), mask)  # type: ignore[attr-defined]
    assert run.passes == Cost(0, 0)
    return found


@every_function
def test_a_map_that_is_the_mask_is_perfect(function: Pure) -> None:
    assert function(square().astype(np.float32), square()) == 1


@every_function
def test_a_map_that_is_the_masks_opposite_is_worth_nothing(function: Pure) -> None:
    assert function((~square()).astype(np.float32), square()) == 0


@every_function
def test_an_empty_mask_is_no_number(function: Pure) -> None:
    assert math.isnan(function(np.eye(5), np.zeros((5, 5), dtype=bool)))


@pytest.mark.parametrize(
    ("function", "expected"), [(energy_in_mask, 64 / 1024), (roc_auc, 0.5), (pointing_hit, 1 / 16)]
)
def test_a_map_that_is_the_same_everywhere_is_worth_what_chance_is(function: Pure, expected: float) -> None:
    assert function(np.ones((32, 32)), square()) == pytest.approx(expected)


@every_function
@settings(max_examples=40)
@given(saliency=maps, mask=masks)
def test_it_is_bounded_and_scaling_changes_nothing(function: Pure, saliency: np.ndarray, mask: np.ndarray) -> None:
    found = function(saliency, mask)
    assert math.isnan(found) or 0 <= found <= 1
    np.testing.assert_allclose(function(saliency * 1024, mask), found, rtol=1e-6)


@settings(max_examples=60)
@given(saliency=maps, mask=masks)
def test_the_area_under_the_curve_is_scikit_learns(saliency: np.ndarray, mask: np.ndarray) -> None:
    found = roc_auc(saliency, mask)
    if mask.all() or not mask.any():
        assert math.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(mask.ravel(), saliency.ravel()), abs=1e-9)


def test_the_energy_counts_positive_values_alone() -> None:
    saliency, mask = np.array([[3.0, -100.0], [1.0, 0.0]]), np.array([[True, True], [False, False]])
    assert energy_in_mask(saliency, mask) == 0.75
    assert math.isnan(energy_in_mask(-np.abs(saliency), mask))


@pytest.mark.parametrize(("away", "hits"), [(0, True), (1, True), (3, True), (4, False), (9, False)])
def test_the_tolerance_is_a_distance_in_pixels(away: int, hits: bool) -> None:
    mask, saliency = square(4, 6, 8), np.zeros((32, 32))
    saliency[7, 13 + away] = 1
    found = measured("pointing_game", saliency, mask, tolerance=3).values
    assert found == {"tolerant": hits, "exact": away == 0}


def test_the_tolerance_is_round() -> None:
    mask, saliency = square(0, 0, 1), np.zeros((32, 32))
    saliency[3, 4] = 1
    assert [pointing_hit(saliency, mask, tolerance) for tolerance in (4.9, 5)] == [0, 1]


def test_of_several_greatest_values_the_fraction_counts() -> None:
    saliency = np.zeros((32, 32))
    saliency[5, 7] = saliency[20, 20] = saliency[30, 1] = saliency[6, 8] = 2
    assert pointing_hit(saliency, square()) == 0.5


def test_the_rank_takes_as_many_pixels_as_the_mask_has() -> None:
    saliency = np.random.default_rng(0).random((32, 32))
    top = np.argsort(-saliency.ravel())[:64]
    assert measured("relevance_rank", saliency, square()).values["accuracy"] == square().ravel()[top].mean()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("mask", "word"), [(None, "no mask"), (np.zeros((32, 32), dtype=bool), "empty")], ids=["missing", "empty"]
)
def test_without_an_object_it_is_undefined_and_says_why(name: str, mask: np.ndarray | None, word: str) -> None:
    with pytest.raises(Undefined, match=word):
        measured(name, np.random.default_rng(0).random((32, 32)), mask)


@pytest.mark.parametrize(
    ("name", "sign", "mask", "word"),
    [("roc_auc", 1, np.ones((32, 32), dtype=bool), "whole"), ("energy_in_mask", -1, square(), "positive")],
)
def test_what_else_is_undefined_says_why(name: str, sign: int, mask: np.ndarray, word: str) -> None:
    with pytest.raises(Undefined, match=word):
        measured(name, sign * np.random.default_rng(0).random((32, 32)), mask)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_they_are_those_of_quantus() -> None:
    """Masks that are not empty and maps without ties, where Quantus is right; it takes seconds to import."""
    import quantus

    random = np.random.default_rng(0)
    saliency = random.random((4, 32, 32)) + np.stack([0.3 * square(side=one) for one in (3, 8, 15, 20)])
    masks = np.stack([square(side=one) for one in (3, 8, 15, 20)])
    common = {"disable_warnings": True, "display_progressbar": False, "normalise": False, "abs": False}
    ours = {
        quantus.RelevanceMassAccuracy: energy_in_mask,
        quantus.RelevanceRankAccuracy: relevance_rank,
        quantus.AttributionLocalisation: energy_in_mask,
        quantus.PointingGame: pointing_hit,
        quantus.AUC: roc_auc,
    }
    for library, own in ours.items():
        found = library(**common)(
            model=None,
            x_batch=random.random((4, 1, 32, 32)),
            y_batch=np.zeros(4, dtype=int),
            a_batch=saliency[:, None],
            s_batch=masks[:, None],
        )
        expected = [own(*pair) for pair in zip(saliency, masks, strict=True)]
        np.testing.assert_allclose(np.asarray(found, dtype=float), expected, atol=1e-9, err_msg=library.__name__)
