"""KernelSHAP: exact Shapley values from all coalitions, the axioms, and samples that are unbiased."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests import networks, toys
from xai_core.explainers.kernel_shap import KernelShap, coalitions, shapley_regression, size_probabilities
from xai_core.explainers.superpixels import filled, segments

Game = Callable[[np.ndarray], float]


def game(features: int = 7) -> Game:
    """A game with additive parts, pairs and a saturation."""
    random = np.random.default_rng(2)
    pairs, alone = random.normal(size=(features, features)), random.normal(size=features)
    return lambda z: float(alone @ z + 1 / (1 + np.exp(-(z @ pairs @ z))))


def every_coalition(features: int) -> np.ndarray:
    return np.array(list(itertools.product([False, True], repeat=features)))


def brute_force(play: Game, features: int) -> np.ndarray:
    """Shapley values by their definition."""
    values = np.zeros(features)
    for keep in every_coalition(features):
        size = int(keep.sum())
        for one in np.flatnonzero(~keep):
            with_one = keep.copy()
            with_one[one] = True
            share = math.factorial(size) * math.factorial(features - size - 1) / math.factorial(features)
            values[one] += share * (play(with_one.astype(float)) - play(keep.astype(float)))
    return values


def from_all(play: Game, features: int) -> np.ndarray:
    """Our regression with every coalition at its kernel weight."""
    inner = every_coalition(features)[1:-1]
    sizes = inner.sum(axis=1)
    weights = np.array([(features - 1) / (math.comb(features, k) * k * (features - k)) for k in sizes])
    y = np.array([play(keep.astype(float)) for keep in inner])
    return shapley_regression(inner, y, play(np.zeros(features)), play(np.ones(features)), weights)[0]


@pytest.mark.parametrize("features", [2, 3, 7])
def test_all_coalitions_give_the_shapley_values(features: int) -> None:
    play = game(features)
    np.testing.assert_allclose(from_all(play, features), brute_force(play, features), atol=1e-6)


def test_the_axioms_hold() -> None:
    """Values add up; a superpixel that never matters has 0; two that play the same part have the same."""
    play: Game = lambda z: float(z[0] * z[1] + 3 * z[2] + z[4] + z[5])  # noqa: E731
    values = from_all(play, 6)
    assert values.sum() == pytest.approx(play(np.ones(6)) - play(np.zeros(6)))
    assert values[3] == pytest.approx(0, abs=1e-6)
    assert values[0] == pytest.approx(values[1]) and values[4] == pytest.approx(values[5])
    np.testing.assert_allclose(values, [0.5, 0.5, 3, 0, 1, 1], atol=1e-6)


@pytest.mark.parametrize("balanced", [True, False])
def test_an_additive_game_is_found_exactly(balanced: bool) -> None:
    alone = np.random.default_rng(0).normal(size=12)
    keep, weights = coalitions(60, 12, balanced, np.random.default_rng(1))
    values, errors = shapley_regression(keep, keep @ alone + 2.0, 2.0, 2.0 + alone.sum(), weights)
    np.testing.assert_allclose(values, alone, atol=1e-6)
    assert errors.max() < 1e-6


def test_one_superpixel_has_it_all() -> None:
    values, errors = shapley_regression(np.ones((4, 1), dtype=bool), np.ones(4), 1.0, 3.0)
    assert values.tolist() == [2.0] and errors.tolist() == [0.0]


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("features", [2, 9, 40])
def test_weighted_coalitions_have_the_kernels_sizes_and_every_superpixel_equally_often(
    features: int, balanced: bool
) -> None:
    keep, weights = coalitions(8000, features, balanced, np.random.default_rng(0))
    sizes = keep.sum(axis=1)
    assert sizes.min() >= 1 and sizes.max() <= features - 1
    assert weights.mean() == pytest.approx(1, rel=0.05)
    found = np.bincount(sizes, weights, minlength=features)[1:features] / 8000
    np.testing.assert_allclose(found, size_probabilities(features), atol=0.02)
    np.testing.assert_allclose(keep.mean(axis=0), 0.5, atol=0.03)
    if balanced:
        assert (keep[::2] == ~keep[1::2]).all()


def estimates(balanced: bool, count: int) -> tuple[np.ndarray, np.ndarray]:
    play = game()
    ends = play(np.zeros(7)), play(np.ones(7))
    found = []
    for seed in range(80):
        keep, weights = coalitions(count, 7, balanced, np.random.default_rng(seed))
        y = np.array([play(one.astype(float)) for one in keep])
        found.append(shapley_regression(keep, y, *ends, weights, group=1 + balanced))
    return np.array([one for one, _ in found]), np.array([errors for _, errors in found])


@pytest.mark.parametrize("balanced", [True, False])
def test_samples_find_the_shapley_values_within_their_reported_errors(balanced: bool) -> None:
    values, errors = estimates(balanced, 200)
    exact = brute_force(game(), 7)
    spread = np.sqrt(((values - exact) ** 2).mean())
    assert spread == pytest.approx(np.sqrt((errors**2).mean()), rel=0.15)
    assert np.abs(values.mean(axis=0) - exact).max() < 5 * spread / np.sqrt(80) + 0.1 * spread


def test_pairs_of_evenly_spread_sizes_take_most_of_the_noise_away() -> None:
    exact = brute_force(game(), 7)
    plain, balanced = (((estimates(kind, 200)[0] - exact) ** 2).mean() for kind in (False, True))
    assert balanced < plain / 1.5


@pytest.mark.parametrize("sampling", ["balanced", "plain"])
def test_a_linear_network_gives_every_superpixel_what_it_adds(sampling: str) -> None:
    torch.manual_seed(1)
    network, frame = networks.Linear(24), toys.frame(24)
    run = toys.run(toys.classifier(network, size=24), frame, target=2)
    found = KernelShap(samples=200, segments=9, sampling=sampling).explain(run)
    labels = segments(frame, "slic", 9)
    hidden = filled(frame, labels, "segment_mean").transpose(2, 0, 1)
    weights = network.fc.weight[2].detach().numpy().reshape(3, 24, 24)
    added = (weights * (frame.transpose(2, 0, 1) / 255 - hidden)).sum(0)
    expected = np.array([added[labels == label].sum() for label in range(labels.max() + 1)])[labels]
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    assert found.signed and (run.passes.forward, run.passes.backward) == (202, 0)


def test_a_picture_of_one_superpixel_has_a_flat_map() -> None:
    torch.manual_seed(0)
    frame = np.full((16, 16, 3), 90, dtype=np.uint8)
    model = toys.classifier(networks.tiny(), size=16, classes=5)
    found = KernelShap(samples=8, segmentation="quickshift", fill="black").explain(toys.run(model, frame))
    assert np.isfinite(found.values).all()
