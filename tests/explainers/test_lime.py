"""LIME: its regression against scikit-learn's and lime's own, its laws, its errors, and a planted signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lime.lime_base import LimeBase
from lime.lime_image import LimeImageExplainer
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances
from torch import nn

from tests import networks, toys
from xai_core.explainers import lime as module
from xai_core.explainers.lime import Lime, kernel_weights, weighted_ridge
from xai_core.explainers.superpixels import segments
from xai_core.registry import METHODS
from xai_core.seeds import generator
from xai_core.types import Attribution, Pixels


def keep_rows(count: int = 200, features: int = 12, seed: int = 0) -> np.ndarray:
    return Lime(samples=count, sampling="plain")._masks(features, np.random.default_rng(seed))


def explained(
    network: nn.Module, frame: Pixels, target: int = 1, seed: int = 0, batch: int = 32, **parameters: Any
) -> Attribution:
    model = toys.classifier(network, size=frame.shape[0])
    return Lime(**parameters).explain(toys.run(model, frame, target=target, seed=seed, batch=batch))


def grid(size: int = 32, side: int = 8) -> np.ndarray:
    """Square superpixels, numbered row by row."""
    number = np.arange(size) // side
    return number[:, None] * (size // side) + number


def in_squares(monkeypatch: pytest.MonkeyPatch, labels: np.ndarray) -> None:
    monkeypatch.setattr(module, "segments", lambda pixels, method, count: labels)


@pytest.mark.parametrize("ridge", [1e-6, 0.01, 1.0, 50.0])
@pytest.mark.parametrize("count", [5, 40, 300])
def test_the_regression_is_scikit_learns_weighted_ridge(count: int, ridge: float) -> None:
    random = np.random.default_rng(count)
    keep = keep_rows(count)
    y, weights = random.random(count), random.uniform(0.05, 1, count)
    coefficients, _ = weighted_ridge(keep, y, weights, ridge)
    library = Ridge(alpha=ridge).fit(keep.astype(float), y, sample_weight=weights)
    np.testing.assert_allclose(coefficients, library.coef_, atol=1e-9)


@pytest.mark.parametrize("count", [8, 60])
def test_without_a_ridge_it_is_least_squares(count: int) -> None:
    """Twelve superpixels: with eight samples many weights fit, and the shortest are taken."""
    keep, random = keep_rows(count), np.random.default_rng(count)
    y, weights = random.random(count), random.uniform(0.05, 1, count)
    coefficients, errors = weighted_ridge(keep, y, weights, 0.0)
    x = keep - np.average(keep, axis=0, weights=weights)
    root = np.sqrt(weights)
    expected = np.linalg.lstsq(root[:, None] * x, root * (y - np.average(y, weights=weights)), rcond=1e-10)[0]
    np.testing.assert_allclose(coefficients, expected, atol=1e-8)
    assert np.isfinite(errors).all()
    if count > 12:
        free = np.linalg.lstsq(root[:, None] * np.column_stack([keep, np.ones(count)]), root * y, rcond=None)[0]
        np.testing.assert_allclose(coefficients, free[:-1], atol=1e-9)


def test_without_a_kernel_all_pictures_count_alike() -> None:
    assert (kernel_weights(keep_rows(), Lime(kernel="none")._width) == 1).all()
    assert Lime(kernel_width=0.5)._width == 0.5


def test_the_settings_of_s3_are_plain_least_squares_of_the_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network, frame = networks.tiny().eval(), toys.frame(32)
    in_squares(monkeypatch, grid())
    method = METHODS["lime"].make({"samples": 120}, "s3")
    assert (method.segments, method.kernel, method.ridge, method.sampling) == (49, "none", 0.0, "plain")
    model = toys.classifier(network, size=32)
    found = method.explain(toys.run(model, frame, target=1)).values[::8, ::8].ravel()
    keep = method._masks(16, generator(0, "lime"))
    shown = torch.as_tensor(keep.reshape(-1, 1, 4, 4).repeat(8, axis=2).repeat(8, axis=3))
    with torch.no_grad():
        p = model.network(torch.as_tensor(frame / np.float32(255)).movedim(-1, 0).where(shown, 0.5)).softmax(1)[:, 1]
    expected = np.linalg.lstsq(np.column_stack([keep, np.ones(120)]), p.double().numpy(), rcond=None)[0][:-1]
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("study", ["s0", "s3"])
def test_the_settings_of_the_studies_have_a_map_by_either_implementation(study: str) -> None:
    model, frame = toys.classifier(networks.tiny().eval(), size=32), toys.frame(32)
    for implementation in ("own", "reference"):
        method = METHODS["lime"].make({"implementation": implementation, "samples": 80}, study)
        assert np.isfinite(method.explain(toys.run(model, frame, target=1)).values).all()
    assert METHODS["lime"].make({}, "s0").samples == 50


@pytest.mark.parametrize("width", [0.05, 0.25, 2.0])
def test_the_kernel_is_limes_on_scikit_learns_cosine_distances(width: float) -> None:
    keep = keep_rows()
    keep[7] = False
    keep[9, 1:] = False
    distances = pairwise_distances(keep.astype(float), keep[:1].astype(float), metric="cosine").ravel()
    assert distances[7] == 1, "a picture with everything hidden is as far away as can be"
    library = LimeImageExplainer(kernel_width=width).base.kernel_fn(distances)
    np.testing.assert_allclose(kernel_weights(keep, width), library, rtol=1e-9)
    assert kernel_weights(keep, width)[0] == 1


def test_the_first_picture_is_whole_and_the_others_are_half_hidden() -> None:
    keep = keep_rows(4000, 30)
    assert keep[0].all()
    assert abs(keep[1:].mean() - 0.5) < 4 * 0.5 / np.sqrt(keep[1:].size)
    assert np.abs(np.corrcoef(keep[1:].T) - np.eye(30)).max() < 5 / np.sqrt(4000)


def test_the_weights_of_an_additive_model_are_recovered() -> None:
    keep, random = keep_rows(), np.random.default_rng(1)
    truth = random.normal(size=12)
    coefficients, errors = weighted_ridge(keep, keep @ truth + 3, kernel_weights(keep, 0.25), 1e-9)
    np.testing.assert_allclose(coefficients, truth, atol=1e-9)
    assert errors.max() < 1e-9


def test_the_ridge_shrinks_the_weights_of_an_additive_model_as_computed() -> None:
    """(X'WX + r) b = X'WX truth with X centred: the shrinkage in closed form."""
    keep, truth = keep_rows(), np.linspace(-1, 1, 12)
    weights = kernel_weights(keep, 0.25)
    x = keep - np.average(keep, axis=0, weights=weights)
    gram = x.T @ (weights[:, None] * x)
    expected = np.linalg.solve(gram + np.eye(12), gram @ truth)
    coefficients, _ = weighted_ridge(keep, keep @ truth, weights, 1.0)
    np.testing.assert_allclose(coefficients, expected, atol=1e-12)
    assert np.linalg.norm(coefficients) < np.linalg.norm(truth)


@pytest.mark.parametrize("samples", [20, 250])
def test_with_the_same_samples_the_coefficients_are_limes(samples: int) -> None:
    random = np.random.default_rng(samples)
    keep = keep_rows(samples, 35)
    y = random.random(samples)
    distances = pairwise_distances(keep.astype(float), keep[:1].astype(float), metric="cosine").ravel()
    library = LimeImageExplainer(kernel_width=0.25).base
    assert isinstance(library, LimeBase)
    _, chosen, _, _ = library.explain_instance_with_data(
        keep.astype(float), np.stack([1 - y, y], axis=1), distances, 1, num_features=100000
    )
    theirs = np.zeros(35)
    for feature, weight in chosen:
        theirs[feature] = weight
    own, _ = weighted_ridge(keep, y, kernel_weights(keep, 0.25), 1.0)
    assert len(chosen) == 35
    assert np.abs(own - theirs).max() < 1e-6


@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(12)))
def test_numbering_the_superpixels_otherwise_permutes_the_weights_only(order: list[int]) -> None:
    keep, y = keep_rows(), np.random.default_rng(2).random(200)
    weights = kernel_weights(keep, 0.25)
    coefficients, errors = weighted_ridge(keep, y, weights, 1.0)
    renumbered = keep[:, order]
    np.testing.assert_allclose(kernel_weights(renumbered, 0.25), weights, rtol=1e-12)
    other, other_errors = weighted_ridge(renumbered, y, weights, 1.0)
    np.testing.assert_allclose(other, coefficients[order], atol=1e-9)
    np.testing.assert_allclose(other_errors, errors[order], atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_samples_does_not_matter(seed: int) -> None:
    keep, y = keep_rows(), np.random.default_rng(2).random(200)
    order = np.random.default_rng(seed).permutation(200)
    coefficients, errors = weighted_ridge(keep, y, kernel_weights(keep, 0.25), 1.0)
    other, other_errors = weighted_ridge(keep[order], y[order], kernel_weights(keep[order], 0.25), 1.0)
    np.testing.assert_allclose(other, coefficients, atol=1e-9)
    np.testing.assert_allclose(other_errors, errors, atol=1e-9)


def test_the_standard_errors_cover_the_truth_as_often_as_they_say() -> None:
    """Noise that grows with what is shown: the sandwich formula allows for it."""
    truth, covered, simulations = np.linspace(-1, 1, 8), np.zeros(8), 500
    for simulation in range(simulations):
        random = np.random.default_rng(simulation)
        keep = Lime(samples=300, sampling="plain")._masks(8, random)
        y = keep @ truth + random.normal(size=300) * (0.1 + keep[:, 0] + keep.mean(axis=1))
        coefficients, errors = weighted_ridge(keep, y, kernel_weights(keep, 0.25), 1e-6)
        covered += np.abs(coefficients - truth) < 1.96 * errors
    coverage = covered / simulations
    assert abs(coverage.mean() - 0.95) < 0.015
    assert coverage.min() > 0.91
    assert coverage.max() < 0.985


def test_too_few_samples_still_give_finite_weights() -> None:
    for count in (2, 3, 5):
        keep = keep_rows(count, 40)
        coefficients, errors = weighted_ridge(keep, np.arange(count, dtype=float), kernel_weights(keep, 0.25), 1.0)
        assert np.isfinite([coefficients, errors]).all()


def planted(size: int = 32) -> tuple[nn.Module, Pixels]:
    """A net that looks at one square only, and a picture in which that square is bright."""
    frame = toys.frame(size) // 3
    frame[8:16, 16:24] = 255
    return networks.BrightPatch(size), frame


@pytest.mark.parametrize("fill", ["black", "mean", "grey", "blur"])
@pytest.mark.parametrize("implementation", ["own", "reference"])
def test_the_planted_square_gets_the_largest_weight(
    implementation: str, fill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, frame = planted()
    in_squares(monkeypatch, grid())
    found = explained(network, frame, fill=fill, samples=200, implementation=implementation)
    weights = found.values[::8, ::8]
    assert np.unravel_index(weights.argmax(), weights.shape) == (1, 2)
    others = np.delete(weights.ravel(), 6)
    assert weights[1, 2] > 5 * np.abs(others).max()
    assert found.signed


@pytest.mark.parametrize("count", [16, 36, 60])
def test_the_superpixel_of_the_planted_square_is_the_heaviest(count: int) -> None:
    network, frame = networks.BrightPatch(48), toys.frame(48) // 40 + np.uint8(20)
    frame[8:16, 16:24] = 255
    labels = segments(frame, "slic", count)
    found = explained(network, frame, fill="black", samples=300, segmentation="slic", segments=count)
    inside = np.bincount(labels[8:16, 16:24].ravel())
    of_the_square = inside.argmax()
    second, most = np.sort(np.append(0, inside))[-2:]
    assert labels.max() > 2
    assert found.values[labels == of_the_square].min() == found.values.max()
    others = found.values[labels != of_the_square].max() / found.values.max()
    assert others < second / most + 0.1, "a superpixel weighs what it holds of the square"


@pytest.mark.parametrize("implementation", ["own", "reference"])
def test_the_map_is_constant_inside_every_superpixel(implementation: str) -> None:
    network, frame = planted()
    found = explained(network, frame, samples=60, segmentation="slic", segments=20, implementation=implementation)
    labels = segments(frame, "slic", 20)
    for number in range(labels.max() + 1):
        assert np.ptp(found.values[labels == number]) == 0
    assert len(np.unique(found.values)) > labels.max() // 2


def test_own_weights_are_limes_weights_of_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way, hiding and network included: only the random numbers are made the same."""
    torch.manual_seed(0)
    network, frame = networks.tiny().eval(), toys.frame(32)
    in_squares(monkeypatch, grid())
    monkeypatch.setattr(module, "derive", lambda seed, label: 5)
    drawn = np.random.RandomState(5).randint(0, 2, 150 * 16).reshape(150, 16)
    drawn[0] = 1
    monkeypatch.setattr(Lime, "_masks", lambda self, features, random: drawn.astype(bool))
    own, library = (
        explained(network, frame, samples=150, fill="segment_mean", implementation=one, sampling="plain").values
        for one in ("own", "reference")
    )
    assert np.abs(own - library).max() < 1e-6
    assert np.ptp(own) > 1e-4


def test_the_same_seed_gives_the_same_map_and_another_another() -> None:
    network, frame = planted()
    first, again, other = (
        explained(network, frame, samples=50, segmentation="slic", seed=seed).values for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    network, frame = planted()
    expected = explained(network, frame, samples=50, segmentation="slic").values
    found = explained(network, frame, samples=50, segmentation="slic", batch=batch).values
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_a_picture_of_one_superpixel_has_a_map() -> None:
    frame = np.full((32, 32, 3), 90, dtype=np.uint8)
    network, _ = planted()
    found = explained(network, frame, samples=20, segmentation="quickshift", fill="black")
    assert np.isfinite(found.values).all()
