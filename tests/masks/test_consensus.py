"""Consensus: laws of votes, STAPLE on people whose errors are known, and its degenerate cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_core.masks.agreement import intersection_over_union
from xai_core.masks.consensus import CONSENSUS, consensus, intersection, majority, staple, union
from xai_core.types import Bools, XaiError

from .making import SEEDS, SIZES, noise, rings, several

EMPTY = np.zeros((4, 5), dtype=bool)
DOT = np.eye(4, 5, dtype=bool)
every_consensus = pytest.mark.parametrize("name", CONSENSUS)


@given(SIZES, SEEDS, st.integers(1, 6))
def test_votes_are_counted(size: tuple[int, int], seed: int, count: int) -> None:
    masks = several(count, size, seed)
    stack = np.array(masks)
    assert np.array_equal(union(masks), stack.any(axis=0))
    assert np.array_equal(intersection(masks), stack.all(axis=0))
    assert np.array_equal(majority(masks), stack.mean(axis=0) > 0.5)


@every_consensus
@settings(max_examples=25)
@given(size=SIZES, seed=SEEDS, count=st.integers(1, 4))
def test_every_consensus_lies_between_what_all_and_what_any_say(
    name: str, size: tuple[int, int], seed: int, count: int
) -> None:
    masks = several(count, size, seed)
    found = consensus(name, masks)
    assert found.dtype == bool
    if name != "staple":  # which may go against everybody, where it takes people for liars
        assert not (found & ~union(masks)).any()
        assert not (intersection(masks) & ~found).any()
    assert np.array_equal(consensus(name, masks[::-1]), found)


@every_consensus
@pytest.mark.parametrize("mask", [EMPTY, DOT, ~EMPTY])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_people_who_agree_are_their_own_consensus(name: str, mask: Bools, count: int) -> None:
    assert np.array_equal(consensus(name, [mask] * count), mask)


@every_consensus
@pytest.mark.parametrize("masks", [[], [EMPTY, EMPTY.T]])
def test_no_masks_and_other_sizes_are_refused(name: str, masks: list[Bools]) -> None:
    with pytest.raises(XaiError):
        consensus(name, masks)


def test_an_unknown_consensus_is_refused() -> None:
    with pytest.raises(XaiError, match="majority, staple"):
        consensus("mean", [DOT])


def test_staple_finds_how_good_people_are_and_beats_the_majority() -> None:
    truth = rings((80, 90), 3)
    rates = [(0.95, 0.99), (0.6, 0.7), (0.65, 0.6), (0.9, 0.95), (0.55, 0.65)]
    rng = np.random.default_rng(0)
    masks = [np.where(truth, rng.random(truth.shape) < hit, rng.random(truth.shape) > calm) for hit, calm in rates]
    found = staple(masks)
    np.testing.assert_allclose(found.sensitivity, [hit for hit, _ in rates], atol=0.04)
    np.testing.assert_allclose(found.specificity, [calm for _, calm in rates], atol=0.04)
    assert intersection_over_union(found.mask, truth) > intersection_over_union(majority(masks), truth) + 0.05


def expectation_maximisation(masks: list[Bools]) -> np.ndarray:
    """Warfield's algorithm in a few lines, from the same start as ITK's."""
    said = np.array([mask.ravel() for mask in masks], dtype=float)
    prior, weight = said.mean(), said.mean(axis=0)
    for _ in range(2000):
        hit = (said @ weight / weight.sum())[:, None]
        calm = ((1 - said) @ (1 - weight) / (1 - weight).sum())[:, None]
        yes = prior * np.prod(np.where(said, hit, 1 - hit), axis=0)
        no = (1 - prior) * np.prod(np.where(said, 1 - calm, calm), axis=0)
        weight = yes / (yes + no)
    return weight.reshape(masks[0].shape)


@pytest.mark.parametrize("seed", range(4))
def test_staple_is_warfields_algorithm(seed: int) -> None:
    truth = rings((25, 31), seed)
    masks = [truth ^ noise(truth.shape, part, seed + 7) for part in (0.05, 0.1)] + [
        truth ^ noise(truth.shape, 0.2, seed)
    ]
    np.testing.assert_allclose(staple(masks).probability, expectation_maximisation(masks), atol=1e-3)


def test_staple_of_one_person_and_of_nothing_says_what_it_knows() -> None:
    alone = staple([DOT])
    assert (alone.sensitivity, alone.specificity) == ((1,), (1,))
    nothing = staple([EMPTY, EMPTY])
    assert all(math.isnan(value) for value in nothing.sensitivity)
    assert nothing.specificity == (1, 1)
    everything = staple([~EMPTY])
    assert everything.sensitivity == (1,)
    assert math.isnan(everything.specificity[0])


@settings(max_examples=60)
@given(SEEDS, st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=1, max_size=5), SIZES)
def test_staple_is_always_a_probability(seed: int, densities: list[float], size: tuple[int, int]) -> None:
    found = staple([noise(size, density, seed + number) for number, density in enumerate(densities)])
    assert np.isfinite(found.probability).all()
    assert found.probability.min() >= 0
    assert found.probability.max() <= 1 + 1e-9


def test_a_tie_is_no() -> None:
    assert np.array_equal(majority([DOT, EMPTY]), EMPTY)
    assert not staple([EMPTY, ~EMPTY]).mask.any()
