"""The maps that explain nothing are what they say, and never look at the network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import kstest

from tests import networks, toys
from xai_core.explainers.baselines import BASELINES
from xai_core.registry import METHODS
from xai_core.types import Attribution, Cost, Pixels


def explained(name: str, frame: Pixels, seed: int = 0, target: int = 0, **parameters: float) -> Attribution:
    model = toys.classifier(networks.BrightPatch(frame.shape[0]), size=frame.shape[0])
    run = toys.run(model, frame, seed=seed, target=target)
    found = METHODS[name].make(parameters).explain(run)  # type: ignore[attr-defined]
    assert run.passes == Cost(0, 0)
    assert not found.signed
    return found


def test_all_baselines_are_methods_of_the_baseline_family_and_ask_no_network() -> None:
    family = {spec.name for spec in METHODS if spec.family == "baseline"}
    assert set(BASELINES) <= family
    assert all(METHODS[name].make().cost() == Cost() for name in family)


def test_random_is_uniform_and_independent_of_its_neighbours() -> None:
    values = explained("random", toys.frame(64)).values
    assert 0 <= values.min() <= values.max() < 1
    assert kstest(values.ravel(), "uniform").pvalue > 0.01
    for shifted in (values[1:], values[:, 1:].T):
        neighbours = values[:-1] if shifted.shape == values[1:].shape else values[:, :-1].T
        assert abs(np.corrcoef(shifted.ravel(), neighbours.ravel())[0, 1]) < 4 / 64


def test_random_follows_its_seed_and_nothing_else() -> None:
    first = explained("random", toys.frame(32, seed=1), seed=5).values
    np.testing.assert_array_equal(first, explained("random", toys.frame(32, seed=2), seed=5, target=1).values)
    assert (first != explained("random", toys.frame(32, seed=1), seed=6).values).mean() > 0.99


@pytest.mark.parametrize("size", [16, 33])
def test_centre_is_symmetric_and_falls_from_the_middle(size: int) -> None:
    values = explained("centre", toys.frame(size)).values
    for turned in (values[::-1], values[:, ::-1], values.T):
        np.testing.assert_allclose(values, turned, rtol=1e-6)
    middle = size // 2
    assert values.max() == values[middle, middle]
    half = values[middle, middle:]
    assert (np.diff(half) < 0).all()
    assert values.min() == values[0, 0] > 0


def test_the_width_of_centre_is_its_standard_deviation() -> None:
    values = explained("centre", toys.frame(100), width=0.1).values
    assert values[50, 60] / values[50, 50] == pytest.approx(np.exp(-(0.105**2 - 0.005**2) / 2 / 0.1**2), rel=1e-5)


def test_edges_are_scipys_sobel_of_the_grey_picture() -> None:
    frame = toys.frame(24)
    grey = frame.mean(axis=-1) / 255
    expected = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))
    np.testing.assert_allclose(explained("sobel", frame).values, expected, rtol=1e-6)


@pytest.mark.parametrize("grey", [0, 7, 255])
def test_a_constant_picture_has_no_edges(grey: int) -> None:
    np.testing.assert_array_equal(explained("sobel", np.full((20, 20, 3), grey, np.uint8)).values, 0)


def test_the_edge_of_a_step_lies_on_the_step() -> None:
    frame = np.zeros((20, 20, 3), np.uint8)
    frame[:, 10:] = 255
    values = explained("sobel", frame).values
    np.testing.assert_array_equal(np.flatnonzero(values.max(axis=0)), [9, 10])
    np.testing.assert_allclose(values[:, 9:11], 4)


@pytest.mark.parametrize("name", BASELINES)
def test_two_networks_get_the_same_map(name: str) -> None:
    frame = toys.frame(32)
    maps = [
        METHODS[name].make().explain(toys.run(toys.classifier(network, classes=classes), frame)).values  # type: ignore[attr-defined]
        for network, classes in ((networks.BrightPatch(), 2), (networks.tiny(), 5))
    ]
    np.testing.assert_array_equal(*maps)


def test_smooth_random_is_smooth_and_differs_between_seeds() -> None:
    found = [explained("smooth_random", toys.frame(64), seed=seed).values for seed in range(40)]
    assert all(one.min() == 0 for one in found)
    steps = np.abs(np.diff(found[0], axis=0)).max()
    assert steps < 0.15 * np.ptp(found[0])
    mean = np.mean(found, axis=0)
    assert mean.std() < 0.4 * np.mean([one.std() for one in found]), "no place is preferred"


def test_constant_is_constant_and_luminance_that_of_the_picture() -> None:
    assert np.ptp(explained("constant", toys.frame(16)).values) == 0
    frame = np.zeros((8, 8, 3), dtype=np.uint8)
    frame[0, 0], frame[1, 1], frame[2, 2] = (255, 0, 0), (0, 255, 0), (255, 255, 255)
    values = explained("luminance", frame).values
    assert values[0, 0] == pytest.approx(0.299) and values[1, 1] == pytest.approx(0.587)
    assert values[2, 2] == pytest.approx(1) and values[3, 3] == 0
