"""AOPC: its formula, Quantus' region perturbation as an oracle, and what networks that are known by hand lose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from quantus import RegionPerturbation
from torch import nn

from tests import networks, toys
from xai_core.scores.aopc import Aopc, cell_means, grid
from xai_core.types import Cost, Floats, Measured, Pixels


def noise(seed: int = 0, size: int = 40) -> Floats:
    return np.random.default_rng(seed).permutation(size * size).reshape(size, size).astype(np.float32)


def measured(
    network: nn.Module,
    frame: Pixels,
    saliency: Floats,
    target: int = 1,
    seed: int = 0,
    batch: int = 32,
    **parameters: Any,
) -> Measured:
    score = Aopc(**parameters)
    run = toys.run(toys.classifier(network, frame.shape[0], 2), frame, target=target, seed=seed, batch=batch)
    found = score.measure(run, saliency, None)
    assert run.passes == score.cost() == Cost(1 + score.steps * score.repeats, 0)
    return found


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return networks.Tiny()


@pytest.mark.parametrize("shape", [(224, 224), (40, 40), (33, 47)])
@pytest.mark.parametrize("cells", [10, 25])
def test_cells_are_even_squares_in_reading_order(shape: tuple[int, int], cells: int) -> None:
    found = grid(shape, cells)
    sizes = np.bincount(found.ravel())
    assert len(sizes) == cells**2
    expected = shape[0] * shape[1] / cells**2
    assert sizes.min() > 0
    assert sizes.max() <= (np.sqrt(expected) + 1.3) ** 2
    assert found[0, 0] == 0
    assert found[-1, -1] == cells**2 - 1
    assert found[0, -1] == cells - 1
    values = np.random.default_rng(0).random(shape)
    assert cell_means(values, found)[7] == pytest.approx(values[found == 7].mean())


def test_with_black_in_the_place_of_colours_it_is_quantus_region_perturbation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantus gives the losses without the first one, which is 0."""
    network, frame, saliency = tiny().eval(), toys.frame(40), noise()
    monkeypatch.setattr(Aopc, "_colours", lambda self, run, draw: np.zeros_like(run.frame, dtype=np.float32))
    found = measured(network, frame, saliency, target=2, cells=10, regions=12, steps=12, repeats=1)
    oracle = RegionPerturbation(
        patch_size=4,
        regions_evaluation=12,
        perturb_baseline="black",
        abs=False,
        normalise=False,
        disable_warnings=True,
        return_aggregate=False,
    )
    x = (frame / 255.0).astype(np.float32).transpose(2, 0, 1)[None]
    losses = np.ravel(oracle(network, x, np.array([2]), saliency[None, None].copy(), softmax=True, device="cpu"))
    y = found.curves["probability"].y
    np.testing.assert_allclose(y[0] - y[1:], losses, atol=2e-6)
    assert found.values["aopc"] == pytest.approx(losses.sum() / 13, abs=1e-6)


@pytest.mark.parametrize("share", [0, 0.5, 0.9, 1])
def test_a_white_picture_loses_half_the_brightness_of_the_nominal_fraction(share: float) -> None:
    """A random colour has mean 1/2: after k of 100 squares k/200 is lost, whatever the order and the ties."""
    saliency = noise()
    saliency[saliency < share * saliency.size] = 0
    white = np.full((40, 40, 3), 255, dtype=np.uint8)
    found = measured(networks.Brightness(), white, saliency, cells=10, steps=10, repeats=4)
    lost = 1 - found.curves["probability"].y
    np.testing.assert_allclose(lost, np.linspace(0, 0.5, 11), atol=0.01)
    assert found.values["aopc"] == pytest.approx(0.25, abs=0.006)
    np.testing.assert_allclose(found.curves["probability"].x, np.linspace(0, 1, 11), atol=1e-6)


def test_squares_are_replaced_from_the_most_relevant_on_and_stay_replaced() -> None:
    seen: list[torch.Tensor] = []

    class Recorder(networks.Blind):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.clone())
            return super().forward(x)

    frame, saliency = np.full((40, 40, 3), 255, dtype=np.uint8), noise()
    measured(Recorder(), frame, saliency, cells=10, regions=20, steps=20, repeats=2)
    pictures = torch.cat(seen).numpy()
    cells = grid((40, 40), 10)
    order = np.argsort(-cell_means(saliency, cells))
    for draw in range(2):
        for step in range(1, 21):
            changed = (pictures[1 + 20 * draw + step - 1] != 1).all(0)
            np.testing.assert_array_equal(changed, np.isin(cells, order[:step]))
    last, other = pictures[20], pictures[40]
    np.testing.assert_array_equal(pictures[1][:, cells == order[0]], last[:, cells == order[0]])
    assert not np.isclose(last, other).all(0)[cells == order[0]].all()


def test_fewer_steps_look_at_the_same_curve_in_fewer_places() -> None:
    network, frame = tiny(), toys.frame(40)
    fine, coarse = (measured(network, frame, noise(), steps=steps, repeats=1) for steps in (100, 10))
    np.testing.assert_allclose(coarse.curves["probability"].y, fine.curves["probability"].y[::10], rtol=1e-5)
    assert coarse.values["aopc"] == pytest.approx(fine.values["aopc"], abs=0.02)


def test_the_true_map_of_a_planted_square_beats_random_ones() -> None:
    frame = np.full((32, 32, 3), 250, dtype=np.uint8)
    truth = np.zeros((32, 32), dtype=np.float32)
    truth[8:16, 16:24] = 1
    facts = {"cells": 16, "regions": 16, "steps": 8, "repeats": 2}
    random = [measured(networks.BrightPatch(), frame, noise(seed, 32), **facts).values["aopc"] for seed in range(12)]
    assert measured(networks.BrightPatch(), frame, truth, **facts).values["aopc"] > np.mean(random) + 3 * np.std(random)


def test_a_network_that_sees_nothing_loses_nothing() -> None:
    assert measured(networks.Blind(), toys.frame(40), noise(), steps=5).values["aopc"] == pytest.approx(0, abs=1e-7)


def test_the_seed_draws_the_colours_and_the_batch_size_changes_nothing() -> None:
    facts: dict[str, Any] = {"steps": 6, "repeats": 2}
    first, again, other = (
        measured(tiny(), toys.frame(40), noise(), seed=seed, batch=batch, **facts).values["aopc"]
        for seed, batch in ((1, 32), (1, 5), (2, 32))
    )
    assert first == pytest.approx(again, abs=1e-6)
    assert first != pytest.approx(other, abs=1e-6)
