"""SRG: its ends, its reversal, a closed form, and what random maps score (spec E-12)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests import networks, toys
from xai_core.scores.srg import Srg
from xai_core.types import Cost, Floats, Measured, Pixels


def noise(seed: int = 0, size: int = 32) -> Floats:
    return np.random.default_rng(seed).permutation(size * size).reshape(size, size).astype(np.float32)


def measured(
    network: nn.Module, frame: Pixels, saliency: Floats, seed: int = 0, target: int = 0, **parameters: Any
) -> Measured:
    run = toys.run(toys.classifier(network, size=frame.shape[0], classes=2), frame, target=target, seed=seed)
    found = Srg(**parameters).measure(run, saliency, None)
    assert run.passes == Srg(**parameters).cost()
    return found


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return networks.Tiny()


def test_the_mean_brightness_ordered_by_brightness_has_a_closed_form() -> None:
    """With black as fill, what is left of the brightness is what was not removed."""
    frame = np.repeat(np.random.default_rng(0).permutation(256).astype(np.uint8).reshape(16, 16, 1), 3, axis=2)
    bright = frame[..., 0].astype(np.float32)
    found = measured(networks.Brightness(), frame, bright, target=1, steps=5, fill="black")
    left = [np.sort(frame[..., 0].ravel())[count:].sum() for count in (0, 64, 128, 192, 256)]
    np.testing.assert_allclose(found.curves["lif"].y, np.array(left) / 255 / 256, atol=2e-6)
    rest = [np.sort(frame[..., 0].ravel())[::-1][count:].sum() for count in (0, 64, 128, 192, 256)]
    np.testing.assert_allclose(found.curves["mif"].y, np.array(rest) / 255 / 256, atol=2e-6)
    assert found.values["lif"] == pytest.approx(found.curves["lif"].y.mean(), abs=1e-6)
    assert found.values["srg"] == pytest.approx(found.values["lif"] - found.values["mif"])


@pytest.mark.parametrize("fill", ["grey", "black", "mean"])
def test_both_curves_begin_at_the_picture_and_end_at_the_fill(fill: str) -> None:
    frame = toys.frame(32)
    found = measured(tiny(), frame, noise(), fill=fill)
    colour = {"grey": 0.5, "black": 0.0, "mean": frame.mean(axis=(0, 1)) / 255}[fill]
    run = toys.run(toys.classifier(tiny(), classes=2), frame)
    pictures = np.stack([frame / 255, np.broadcast_to(colour, frame.shape)]).astype(np.float32)
    whole, nothing = toys.classifier(tiny(), classes=2).network(run.normalise(pictures)).softmax(1)[:, 0].tolist()
    for curve in found.curves.values():
        assert (curve.y[0], curve.y[-1]) == (pytest.approx(whole, rel=1e-4), pytest.approx(nothing, rel=1e-4))
        assert (curve.x[0], curve.x[-1]) == (0, 1)


def test_a_reversed_map_exchanges_lif_and_mif() -> None:
    straight, reverse = (measured(tiny(), toys.frame(32), sign * noise()).values for sign in (1, -1))
    assert straight["lif"] == pytest.approx(reverse["mif"], abs=1e-6)
    assert straight["srg"] == pytest.approx(-reverse["srg"], abs=1e-6)


def test_random_maps_score_about_nothing() -> None:
    found = [measured(tiny(), toys.frame(32), noise(seed), steps=4).values["srg"] for seed in range(40)]
    assert abs(np.mean(found)) < 3 * np.std(found, ddof=1) / np.sqrt(len(found))
    assert np.std(found) > 0


def test_two_fractions_are_the_picture_and_the_fill_alone() -> None:
    found = measured(tiny(), toys.frame(32), noise(), steps=2)
    assert Srg(steps=2).cost() == Cost(2, 0)
    assert found.values["srg"] == 0
