"""How samples are chosen: balance, uniformity, unbiased means, and standard errors that are the real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import networks, toys
from xai_core.explainers.gradient import SmoothGrad
from xai_core.explainers.lime import AssistedRidge, Lime, kernel_weights, weighted_ridge
from xai_core.explainers.sampling import (
    RunningMean,
    StratifiedMean,
    balanced_masks,
    independent_masks,
    is_precise,
    stratified_points,
)
from xai_core.explainers.shap import ExpectedGradients
from xai_core.types import Cost

seeds = st.integers(0, 10**6)

# -- masks -------------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(count=st.integers(1, 700), features=st.integers(1, 150), seed=seeds)
def test_masks_come_in_pairs_of_opposites_and_in_the_number_asked_for(count: int, features: int, seed: int) -> None:
    keep = balanced_masks(count, features, np.random.default_rng(seed))
    assert keep.shape == (count, features)
    assert keep.dtype == bool
    pairs = keep[: count // 2 * 2].reshape(-1, 2, features)
    np.testing.assert_array_equal(pairs[:, 0], ~pairs[:, 1])


@pytest.mark.parametrize(("features", "block"), [(1, 128), (37, 128), (63, 128), (64, 256), (100, 256)])
def test_in_a_whole_block_every_two_superpixels_are_balanced(features: int, block: int) -> None:
    keep = balanced_masks(2 * block, features, np.random.default_rng(3))
    for rows in (keep[:block], keep[block:]):
        signs = 2.0 * rows - 1
        np.testing.assert_array_equal(signs.sum(axis=0), 0)
        np.testing.assert_array_equal(signs.T @ signs, block * np.eye(features))
    assert (keep[:block] != keep[block:]).any()


@pytest.mark.parametrize("count", [7, 128, 200])
def test_every_single_row_is_as_random_as_an_independent_one(count: int) -> None:
    draws = np.stack([balanced_masks(count, 4, np.random.default_rng(seed))[count // 2] for seed in range(3000)])
    patterns = np.bincount(draws @ (1 << np.arange(4)), minlength=16) / len(draws)
    assert np.abs(patterns - 1 / 16).max() < 4.5 * np.sqrt(1 / 16 / len(draws))


def probabilities(keep: np.ndarray) -> np.ndarray:
    """What a network may say: a sigmoid of a sum, with pairs and triples of superpixels that work together."""
    random = np.random.default_rng(0)
    features = keep.shape[1]
    signs = 2.0 * keep - 1
    total = signs @ random.normal(size=features) / np.sqrt(features)
    total += np.einsum("ns,st,nt->n", signs, random.normal(size=(features, features)), signs) / features / 2
    for _ in range(30):
        total += random.normal() * signs[:, random.permutation(features)[:3]].prod(axis=1) / 20
    return np.asarray(1 / (1 + np.exp(1.5 - 2 * total)))


def lime_weights(sampling: str, seed: int, count: int = 256, features: int = 30) -> tuple[np.ndarray, np.ndarray]:
    keep = Lime(samples=count, sampling=sampling)._masks(features, np.random.default_rng(seed))
    y = probabilities(keep)
    if sampling == "plain":
        return weighted_ridge(keep, y, kernel_weights(keep, 0.25), 1e-6)
    return AssistedRidge(features, 0.25, np.random.default_rng(9))(keep, y, kernel_weights(keep, 0.25), 1e-6)


def test_balanced_masks_make_the_weights_surer_and_have_the_same_mean() -> None:
    plain, balanced = (np.stack([lime_weights(one, seed)[0] for seed in range(60)]) for one in ("plain", "balanced"))
    assert (plain.var(axis=0) / balanced.var(axis=0)).mean() > 1.4
    z = (plain.mean(axis=0) - balanced.mean(axis=0)) / np.sqrt(plain.var(axis=0) / 60 + balanced.var(axis=0) / 60)
    assert np.sqrt((z**2).mean()) < 1.5


@pytest.mark.parametrize("sampling", ["plain", "balanced"])
def test_limes_standard_errors_are_not_too_small_and_not_far_too_large(sampling: str) -> None:
    found = [lime_weights(sampling, seed) for seed in range(60)]
    real = np.stack([weights for weights, _ in found]).std(axis=0, ddof=1)
    told = np.sqrt(np.mean([errors**2 for _, errors in found], axis=0))
    assert 0.8 < np.mean(told / real) < 2


@pytest.mark.parametrize("features", [3, 30])
def test_with_all_samples_a_surrogate_changes_nothing_whatever_it_is(features: int) -> None:
    """Many samples: lime's own fit and the assisted one have the same limit, also where the surrogate is wrong."""
    keep = independent_masks(20000, features, np.random.default_rng(1))
    y, weights = 1 - probabilities(keep) ** 2, kernel_weights(keep, 0.25)
    own, errors = weighted_ridge(keep, y, weights, 1.0)
    assisted, _ = AssistedRidge(features, 0.25, np.random.default_rng(9))(keep, y, weights, 1.0)
    assert np.abs(own - assisted).max() < 3 * errors.max()


