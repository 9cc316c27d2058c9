"""Grad-CAM: CAM itself on a net with global pooling, and captum and grad-cam on prepared real architectures."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from captum.attr import LayerGradCam
from torch import nn

from tests import networks, toys
from tests.checks import is_sentence
from xai_core.classifiers.evaluator import Classifier
from xai_core.explainers.base import upsampled
from xai_core.explainers.cam import GradCAM, GradCAMPlusPlus, GuidedGradCAM, HiResCAM, LayerCAM
from xai_core.explainers.cameras import Cameras
from xai_core.explainers.rectified import GuidedBackprop
from xai_core.explainers.score_cam import ScoreCAM
from xai_core.types import Attribution, Pixels, XaiError


def explained(model: Classifier, frame: Pixels, target: int = 0, **parameters: Any) -> Attribution:
    return GradCAM(**parameters).explain(toys.run(model, frame, target=target))


def scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / np.ptp(values)


def global_pool(stride: int) -> networks.GlobalPool:
    torch.manual_seed(3)
    network = networks.GlobalPool()
    network.features = nn.Conv2d(3, 6, 3, stride=stride, padding=1)
    return network


def class_activation_map(network: networks.GlobalPool, frame: Pixels, target: int) -> torch.Tensor:
    """CAM: the activations weighted by the class's weights in the linear head, (h, w)."""
    x = torch.as_tensor(frame / np.float32(255)).movedim(-1, 0)[None]
    with torch.no_grad():
        activation = torch.relu(network.features(x))[0]
        return (network.fc.weight[target][:, None, None] * activation).sum(0)


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_with_global_pooling_and_a_linear_head_it_is_the_rectified_cam(target: int) -> None:
    frame, network = toys.frame(16), global_pool(stride=1)
    cam = class_activation_map(network, frame, target).clamp_min(0).numpy() / 16**2
    found = explained(toys.classifier(network, size=16, classes=4, cam_layer="relu"), frame, target)
    np.testing.assert_allclose(found.values, cam, rtol=1e-5, atol=1e-6 * np.abs(cam).max())


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_a_coarse_layer_is_upsampled_bilinearly_after_the_relu(target: int) -> None:
    frame, network = toys.frame(32), global_pool(stride=4)
    cam = class_activation_map(network, frame, target).clamp_min(0) / 8**2
    expected = nn.functional.interpolate(cam[None, None], (32, 32), mode="bilinear", align_corners=False)[0, 0].numpy()
    found = explained(toys.classifier(network, size=32, classes=4, cam_layer="relu"), frame, target)
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-6)
    assert found.values.min() >= 0
    assert not found.signed


def test_the_classes_of_the_toy_differ_in_their_maps() -> None:
    """Else the two tests above could not tell one target from another."""
    frame, network = toys.frame(16), global_pool(stride=1)
    maps = [class_activation_map(network, frame, target).clamp_min(0) for target in range(4)]
    assert max(float(one.max()) for one in maps) > 0
    assert not torch.allclose(maps[0], maps[1])


def test_upsampling_keeps_a_constant_and_the_size_asked_for() -> None:
    values = upsampled(np.full((7, 5), 0.25), (224, 96))
    assert (values.shape, values.dtype) == ((224, 96), np.float32)
    np.testing.assert_array_equal(values, np.float32(0.25))


def tiny() -> tuple[nn.Module, str, int]:
    return networks.tiny(), "stage2", 5


def densenet() -> tuple[nn.Module, str, int]:
    return torchvision.models.densenet121(num_classes=10), "relu", 10


def vgg_like() -> tuple[nn.Module, str, int]:
    """VGG-11's features, which end in a max pooling, under a small head."""
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["A"])
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(features, nn.Flatten(), nn.Linear(512 * 2 * 2, 10)), "0.20", 10


def resnet() -> tuple[nn.Module, str, int]:
    return torchvision.models.resnet18(num_classes=10), "layer4.1", 10


def early_convolution() -> tuple[nn.Module, str, int]:
    """A convolution before a batch norm: folding changes what it gives, so the map must not come from there."""
    return torchvision.models.resnet18(num_classes=10), "layer2.0.conv1", 10


