"""Occlusion sensitivity: the linear closed form, and captum with the same windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import Occlusion as LibraryOcclusion

from tests import networks, toys
from xai_core.explainers.occlusion import Occlusion


def linear(size: int) -> tuple[networks.Linear, np.ndarray]:
    torch.manual_seed(1)
    network = networks.Linear(size)
    return network, network.fc.weight[0].detach().numpy().reshape(3, size, size)


def test_windows_beside_each_other_share_out_the_difference_from_a_covered_picture() -> None:
    network, weights = linear(24)
    frame = toys.frame(24)
    run = toys.run(toys.classifier(network, size=24), frame)
    found = Occlusion(positions=4, size=0.25).explain(run)
    added = (weights * frame.transpose(2, 0, 1) / 255).sum(0)
    windows = added.reshape(4, 6, 4, 6).sum(axis=(1, 3))
    np.testing.assert_allclose(found.values, windows.repeat(6, 0).repeat(6, 1), rtol=1e-3, atol=1e-5)
    assert found.values.sum() / 36 == pytest.approx(added.sum(), rel=1e-3)
    assert found.signed and run.passes.forward == 17


@pytest.mark.parametrize(("size", "window", "stride", "positions"), [(32, 8, 4, 7), (32, 8, 8, 4), (224, 32, 16, 13)])
def test_captum_computes_the_same(size: int, window: int, stride: int, positions: int) -> None:
    if size == 224:
        network: torch.nn.Module = torch.nn.Sequential(
            torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(3 * 14 * 14, 5), torch.nn.Tanh()
        )
    else:
        network = networks.tiny()
    torch.manual_seed(0)
    model, frame = toys.classifier(network, size=size, classes=5), toys.frame(size)
    run = toys.run(model, frame, target=3, batch=32)
    own = Occlusion(positions=positions, size=window / size).explain(run).values
    with run.network() as plain, torch.no_grad():
        shown = LibraryOcclusion(plain).attribute(
            run.x.clone(), (3, window, window), (3, stride, stride), target=3, perturbations_per_eval=16
        )
    library = shown[0].mean(0).numpy()
    assert np.abs(own).max() > 0
    np.testing.assert_allclose(own, library, atol=1e-4 * np.abs(library).max())


@pytest.mark.parametrize(("fill", "level"), [("mean", 0.25), ("black", 0.0), ("grey", 0.5)])
def test_the_window_shows_what_was_chosen(fill: str, level: float) -> None:
    """With a mean of 0.25, covering all of a white picture takes its brightness down to the fill's."""
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    model = toys.classifier(network, size=8)
    model._mean = model._mean + 0.25
    found = Occlusion(positions=1, size=1, fill=fill).explain(toys.run(model, np.full((8, 8, 3), 255, dtype=np.uint8)))
    np.testing.assert_allclose(found.values, 1 - level, rtol=1e-5)