@pytest.mark.parametrize("y", [np.zeros(64), np.ones(64), np.full(64, 0.3), np.tile([0.0, 1.0], 32)])
def test_probabilities_without_any_pattern_give_finite_weights(y: np.ndarray) -> None:
    keep = balanced_masks(64, 12, np.random.default_rng(0))
    for values in AssistedRidge(12, 0.25, np.random.default_rng(9))(keep, y, kernel_weights(keep, 0.25), 1.0):
        assert np.isfinite(values).all() and np.abs(values).max() < 1


# -- points -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(rounds=st.integers(1, 70), backgrounds=st.integers(1, 20), seed=seeds)
def test_after_any_number_of_rounds_the_points_of_a_background_are_spread(
    rounds: int, backgrounds: int, seed: int
) -> None:
    which, how_far = stratified_points(rounds * backgrounds, backgrounds, np.random.default_rng(seed))
    own = how_far[which == which[0]].astype(np.float64)
    for count in range(1, rounds + 1):
        points = np.sort(own[:count])
        gaps = np.diff(np.append(points, points[0] + 1))
        assert gaps.max() < 2 / count + 2 / rounds + 1e-6


def test_both_halves_of_a_power_of_two_of_rounds_are_evenly_spaced() -> None:
    which, how_far = stratified_points(3 * 16, 3, np.random.default_rng(0))
    own = how_far[which == 1].astype(np.float64)
    for half in (own[:8], own[8:]):
        points = np.sort(half)
        np.testing.assert_allclose(np.diff(np.append(points, points[0] + 1)), 1 / 8, atol=1e-6)


# -- means and their errors --------------------------------------------------------------------------------------------


def values_on_the_way(which: np.ndarray, how_far: np.ndarray, pixels: int = 400) -> torch.Tensor:
    """Functions of the background and of the way with steps, as gradients of networks with ReLUs have, (N, pixels)."""
    random = np.random.default_rng(5)
    level, height = random.normal(size=(6, pixels)), random.normal(size=(6, pixels))
    place, slope = random.random((6, pixels)), random.normal(size=(6, pixels))
    steps = np.where(how_far[:, None] > place[which], height[which], 0.0)
    return torch.as_tensor(3 * level[which] + steps + slope[which] * how_far[:, None])


def stratified_mean(samples: int, seed: int, batch: int = 7) -> StratifiedMean:
    which, how_far = stratified_points(samples, 6, np.random.default_rng(seed))
    mean = StratifiedMean(6)
    for start in range(0, samples, batch):
        rows = slice(start, start + batch)
        mean.add(values_on_the_way(which[rows], how_far[rows]), which[rows])
    return mean


@pytest.mark.parametrize("samples", [12, 48, 60, 96, 100, 192])
def test_the_errors_of_stratified_means_are_the_real_ones(samples: int) -> None:
    found = [stratified_mean(samples, seed) for seed in range(80)]
    real = torch.stack([one.mean for one in found]).std(0)
    told = torch.stack([one.error for one in found]).square().mean(0).sqrt()
    assert 0.75 < float((told.square().mean() / real.square().mean()).sqrt()) < 2


