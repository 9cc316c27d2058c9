"""CIU and prediction difference analysis: their formulas, and what they find where only one place matters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests import networks, toys
from xai_core.explainers.ciu import Ciu, contextual
from xai_core.explainers.pda import PADDING, PatchSampler, PredictionDifference, log_odds
from xai_core.explainers.superpixels import segments
from xai_core.seeds import generator


class LeftIsBright(torch.nn.Module):
    """Two classes; the first one's logit is how bright the left quarter is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = 6 * x[:, :, :, : x.shape[3] // 4].mean(dim=(1, 2, 3)) - 3
        return torch.stack([bright, -bright], dim=1)


def left_is_bright() -> tuple:
    return toys.classifier(LeftIsBright(), size=32, classes=2), toys.frame(32)


@pytest.mark.parametrize("inverse", [False, True])
def test_contextual_values_are_between_0_and_1_and_the_influence_is_half_the_importance(inverse: bool) -> None:
    random = np.random.default_rng(0)
    after = random.random(200)
    values = contextual(0.4, after, inverse)
    for name in ("importance", "utility"):
        assert values[name].min() >= 0 and values[name].max() <= 1
    np.testing.assert_allclose(np.abs(values["influence"]), values["importance"] / 2)
    assert (values["influence"] >= 0).tolist() == (after <= 0.4).tolist()


def test_contextual_values_by_hand() -> None:
    values = contextual(0.6, np.array([0.1, 0.6, 0.9]))
    np.testing.assert_allclose(values["importance"], [0.5, 0, 0.3])
    np.testing.assert_allclose(values["utility"], [1, 0.5, 0])
    np.testing.assert_allclose(values["influence"], [0.25, 0, -0.15])


def test_where_hiding_only_lowers_the_class_ciu_has_the_order_of_occlusion() -> None:
    model, frame = left_is_bright()
    bright = np.maximum(frame, 200)
    run = toys.run(model, bright)
    found = Ciu(fill="black").explain(run).values
    labels = segments(bright, "slic", 50)
    assert run.passes.forward == 2 + labels.max()
    hidden = np.stack([np.where((labels == one)[..., None], 0, bright) for one in range(labels.max() + 1)])
    with torch.no_grad():
        after = model.network(run.normalise(hidden / np.float32(255))).softmax(1)[:, 0].numpy()
    each = [found[labels == one][0] for one in range(labels.max() + 1)]
    assert spearmanr(each, -after)[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("strategy", ["straight", "inverse"])
def test_ciu_finds_where_the_network_looks(strategy: str) -> None:
    model, frame = left_is_bright()
    found = Ciu(fill="black", strategy=strategy, shown="importance").explain(toys.run(model, frame)).values
    assert found[:, :4].mean() > found[:, 16:].mean()


def test_laplaces_correction_keeps_the_odds_finite() -> None:
    found = log_odds([0.0, 1.0, 0.5], 1000)
    assert np.isfinite(found).all()
    assert found[0] < -10 and found[1] > 6
    assert log_odds(0.5, 2) == pytest.approx(0, abs=1e-9)


def stripes(count: int = 6) -> np.ndarray:
    """Pictures of vertical waves: a pixel is told exactly by those above and below."""
    at = np.arange(40)
    return np.stack(
        [
            np.repeat((0.5 + 0.3 * np.sin(at / 2 + phase))[None, :, None], 40, axis=0).repeat(3, axis=2)
            for phase in range(count)
        ]
    ).astype(np.float32)


def test_windows_are_drawn_to_fit_the_pixels_around() -> None:
    pictures = stripes()
    sampler = PatchSampler(pictures, 4, np.random.default_rng(0))
    patch = pictures[0][10 : 14 + 2 * PADDING, 10 : 14 + 2 * PADDING]
    drawn = sampler.draw(patch, 50, np.random.default_rng(1))
    assert (drawn.dtype, drawn.shape) == (np.float32, (50, 4, 4, 3))
    inner = patch[PADDING:-PADDING, PADDING:-PADDING]
    assert np.abs(drawn.mean(axis=0) - inner).max() < 0.02
    assert drawn.std(axis=0).max() < 0.05


def test_without_structure_windows_have_the_pictures_mean_and_spread() -> None:
    pictures = np.random.default_rng(0).random((8, 60, 60, 3), dtype=np.float32) * 0.4 + 0.3
    drawn = PatchSampler(pictures, 3, np.random.default_rng(0)).draw(
        pictures[0][:7, :7], 4000, np.random.default_rng(1)
    )
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    assert drawn.std() == pytest.approx(0.4 / 12**0.5, rel=0.05)


def test_what_the_network_ignores_has_no_prediction_difference() -> None:
    model, frame = left_is_bright()
    given = {"positions": 16, "size": 1 / 16, "samples": 3}
    run = toys.run(model, frame)
    found = PredictionDifference(**given).explain(run)
    assert run.passes.forward == 1 + 16 * 16 * 3
    np.testing.assert_allclose(found.values[:, 8:], 0, atol=1e-4)
    assert np.abs(found.values[:, :8]).max() > 1e-3
    probability = PredictionDifference(difference="probability", **given).explain(toys.run(model, frame))
    assert np.corrcoef(found.values.ravel(), probability.values.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("difference", ["evidence", "probability"])
def test_the_reported_errors_of_the_difference_are_the_spread_between_seeds(difference: str) -> None:
    model, frame = left_is_bright()
    method = PredictionDifference(positions=8, size=0.1, samples=6, difference=difference)
    found = [method.explain(toys.run(model, frame, seed=seed)) for seed in range(20)]
    spread = np.std([one.values for one in found], axis=0, ddof=1)
    reported = [one.errors for one in found if one.errors is not None]
    assert np.sqrt((spread**2).mean() / np.square(reported).mean()) == pytest.approx(1, abs=0.2)


def test_a_windows_difference_is_that_of_its_mean_probability() -> None:
    torch.manual_seed(0)
    model, frame = toys.classifier(networks.tiny(), size=32, classes=5), toys.frame(32)
    method = PredictionDifference(positions=1, size=0.1, samples=2, difference="probability")
    found = method.explain(toys.run(model, frame, seed=4)).values
    from xai_core.explainers import pda
    from xai_core.images import galleries

    sampler = pda._sampler(tuple(one.digest for one in galleries.background("photos")), 3)
    padded = np.pad(frame / np.float32(255), ((2, 2), (2, 2), (0, 0)), mode="reflect")
    copies = np.repeat((frame / np.float32(255))[None], 3, axis=0)
    for sample in range(2):
        copies[1 + sample, :3, :3] = sampler.draw(padded[:7, :7], 1, generator(4, "pda", 0, sample))[0]
    with torch.no_grad():
        p = model.network(torch.as_tensor(copies).movedim(-1, 1)).softmax(1)[:, 0].numpy()
    np.testing.assert_allclose(found[:3, :3], p[0] - p[1:].mean(), atol=1e-6)
    assert not found[3:].any()
