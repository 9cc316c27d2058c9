"""What a map highlights: closed forms of the rates, the rules, and the pseudo ground truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from skimage.filters import threshold_otsu

from tests import networks, toys
from xai_core.corruptions import chain
from xai_core.masks.agreement import intersection_over_union
from xai_core.registry import SCORES
from xai_core.scores.base import Undefined
from xai_core.scores.highlights import above_otsu, ceiling, false_rates, half_of_greatest, highlighted
from xai_core.scores.ranking import top_fraction
from xai_core.types import Another

from .maps import Maps, noise

masks = arrays.arrays(bool, (5, 6))
CORRUPTED = chain.chain([chain.parse("gaussian_noise=25")])


@given(truth=masks)
def test_the_truth_itself_and_everything_have_closed_forms(truth: np.ndarray) -> None:
    rate, discovery = false_rates(truth, truth)
    assert math.isnan(rate) if truth.all() else rate == 0
    assert math.isnan(discovery) if not truth.any() else discovery == 0
    rate, discovery = false_rates(np.ones_like(truth), truth)
    assert math.isnan(rate) if truth.all() else rate == 1
    assert discovery == pytest.approx(1 - truth.mean())


@given(found=masks, truth=masks)
def test_rates_are_fractions_and_independent_masks_have_the_same(found: np.ndarray, truth: np.ndarray) -> None:
    for value in false_rates(found, truth):
        assert math.isnan(value) or 0 <= value <= 1


def test_rates_by_hand() -> None:
    found, truth = np.array([[1, 1, 0, 0, 0]], dtype=bool), np.array([[1, 0, 1, 0, 0]], dtype=bool)
    assert false_rates(found, truth) == (1 / 3, 1 / 2)


def test_the_rules_highlight_what_they_say() -> None:
    values = np.array([[0.0, 1.0, 2.0, 4.0], [-9.0, 1.9, 3.0, 0.5]])
    assert highlighted(values, "half", 0, 0).tolist() == [[False, False, True, True], [False, False, True, False]]
    assert not half_of_greatest(-np.abs(values)).any()
    assert highlighted(values, "top", 0.25, 0).sum() == 2
    first = np.arange(64).reshape(8, 8) < 20
    np.testing.assert_array_equal(above_otsu(np.where(first, 5.0, 1.0)), first)
    np.testing.assert_array_equal(above_otsu(noise()), noise() > threshold_otsu(noise()))


@pytest.mark.parametrize("rule", ["top", "half", "otsu"])
def test_the_ceiling_is_one_run_against_the_mean_of_the_others(rule: str) -> None:
    maps = [noise(seed) + 2 for seed in range(4)]
    expected = []
    for place, one in enumerate(maps):
        others = np.mean([other for at, other in enumerate(maps) if at != place], axis=0)
        pair = (highlighted(values, rule, 0.3, 0) for values in (one, others))
        expected.append(intersection_over_union(*pair))
    assert ceiling(maps, rule, 0.3, 0) == pytest.approx(np.mean(expected), abs=0.01)
    assert ceiling(maps[:1], rule, 0.3, 0) == 1


def test_the_truth_is_the_mean_of_runs_on_the_clean_picture() -> None:
    signal = 3 * np.eye(32)

    def give(change: Another) -> np.ndarray:
        assert change.corruptions == ()
        return signal + noise(change.seed or 0)

    maps = Maps(give, CORRUPTED)
    found = maps.score("false_positive_rate", noise(99), runs=12, fraction=0.1).values
    assert [change.seed for change in maps.asked] == list(range(1, 13))
    mean = np.mean([signal + noise(seed) for seed in range(1, 13)], axis=0)
    rates = false_rates(top_fraction(noise(99), 0.1, 0), top_fraction(mean, 0.1, 0))
    assert (found["rate"], found["discovery"]) == pytest.approx(rates, abs=1e-6)
    assert found["discovery"] == pytest.approx(0.9, abs=0.1), "what chance gives"
    assert 0.05 < found["ceiling"] < 0.6


def test_the_map_of_a_clean_picture_is_compared_after_a_corruption() -> None:
    maps = Maps(lambda change: noise(1) if change.corruptions else noise(0))
    found = maps.score("false_positive_rate", noise(0), runs=2).values
    rates = false_rates(top_fraction(noise(1), 0.2, 0), top_fraction(noise(0), 0.2, 0))
    assert (found["rate"], found["discovery"]) == rates
    assert found["rate"] == pytest.approx(found["discovery"] * 0.2 / 0.8, rel=0.01), "as many pixels in both"


def area(saliency: np.ndarray, **parameters: str) -> dict[str, float]:
    run = toys.run(toys.classifier(networks.Blind()), toys.frame(32))
    return dict(SCORES["highlighted_area"].make(parameters).measure(run, saliency.astype(np.float32), None).values)  # type: ignore[attr-defined]


def test_the_area_is_that_of_what_stands_out() -> None:
    square = np.zeros((32, 32))
    square[4:12, 6:14] = 5
    assert area(square) == area(square, rule="otsu") == {"area": 64 / 1024, "mass": 64 / 1024}
    ramp = np.arange(1024.0).reshape(32, 32)
    assert area(ramp) == {"area": pytest.approx(0.5), "mass": pytest.approx(0.5)}


def test_a_map_that_speaks_against_the_class_highlights_nothing() -> None:
    with pytest.raises(Undefined, match="no positive"):
        area(-1 - np.random.default_rng(0).random((32, 32)))
