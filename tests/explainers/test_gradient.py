"""SmoothGrad: closed forms on linear and quadratic models, and captum under the very same noise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from tests import networks, toys
from xai_core.explainers import gradient as module
from xai_core.explainers.gradient import SmoothGrad, reduced
from xai_core.types import Attribution, Pixels

REDUCTIONS = ("abs_max", "abs_sum", "sum", "mean")


def explained(
    network: nn.Module, frame: Pixels, target: int = 0, seed: int = 0, batch: int = 8, **parameters: Any
) -> Attribution:
    classes = network(torch.zeros(1, 3, *frame.shape[:2])).shape[1]
    model = toys.classifier(network, size=frame.shape[0], classes=classes)
    return SmoothGrad(**parameters).explain(toys.run(model, frame, target=target, seed=seed, batch=batch))


def bounded_frame() -> Pixels:
    """Pixels from 60 to 187: the noise follows the picture's range, not its maximum."""
    return toys.frame(24) // 2 + np.uint8(60)


def plain_gradient(network: nn.Module, frame: Pixels, target: int) -> torch.Tensor:
    x = torch.as_tensor(frame / np.float32(255)).movedim(-1, 0)[None].requires_grad_()
    return torch.autograd.grad(network.eval()(x)[0, target], x)[0][0]


