"""LRP and excitation backprop: an example by hand, what is conserved, identities, and zennit on them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from tests import networks, toys
from xai_core.classifiers.evaluator import Classifier
from xai_core.explainers.base import upsampled
from xai_core.explainers.gradient import GradientXInput
from xai_core.explainers.propagation import ExcitationBackprop, Lrp, handing_down
from xai_core.images import galleries
from xai_core.images.geometry import picture_frame
from xai_core.registry import METHODS, MODELS
from xai_core.types import Attribution, Cost, Floats, Pixels, XaiError

COMPOSITES = next(one.choices for one in METHODS["lrp"].options if one.name == "composite")
CONSERVING = [name for name in COMPOSITES if name != "epsilon"]


def explained(kind: Any, network: nn.Module, frame: Pixels, target: int = 0, **parameters: Any) -> Attribution:
    classes = network.eval()(torch.zeros(1, 3, *frame.shape[:2])).shape[1]
    model = toys.classifier(network, classes=classes)
    found: Attribution = kind(**parameters).explain(toys.run(model, frame, target=target))
    return found


def logits(network: nn.Module, frame: Pixels) -> list[float]:
    with torch.no_grad():
        return [float(one) for one in network(torch.as_tensor(frame / np.float32(255)).permute(2, 0, 1)[None])[0]]


class ByHand(nn.Module):
    """Four pixels, of which the first channel counts; two units; two classes, the second one the first's opposite."""

    def __init__(self, reads_the_picture: bool = True):
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(3, 2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False)
        self.conv.weight.data.zero_()
        self.conv.weight.data[0, 0] = torch.tensor([[2.0, 1], [-1, 5]])
        self.conv.weight.data[1, 0] = torch.tensor([[1.0, 3], [1, -5]])
        self.fc.weight.data = torch.tensor([[3.0, -1], [-3, 1]])
        self.reads_the_picture = reads_the_picture

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.relu(self.conv(x if self.reads_the_picture else x * 1)).flatten(1))


FOUR_PIXELS = np.repeat(np.array([[255, 0], [255, 51]], dtype=np.uint8)[..., None], 3, axis=2)
"""1, 0, 1 and 0.2: the units are 2 and 1, and the first logit is 5: relevances 6 and -1."""


def sequential(biased: bool) -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1, bias=biased), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, stride=2, bias=biased), nn.ReLU6(), nn.AvgPool2d(3), nn.Flatten()),
        *(nn.Linear(8, 6, bias=biased), nn.ReLU(), nn.Linear(6, 3, bias=biased)),
    )


def with_random_norms(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return with_random_norms(networks.tiny())


class Dense(nn.Module):
    """Batch norm before its convolution, and a concatenation, as in a DenseNet."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.stem, self.norm1, self.relu1 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()
        self.conv1 = nn.Conv2d(6, 4, 3, padding=1, bias=False)
        self.norm2, self.relu2, self.fc = nn.BatchNorm2d(10), nn.ReLU(), nn.Linear(10, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.conv1(self.relu1(self.norm1(x)))], dim=1)
        return self.fc(self.relu2(self.norm2(x)).mean(dim=(2, 3)))


class Averaging(nn.Module):
    """A residual network whose means are modules, which zennit's rules need."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem, self.relu, self.block = nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), networks.Residual(8)
        self.pool, self.flatten, self.fc = nn.AvgPool2d(15), nn.Flatten(), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.flatten(self.pool(self.block(self.relu(self.stem(x))))))


# -- by hand -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("composite", "first", "expected"),
    [
        ("epsilon", True, [5, 0, -4, 4]),
        ("epsilon_plus", True, [3.5, 0, -0.5, 2]),
        ("epsilon_alpha2_beta1", True, [7, 0, -7, 5]),
        ("epsilon_plus_flat", True, [1.25, 1.25, 1.25, 1.25]),
        ("epsilon_alpha2_beta1_flat", True, [1.25, 1.25, 1.25, 1.25]),
        ("epsilon_gamma_box", True, [4 - 1 / 6, 0, -1 / 6, 2 - 4 / 6]),
        ("epsilon_gamma_box", False, [4.8 - 2 / 3, 0, -1.2 - 2 / 3, 2.4 + 1 / 3]),
    ],
)
def test_the_rules_by_hand(composite: str, first: bool, expected: list[float]) -> None:
    """Without a layer that reads the picture itself there is no first layer's rule."""
    found = explained(Lrp, ByHand(first), FOUR_PIXELS, composite=composite, gamma=1.0)
    np.testing.assert_allclose(found.values.ravel(), expected, atol=2e-5)
    assert found.completeness is not None and found.completeness < 1e-5


