"""Infidelity: captum's on the same perturbations, and linear networks that their maps foretell exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captums
from torch import nn

from tests import networks, toys
from xai_core.scores.infidelity import Infidelity, best_scale, infidelity
from xai_core.types import Cost, Floats, Measured, Pixels


def noise(seed: int = 0, size: int = 32) -> Floats:
    return np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)


def measured(network: nn.Module, frame: Pixels, saliency: Floats, batch: int = 8, **parameters: Any) -> Measured:
    score = Infidelity(**parameters)
    run = toys.run(toys.classifier(network, frame.shape[0]), frame, target=1, batch=batch)
    found = score.measure(run, saliency, None)
    assert run.passes == score.cost() == Cost(1 + score.samples, 0)
    return found


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return networks.Tiny().eval()


def linear(frame: Pixels) -> tuple[nn.Module, dict[str, Floats]]:
    """A linear network, and the maps that foretell what squares and noise do to its logit."""
    torch.manual_seed(1)
    network = networks.Linear(frame.shape[0])
    weights = network.fc.weight[1].detach().view(3, *frame.shape[:2]).numpy()
    pixels = frame.transpose(2, 0, 1) / 255
    return network, {
        "noise": weights.sum(0, dtype=np.float32),
        "squares": (weights * pixels).sum(0).astype(np.float32),
    }


@pytest.mark.parametrize("normalize", [False, True])
def test_it_is_captums_on_the_same_perturbations(normalize: bool) -> None:
    network, values = tiny(), torch.as_tensor(noise())
    x = torch.as_tensor(toys.frame(32) / 255.0).float().movedim(-1, 0)[None]
    changes = 0.2 * torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    phi = values.expand(1, 3, 32, 32)
    expected = captums(
        network, lambda x: (changes, x - changes), x, phi, target=1, n_perturb_samples=24, normalize=normalize
    )
    with torch.no_grad():
        differences = (network(x)[0, 1] - network(x - changes)[:, 1]).double().numpy()
    foretold = (changes * phi).sum(dim=(1, 2, 3)).double().numpy()
    scale = best_scale(foretold, differences) if normalize else 1.0
    assert infidelity(foretold, differences, scale) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("perturbation", ["squares", "noise"])
def test_the_score_is_captums_normalised_one(perturbation: Any) -> None:
    """What the network was shown is handed to captum: the perturbation is what was taken away in every channel."""
    network, frame, saliency, seen = tiny(), toys.frame(32), noise(), []
    model = toys.classifier(network)
    evaluated = model.logits
    model.logits = lambda x: (seen.append(x.clone()), evaluated(x))[1]  # type: ignore[method-assign]
    score = Infidelity(samples=12, perturbation=perturbation)
    found = score.measure(toys.run(model, frame, target=1), saliency, None).values
    pictures = torch.cat(seen)
    x, changed = pictures[:1], pictures[1:]
    shown = (x - changed) if perturbation == "noise" else (changed == 0).all(1, keepdim=True).float()
    weights = torch.as_tensor(saliency).expand(1, 3, 32, 32) / (3 if perturbation == "squares" else 1)
    expected = captums(
        network,
        lambda inputs: (shown.expand(12, 3, 32, 32), changed),
        x,
        weights,
        target=1,
        n_perturb_samples=12,
        normalize=True,
    )
    assert found["scaled"] == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize("perturbation", ["squares", "noise"])
def test_a_linear_networks_own_map_foretells_everything(perturbation: Any) -> None:
    frame = toys.frame(16)
    network, maps = linear(frame)
    right = measured(network, frame, maps[perturbation], perturbation=perturbation, samples=40).values
    assert right["relative"] < 1e-8
    assert right["scaled"] < 1e-8
    wrong = measured(network, frame, noise(size=16), perturbation=perturbation, samples=40).values
    assert wrong["relative"] > 0.5
    halfway = measured(network, frame, maps[perturbation] + 0.5 * noise(size=16) * maps[perturbation].std())
    assert 0 < halfway.values["relative"] < wrong["relative"]


def test_a_reversed_map_foretells_nothing_though_its_scaled_infidelity_is_the_same() -> None:
    frame = toys.frame(16)
    network, maps = linear(frame)
    straight, turned = (measured(network, frame, sign * maps["squares"]).values for sign in (1, -1))
    assert turned["relative"] == 1
    assert turned["scaled"] == pytest.approx(straight["scaled"], abs=1e-9)


@pytest.mark.parametrize("perturbation", ["squares", "noise"])
def test_the_size_of_the_map_and_of_the_batch_change_nothing(perturbation: Any) -> None:
    facts: dict[str, Any] = {"samples": 17, "perturbation": perturbation}
    first = measured(tiny(), toys.frame(32), noise(), **facts).values
    other = measured(tiny(), toys.frame(32), 1e6 * noise(), batch=5, **facts).values
    for part in first:
        assert other[part] == pytest.approx(first[part], rel=1e-3)
        assert 0 <= first[part] <= 1


@pytest.mark.parametrize("size", [0.02, 0.25, 1.0])
def test_squares_lie_inside_the_frame_and_are_seeded(size: float) -> None:
    score = Infidelity(size=size, samples=300)
    corners = score._corners(3, (40, 30))
    side = max(1, round(size * 30))
    assert corners == score._corners(3, (40, 30))
    for rows, columns in corners:
        assert rows.stop - rows.start == columns.stop - columns.start == side
        assert rows.start >= 0
        assert rows.stop <= 40
        assert columns.start >= 0
        assert columns.stop <= 30
    assert {rows.start for rows, _ in corners} >= {0, 40 - side}


def test_where_nothing_changes_the_logit_it_is_undefined() -> None:
    found = measured(networks.Blind(), toys.frame(16), noise(size=16), samples=4)
    assert all(math.isnan(value) for value in found.values.values())
    assert set(found.reasons) == set(found.values)


def test_the_best_factor_is_the_best() -> None:
    random = np.random.default_rng(0)
    foretold, changes = random.standard_normal((2, 50))
    best = best_scale(foretold, changes)
    least = infidelity(foretold, changes, best)
    assert all(infidelity(foretold, changes, best + step) > least for step in (-0.1, -1e-3, 1e-3, 0.1))
    assert best_scale(np.zeros(3), np.ones(3)) == 0
