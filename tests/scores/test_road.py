"""ROAD: its arithmetic, its curves, random and reversed maps, and a planted signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests import networks, toys
from xai_core.scores.imputation import impute
from xai_core.scores.road import Road, noisy_imputations, removed
from xai_core.types import Cost, Measured, Pixels


def measured(
    network: nn.Module,
    frame: Pixels,
    saliency: np.ndarray,
    target: int = 1,
    seed: int = 0,
    batch: int = 8,
    **parameters: Any,
) -> Measured:
    run = toys.run(toys.classifier(network, size=frame.shape[0]), frame, target=target, seed=seed, batch=batch)
    road = Road(**parameters)
    found = road.measure(run, saliency.astype(np.float32), None)
    assert run.passes == Cost(1 + 2 * road.steps, 0) == road.cost()
    return found


def a_network() -> nn.Module:
    torch.manual_seed(0)
    network = networks.tiny()
    with torch.no_grad():
        network.head.weight *= 20
    return network


def noise(seed: int = 0, size: int = 32) -> np.ndarray:
    """A map of independent values without ties."""
    return np.random.default_rng(seed).permutation(size * size).reshape(size, size).astype(np.float32)


def planted() -> tuple[nn.Module, Pixels, np.ndarray]:
    """A net that looks at one square only, a picture in which it is bright, and the true map."""
    frame = toys.frame(32) // 3
    frame[8:16, 16:24] = 255
    truth = np.random.default_rng(9).random((32, 32)) / 2
    truth[8:16, 16:24] += 1
    return networks.BrightPatch(), frame, truth


@pytest.mark.parametrize("steps", [2, 5, 9])
def test_combined_is_half_the_difference_of_the_two_orders(steps: int) -> None:
    values = measured(a_network(), toys.frame(32), noise(), steps=steps).values
    assert values["combined"] == (values["lerf"] - values["morf"]) / 2
    assert values["combined"] != 0


@pytest.mark.parametrize("steps", [2, 5, 9])
def test_curves_start_at_the_clean_probability_and_their_means_are_the_scores(steps: int) -> None:
    network, frame = a_network(), toys.frame(32)
    found = measured(network, frame, noise(), target=3, steps=steps)
    clean = toys.classifier(network).logits(toys.run(toys.classifier(network), frame).x).softmax(1)[0, 3]
    assert set(found.curves) == {"morf", "lerf"}
    for order, curve in found.curves.items():
        np.testing.assert_allclose(curve.x, [0, *np.linspace(0.1, 0.9, steps)], atol=1e-6)
        assert curve.y[0] == pytest.approx(float(clean), rel=1e-5)
        assert found.values[order] == pytest.approx(float(curve.y[1:].mean() - curve.y[0]), abs=1e-6)


def test_the_curves_are_the_probabilities_of_the_imputed_pictures() -> None:
    network, frame, saliency = a_network(), toys.frame(32), noise()
    model, steps = toys.classifier(network), 3
    found = measured(network, frame, saliency, target=2, steps=steps, noise=0)
    for order, masks in zip(("morf", "lerf"), removed(saliency, Road(steps=steps).fractions, 0), strict=True):
        pictures = [torch.as_tensor(impute(frame / 255.0, mask, 1e-9)).movedim(-1, 0).float() for mask in masks]
        expected = model.logits(torch.stack(pictures)).softmax(1)[:, 2]
        np.testing.assert_allclose(found.curves[order].y[1:], expected, rtol=1e-4)


def test_a_reversed_map_changes_the_sign_of_combined_and_exchanges_the_orders() -> None:
    network, frame, saliency = a_network(), toys.frame(32), noise()
    straight, reversed_map = (measured(network, frame, sign * saliency, noise=0).values for sign in (1, -1))
    assert straight["morf"] == pytest.approx(reversed_map["lerf"], abs=1e-6)
    assert straight["lerf"] == pytest.approx(reversed_map["morf"], abs=1e-6)
    assert straight["combined"] == pytest.approx(-reversed_map["combined"], abs=1e-6)
    assert abs(straight["combined"]) > 1e-4


def random_scores(count: int = 40) -> np.ndarray:
    network, frame, _ = planted()
    return np.array(
        [measured(network, frame, noise(seed), steps=3, seed=seed).values["combined"] for seed in range(count)]
    )


def test_random_maps_score_about_nothing() -> None:
    found = random_scores()
    assert abs(found.mean()) < 3 * found.std(ddof=1) / np.sqrt(len(found))
    assert found.std() > 1e-4


def test_the_true_map_of_a_planted_square_beats_random_ones_and_its_reverse() -> None:
    network, frame, truth = planted()
    found = measured(network, frame, truth, steps=3).values
    chance = random_scores(20)
    assert found["combined"] > chance.mean() + 3 * chance.std()
    assert found["combined"] > 0.2
    assert found["morf"] < -0.4 < found["lerf"]
    assert measured(network, frame, -truth, steps=3).values["combined"] < -0.2


def test_a_network_that_sees_nothing_scores_nothing() -> None:
    values = measured(networks.Blind(), toys.frame(16), noise(size=16)).values
    assert dict(values) == {"combined": 0, "morf": 0, "lerf": 0}


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_rectified_map_removes_the_nominal_fractions(share: float) -> None:
    saliency = noise()
    saliency[saliency < share * saliency.size] = 0
    for masks in removed(saliency, Road().fractions, 0):
        np.testing.assert_allclose([mask.mean() for mask in masks], Road().fractions, atol=1 / saliency.size)


@pytest.mark.parametrize("level", [0.01, 0.1])
def test_noise_is_added_to_the_missing_pixels_only_and_has_its_deviation(level: float) -> None:
    frame = toys.frame(48)
    missing = noise(size=48) < 1000
    clean, grainy = (noisy_imputations(frame, [missing], sigma, 0)[0] for sigma in (0, level))
    assert grainy.dtype == np.float32
    np.testing.assert_array_equal(grainy[~missing], clean[~missing])
    np.testing.assert_allclose(clean[~missing], frame[~missing] / 255, atol=1e-7)
    grain = (grainy - clean)[missing]
    assert grain.shape == (1000, 3)
    assert grain.std() == pytest.approx(level, rel=4 / np.sqrt(2 * 3000))
    assert abs(grain.mean()) < 4 * level / np.sqrt(3000)
    assert abs(np.corrcoef(grain.T)[0, 1]) < 4 / np.sqrt(1000)


def test_the_noise_of_two_masks_and_of_two_seeds_differs() -> None:
    frame, missing = toys.frame(16), noise(size=16) < 100
    pictures = [noisy_imputations(frame, [missing], 0.1, seed, number)[0] for seed, number in ((0, 0), (0, 1), (1, 0))]
    assert all(
        np.abs(one - other).max() > 0.05 for one, other in ((pictures[0], pictures[1]), (pictures[0], pictures[2]))
    )
    np.testing.assert_array_equal(pictures[0], noisy_imputations(frame, [missing], 0.1, 0)[0])


def test_the_same_seed_gives_the_same_scores_and_another_others() -> None:
    network, frame = a_network(), toys.frame(32)
    first, again, other = (measured(network, frame, noise(), seed=seed, noise=0.1).values for seed in (1, 1, 2))
    assert first == again
    assert first["combined"] != other["combined"]


@pytest.mark.parametrize("batch", [1, 2, 5, 64])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    network, frame = a_network(), toys.frame(32)
    expected, found = (measured(network, frame, noise(), steps=4, batch=size) for size in (8, batch))
    for order in ("morf", "lerf"):
        np.testing.assert_allclose(found.curves[order].y, expected.curves[order].y, rtol=1e-5)


@pytest.mark.parametrize("steps", [2, 9, 33])
def test_fractions_are_spread_evenly_from_a_tenth_to_nine_tenths(steps: int) -> None:
    fractions = Road(steps=steps).fractions
    assert len(fractions) == steps
    assert (fractions[0], fractions[-1]) == (pytest.approx(0.1), pytest.approx(0.9))
    np.testing.assert_allclose(np.diff(fractions), 0.8 / (steps - 1))