@pytest.mark.parametrize(
    ("target", "contrastive", "expected"),
    [
        (0, False, [2 / 3, 0, 0, 1 / 3]),
        (0, True, [1 / 6, 0, 0, 1 / 3]),
        (1, False, [1 / 2, 0, 1 / 2, 0]),
        (1, True, [0, 0, 1 / 2, 0]),
    ],
)
def test_excitation_by_hand(target: int, contrastive: bool, expected: list[float]) -> None:
    """The class is excited by one of the units, its opposite by the other."""
    found = explained(ExcitationBackprop, ByHand(), FOUR_PIXELS, target, layer="input", contrastive=contrastive)
    np.testing.assert_allclose(found.values.ravel(), expected, atol=1e-5)


def test_the_flat_rule_gives_all_that_a_unit_sees_the_same() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3, bias=False))
    frame = toys.frame(8)
    found = explained(Lrp, network, frame, target=1).values.reshape(2, 4, 2, 4)
    with torch.no_grad():
        units = network[:3](torch.as_tensor(frame / np.float32(255)).permute(2, 0, 1)[None])[0]
        expected = (units * network[3].weight[1]).reshape(5, 2, 2).sum(0).numpy() / 16
    np.testing.assert_allclose(found, np.broadcast_to(expected[:, None, :, None], found.shape), atol=1e-5)


def test_a_class_that_one_channel_decides_is_handed_to_that_channel_alone() -> None:
    torch.manual_seed(3)
    network = networks.GlobalPool(classes=6)
    network.fc.weight.data = torch.eye(6)
    frame = toys.frame(8)
    with torch.no_grad():
        x = torch.as_tensor(frame / np.float32(255)).permute(2, 0, 1)[None]
        channels = network.relu(network.features(x))[0].numpy()
    for target in np.flatnonzero(channels.sum(axis=(1, 2)) > 0.1):
        found = explained(ExcitationBackprop, network, frame, int(target), layer="relu")
        np.testing.assert_allclose(found.values, channels[target] / channels[target].sum(), atol=1e-5)


# -- what is conserved -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("composite", COMPOSITES)
def test_without_biases_lrp_adds_up_to_the_logit(composite: str) -> None:
    frame, network = toys.frame(16), sequential(biased=False)
    for target, logit in enumerate(logits(network.eval(), frame)):
        found = explained(Lrp, network, frame, target, composite=composite)
        assert found.values.sum() == pytest.approx(logit, rel=2e-3)
        assert found.completeness == pytest.approx(abs(found.values.sum() - logit) / abs(logit), abs=1e-4)


@pytest.mark.parametrize("composite", CONSERVING)
@pytest.mark.parametrize("make", [lambda: sequential(biased=True), tiny, Dense])
def test_biases_that_share_leave_lrp_the_logit(composite: str, make: Any) -> None:
    frame, network = toys.frame(16), make()
    for target, logit in enumerate(logits(network.eval(), frame)):
        found = explained(Lrp, network, frame, target, composite=composite)
        assert found.values.sum() == pytest.approx(logit, rel=0.01)
        assert not found.notes


def test_biases_that_absorb_keep_what_is_theirs() -> None:
    """A unit of 3 and a bias of 1: a quarter stays with the bias."""
    network = nn.Sequential(nn.Conv2d(3, 1, 2), nn.ReLU(), nn.Flatten(), nn.Linear(1, 2, bias=False))
    network[0].weight.data.fill_(0.25)
    network[0].bias.data.fill_(1)
    network[3].weight.data.fill_(2)
    frame = np.full((2, 2, 3), 255, dtype=np.uint8)
    for composite in ("epsilon_plus", "epsilon"):
        found = explained(Lrp, network, frame, composite=composite, biases="absorb")
        np.testing.assert_allclose(found.values, 6 / 4, rtol=1e-5)
        assert found.completeness == pytest.approx(1 / 4, rel=1e-4)
    np.testing.assert_allclose(explained(Lrp, network, frame, composite="epsilon_plus").values, 2, rtol=1e-5)


