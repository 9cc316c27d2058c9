"""Confidence under occlusion: the table of changes, its identities, its fills, and examples made by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import nn

from tests import networks, toys
from xai_core.registry import SCORES
from xai_core.scores.occlusion import Occlusion, confidence_change, probabilities_of
from xai_core.scores.ranking import top_fraction
from xai_core.types import Cost, Measured, Pixels


def measured(
    network: nn.Module, frame: Pixels, saliency: np.ndarray, target: int = 1, seed: int = 0, **parameters: Any
) -> Measured:
    run = toys.run(toys.classifier(network, size=frame.shape[0]), frame, target=target, seed=seed)
    found = Occlusion(**parameters).measure(run, saliency.astype(np.float32), None)
    assert run.passes == Cost(3, 0) == Occlusion(**parameters).cost()
    return found


@pytest.mark.parametrize(
    ("before", "after", "increase", "drop"),
    [
        (0.5, 0.5, 0, 0),
        (0.5, 0.25, 0, 50),
        (0.5, 0.0, 0, 100),
        (0.5, 0.75, 100, 0),
        (1.0, 0.1, 0, 90),
        (2e-6, 1e-6, 0, 50),
        (1e-6, 1.0, 100, 0),
    ],
)
def test_the_change_of_confidence(before: float, after: float, increase: float, drop: float) -> None:
    assert confidence_change(before, after) == (increase, pytest.approx(drop))


@pytest.mark.parametrize("before", [0.0, 9.99e-7])
@pytest.mark.parametrize("after", [0.0, 0.5])
def test_the_change_of_next_to_nothing_is_undefined(before: float, after: float) -> None:
    assert all(math.isnan(value) for value in confidence_change(before, after))


@settings(deadline=None)
@given(before=st.floats(1e-6, 1), after=st.floats(0, 1))
def test_changes_stay_between_0_and_100_and_exclude_each_other(before: float, after: float) -> None:
    increase, drop = confidence_change(before, after)
    assert increase in (0, 100)
    assert 0 <= drop <= 100
    assert not (increase and drop)
    assert (increase > 0) == (after > before)
    assert (drop > 0) <= (after < before)


def the_picture() -> Pixels:
    """Left half 204 (p = 0.8), of which a quarter is 0 (p = 0.6 in all); right half 153, which counts for nothing."""
    frame = np.full((8, 8, 3), 153, dtype=np.uint8)
    frame[:, :4] = 204
    frame[:2, :4] = 0
    return frame


def halves(left_is_relevant: bool) -> np.ndarray:
    saliency = np.zeros((8, 8)) + np.arange(64).reshape(8, 8) * 1e-3
    saliency[:, :4] += 1 if left_is_relevant else -1
    return saliency


def test_a_picture_made_by_hand_with_the_right_subject() -> None:
    found = measured(networks.LeftBrightness(), the_picture(), halves(True), fraction=0.5, fill="black").values
    assert found["background_drop"] == pytest.approx(0, abs=1e-3)
    assert found["subject_drop"] == pytest.approx(100, abs=1e-3)
    assert found["subject_increase"] == 0


def test_a_picture_made_by_hand_with_the_wrong_subject() -> None:
    found = measured(networks.LeftBrightness(), the_picture(), halves(False), fraction=0.5, fill="black").values
    assert found["background_drop"] == pytest.approx(100, abs=1e-3)
    assert found["subject_drop"] == pytest.approx(0, abs=1e-3)
    assert found["background_increase"] == 0


def test_a_picture_made_by_hand_whose_subject_is_the_dark_quarter() -> None:
    """Hidden by the picture's mean, the dark quarter becomes brighter: the probability rises."""
    saliency = np.arange(64).reshape(8, 8) * 1e-3
    saliency[:2, :4] += 10
    frame = the_picture()
    found = measured(networks.LeftBrightness(), frame, saliency, fraction=1 / 8, fill="picture_mean").values
    mean = (24 * 0.8 + 32 * 0.6) / 64
    before, hidden_subject, hidden_background = 0.6, (24 * 0.8 + 8 * mean) / 32, 24 * mean / 32
    assert hidden_subject > before
    assert (found["subject_increase"], found["subject_drop"]) == (100, 0)
    assert found["background_increase"] == 100 * (hidden_background > before)
    assert found["background_drop"] == pytest.approx(max(0, 100 * (before - hidden_background) / before), abs=1e-3)


def test_the_mean_over_two_pictures_is_the_published_measure() -> None:
    """% increase and % drop of Grad-CAM++ over a set are the means of the pictures' values."""
    dark = np.full((8, 8, 3), 51, dtype=np.uint8)
    found = [
        measured(networks.LeftBrightness(), frame, halves(left), fraction=0.5, fill="black").values
        for frame, left in ((the_picture(), True), (dark, False))
    ]
    assert np.mean([one["background_drop"] for one in found]) == pytest.approx(50, abs=1e-3)
    assert np.mean([one["background_increase"] for one in found]) == 0
    assert np.mean([one["subject_drop"] for one in found]) == pytest.approx(50, abs=1e-3)


@pytest.mark.parametrize("fill", ["mean", "black", "picture_mean", "blur"])
def test_a_network_that_sees_nothing_loses_nothing(fill: str) -> None:
    found = measured(networks.Blind(), toys.frame(16), np.random.default_rng(0).random((16, 16)), fill=fill)
    assert dict(found.values) == dict.fromkeys(SCORES["occlusion"].values, 0)
    assert not found.reasons


