"""Insertion and deletion: closed forms, complements, RISE's own loop, and fractions that hold whatever the ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import auc
from torch import nn
from torchcam.metrics import DeletionInsertionMetric

from tests import networks, toys
from xai_core.bench.libraries import GivenCam
from xai_core.scores.insertion import Deletion, Insertion, Removal, area_under, counts_along, substrate
from xai_core.types import Cost, Floats, Measured, Pixels


def noise(seed: int = 0, size: int = 32) -> Floats:
    return np.random.default_rng(seed).permutation(size * size).reshape(size, size).astype(np.float32)


def measured(
    score: Removal, network: nn.Module, frame: Pixels, saliency: Floats, target: int = 1, seed: int = 0, batch: int = 8
) -> Measured:
    classifier = toys.classifier(network, size=frame.shape[0], classes=2)
    run = toys.run(classifier, frame, target=target, seed=seed, batch=batch)
    found = score.measure(run, saliency, None)
    assert run.passes == score.cost() == Cost(score.steps + 1, 0)
    return found


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return networks.Tiny()


def planted() -> tuple[nn.Module, Pixels, Floats]:
    truth = np.zeros((32, 32), dtype=np.float32)
    truth[8:16, 16:24] = 1
    return networks.BrightPatch(), np.full((32, 32, 3), 230, dtype=np.uint8), truth


def test_the_mean_brightness_ordered_by_brightness_has_a_closed_form() -> None:
    """With black as fill, what is left of the probability is the brightness that was not deleted."""
    grey = np.random.default_rng(0).permutation(256).astype(np.uint8).reshape(16, 16, 1)
    frame, saliency = np.repeat(grey, 3, axis=2), grey[..., 0].astype(np.float32)
    values = np.sort(grey.ravel()).astype(np.float64)[::-1] / 255 / 256
    counts = np.array([0, 64, 128, 192, 256])
    inserted = np.array([values[:count].sum() for count in counts])
    deletion = measured(Deletion(steps=4, fill="black"), networks.Brightness(), frame, saliency)
    insertion = measured(Insertion(steps=4, start="black"), networks.Brightness(), frame, saliency)
    np.testing.assert_allclose(insertion.curves["probability"].y, inserted, atol=2e-6)
    np.testing.assert_allclose(deletion.curves["probability"].y, values.sum() - inserted, atol=2e-6)
    assert insertion.values["auc"] == pytest.approx((inserted.sum() - inserted[[0, -1]].mean()) / 4, abs=1e-6)
    assert deletion.values["auc"] == pytest.approx(values.sum() - insertion.values["auc"], abs=1e-6)


@pytest.mark.parametrize("share", [0, 0.5, 0.9, 1])
def test_what_is_deleted_is_the_nominal_fraction_whatever_the_ties(share: float) -> None:
    """White turns black: the probability that is lost is the fraction that is deleted."""
    saliency = noise()
    saliency[saliency < share * saliency.size] = 0
    white = np.full((32, 32, 3), 255, dtype=np.uint8)
    for steps in (7, 10, 224):
        curve = measured(Deletion(steps=steps, fill="black"), networks.Brightness(), white, saliency).curves
        lost = 1 - curve["probability"].y.astype(np.float64)
        np.testing.assert_allclose(lost, np.linspace(0, 1, steps + 1), atol=1 / saliency.size)
        np.testing.assert_allclose(curve["probability"].x, np.linspace(0, 1, steps + 1), atol=1e-6)


def test_more_steps_come_closer_to_one_pixel_at_a_time() -> None:
    network, frame, saliency = tiny(), toys.frame(32), noise()
    exact = measured(Deletion(steps=1000, fill="mean"), network, frame, saliency, batch=128).values["auc"]
    errors = [
        abs(measured(Deletion(steps=steps, fill="mean"), network, frame, saliency, batch=128).values["auc"] - exact)
        for steps in (4, 128)
    ]
    assert errors[1] < errors[0] / 4
    assert errors[1] < 1e-3


@pytest.mark.parametrize("fill", ["blur", "wide_blur", "mean", "black", "grey"])
def test_inserting_a_map_is_deleting_its_reverse_backwards(fill: Any) -> None:
    inserted = measured(Insertion(steps=8, start=fill), tiny(), toys.frame(32), noise())
    deleted = measured(Deletion(steps=8, fill=fill), tiny(), toys.frame(32), -noise())
    np.testing.assert_allclose(inserted.curves["probability"].y, deleted.curves["probability"].y[::-1], rtol=1e-5)
    assert inserted.values["auc"] == pytest.approx(deleted.values["auc"], rel=1e-5)


@pytest.mark.parametrize("fill", ["blur", "wide_blur", "mean", "black", "grey"])
def test_the_ends_are_the_picture_and_the_fill(fill: Any) -> None:
    network, frame = tiny(), toys.frame(32)
    run = toys.run(toys.classifier(network), frame)
    nothing, whole = network(torch.cat([substrate(run, fill), run.x])).softmax(1)[:, 1].tolist()
    found = measured(Insertion(steps=3, start=fill), network, frame, noise()).curves["probability"].y
    assert (found[0], found[-1]) == (pytest.approx(nothing, rel=1e-5), pytest.approx(whole, rel=1e-5))


def test_the_blur_is_rises_kernel() -> None:
    """RISE convolves with zeros outside; inside, where its 11 x 11 kernel fits, the two are the same."""
    frame = toys.frame(32)
    offsets = torch.arange(-5, 6).float()
    line = torch.exp(-(offsets**2) / 50)
    kernel = torch.outer(line, line) / line.sum() ** 2
    pixels = torch.as_tensor(frame / 255.0).float().movedim(-1, 0)[:, None]
    expected = nn.functional.conv2d(pixels, kernel[None, None])[:, 0]
    found = substrate(toys.run(toys.classifier(tiny()), frame), "blur")[0, :, 5:-5, 5:-5]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_it_is_rises_loop_on_a_map_without_ties() -> None:
    """Pixel for pixel as the paper's code goes: so many pixels at a time, and the trapezoid of the equal steps."""
    network, frame, saliency = tiny(), toys.frame(32), noise()
    run = toys.run(toys.classifier(network), frame)
    order, now, scores = np.argsort(-saliency.ravel()), run.x.clone(), []
    for step in range(17):
        scores.append(float(network(now).softmax(1)[0, 2]))
        now.view(1, 3, -1)[..., order[step * 64 : (step + 1) * 64]] = 0
    expected = (sum(scores) - (scores[0] + scores[-1]) / 2) / 16
    assert measured(Deletion(steps=16, fill="mean"), network, frame, saliency, target=2).values["auc"] == pytest.approx(
        expected
    )


