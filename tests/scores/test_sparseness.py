"""Gini, entropy, effective complexity: literal maps, bounds, scale, and Quantus where it is right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from quantus import Complexity, EffectiveComplexity, Sparseness
from scipy.stats import entropy as scipys

from tests import networks, toys
from xai_core.registry import SCORES
from xai_core.scores.sparseness import effective_complexity, entropy, gini
from xai_core.types import Cost

maps = arrays.arrays(np.float64, (5, 6), elements=st.floats(-10, 10).map(lambda value: round(value, 3))).filter(np.any)


def test_one_pixel_and_an_even_map_are_the_ends() -> None:
    one, even = np.zeros((4, 4)), np.full((4, 4), -3.0)
    one[2, 1] = -7
    assert (gini(one), gini(even)) == (0.9375, pytest.approx(0))
    assert (entropy(one), entropy(even)) == (0, pytest.approx(math.log(16)))
    assert (effective_complexity(one, 0.05), effective_complexity(even, 0.05)) == (1 / 16, 1)


def test_a_map_of_zeros_is_undefined() -> None:
    for score in (gini, entropy, lambda values: effective_complexity(values, 0.1)):
        assert math.isnan(score(np.zeros((3, 3))))


@settings(deadline=None, max_examples=60)
@given(values=maps, factor=st.sampled_from([-1.0, 1e-20, 0.3, 1e12]), seed=st.integers(0, 99))
def test_bounds_scale_sign_and_place(values: np.ndarray, factor: float, seed: int) -> None:
    other = factor * np.random.default_rng(seed).permutation(values.ravel()).reshape(6, 5)
    before = values.copy()
    size = values.size
    assert -1e-12 <= gini(values) <= 1 - 1 / size + 1e-12
    assert 0 <= entropy(values) <= math.log(size) + 1e-12
    assert 1 / size <= effective_complexity(values, 0.0) <= 1
    assert gini(other) == pytest.approx(gini(values), abs=1e-9)
    assert entropy(other) == pytest.approx(entropy(values), abs=1e-9)
    assert effective_complexity(values, 0.0) == pytest.approx((values != 0).mean())
    np.testing.assert_array_equal(values, before)


@settings(deadline=None, max_examples=60)
@given(values=maps)
def test_gini_is_half_the_mean_difference_over_the_mean_and_entropy_is_scipys(values: np.ndarray) -> None:
    sizes = np.abs(values).ravel()
    differences = np.abs(sizes[:, None] - sizes).mean()
    assert gini(values) == pytest.approx(differences / 2 / sizes.mean(), abs=1e-9)
    assert entropy(values) == pytest.approx(scipys(sizes), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_of_quantus(seed: int) -> None:
    """Quantus adds 1e-7 to every value, or 1e-12 in the logarithm, and writes into what it is given."""
    values = np.random.default_rng(seed).standard_normal((12, 12)) ** 3
    given_map = lambda: np.abs(values)[None, None].copy()  # noqa: E731
    quiet = {"disable_warnings": True, "normalise": False}
    assert gini(values) == pytest.approx(float(Sparseness(**quiet).evaluate_batch(None, given_map())[0]), abs=1e-6)
    assert entropy(values) == pytest.approx(float(Complexity(**quiet).evaluate_batch(None, given_map())[0]), abs=1e-9)
    counted = EffectiveComplexity(eps=0.1 * np.abs(values).max(), **quiet).evaluate_batch(a_batch=given_map())
    assert effective_complexity(values, 0.1) == int(counted[0]) / values.size


def test_the_scores_are_the_functions_and_take_no_pass() -> None:
    values = np.random.default_rng(0).standard_normal((16, 16)).astype(np.float32)
    run = toys.run(toys.classifier(networks.Blind(), 16, 2), toys.frame(16))
    assert SCORES["gini"].make().measure(run, values, None).values == {"gini": gini(values)}
    found = SCORES["entropy"].make({"threshold": 0.2}).measure(run, values, None).values
    assert found == {
        "nats": entropy(values),
        "relative": entropy(values) / math.log(256),
        "effective": effective_complexity(values, 0.2),
    }
    assert run.passes == Cost(0, 0)