def a_network() -> nn.Module:
    torch.manual_seed(0)
    return networks.tiny()


@pytest.mark.parametrize("fill", ["mean", "black", "picture_mean", "blur"])
@pytest.mark.parametrize("seed", range(3))
def test_every_value_is_within_its_bounds(seed: int, fill: str) -> None:
    saliency = np.random.default_rng(seed).normal(size=(32, 32))
    found = measured(a_network(), toys.frame(32, seed), saliency, target=seed, fill=fill).values
    assert set(found) == set(SCORES["occlusion"].values)
    for part, value in SCORES["occlusion"].values.items():
        assert value.low <= found[part] <= value.high


def test_hiding_nothing_is_the_identity_and_hiding_everything_the_fill() -> None:
    model, frame = toys.classifier(a_network(), classes=5), toys.frame(32)
    run = toys.run(model, frame, target=2)
    fill = torch.full_like(run.x, 0.25)
    visible = torch.stack([torch.ones(1, 32, 32, dtype=torch.bool), torch.zeros(1, 32, 32, dtype=torch.bool)])
    found = probabilities_of(run, visible, fill)
    expected = [float(model.logits(x).softmax(1)[0, 2]) for x in (run.x, fill)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert abs(found[0] - found[1]) > 1e-4


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_hiding_the_background_of_the_subject_is_hiding_the_subject_of_the_background(fraction: float) -> None:
    """b(S) = s(not S): of the reversed map, subject and background change their places."""
    saliency, frame = np.random.default_rng(3).random((32, 32)), toys.frame(32)
    found = measured(a_network(), frame, saliency, fraction=fraction, fill="black").values
    mirrored = measured(a_network(), frame, -saliency, fraction=1 - fraction, fill="black").values
    for part in ("drop", "increase"):
        assert found[f"background_{part}"] == pytest.approx(mirrored[f"subject_{part}"], abs=1e-3)
        assert found[f"subject_{part}"] == pytest.approx(mirrored[f"background_{part}"], abs=1e-3)


def shown(frame: Pixels, saliency: np.ndarray, **parameters: Any) -> np.ndarray:
    """What the network is shown: the picture, its background hidden, its subject hidden; (3, 3, H, W)."""
    seen: list[torch.Tensor] = []
    model = toys.classifier(a_network(), classes=5)
    with model.fastest.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone())):
        Occlusion(**parameters).measure(toys.run(model, frame), saliency.astype(np.float32), None)
    return np.asarray(torch.cat(seen).numpy())


def test_the_masks_are_the_top_and_its_complement() -> None:
    saliency = np.random.default_rng(4).random((32, 32))
    whole, background_hidden, subject_hidden = shown(toys.frame(32), saliency, fill="black", fraction=0.3)
    top = top_fraction(saliency.astype(np.float32), 0.3, 0)
    np.testing.assert_array_equal(background_hidden, np.where(top, whole, 0))
    np.testing.assert_array_equal(subject_hidden, np.where(top, 0, whole))
    np.testing.assert_allclose(whole, toys.frame(32).transpose(2, 0, 1) / 255, atol=1e-6)


@pytest.mark.parametrize("fill", ["mean", "black", "picture_mean", "blur"])
def test_what_is_hidden_shows_the_fill(fill: str) -> None:
    frame, saliency = toys.frame(32, seed=7), np.arange(1024.0).reshape(32, 32)
    hidden = top_fraction(saliency, 0.99, 0)
    subject_hidden = shown(frame, saliency, fill=fill, fraction=0.99)[2]
    values = frame.astype(np.float64) / 255
    expected = {
        "mean": np.zeros((32, 32, 3)),  # the toys' mean colour is black, and their normalised input the pixels
        "black": np.zeros((32, 32, 3)),
        "picture_mean": np.broadcast_to(values.mean(axis=(0, 1)), values.shape),
        "blur": gaussian_filter(values, (10, 10, 0)),
    }[fill]
    np.testing.assert_allclose(subject_hidden[:, hidden], expected[hidden].T, atol=1e-5)


def test_a_constant_picture_hidden_by_its_own_mean_changes_nothing() -> None:
    frame = np.full((96, 96, 3), 90, dtype=np.uint8)
    saliency = np.random.default_rng(0).random((96, 96))
    found = measured(a_network(), frame, saliency, fill="picture_mean").values
    assert found["background_drop"] == pytest.approx(0, abs=1e-4)
    assert found["subject_drop"] == pytest.approx(0, abs=1e-4)
    assert (found["background_increase"], found["subject_increase"]) == (0, 0)


def test_a_class_without_probability_is_undefined_and_says_why() -> None:
    dark = np.zeros((8, 8, 3), dtype=np.uint8)
    found = measured(networks.LeftBrightness(), dark, halves(True))
    assert all(math.isnan(value) for value in found.values.values())
    assert set(found.reasons) == set(found.values)
    assert all("1e-06" in reason for reason in found.reasons.values())


def test_a_true_map_beats_a_false_one_on_the_planted_square() -> None:
    frame = toys.frame(32) // 3
    frame[8:16, 16:24] = 255
    truth = np.random.default_rng(0).random((32, 32)) / 2
    truth[8:16, 16:24] += 1
    right, wrong = (measured(networks.BrightPatch(), frame, sign * truth, fill="black").values for sign in (1, -1))
    assert right["background_drop"] < 1 < 50 < wrong["background_drop"]
    assert wrong["subject_drop"] < 1 < 50 < right["subject_drop"]
