"""Sufficient region: boxes of ranks, the trade-off's closed form, and a planted square."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests import networks, toys
from xai_core.scores.ranking import count_of, first, most_relevant_first
from xai_core.scores.sufficient_region import SufficientRegion, boxes, trade_off
from xai_core.types import Cost, Floats, Measured, Pixels


def noise(seed: int = 0, size: int = 32) -> Floats:
    return np.random.default_rng(seed).permutation(size * size).reshape(size, size).astype(np.float32)


def measured(
    network: nn.Module, frame: Pixels, saliency: Floats, target: int = 1, batch: int = 8, **parameters: Any
) -> Measured:
    score = SufficientRegion(**parameters)
    run = toys.run(toys.classifier(network, classes=2), frame, target=target, batch=batch)
    found = score.measure(run, saliency, None)
    assert run.passes == score.cost() == Cost(score.steps, 0)
    return found


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 999), levels=st.integers(1, 200), share=st.floats(0.01, 1))
def test_a_box_is_the_tightest_around_the_top_pixels(seed: int, levels: int, share: float) -> None:
    values = np.random.default_rng(seed).integers(0, levels, (9, 14)).astype(np.float32)
    order = most_relevant_first(values, seed)
    count = max(1, count_of(share, values.size))
    top, bottom, left, right = boxes(order, [count, values.size], (9, 14))[0]
    mask = first(order, count, (9, 14))
    assert mask.sum() == count
    inside = np.zeros_like(mask)
    inside[top:bottom, left:right] = True
    assert not (mask & ~inside).any()
    assert mask[top].any()
    assert mask[bottom - 1].any()
    assert mask[:, left].any()
    assert mask[:, right - 1].any()
    assert boxes(order, [values.size], (9, 14)) == [(0, 9, 0, 14)]


@pytest.mark.parametrize(
    ("area", "probability", "expected"),
    [
        (1, 1, 0),
        (0.5, 0.5, 0),
        (0.05, 1, math.log(0.05)),
        (0.001, 1, math.log(0.05)),
        (1, 0, -math.log(1e-6)),
        (0.25, 0.5, math.log(0.5)),
    ],
)
def test_the_trade_off_is_ln_area_less_ln_probability(area: float, probability: float, expected: float) -> None:
    assert trade_off(np.array([area]), np.array([probability]))[0] == pytest.approx(expected, abs=1e-12)


def test_a_bright_square_is_cut_out() -> None:
    """8 x 8 of 32 x 32 pixels are white: their box is a sixteenth of the picture, all of it white."""
    frame = np.full((32, 32, 3), 51, dtype=np.uint8)
    truth = noise() / 1024
    truth[8:16, 16:24] += 1
    frame[8:16, 16:24] = 255
    found = measured(networks.Brightness(), frame, truth, steps=12)
    counts = [max(1, round(fraction * 1024)) for fraction in SufficientRegion(steps=12).fractions]
    np.testing.assert_allclose(found.curves["probability"].y[np.array(counts) <= 64], 1, atol=1e-5)
    assert found.curves["probability"].y[-1] == pytest.approx(0.2 + 0.8 / 16, abs=1e-5)
    assert found.values["trade_off"] == pytest.approx(math.log(0.05), abs=0.25)
    assert found.values["area"] <= 1 / 16
    assert found.curves["area"].y[-1] == 1
    assert (np.diff(found.curves["area"].y) >= 0).all()


def test_a_crop_is_the_enlarged_part_of_the_picture() -> None:
    torch.manual_seed(0)
    network, frame = networks.Tiny().eval(), toys.frame(32)
    saliency = np.zeros((32, 32), dtype=np.float32)
    saliency[4:10, 20:31] = 1 + noise()[4:10, 20:31] / 1024
    found = measured(network, frame, saliency, target=3, steps=5)
    pixels = torch.as_tensor(frame / 255.0).float().movedim(-1, 0)[None]
    order = most_relevant_first(saliency, 0)
    for number, fraction in enumerate(SufficientRegion(steps=5).fractions):
        top, bottom, left, right = boxes(order, [max(1, count_of(fraction, 1024))], (32, 32))[0]
        crop = nn.functional.interpolate(pixels[..., top:bottom, left:right], (32, 32), mode="bilinear")
        expected = float(network(crop).softmax(1)[0, 3])
        assert found.curves["probability"].y[number] == pytest.approx(expected, rel=1e-4)
        assert found.curves["area"].y[number] == pytest.approx((bottom - top) * (right - left) / 1024)


def test_the_whole_picture_is_the_last_resort() -> None:
    """A map of noise has boxes as large as the picture: it can do no better than the whole."""
    frame = np.full((32, 32, 3), 128, dtype=np.uint8)
    found = measured(networks.Brightness(), frame, noise(), steps=2)
    p = 128 / 255
    assert found.values["trade_off"] <= -math.log(p) + 1e-6
    assert found.values["area"] <= 1
    assert measured(networks.Blind(), frame, noise()).values["area"] == found_area(noise())


def found_area(saliency: Floats) -> float:
    count = max(1, count_of(0.005, saliency.size))
    top, bottom, left, right = boxes(most_relevant_first(saliency, 0), [count], (32, 32))[0]
    return (bottom - top) * (right - left) / saliency.size


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    torch.manual_seed(0)
    network = networks.Tiny()
    expected, found = (measured(network, toys.frame(32), noise(), batch=size).values for size in (8, batch))
    for part in expected:
        assert found[part] == pytest.approx(expected[part], rel=1e-5)


@pytest.mark.parametrize("steps", [2, 8, 200])
def test_fractions_grow_by_one_factor_to_the_whole(steps: int) -> None:
    fractions = SufficientRegion(steps=steps).fractions
    assert (fractions[0], fractions[-1]) == (pytest.approx(0.005), 1)
    factors = np.array(fractions[1:]) / np.array(fractions[:-1])
    np.testing.assert_allclose(factors, factors[0])