def test_a_unit_that_only_its_bias_made_keeps_its_relevance_and_the_map_says_so() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2, bias=False))
    network[0].weight.data[0] = 0.25
    network[0].weight.data[1] = 0
    network[0].bias.data = torch.tensor([0.0, 1.0])
    network[3].weight.data.fill_(1)
    frame = np.full((2, 2, 3), 255, dtype=np.uint8)
    found = explained(Lrp, network, frame, composite="epsilon_plus")
    assert found.values.sum() == pytest.approx(3, rel=1e-5)
    assert found.completeness == pytest.approx(1 / 4, rel=1e-4)
    assert found.notes[0].startswith("25% of the class's score")


@pytest.mark.parametrize("layer", ["input", "stem", "stage1.conv1", "stage1", "down", "stage2"])
def test_excitation_adds_up_to_1_at_every_layer_that_all_ways_lead_through(layer: str) -> None:
    frame, network = toys.frame(32), tiny()
    for target in range(5):
        found = explained(ExcitationBackprop, network, frame, target, layer=layer)
        assert found.values.min() >= 0
        assert found.layer == layer
        assert found.completeness is not None
        assert found.completeness < 1e-3 or layer == "stage1.conv1", "a shortcut leads past it"


def test_excitation_adds_up_to_1_through_batch_norms_before_their_convolutions() -> None:
    for target in range(3):
        found = explained(ExcitationBackprop, Dense(), toys.frame(16), target, layer="input")
        assert found.values.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("make", [tiny, Dense, lambda: sequential(biased=True)])
def test_the_logits_are_what_they_were(make: Any) -> None:
    network, x = make().eval().requires_grad_(False), torch.rand(1, 3, 16, 16).requires_grad_()
    run = toys.run(toys.classifier(network), toys.frame(16))
    expected = network(x).detach()
    for composite in COMPOSITES:
        method = Lrp(composite=composite)
        with handing_down(network, x, method._rule, method._first_rule(run)):
            np.testing.assert_array_equal(network(x).detach().numpy(), expected.numpy())


# -- identities --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [tiny, lambda: sequential(biased=False).eval()])
def test_with_a_small_epsilon_lrp_is_gradient_times_input(make: Any) -> None:
    """At ReLUs, and whatever the biases absorb."""
    frame = toys.frame(16)
    for target in range(3):
        found = explained(Lrp, make(), frame, target, composite="epsilon", epsilon=1e-9).values
        expected = explained(GradientXInput, make(), frame, target).values
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("layer", ["stage2", "stage1", "input"])
def test_the_contrastive_map_is_what_the_negated_classifier_leaves(layer: str) -> None:
    frame, network, negated = toys.frame(32), tiny(), tiny()
    negated.head.weight.data.neg_()
    negated.head.bias.data.neg_()
    for target in range(5):
        plain, against = (explained(ExcitationBackprop, one, frame, target, layer=layer) for one in (network, negated))
        found = explained(ExcitationBackprop, network, frame, target, layer=layer, contrastive=True)
        assert found.completeness is None
        if layer == "input":  # at a coarser layer the difference is cut at 0 before it is enlarged
            expected = np.maximum(plain.values - against.values, 0)
            np.testing.assert_allclose(found.values, expected, atol=1e-5 * plain.values.max())
        else:
            assert (found.values - (plain.values - against.values)).min() > -1e-6


def test_a_logit_of_0_has_nothing_to_hand_down() -> None:
    network = sequential(biased=False)
    black = np.zeros((16, 16, 3), dtype=np.uint8)
    for kind, given in ((Lrp, {}), (ExcitationBackprop, {"layer": "input"})):
        assert not explained(kind, network, black, **given).values.any()


def test_layers_and_classifiers_that_cannot_be_used_are_refused_in_a_sentence() -> None:
    frame = toys.frame(32)
    with pytest.raises(XaiError, match="has no layer 'nowhere'"):
        explained(ExcitationBackprop, tiny(), frame, layer="nowhere")
    with pytest.raises(XaiError, match="no single map of channels"):
        explained(ExcitationBackprop, tiny(), frame, layer="head")
    with pytest.raises(XaiError, match="no linear classifier"):
        explained(ExcitationBackprop, networks.BrightSpot(), frame, layer="relu2", contrastive=True)


# -- zennit ------------------------------------------------------------------------------------------------------------


def of_both(kind: Any, network: nn.Module, target: int, **parameters: Any) -> tuple[Floats, Floats]:
    own, library = (
        explained(kind, network, toys.frame(32), target, implementation=one, **parameters).values
        for one in ("own", "reference")
    )
    return own, library


