"""The gradient family beside SmoothGrad: closed forms, identities between its members, and captum on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests import networks, toys
from xai_core.explainers.base import Explainer
from xai_core.explainers.gradient import (
    FeatureSuppression,
    Gradient,
    GradientXInput,
    SmoothGrad,
    SmoothGradSquared,
    VarGrad,
)
from xai_core.explainers.integrated import IntegratedGradients, points_on_the_way
from xai_core.explainers.rectified import Deconvnet, GuidedBackprop
from xai_core.explainers.sampling import RunningVariance
from xai_core.types import Attribution, Floats, Pixels, XaiError


def explained(
    kind: Any, network: nn.Module, frame: Pixels, target: int = 0, seed: int = 0, **parameters: Any
) -> Attribution:
    classes = network(torch.zeros(1, 3, *frame.shape[:2])).shape[1]
    model = toys.classifier(network, size=frame.shape[0], classes=classes)
    background = torch.rand(4, 3, *frame.shape[:2], generator=torch.Generator().manual_seed(5))
    found: Attribution = kind(**parameters).explain(
        toys.run(model, frame, target=target, seed=seed, background=background)
    )
    return found


def linear(size: int = 8) -> tuple[nn.Module, Floats]:
    """A linear network and the weights (3, H, W) of its class 2."""
    torch.manual_seed(1)
    network = networks.Linear(size)
    return network, network.fc.weight[2].detach().reshape(3, size, size).numpy()


def small_tiny() -> nn.Module:
    torch.manual_seed(0)
    return networks.tiny().eval()


def pixels(frame: Pixels) -> Floats:
    return np.asarray(frame.transpose(2, 0, 1) / np.float32(255))


class Positive(nn.Module):
    """Two layers of positive weights without bias: every ReLU is open."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.ReLU(), nn.Linear(4, 3)
        for tensor in self.parameters():
            tensor.data.abs_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.relu(self.conv(x)).mean(dim=(2, 3)))