def small_tiny(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return networks.tiny().eval()


@pytest.mark.parametrize("noise_level", [0, 0.15, 1])
@pytest.mark.parametrize("average", ["signed", "absolute"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_linear_model_gives_its_weights_under_any_noise(noise_level: float, average: str, reduction: Any) -> None:
    torch.manual_seed(1)
    network = networks.Linear(8)
    found = explained(
        network,
        toys.frame(8),
        target=2,
        noise_level=noise_level,
        samples=5,
        average=average,
        reduction=reduction,
    )
    weights = network.fc.weight[2].detach().reshape(3, 8, 8)
    expected = reduced(weights.abs() if average == "absolute" else weights, reduction)
    np.testing.assert_allclose(found.values, expected.numpy(), rtol=1e-6, atol=1e-8)
    assert found.errors is not None
    assert found.errors.max() < 1e-7


def test_the_gradient_of_a_sum_of_squares_is_found_within_its_standard_error() -> None:
    frame, samples, noise_level = bounded_frame(), 200, 0.3
    found = explained(networks.Quadratic(), frame, samples=samples, noise_level=noise_level, reduction="sum")
    x = frame.astype(np.float64).transpose(2, 0, 1) / 255
    theory = np.sqrt(3) * 2 * noise_level * np.ptp(x) / np.sqrt(samples)
    z = (found.values - 2 * x.sum(0)) / theory
    assert 0.9 < np.sqrt((z**2).mean()) < 1.1
    assert np.abs(z).max() < 4.5


@pytest.mark.parametrize(
    ("reduction", "factor"), [("sum", 3**0.5), ("mean", 3**-0.5), ("abs_max", 1), ("abs_sum", 3**0.5)]
)
def test_the_reported_errors_are_two_sigma_over_root_n_on_a_sum_of_squares(reduction: Any, factor: float) -> None:
    frame, samples, noise_level = bounded_frame(), 400, 0.15
    found = explained(networks.Quadratic(), frame, samples=samples, noise_level=noise_level, reduction=reduction)
    sigma = noise_level * float(np.ptp(frame)) / 255
    assert found.errors is not None
    np.testing.assert_allclose(found.errors.mean(), factor * 2 * sigma / samples**0.5, rtol=0.02)
    np.testing.assert_allclose(found.errors, factor * 2 * sigma / samples**0.5, rtol=0.25)


@pytest.mark.parametrize(
    ("reduction", "average"),
    [
        ("abs_max", "signed"),
        ("mean", "absolute"),
        *(pytest.param(reduction, "signed", marks=pytest.mark.slow) for reduction in ("sum", "mean")),
        *(pytest.param(reduction, "absolute", marks=pytest.mark.slow) for reduction in ("sum", "abs_max")),
    ],
)
def test_the_reported_errors_are_the_spread_between_seeds_also_when_channels_hang_together(
    reduction: Any, average: str
) -> None:
    found = [
        explained(
            small_tiny(), toys.frame(16), samples=10, seed=seed, noise_level=0.3, average=average, reduction=reduction
        )
        for seed in range(40)
    ]
    spread = np.std([one.values for one in found], axis=0, ddof=1)
    reported = [one.errors for one in found if one.errors is not None]
    tolerance = 0.15 if reduction == "abs_max" else 0.08  # the largest of three means varies a little less than each
    assert np.sqrt((spread**2).mean() / np.square(reported).mean()) == pytest.approx(1, abs=tolerance)


def test_the_absolute_average_is_the_mean_of_the_folded_normal_on_a_sum_of_squares() -> None:
    frame, samples, noise_level = toys.frame(24), 400, 0.5
    found = explained(
        networks.Quadratic(), frame, samples=samples, noise_level=noise_level, average="absolute", reduction="abs_sum"
    )
    mean = 2 * frame.astype(np.float64).transpose(2, 0, 1) / 255
    spread = 2 * noise_level * float(np.ptp(frame)) / 255
    folded = spread * np.sqrt(2 / np.pi) * np.exp(-((mean / spread) ** 2) / 2) + mean * (
        1 - 2 * norm.cdf(-mean / spread)
    )
    assert found.errors is not None
    z = (found.values - folded.sum(0)) / found.errors
    assert 0.9 < np.sqrt((z**2).mean()) < 1.1
    assert (folded - np.abs(mean)).max() > 0.3, "noise that flips the sign is what tells the two averages apart"


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_one_sample_without_noise_is_the_plain_gradient(reduction: Any) -> None:
    frame = toys.frame(32)
    found = explained(small_tiny(), frame, target=3, samples=1, noise_level=0, reduction=reduction)
    expected = reduced(plain_gradient(small_tiny(), frame, 3), reduction).numpy()
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * np.abs(expected).max())
    assert found.errors is None


def test_the_same_seed_gives_the_same_map_bit_by_bit_and_another_seed_another() -> None:
    frame = toys.frame(32)
    first, again, other = (explained(small_tiny(), frame, samples=6, seed=seed).values for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    frame = toys.frame(32)
    expected = explained(small_tiny(), frame, samples=10).values
    found = explained(small_tiny(), frame, samples=10, batch=batch).values
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_more_samples_begin_with_the_same_noise() -> None:
    """So that a longer run refines the shorter one: the mean of 8 is made of the means of 4 and of the next 4."""
    frame = toys.frame(16)
    short = explained(networks.Quadratic(), frame, samples=4, reduction="sum").values
    long = explained(networks.Quadratic(), frame, samples=8, reduction="sum").values
    plain = 2 * frame.astype(np.float64).sum(-1) / 255
    shared = np.corrcoef((short - plain).ravel(), (long - plain).ravel())[0, 1]
    assert 0.6 < shared < 0.8, "sqrt(4 / 8)"


def test_channels_are_reduced_as_they_say() -> None:
    gradient = torch.tensor([1.0, -4.0, 2.0]).view(3, 1, 1)
    assert [reduced(gradient, name).item() for name in ("abs_max", "abs_sum", "sum")] == [4, 7, -1]
    assert reduced(gradient, "mean").item() == pytest.approx(-1 / 3)


@pytest.mark.parametrize("average", ["signed", "absolute"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("implementation", ["own", "reference"])
def test_only_a_signed_average_that_is_added_up_is_signed(average: str, reduction: str, implementation: str) -> None:
    found = explained(
        small_tiny(),
        toys.frame(32),
        samples=2,
        average=average,
        reduction=reduction,
        implementation=implementation,
    )
    assert found.signed == (average == "signed" and reduction in ("sum", "mean"))
    assert found.signed or found.values.min() >= 0


@pytest.mark.parametrize("average", ["signed", "absolute"])
@pytest.mark.parametrize("samples", [7, 23])
def test_with_captums_noise_the_map_is_captums(samples: int, average: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, drawn, normal = toys.frame(32), [], torch.normal

    def recorded(mean: Any, deviation: Any) -> torch.Tensor:
        drawn.append(normal(mean, deviation) / deviation)
        return drawn[-1] * deviation

    with monkeypatch.context() as patched:
        patched.setattr(torch, "normal", recorded)
        library = explained(
            small_tiny(), frame, target=1, samples=samples, average=average, reduction="sum", implementation="reference"
        )
    noise = torch.cat(drawn)
    assert len(noise) == samples

    def given(seed: int, label: str, number: int) -> SimpleNamespace:
        return SimpleNamespace(standard_normal=lambda shape, dtype: noise[number].reshape(shape).numpy().astype(dtype))

    monkeypatch.setattr(module, "generator", given)
    own = explained(small_tiny(), frame, target=1, samples=samples, average=average, reduction="sum")
    assert np.abs(own.values - library.values).max() < 1e-5 * np.abs(own.values).max()


def test_with_noise_of_its_own_captum_gives_nearly_the_same_map() -> None:
    frame = toys.frame(32)
    own, library = (
        explained(small_tiny(), frame, samples=150, reduction="sum", implementation=one).values
        for one in ("own", "reference")
    )
    assert np.corrcoef(own.ravel(), library.ravel())[0, 1] > 0.95
