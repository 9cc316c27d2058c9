"""RISE: its masks, unbiased maps with and without the surrogate, and their standard errors."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests import networks, toys
from xai_core.classifiers.evaluator import Classifier
from xai_core.explainers.rise import Masks, Rise
from xai_core.types import Attribution

SIZE = 32


class MeanOfPart(nn.Module):
    """The logit is how bright one part of the picture is; the other class has none."""

    def __init__(self, top: int, left: int, side: int):
        super().__init__()
        self.rows, self.columns = slice(top, top + side), slice(left, left + side)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x[:, :, self.rows, self.columns].mean(dim=(1, 2, 3))
        return torch.stack([bright, bright * 0], dim=1)


@cache
def tiny() -> Classifier:
    torch.manual_seed(0)
    return toys.classifier(networks.tiny(), size=SIZE, classes=5)


def explained(model: Classifier, seed: int = 0, **parameters: Any) -> Attribution:
    frame = toys.frame(SIZE) // 2 + np.uint8(100)
    return Rise(**parameters).explain(toys.run(model, frame, seed=seed))


def drawn(count: int, cells: int = 7, size: tuple[int, int] = (SIZE, SIZE), keep: float = 0.5) -> tuple[Masks, Any]:
    random = np.random.default_rng(0)
    masks = Masks(size, cells)
    return masks, masks.draw(random.random((count, cells**2)) < keep, random.integers(0, masks.steps, (count, 2)))


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (224, 224)])
@pytest.mark.parametrize("cells", [2, 7])
def test_a_mask_is_a_moved_part_of_the_enlarged_grid(size: tuple[int, int], cells: int) -> None:
    masks = Masks(size, cells)
    random = np.random.default_rng(1)
    keep, shifts = random.random((3, cells**2)) < 0.5, random.integers(0, masks.steps, (3, 2))
    length = [(cells + 1) * step for step in masks.steps]
    grids = torch.as_tensor(keep.reshape(3, 1, cells, cells).astype(np.float32))
    large = nn.functional.interpolate(grids, length, mode="bilinear", align_corners=False)[:, 0].numpy()
    expected = [
        one[down : down + size[0], right : right + size[1]] for one, (down, right) in zip(large, shifts, strict=True)
    ]
    found = masks.draw(keep, shifts)
    assert (found.dtype, found.shape) == (np.float32, (3, *size))
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


@pytest.mark.parametrize("keep", [0.2, 0.5])
def test_masks_have_the_mean_and_the_covariance_that_the_surrogate_takes_them_to_have(keep: float) -> None:
    masks, values = drawn(20000, keep=keep)
    assert values.mean() == pytest.approx(keep, abs=0.01)
    along = keep * (1 - keep) * masks.covariance(1) * masks.covariance(0)[5, 5]
    np.testing.assert_allclose(np.cov(values[:, 5, :].T), along, atol=0.006)
    down = keep * (1 - keep) * masks.covariance(0) * masks.covariance(1)[9, 9]
    np.testing.assert_allclose(np.cov(values[:, :, 9].T), down, atol=0.006)


@pytest.mark.parametrize("sampling", ["balanced", "plain"])
def test_a_constant_network_has_a_constant_map(sampling: str) -> None:
    network = networks.Linear(SIZE)
    nn.init.zeros_(network.fc.weight)
    found = explained(toys.classifier(network, size=SIZE), samples=64, sampling=sampling)
    assert np.ptp(found.values) < 1e-5
    assert found.errors is not None and found.errors.max() < 1e-5


@pytest.mark.parametrize("sampling", ["balanced", "plain"])
@pytest.mark.parametrize("place", [(2, 2), (20, 4), (12, 22)])
def test_the_maximum_is_where_the_network_looks(place: tuple[int, int], sampling: str) -> None:
    model = toys.classifier(MeanOfPart(*place, 6), size=SIZE, classes=2)
    found = explained(model, samples=600, sampling=sampling)
    row, column = np.unravel_index(found.values.argmax(), found.values.shape)
    assert abs(row - place[0] - 3) <= 4 and abs(column - place[1] - 3) <= 4


@cache
def maps(sampling: str, samples: int) -> tuple[np.ndarray, np.ndarray]:
    found = [explained(tiny(), seed=seed, samples=samples, sampling=sampling) for seed in range(16)]
    return np.stack([one.values for one in found]), np.stack([one.errors for one in found if one.errors is not None])


def test_both_ways_of_sampling_have_the_same_map_in_the_limit() -> None:
    plain, balanced = maps("plain", 1024)[0].mean(0), maps("balanced", 256)[0]
    spread = np.sqrt(maps("plain", 1024)[0].var(0, ddof=1).mean() / 16 + balanced.var(0, ddof=1).mean() / 16)
    assert np.sqrt(np.mean((plain - balanced.mean(0)) ** 2)) < 1.5 * spread


def test_balanced_masks_and_the_surrogate_take_most_of_the_noise_away() -> None:
    plain, balanced = (maps(sampling, 256)[0].var(0, ddof=1).mean() for sampling in ("plain", "balanced"))
    assert balanced < plain / 4


def test_reported_errors_are_those_of_plain_masks_and_an_upper_bound_for_balanced_ones() -> None:
    values, errors = maps("plain", 256)
    assert np.sqrt(values.var(0, ddof=1).mean() / (errors**2).mean()) == pytest.approx(1, abs=0.15)
    values, errors = maps("balanced", 256)
    assert 0.4 < np.sqrt(values.var(0, ddof=1).mean() / (errors**2).mean()) < 1.1


def test_four_times_the_masks_halve_the_error() -> None:
    few, many = (np.sqrt(maps("plain", samples)[0].var(0, ddof=1).mean()) for samples in (256, 1024))
    assert few / many == pytest.approx(2, rel=0.2)


def test_sampling_stops_when_the_map_is_precise() -> None:
    run = toys.run(tiny(), toys.frame(SIZE))
    found = Rise(samples=20000, precision=0.5).explain(run)
    assert run.passes.forward < 20000
    assert found.errors is not None and np.sqrt(np.mean(found.errors**2)) <= 0.5 * found.values.std()


def test_masks_fade_to_the_mean_colour_or_to_black() -> None:
    model = toys.classifier(MeanOfPart(0, 0, SIZE), size=SIZE, classes=2)
    model._mean = model._mean + 0.25
    means = []
    for fade in ("mean", "black"):
        seen: list[torch.Tensor] = []
        with model.fastest.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0].clone())):
            Rise(samples=64, fade=fade).explain(toys.run(model, np.full((SIZE, SIZE, 3), 255, dtype=np.uint8)))
        means.append(float(torch.cat(seen).min()))
    assert means == [pytest.approx(0, abs=0.01), pytest.approx(-0.25, abs=0.01)]