def test_stratified_means_are_surer_than_those_of_independent_samples_and_know_it() -> None:
    plain = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        mean = RunningMean()
        mean.add(values_on_the_way(random.integers(0, 6, 96), random.random(96)))
        plain.append(mean)
    stratified = [stratified_mean(96, seed) for seed in range(40)]
    real = [torch.stack([one.mean for one in kind]).var(0).mean() for kind in (plain, stratified)]
    told = [torch.stack([one.error for one in kind]).square().mean() for kind in (plain, stratified)]
    assert real[0] / real[1] > 20
    assert told[0] / told[1] > 10


@pytest.mark.parametrize("samples", [1, 5, 6, 13, 40])
def test_the_batch_size_does_not_matter_for_stratified_means(samples: int) -> None:
    one, other = (stratified_mean(samples, 1, batch) for batch in (1, 64))
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.error, other.error, equal_nan=True)
    assert bool(one.error.isnan().all()) == (samples == 1)


def test_constant_samples_have_no_error() -> None:
    mean = StratifiedMean(2)
    mean.add(torch.ones(8, 3, 3), np.arange(8) % 2)
    assert float(mean.error.abs().max()) == 0
    assert float(mean.mean.min()) == float(mean.mean.max()) == 1


# -- sampling until the map is precise ---------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(seed=seeds, share=st.floats(0.01, 0.9))
def test_a_map_is_precise_when_its_errors_are_that_part_of_its_spread(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(9, 9))
    errors = np.full((9, 9), share * values.std())
    assert is_precise(values, errors, share * 1.001)
    assert not is_precise(values, errors, share * 0.999)
    assert not is_precise(values, errors * np.nan, share)
    assert not is_precise(values, errors * 0, 0.0)


METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "shap": (ExpectedGradients, {}),
    "lime": (Lime, {"segmentation": "slic", "segments": 12}),
    "smoothgrad": (SmoothGrad, {"reduction": "sum"}),
}


@pytest.mark.parametrize("name", METHODS)
def test_sampling_stops_when_the_map_is_as_precise_as_asked_for(name: str) -> None:
    torch.manual_seed(0)
    network = networks.tiny().eval()
    with torch.no_grad():
        network.head.weight *= 20
    frame = toys.frame(32)
    background = torch.as_tensor(np.stack([toys.frame(32, 50 + n) for n in range(4)]) / np.float32(255)).movedim(-1, 1)
    build, parameters = METHODS[name]
    passes, precise = [], []
    for precision in (0.0, 0.02, 0.5):
        run = toys.run(toys.classifier(network, classes=5), frame, target=1, batch=8, background=background)
        found = build(samples=1000, precision=precision, **parameters).explain(run)
        passes.append(run.passes.forward)
        precise.append(np.sqrt(np.mean(found.errors**2)) / found.values.std())
    assert passes[0] == 1000
    assert passes[2] < passes[1] <= 1000
    assert passes[2] < 500
    assert precise[2] <= 0.5
    if passes[1] < 1000:
        assert precise[1] <= 0.02


def test_a_precise_map_is_close_to_that_of_all_samples() -> None:
    torch.manual_seed(0)
    model = toys.classifier(networks.tiny().eval(), classes=5)
    maps = []
    for seed, precision in ((0, 0.0), (1, 0.1)):
        run = toys.run(model, toys.frame(32), target=1, seed=seed, batch=8)
        maps.append(SmoothGrad(samples=1000, reduction="sum", precision=precision).explain(run).values)
    assert run.passes == Cost(run.passes.forward, run.passes.forward) and run.passes.forward < 1000
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.98


def test_independent_masks_are_half_hidden() -> None:
    keep = independent_masks(4000, 30, np.random.default_rng(0))
    assert abs(keep.mean() - 0.5) < 4 * 0.5 / np.sqrt(keep.size)