NETWORKS = [tiny, densenet, vgg_like, resnet, early_convolution]


@lru_cache
def prepared(make: Callable[[], tuple[nn.Module, str, int]], size: int = 64) -> Classifier:
    torch.manual_seed(7)
    network, layer, classes = make()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return toys.classifier(network, size=size, classes=classes, cam_layer=layer)


def map_with_values(model: Classifier, frame: Pixels) -> tuple[int, Attribution]:
    """The first class whose map is not zero everywhere, and its map."""
    maps = ((target, explained(model, frame, target)) for target in range(5))
    return next((target, found) for target, found in maps if found.values.any())


@pytest.mark.parametrize("make", NETWORKS)
def test_it_agrees_with_captum(make: Callable[[], tuple[nn.Module, str, int]]) -> None:
    model, frame = prepared(make), toys.frame(64)
    target, own = map_with_values(model, frame)
    run = toys.run(model, frame, target=target)
    with run.network() as network:
        layer = network.get_submodule(model.card.cam_layer)
        coarse = LayerGradCam(network, layer).attribute(run.x, target, relu_attributions=True).detach()
    library = nn.functional.interpolate(coarse, (64, 64), mode="bilinear", align_corners=False)[0, 0].numpy()
    assert np.abs(own.values - library).max() < 1e-5 * max(1.0, np.abs(library).max())
    assert np.abs(scaled(own.values) - scaled(library)).max() < 1e-5


@pytest.mark.parametrize("make", NETWORKS)
def test_it_agrees_with_grad_cam_after_scaling(make: Callable[[], tuple[nn.Module, str, int]]) -> None:
    model, frame = prepared(make), toys.frame(64)
    target, own = map_with_values(model, frame)
    library = explained(model, frame, target, implementation="reference")
    # grad-cam divides by the maximum plus 1e-7, which matters where a map is small
    maximum = np.abs(own.values).max()
    assert np.abs(scaled(own.values) - scaled(library.values)).max() < 1e-5 + 1e-7 / maximum
    assert library.layer == own.layer == model.card.cam_layer
    assert library.notes, "that its values are scaled must be said"


@pytest.mark.parametrize("implementation", ["own", "reference"])
def test_the_chosen_layer_is_taken_and_named(implementation: str) -> None:
    model, frame = prepared(tiny, size=32), toys.frame(32)
    maps = {
        layer: explained(model, frame, 1, layer=layer, implementation=implementation) for layer in ("stage1", "auto")
    }
    assert {layer: found.layer for layer, found in maps.items()} == {"stage1": "stage1", "auto": "stage2"}
    assert np.abs(maps["stage1"].values - maps["auto"].values).max() > 1e-6


@pytest.mark.parametrize("implementation", ["own", "reference"])
@pytest.mark.parametrize("layer", ["stage9", "stage1.conv7", "stage1.", "", "head", " stage1"])
def test_a_layer_that_does_not_exist_or_fit_is_refused_in_one_sentence(layer: str, implementation: str) -> None:
    model = prepared(tiny, size=32)
    with pytest.raises(XaiError) as error:
        explained(model, toys.frame(32), layer=layer, implementation=implementation)
    assert is_sentence(str(error.value)), str(error.value)


@pytest.mark.parametrize("implementation", ["own", "reference"])
def test_a_layer_that_is_never_used_is_refused_in_one_sentence(implementation: str) -> None:
    network = networks.tiny()
    network.spare = nn.Conv2d(3, 3, 1)
    model = toys.classifier(network, classes=5, cam_layer="stage2")
    with pytest.raises(XaiError, match="spare") as error:
        explained(model, toys.frame(32), layer="spare", implementation=implementation)
    assert is_sentence(str(error.value)), str(error.value)


# -- its relatives -----------------------------------------------------------------------------------------------------


RELATIVES = [HiResCAM, LayerCAM]