@pytest.mark.parametrize(("steps", "total"), [(7, 1024), (3, 10), (20, 10)])
def test_the_area_is_scikit_learns(steps: int, total: int) -> None:
    counts, y = counts_along(steps, total), np.random.default_rng(0).random(steps + 1)
    assert (counts[0], counts[-1]) == (0, total)
    assert area_under(counts, y) == pytest.approx(auc(counts / total, y))


def test_the_true_map_of_a_planted_square_beats_random_ones() -> None:
    network, frame, truth = planted()
    for score, sign in ((Insertion(steps=16, start="black"), 1), (Deletion(steps=16, fill="black"), -1)):
        random = [measured(score, network, frame, noise(seed)).values["auc"] for seed in range(12)]
        gain = sign * (measured(score, network, frame, truth).values["auc"] - np.mean(random))
        assert gain > 3 * np.std(random)


def test_a_network_that_sees_nothing_has_a_flat_curve() -> None:
    found = measured(Insertion(steps=5), networks.Blind(), toys.frame(16), noise(size=16))
    p = float(torch.tensor([0.3, 1.2]).softmax(0)[1])
    assert found.values["auc"] == pytest.approx(p)
    np.testing.assert_allclose(found.curves["probability"].y, p, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    expected, found = (
        measured(Insertion(steps=9), tiny(), toys.frame(32), noise(), batch=size).values["auc"] for size in (8, batch)
    )
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_both_areas_are_torchcams(seed: int) -> None:
    network = tiny().eval()
    frame = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    saliency = noise(seed)
    run = toys.run(toys.classifier(network, size=32, classes=2), frame, target=1)
    metric = DeletionInsertionMetric(GivenCam(network, saliency), lambda logits: logits.softmax(1), steps=16)
    metric.update(run.x, 1)
    theirs = metric.summary()
    assert theirs["deletion_auc"] == pytest.approx(
        measured(Deletion(steps=16, fill="mean"), network, frame, saliency).values["auc"], abs=1e-5
    )
    assert theirs["insertion_auc"] == pytest.approx(
        measured(Insertion(steps=16, start="mean"), network, frame, saliency).values["auc"], abs=1e-5
    )
