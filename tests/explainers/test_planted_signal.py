"""A signal that is planted: every real method puts more of its map on it than a random map does (spec 10.7)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from tests import networks, toys
from xai_core.classifiers.evaluator import Classifier
from xai_core.registry import METHODS
from xai_core.types import Bools, Floats, Pixels

PICTURES = 10
REAL = [spec.name for spec in METHODS if spec.family != "baseline"]
FEWER = {"samples": 64, "steps": 16}


def planted(number: int) -> tuple[Pixels, Bools]:
    """A dark, noisy picture with a bright spot of 8 x 8 pixels somewhere, and where."""
    random = np.random.default_rng(number)
    frame = random.integers(0, 90, (32, 32, 3)).astype(np.uint8)
    top, left = random.integers(2, 22, 2)
    frame[top : top + 8, left : left + 8] = random.integers(215, 256, (8, 8, 3))
    spot = np.zeros((32, 32), dtype=bool)
    spot[top - 1 : top + 9, left - 1 : left + 9] = True
    return frame, spot


@cache
def model() -> Classifier:
    return toys.classifier(networks.BrightSpot(), size=32, classes=2, cam_layer="relu2")


def energies(name: str) -> Floats:
    """The part of every map's positive values that lies on the spot, (PICTURES,)."""
    spec = METHODS[name]
    fewer = FEWER | ({"samples": 8} if name == "pda" else {})  # of each position
    few = {key: value for key, value in fewer.items() if key in spec.parameters.model_fields}
    parameters = spec.make(few, "quick")
    background = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.35
    found = []
    for number in range(PICTURES):
        frame, spot = planted(number)
        run = toys.run(model(), frame, target=1, seed=number, background=background)
        values = np.maximum(parameters.explain(run).values, 0)  # type: ignore[attr-defined]
        found.append(float(values[spot].sum() / values.sum()) if values.sum() > 0 else float("nan"))
    return np.asarray(found, dtype=np.float32)


@cache
def of_random_maps() -> tuple[float, ...]:
    return tuple(energies("random").tolist())


@pytest.mark.parametrize("name", REAL)
def test_a_real_method_is_above_random_by_more_than_three_standard_errors(name: str) -> None:
    better = energies(name) - np.asarray(of_random_maps())
    assert np.isfinite(better).all()
    assert better.mean() > 3 * better.std(ddof=1) / np.sqrt(PICTURES)


def test_the_network_sees_the_spot() -> None:
    """Else nothing could be found."""
    frame, _ = planted(0)
    dark = np.minimum(frame, 89)
    run = toys.run(model(), frame)
    both = run.normalise(np.stack([frame, dark]) / np.float32(255))
    with torch.no_grad():
        seen, unseen = (float(one) for one in model().network(both)[:, 1])
    assert seen > 2.5 and unseen < 0.1