@pytest.mark.parametrize("kind", RELATIVES)
@pytest.mark.parametrize("make", NETWORKS)
def test_a_relative_agrees_with_grad_cam_after_scaling(
    kind: Any, make: Callable[[], tuple[nn.Module, str, int]]
) -> None:
    model, frame = prepared(make), toys.frame(64)
    compared = 0
    for target in range(3):
        own, library = (
            kind(implementation=one).explain(toys.run(model, frame, target=target)).values
            for one in ("own", "reference")
        )
        if own.any() and np.ptp(own) > 0:
            compared += 1
            assert np.abs(scaled(own) - library).max() < 1e-5
    assert compared


def plus_plus(activation: torch.Tensor, gradient: torch.Tensor, epsilon: float) -> np.ndarray:
    """Grad-CAM++ by its formula with an absolute epsilon, (64, 64)."""
    added = activation.sum(dim=(1, 2), keepdim=True)
    factors = gradient**2 / (2 * gradient**2 + added * gradient**3 + epsilon)
    weights = (factors.where(gradient != 0, gradient * 0) * gradient.clamp_min(0)).sum(dim=(1, 2), keepdim=True)
    return upsampled((weights * activation).sum(0).clamp_min(0), (64, 64))


@pytest.mark.parametrize("make", NETWORKS)
def test_grad_cam_plus_plus_is_its_formula_and_grad_cams_but_for_the_epsilon(
    make: Callable[[], tuple[nn.Module, str, int]],
) -> None:
    model, frame = prepared(make), toys.frame(64)
    compared = 0
    for target in range(3):
        run = toys.run(model, frame, target=target)
        activation, gradient = (one.double() for one in run.activations_and_gradients(run.layer("auto")))
        own, library = (GradCAMPlusPlus(implementation=one).explain(run).values for one in ("own", "reference"))
        if own.any() and np.ptp(own) > 0:
            compared += 1
            assert np.abs(scaled(own) - scaled(plus_plus(activation, gradient, 1e-30))).max() < 1e-4
            assert np.abs(library - scaled(plus_plus(activation, gradient, 1e-6))).max() < 1e-4
    assert compared


@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-6])
def test_small_logits_do_not_change_grad_cam_plus_plus(scale: float) -> None:
    """The cubic term is small for small gradients: the map then has one shape, whatever the scale."""
    network = global_pool(stride=2)
    maps = []
    for factor in (1e-3, scale * 1e-3):
        with torch.no_grad():
            scaled_network = global_pool(stride=2)
            scaled_network.fc.weight.copy_(network.fc.weight * factor)
        model = toys.classifier(scaled_network, size=16, classes=4, cam_layer="relu")
        maps.append(scaled(GradCAMPlusPlus().explain(toys.run(model, toys.frame(16))).values))
    np.testing.assert_allclose(maps[0], maps[1], atol=5e-3)


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_with_global_pooling_hirescam_is_grad_cam(target: int) -> None:
    """The gradient is the same everywhere then."""
    model = toys.classifier(global_pool(stride=2), size=16, classes=4, cam_layer="relu")
    run = toys.run(model, toys.frame(16), target=target)
    expected = GradCAM().explain(run).values
    np.testing.assert_allclose(HiResCAM().explain(run).values, expected, rtol=1e-4, atol=1e-7)


def test_layercam_takes_positive_gradients_only() -> None:
    network, frame = global_pool(stride=1), toys.frame(16)
    x = torch.as_tensor(frame / np.float32(255)).movedim(-1, 0)[None]
    with torch.no_grad():
        activation = torch.relu(network.features(x))[0]
        weights = network.fc.weight[1].clamp_min(0)[:, None, None] / 16**2
        expected = (weights * activation).sum(0).numpy()
    model = toys.classifier(network, size=16, classes=4, cam_layer="relu")
    found = LayerCAM().explain(toys.run(model, frame, target=1)).values
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("reduction", ["abs_max", "sum"])
def test_guided_grad_cam_is_the_product_and_captums(reduction: str) -> None:
    model, frame = prepared(resnet), toys.frame(64)
    target, coarse = map_with_values(model, frame)
    run = toys.run(model, frame, target=target)
    found = GuidedGradCAM(reduction=reduction).explain(run)
    guided = GuidedBackprop(reduction=reduction).explain(run).values
    np.testing.assert_allclose(found.values, guided * coarse.values, rtol=1e-5)
    library = GuidedGradCAM(reduction=reduction, implementation="reference").explain(run).values
    np.testing.assert_allclose(found.values, library, atol=1e-5 * np.abs(library).max())