class Biasless(nn.Module):
    """ReLU layers without any bias: piecewise linear through the origin."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, bias=False), nn.ReLU()
        )
        self.fc = nn.Linear(8, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.net(x).mean(dim=(2, 3)))


# -- one gradient ------------------------------------------------------------------------------------------------------


def test_the_gradient_of_a_linear_network_is_its_weights() -> None:
    network, weights = linear()
    found = explained(Gradient, network, toys.frame(8), target=2, reduction="sum")
    np.testing.assert_allclose(found.values, weights.sum(0), rtol=1e-6)
    assert found.signed
    found = explained(Gradient, network, toys.frame(8), target=2)
    np.testing.assert_allclose(found.values, np.abs(weights).max(0), rtol=1e-6)
    assert not found.signed


def test_gradient_times_input_adds_up_to_the_logit_of_a_network_without_biases() -> None:
    frame, network = toys.frame(16), Biasless()
    with torch.no_grad():
        logits = network(torch.as_tensor(pixels(frame))[None])[0]
    for target in range(3):
        found = explained(GradientXInput, network, frame, target=target)
        assert found.values.sum() == pytest.approx(float(logits[target]), rel=1e-4)


def test_gradient_times_input_is_their_product() -> None:
    network, weights = linear()
    found = explained(GradientXInput, network, toys.frame(8), target=2)
    np.testing.assert_allclose(found.values, (weights * pixels(toys.frame(8))).sum(0), rtol=1e-4, atol=1e-6)


# -- many gradients ----------------------------------------------------------------------------------------------------


def test_a_linear_network_has_no_variance_of_the_gradient() -> None:
    network, weights = linear()
    found = explained(VarGrad, network, toys.frame(8), target=2, noise_level=0.5)
    assert found.values.max() < 1e-12
    squared = explained(SmoothGradSquared, network, toys.frame(8), target=2, reduction="sum")
    np.testing.assert_allclose(squared.values, (weights**2).sum(0), rtol=1e-5)


def test_the_variance_of_the_gradient_of_a_sum_of_squares_is_that_of_the_noise() -> None:
    frame, level = toys.frame(24), 0.3
    sigma = level * float(np.ptp(frame)) / 255
    found = explained(VarGrad, networks.Quadratic(), frame, samples=400, noise_level=level, reduction="sum")
    assert found.values.mean() == pytest.approx(3 * 4 * sigma**2, rel=0.01)
    squared = explained(SmoothGradSquared, networks.Quadratic(), frame, samples=400, noise_level=level, reduction="sum")
    expected = (4 * pixels(frame) ** 2 + 4 * sigma**2).sum(0)
    assert squared.errors is not None
    z = (squared.values - expected) / squared.errors
    assert 0.9 < np.sqrt((z**2).mean()) < 1.1


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_smoothgrad_squared_is_the_square_of_smoothgrad_and_vargrad(reduction: str) -> None:
    """With the same noise, exactly; a single channel shows it through any reduction."""

    class Grey(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small_tiny()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x[:, :1].expand(-1, 3, -1, -1))

    given = {"samples": 12, "noise_level": 0.3, "reduction": reduction}
    frame, factor = toys.frame(16), 1 if reduction == "sum" else 3
    smooth, squared, variance = (
        explained(kind, Grey(), frame, seed=3, **given).values.astype(np.float64)
        for kind in (SmoothGrad, SmoothGradSquared, VarGrad)
    )
    np.testing.assert_allclose(
        squared * factor, (smooth * factor) ** 2 + variance * factor, rtol=1e-4, atol=1e-6 * squared.max()
    )


@pytest.mark.parametrize(
    "kind", [VarGrad, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (SmoothGradSquared, FeatureSuppression))]
)
def test_the_reported_errors_are_the_spread_between_seeds(kind: Any) -> None:
    found = [explained(kind, small_tiny(), toys.frame(16), samples=40, seed=seed) for seed in range(30)]
    spread = np.std([one.values for one in found], axis=0, ddof=1)
    reported = [one.errors for one in found if one.errors is not None]
    assert 0.75 < np.sqrt((spread**2).mean() / np.square(reported).mean()) < 1.1, "a maximum varies a little less"


def test_the_running_variance_is_numpys_and_its_error_that_of_normal_samples() -> None:
    values = np.random.default_rng(0).normal(1e3, 2.0, (4000, 5))
    running = RunningVariance()
    for rows in np.split(values, 40):
        running.add(torch.as_tensor(rows))
    np.testing.assert_allclose(running.variance.numpy(), values.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(running.error.numpy(), 4 * np.sqrt(2 / 4000), rtol=0.1)


def test_sampling_stops_when_the_map_is_precise() -> None:
    model = toys.classifier(small_tiny(), size=16, classes=5)
    run = toys.run(model, toys.frame(16))
    found = SmoothGradSquared(samples=1000, precision=0.5).explain(run)
    assert 8 <= run.passes.forward < 1000
    assert found.errors is not None
    assert np.sqrt(np.mean(found.errors**2)) <= 0.5 * found.values.std()


def test_suppression_gives_a_linear_networks_weights_whatever_is_dropped() -> None:
    network, weights = linear()
    found = explained(FeatureSuppression, network, toys.frame(8), target=2, samples=5)
    np.testing.assert_allclose(found.values, np.abs(weights).max(0), rtol=1e-6)


@pytest.mark.parametrize("drops", ["pixels", "channels"])
@pytest.mark.parametrize("drop", [0.0, 0.3, 0.7])
def test_suppression_of_a_sum_of_squares_leaves_what_is_kept(drop: float, drops: str) -> None:
    frame = toys.frame(16)
    given = {"samples": 600, "drop": drop, "drops": drops, "reduction": "sum"}
    found = explained(FeatureSuppression, networks.Quadratic(), frame, **given)
    expected = (1 - drop) * 2 * pixels(frame).sum(0)
    assert found.values.mean() == pytest.approx(expected.mean(), rel=0.02)
    assert np.corrcoef(found.values.ravel(), expected.ravel())[0, 1] > 0.98
    times = explained(FeatureSuppression, networks.Quadratic(), frame, **given, times_input=True)
    assert times.values.mean() == pytest.approx((1 - drop) * 2 * (pixels(frame) ** 2).sum(0).mean(), rel=0.02)


def test_suppressed_pixels_are_black_or_of_the_mean_colour() -> None:
    """A network that returns its smallest input tells what dropped pixels show; here normalised 0 is black."""
    model = toys.classifier(networks.Quadratic(), size=8, classes=1)
    model._mean = model._mean + 0.25
    run = toys.run(model, np.full((8, 8, 3), 255, dtype=np.uint8))
    for zero, level in (("mean", 0.0), ("black", -0.25)):
        copies = FeatureSuppression(zero=zero, drop=0.5).inputs(run)(0, 4)
        assert set(np.unique(copies.numpy())) == {np.float32(level), np.float32(0.75)}
        assert 0.3 < float((copies == level).float().mean()) < 0.7


# -- integrated gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", ["zero", "black", "white", "blur", "noise", "photos"])
def test_a_linear_networks_integrated_gradients_are_weights_times_the_way(baseline: str) -> None:
    network, weights = linear()
    frame = toys.frame(8)
    found = explained(IntegratedGradients, network, frame, target=2, baseline=baseline, steps=3)
    assert found.completeness is not None and found.completeness < 1e-4
    fixed = {"zero": 0.0, "black": 0.0, "white": 1.0}
    if baseline in fixed:
        expected = (weights * (pixels(frame) - fixed[baseline])).sum(0)
        np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-5)


def smooth() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 5)).eval()


@pytest.mark.parametrize(("make", "steps", "most"), [(smooth, 50, 0.01), (small_tiny, 200, 0.05)])
def test_integrated_gradients_add_up_to_the_difference_of_the_logits(make: Any, steps: int, most: float) -> None:
    frame, network = toys.frame(16), make()
    with torch.no_grad():
        both = network(torch.stack([torch.as_tensor(pixels(frame)), torch.zeros(3, 16, 16)]))
    for target in range(5):
        found = explained(IntegratedGradients, network, frame, target=target, steps=steps)
        difference = float(both[0, target] - both[1, target])
        assert found.values.sum() == pytest.approx(difference, rel=most)
        assert found.completeness == pytest.approx(abs(found.values.sum() - difference) / abs(difference), abs=1e-4)


def test_more_steps_lower_the_completeness_error() -> None:
    errors = [
        explained(IntegratedGradients, small_tiny(), toys.frame(16), steps=steps).completeness for steps in (2, 8, 64)
    ]
    assert errors == sorted(errors, key=lambda one: -(one or 0))


def test_the_passes_of_the_completeness_are_counted_apart() -> None:
    model = toys.classifier(small_tiny(), size=16, classes=5)
    run = toys.run(model, toys.frame(16))
    IntegratedGradients(steps=10).explain(run)
    assert (run.passes.forward, run.passes.backward) == (10, 10)
    assert model.passes.forward == 12


def test_integrated_gradients_do_not_depend_on_how_a_function_is_written() -> None:
    """Two networks that compute the same: one folds its batch norm by hand."""
    torch.manual_seed(2)
    conv, norm, head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    first = nn.Sequential(conv, norm.eval(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
    second = nn.Sequential(
        nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head
    ).eval()
    one, other = (explained(IntegratedGradients, network, toys.frame(12)).values for network in (first, second))
    np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(one).max())


# -- other ways back through a ReLU ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GuidedBackprop, Deconvnet])
def test_where_everything_is_positive_nothing_is_rectified(kind: Any) -> None:
    frame = toys.frame(12)
    torch.manual_seed(0)
    network = Positive()
    expected = explained(Gradient, network, frame, reduction="sum").values
    np.testing.assert_allclose(explained(kind, network, frame, reduction="sum").values, expected, rtol=1e-5)


def test_the_rules_on_a_single_relu() -> None:
    """f = w relu(v x): guided passes w v where v x > 0 and w > 0, deconvnet wherever w > 0."""

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()
            torch.manual_seed(0)
            self.into, self.out = torch.randn(3, 8, 8), torch.randn(3, 8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.out * self.relu(self.into * x)).flatten(1).sum(1, keepdim=True).expand(-1, 2)

    network = One()
    into, out = network.into.numpy(), network.out.numpy()
    frame = np.maximum(toys.frame(8), 1)
    guided = explained(GuidedBackprop, network, frame, reduction="sum").values
    np.testing.assert_allclose(guided, (into * out * (into > 0) * (out > 0)).sum(0), rtol=1e-5, atol=1e-6)
    deconvnet = explained(Deconvnet, network, frame, reduction="sum").values
    np.testing.assert_allclose(deconvnet, (into * out * (out > 0)).sum(0), rtol=1e-5, atol=1e-6)


def test_a_network_without_relus_says_so() -> None:
    found = explained(GuidedBackprop, linear()[0], toys.frame(8))
    assert "no ReLU" in found.notes[0]


# -- captum ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (Gradient, {"reduction": "sum"}),
        (GradientXInput, {}),
        (IntegratedGradients, {"steps": 20, "baseline": "blur"}),
        (GuidedBackprop, {"reduction": "sum"}),
        (Deconvnet, {"reduction": "sum"}),
    ],
)
@pytest.mark.parametrize("target", [0, 3])
def test_captum_computes_the_same(kind: Any, parameters: dict[str, Any], target: int) -> None:
    own, library = (
        explained(kind, small_tiny(), toys.frame(32), target=target, implementation=one, **parameters).values
        for one in ("own", "reference")
    )
    assert np.abs(own).max() > 0
    np.testing.assert_allclose(own, library, atol=2e-5 * np.abs(library).max())


@pytest.mark.parametrize("kind", [SmoothGradSquared, VarGrad])
def test_captum_differs_by_its_noise_only(kind: Any) -> None:
    own, library = (
        explained(kind, small_tiny(), toys.frame(16), samples=400, implementation=one) for one in ("own", "reference")
    )
    assert own.errors is not None
    assert 0.8 < np.sqrt(np.mean(((own.values - library.values) / own.errors) ** 2)) < 1.6


def test_an_unknown_baseline_is_a_sentence() -> None:
    from xai_core.registry import METHODS

    with pytest.raises(XaiError, match="baseline"):
        METHODS["integrated_gradients"].make({"baseline": "nothing"})


# -- norms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [FeatureSuppression, SmoothGrad, IntegratedGradients, Gradient])
def test_norms_of_a_linear_network_are_its_weights_norm(method: type[Explainer]) -> None:
    network, weights = linear()
    given = {Gradient: {}, IntegratedGradients: {"steps": 5}}.get(method, {"samples": 5})
    found = explained(method, network, toys.frame(8), target=2, **given)
    assert found.details["norms"].shape == (1 if method is Gradient else 5,)
    np.testing.assert_allclose(found.details["norms"], np.linalg.norm(weights), rtol=1e-5)


@pytest.mark.parametrize("drop", [0.0, 0.4, 1.0])
def test_norms_of_a_sum_of_squares_are_twice_what_is_kept(drop: float) -> None:
    """|df/dx| = 2 |x m|, whose mean square is (1 - p) 4 |x|^2."""
    frame = toys.frame(16)
    found = explained(FeatureSuppression, networks.Quadratic(), frame, samples=400, drop=drop).details["norms"]
    expected = (1 - drop) * 4 * np.square(pixels(frame)).sum()
    assert np.square(found, dtype=np.float64).mean() == pytest.approx(expected, rel=0.02)


def test_norms_on_the_way_grow_with_the_way() -> None:
    """The gradient of a sum of squares at alpha x is 2 alpha x."""
    frame = toys.frame(8)
    found = explained(IntegratedGradients, networks.Quadratic(), frame, steps=7).details["norms"]
    expected = 2 * points_on_the_way(7)[0] * np.linalg.norm(pixels(frame))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
