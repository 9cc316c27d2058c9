"""Drift of maps: identity, symmetry, closed forms, and what counts as beyond a method's own noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_core.scores.drift import MEASURES, beyond, compared, object_overlap, onset, spread

from .maps import noise

PERFECT = {"spearman": 1, "ssim": 1, "mse": 0, "top": 1}


def test_a_map_and_itself_are_alike_in_every_measure() -> None:
    assert compared(noise(), noise()) == PERFECT
    assert list(MEASURES) == list(PERFECT)


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_scale_and_offset_are_no_drift(scale: float, offset: float) -> None:
    found = compared(noise(), noise().astype(np.float64) * scale + offset)
    assert found == {name: pytest.approx(value, abs=1e-6) for name, value in PERFECT.items()}


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_comparing_is_symmetric(one: int, other: int) -> None:
    there, back = compared(noise(one), noise(other)), compared(noise(other), noise(one))
    assert there == {name: pytest.approx(value, abs=1e-9) for name, value in back.items()}


def test_independent_maps_have_what_chance_gives() -> None:
    found = compared(noise(0, 200), noise(1, 200), fraction=0.2)
    assert found["spearman"] == pytest.approx(0, abs=0.02)
    assert found["top"] == pytest.approx(0.04 / 0.36, abs=0.01)
    assert compared(noise(0), -noise(0))["spearman"] == pytest.approx(-1)


def test_a_flat_map_ranks_nothing() -> None:
    flat = np.zeros((32, 32))
    for pair in ((noise(), flat), (flat, noise()), (flat, flat), (flat, flat + 1)):
        assert all(math.isnan(value) for value in compared(*pair).values())
    for runs in ([flat], [noise(0), noise(1), flat], [flat, noise(0), noise(1)]):
        assert all(math.isnan(low) and math.isnan(high) for low, high in spread(runs).values())


def test_the_spread_is_the_lowest_and_the_highest_of_all_pairs() -> None:
    runs = [noise(seed) for seed in range(3)]
    pairs = [compared(runs[left], runs[right]) for left, right in ((0, 1), (0, 2), (1, 2))]
    for name, (low, high) in spread(runs).items():
        assert (low, high) == (min(one[name] for one in pairs), max(one[name] for one in pairs))
    assert spread([noise()]) == {name: (value, value) for name, value in PERFECT.items()}


def test_drift_is_beyond_noise_where_it_is_worse_than_the_worst_pair_of_runs() -> None:
    assert beyond("spearman", 0.79, (0.8, 0.9)) and not beyond("spearman", 0.8, (0.8, 0.9))
    assert beyond("mse", 0.31, (0.1, 0.3)) and not beyond("mse", 0.05, (0.1, 0.3)), "less is better"
    assert not beyond("spearman", math.nan, (0.8, 0.9)) and not beyond("spearman", 0.1, (math.nan, math.nan))
    assert not beyond("spearman", 1 - 1e-12, (1, 1)), "rounding is no drift"


@pytest.mark.parametrize(
    ("values", "start"),
    [([0.9, 0.85, 0.7], 2), ([0.7, 0.6, 0.5], 0), ([0.9, 0.9, 0.9], None), ([0.7, 0.9, 0.7], 2), ([0.7, 0.9], None)],
)
def test_it_begins_where_every_worse_severity_is_beyond_too(values: list[float], start: int | None) -> None:
    assert onset("spearman", values, (0.8, 0.95)) == start


def test_noise_alone_stays_within_and_a_real_change_does_not() -> None:
    """Five noisy runs of a method; a sixth that differs by its noise alone is seldom beyond their spread."""
    signal = np.outer(np.arange(32), np.arange(32)) / 300
    runs = [signal + noise(seed) for seed in range(5)]
    bounds = spread(runs)["spearman"]
    others = [compared(runs[0], signal + noise(seed))["spearman"] for seed in range(10, 40)]
    assert np.mean([beyond("spearman", value, bounds) for value in others]) < 0.5
    moved = [compared(runs[0], signal[::-1] + noise(seed))["spearman"] for seed in range(10, 40)]
    assert all(beyond("spearman", value, bounds) for value in moved)


def test_the_object_is_matched_by_as_many_pixels_as_it_has() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[5:10, 5:10] = True
    assert object_overlap(mask.astype(float), mask) == 1
    assert object_overlap(1 - mask.astype(float), mask) == 0
    assert object_overlap(noise(0, 200), np.arange(40000).reshape(200, 200) < 8000) == pytest.approx(1 / 9, abs=0.02)
    assert math.isnan(object_overlap(np.ones((20, 20)), mask))
    assert math.isnan(object_overlap(noise(0, 20), np.zeros((20, 20), dtype=bool)))