# -- Score-CAM and CAMERAS ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "target"), [(tiny, 0), (tiny, 3), *(pytest.param(resnet, one, marks=pytest.mark.slow) for one in (0, 3))]
)
def test_score_cam_is_grad_cams(make: Callable[[], tuple[nn.Module, str, int]], target: int) -> None:
    model, frame = prepared(make), toys.frame(64)
    own, library = (
        ScoreCAM(implementation=one).explain(toys.run(model, frame, target=target)).values
        for one in ("own", "reference")
    )
    assert np.ptp(own) > 0
    assert np.corrcoef(own.ravel(), library.ravel())[0, 1] > 0.99, "grad-cam enlarges channels from corner to corner"


def test_score_cam_of_one_channel_is_that_channel() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 4))
    model, frame = toys.classifier(network, size=16, classes=4, cam_layer="1"), toys.frame(16)
    run = toys.run(model, frame)
    found = ScoreCAM().explain(run)
    with torch.no_grad():
        np.testing.assert_allclose(found.values, network[:2](run.x)[0, 0].numpy(), atol=1e-6)
    assert (run.passes.forward, run.passes.backward) == (2, 0)


def test_score_cam_does_not_change_when_every_logit_is_raised() -> None:
    network = global_pool(stride=2)
    maps = []
    for more in (0.0, 7.0):
        with torch.no_grad():
            network.fc.bias.add_(more)
        model = toys.classifier(network, size=16, classes=4, cam_layer="relu")
        maps.append(ScoreCAM().explain(toys.run(model, toys.frame(16))).values)
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5 * maps[0].max())


@pytest.mark.slow
def test_fewer_channels_are_those_that_vary_most() -> None:
    model, frame = prepared(resnet), toys.frame(64)
    run = toys.run(model, frame)
    ScoreCAM(channels=10).explain(run)
    assert run.passes.forward == 11
    everything = toys.run(model, frame)
    found = ScoreCAM(channels=4096).explain(everything).values
    assert everything.passes.forward == 513
    np.testing.assert_array_equal(found, ScoreCAM().explain(toys.run(model, frame)).values)


@pytest.mark.parametrize("make", [tiny, resnet])
def test_cameras_at_one_resolution_is_hirescam_with_enlarged_factors(
    make: Callable[[], tuple[nn.Module, str, int]],
) -> None:
    model, frame = prepared(make), toys.frame(64)
    run = toys.run(model, frame)
    layer = run.layer("auto")
    activation, gradient = run.activations_and_gradients(layer)
    large = [
        nn.functional.interpolate(one[None], (64, 64), mode="bilinear", align_corners=False)[0]
        for one in (activation, gradient)
    ]
    expected = (large[0] * large[1]).sum(0).clamp_min(0).numpy()
    found = Cameras(resolutions=1).explain(run)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * max(expected.max(), 1e-6))


def test_cameras_averages_over_resolutions() -> None:
    model, frame = prepared(resnet), toys.frame(64)
    run = toys.run(model, frame)
    found = Cameras(resolutions=3, largest=2.0).explain(run)
    assert (run.passes.forward, run.passes.backward) == (3, 3)
    assert found.layer == "layer4.1" and found.values.min() >= 0
    parts = [
        Cameras._at(run, "layer4.1", nn.functional.interpolate(run.x, size=[side, side], mode="bicubic"))
        for side in (64, 96, 128)
    ]
    means = [
        sum(nn.functional.interpolate(part[kind], (64, 64), mode="bilinear") for part in parts)[0] / 3
        for kind in range(2)
    ]
    expected = (means[0] * means[1]).sum(0).clamp_min(0).numpy()
    np.testing.assert_allclose(found.values, expected, atol=1e-3 * max(expected.max(), 1e-6))