@pytest.mark.parametrize("biases", ["absorb", "share"])
@pytest.mark.parametrize("composite", COMPOSITES)
def test_zennit_computes_the_same(composite: str, biases: str) -> None:
    network = with_random_norms(Averaging())
    if biases == "share":
        network.fc.bias = None
        if composite == "epsilon_gamma_box":
            return  # zennit's gamma rule has no such thing
    for target in (0, 3):
        own, library = of_both(Lrp, network, target, composite=composite, biases=biases)
        assert np.abs(own).max() > 0
        np.testing.assert_allclose(own, library, atol=2e-3 * np.abs(library).max())


@pytest.mark.parametrize("place", [0, 1, 3])
def test_zennits_excitation_is_the_same_where_no_signs_are_mixed(place: int) -> None:
    """Both at what the layer number `place` gets."""
    from zennit.composites import ExcitationBackprop as Library

    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU()),
        *(nn.AvgPool2d(14), nn.Flatten(), nn.Linear(8, 4)),
    ).eval()
    frame = toys.frame(32)
    x = torch.as_tensor(frame / np.float32(255)).permute(2, 0, 1)[None]
    for target in range(4):
        given = network[:place](x).detach().requires_grad_()
        with Library(1e-12, zero_params="bias").context(network):
            (library,) = torch.autograd.grad(network[place:](given)[0, target], given)
        layer = str(place - 1) if place else "input"
        own = explained(ExcitationBackprop, network, frame, target, layer=layer).values
        expected = upsampled(library[0].sum(0), (32, 32))
        np.testing.assert_allclose(own, expected, atol=1e-4 * expected.max())


# -- real networks -----------------------------------------------------------------------------------------------------

RANDOM = ("vgg16", "resnet50", "densenet121")
TRAINED = ("efficientnet_lite0", "resnet50_v1")


@cache
def real(name: str) -> Classifier:
    card, device = MODELS[name], torch.device("cpu")
    if name in TRAINED:
        return Classifier.load(card, device)
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None).eval().requires_grad_(False)
    return Classifier(card, network, "random", device)


def on_a_cat(name: str, kind: Any, **parameters: Any) -> tuple[Attribution, Cost]:
    model = real(name)
    frame = picture_frame(galleries.bundled().samples[0].open().pixels, model.card.preprocess)
    run = toys.run(model, frame)
    with run.apart():
        ((_, scores),) = run.logits(1, lambda start, stop: run.x)
    run.target = int(scores.argmax())
    found: Attribution = kind(**parameters).explain(run)
    assert np.isfinite(found.values).all()
    return found, run.passes


@pytest.mark.slow
@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("name", [*RANDOM, *TRAINED])
def test_lrp_of_a_real_network(name: str, composite: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It conserves the logit, but in EfficientNet-Lite0: there many units are made by a bias alone."""
    monkeypatch.setenv("XAI_MODELS_DIR", str(shared / "models"))
    found, passes = on_a_cat(name, Lrp, composite=composite)
    assert passes == Cost(1, 1)
    assert found.completeness is not None
    if composite != "epsilon" and name != "efficientnet_lite0":
        assert found.completeness < 0.01
    if name == "efficientnet_lite0" and composite == "epsilon_plus_flat":
        assert "only their biases made" in found.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("contrastive", [False, True])
@pytest.mark.parametrize("name", [*RANDOM, *TRAINED])
def test_excitation_of_a_real_network(
    name: str, contrastive: bool, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_MODELS_DIR", str(shared / "models"))
    for layer in ("auto", "input"):
        found, passes = on_a_cat(name, ExcitationBackprop, layer=layer, contrastive=contrastive)
        assert passes == Cost(1, 1)
        assert found.values.min() >= 0
        assert found.values.max() > 0
        if not contrastive and (layer == "auto" or name != "efficientnet_lite0"):
            assert found.completeness is not None and found.completeness < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("biases", ["share", "absorb"])
@pytest.mark.parametrize("name", ["vgg16", *TRAINED])
def test_zennits_lrp_of_a_real_network(name: str, biases: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_MODELS_DIR", str(shared / "models"))
    own, library = (on_a_cat(name, Lrp, biases=biases, implementation=one)[0].values for one in ("own", "reference"))
    assert np.corrcoef(own.ravel(), library.ravel())[0, 1] > 0.9999
