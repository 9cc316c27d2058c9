"""Classifiers: gradients and activations as autograd gives them, every pass counted, and a network lent safely."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import DeepLift, GuidedBackprop
from pytorch_grad_cam import GuidedBackpropReLUModel
from torch import nn

from tests.checks import state_of
from tests.networks import Quadratic, TwoLinear, tiny
from tests.toys import classifier
from xai_core.classifiers import weights
from xai_core.classifiers.cards import cards
from xai_core.classifiers.evaluator import Classifier
from xai_core.types import Cost, XaiError

from .networks import Branches, Optional, Twice, quickly_built, randomised

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:captum.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:shap.*"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:shap.*"),
]

TARGET = 3


@pytest.fixture
def plain() -> nn.Module:
    """The tiny network as it was written, with in-place ReLUs, its batch norms and random statistics."""
    return randomised(tiny())


@pytest.fixture
def model() -> Classifier:
    """A classifier of the same network."""
    return classifier(randomised(tiny()), classes=5, cam_layer="stage2")


def inputs(count: int = 3, size: int = 32, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> bool:
    """Whether they agree within a part of the largest value."""
    return found.shape == expected.shape and bool((found - expected).abs().max() <= tolerance * expected.abs().max())


def added(model: Classifier, work: Callable[[], Any]) -> Cost:
    """The passes that `work` makes."""
    before = model.passes
    work()
    return Cost(model.passes.forward - before.forward, model.passes.backward - before.backward)


# One batch


def test_logits_are_the_plain_networks(model: Classifier, plain: nn.Module) -> None:
    logits = model.logits(inputs())
    assert close(logits, plain(inputs()))
    assert not logits.requires_grad


def test_gradients_are_plain_autograds(model: Classifier, plain: nn.Module) -> None:
    x = inputs().requires_grad_()
    expected = torch.autograd.grad(plain(x)[:, TARGET].sum(), x)[0]
    assert close(model.gradients(inputs(), TARGET), expected)


def test_gradients_of_class_0_are_not_those_of_another(model: Classifier, plain: nn.Module) -> None:
    x = inputs().requires_grad_()
    expected = torch.autograd.grad(plain(x)[:, 0].sum(), x)[0]
    assert close(model.gradients(inputs(), 0), expected)
    assert not close(model.gradients(inputs(), 1), expected)


def test_gradients_of_a_quadratic_are_twice_its_input() -> None:
    x = inputs(2, 8)
    assert close(classifier(Quadratic(), size=8, classes=2).gradients(x, 0), 2 * x, 1e-6)


def test_gradients_are_finite_differences() -> None:
    torch.manual_seed(0)
    model = classifier(TwoLinear(8), size=8)
    x, direction = inputs(1, 8), inputs(1, 8, seed=2)
    rise = (model.logits(x + direction) - model.logits(x - direction))[0, 1] / 2
    assert rise == pytest.approx(float((model.gradients(x, 1) * direction).sum()), rel=1e-3)


def test_gradients_of_the_tiny_network_are_finite_differences(model: Classifier, plain: nn.Module) -> None:
    exact = plain.double()
    x, direction = inputs(1), inputs(1, seed=2)
    step = 1e-7 * direction.double()
    rise = (exact(x.double() + step) - exact(x.double() - step))[0, TARGET] / 2e-7
    assert float(rise) == pytest.approx(float((model.gradients(x, TARGET) * direction).sum()), rel=1e-3)


def test_a_batch_is_its_pictures_one_by_one(model: Classifier) -> None:
    x = inputs()
    single = torch.cat([model.gradients(one[None], TARGET) for one in x])
    assert close(model.gradients(x, TARGET), single, 1e-5)


def test_inputs_stay_as_they_are(model: Classifier) -> None:
    x = inputs()
    before = x.clone()
    model.logits(x)
    model.gradients(x, TARGET)
    given = model.layer_inputs("stage2", x)
    held = given.clone()
    model.gradients_from("stage2", given, x[:1], TARGET)
    model.activations_and_gradients("stage2", x, TARGET)
    assert torch.equal(x, before) and not x.requires_grad and x.grad is None
    assert torch.equal(given, held) and not given.requires_grad


def test_normalising_is_the_cards_mean_and_deviation() -> None:
    model = classifier(randomised(tiny()), classes=5)
    card = model.card.model_copy(
        update={"preprocess": model.card.preprocess.model_copy(update={"mean": (0.5, 0.25, 0), "std": (0.5, 1, 2)})}
    )
    model = Classifier(card, randomised(tiny()), "toy", torch.device("cpu"))
    pixels = torch.rand(2, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    x = model.normalise(pixels)
    assert x.shape == (2, 3, 32, 32)
    assert torch.allclose(x[:, 0], (pixels[..., 0] - 0.5) / 0.5)
    assert torch.allclose(x[:, 1], pixels[..., 1] - 0.25)
    assert torch.allclose(x[:, 2], pixels[..., 2] / 2)
    assert model.normalise(pixels[0].double()).dtype == torch.float32


# Layers: every kind of place in the network

LAYERS = [
    "stem",
    "stage1",
    "stage1.conv1",
    "stage1.bn1",
    "stage1.relu",
    "stage1.relu_2",
    "down",
    "stage2",
    "stage2.bn2",
]
BOTTLENECKS = ["stem", "stage1", "down", "stage2"]


def plain_layer(model: Classifier, layer: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Input, output and gradient at the output of a layer of the prepared network, by hooks and autograd alone."""
    caught: list[torch.Tensor] = []

    def catch(module: nn.Module, given: Any, output: torch.Tensor) -> None:
        caught.extend([given[0], output])
        output.retain_grad()

    x = x.clone().requires_grad_()
    handle = model.network.get_submodule(layer).register_forward_hook(catch)
    model.network(x)[:, TARGET].sum().backward()
    handle.remove()
    assert caught[1].grad is not None
    return caught[0].detach(), caught[1].detach(), caught[1].grad


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_inputs_are_what_the_layer_gets(model: Classifier, layer: str) -> None:
    expected, _, _ = plain_layer(model, layer, inputs())
    assert close(model.layer_inputs(layer, inputs()), expected)


@pytest.mark.parametrize("layer", LAYERS)
def test_activations_and_gradients_are_plain_autograds(model: Classifier, layer: str) -> None:
    _, output, gradient = plain_layer(model, layer, inputs())
    found, slope = model.activations_and_gradients(layer, inputs(), TARGET)
    assert close(found, output)
    assert close(slope, gradient)
    assert not found.requires_grad and not slope.requires_grad


def rest_of(network: nn.Module, layer: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Logits as a function of the layer's input and the picture, on an ordinary network."""

    def logits(given: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        handle = network.get_submodule(layer).register_forward_pre_hook(lambda module, old: (given,))
        try:
            result: torch.Tensor = network(x)
        finally:
            handle.remove()
        return result

    return logits


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_from_a_layer_are_plain_autograds_of_the_rest(model: Classifier, layer: str) -> None:
    x = inputs(1)
    below = model.layer_inputs(layer, x)
    given = below + 0.3 * torch.randn(4, *below.shape[1:], generator=torch.Generator().manual_seed(2))
    leaf = given.clone().requires_grad_()
    score = rest_of(model.network, layer)(leaf, x.expand(4, -1, -1, -1))[:, TARGET].sum()
    expected = torch.autograd.grad(score, leaf)[0]
    assert close(model.gradients_from(layer, given, x, TARGET), expected)


@pytest.mark.parametrize("layer", BOTTLENECKS)
def test_gradients_from_a_layer_and_the_chain_rule_below_it_are_the_gradients(model: Classifier, layer: str) -> None:
    x = inputs().requires_grad_()
    caught: list[torch.Tensor] = []
    handle = model.network.get_submodule(layer).register_forward_pre_hook(lambda module, given: caught.append(given[0]))
    model.network(x)
    handle.remove()
    above = torch.cat(
        [model.gradients_from(layer, caught[0][i : i + 1].detach(), x[:1].detach(), TARGET) for i in range(3)]
    )
    chained = above if caught[0] is x else torch.autograd.grad(caught[0], x, above)[0]
    assert close(chained, model.gradients(inputs(), TARGET))


def test_gradients_from_many_given_inputs_are_those_one_by_one(model: Classifier) -> None:
    x = inputs(1)
    given = model.layer_inputs("stage2", inputs(4))
    together = model.gradients_from("stage2", given, x, TARGET)
    single = torch.cat([model.gradients_from("stage2", one[None], x, TARGET) for one in given])
    assert close(together, single, 1e-5)


def test_gradients_from_a_linear_rest_are_its_weights() -> None:
    torch.manual_seed(0)
    network = TwoLinear(8)
    model = classifier(network, size=8)
    x = inputs(1, 8)
    found = model.gradients_from("second", model.layer_inputs("second", inputs(5, 8)), x, 2)
    weight = network.fc.weight[2].view(4, 8, 8)
    expected = torch.einsum("oc,ohw->chw", network.second.weight[:, :, 0, 0], weight)
    assert close(found, expected.expand(5, -1, -1, -1), 1e-5)


def test_layer_inputs_can_be_used_with_autograd(model: Classifier) -> None:
    given = model.layer_inputs("stage2", inputs())
    assert not given.is_inference()
    given.requires_grad_().sum().backward()


@pytest.mark.parametrize("name", ["densenet121", "resnet50", "efficientnet_lite0"])
def test_a_layer_beside_a_concatenation_or_an_addition_takes_many_given_inputs(name: str) -> None:
    layers = {
        "densenet121": "features.denseblock4.denselayer2.conv2",
        "resnet50": "layer4.1.conv2",
        "efficientnet_lite0": "blocks.4.1.conv_dw",
    }
    model = real(name)
    x = inputs(1, 64)
    given = model.layer_inputs(layers[name], inputs(2, 64, seed=3))
    together = model.gradients_from(layers[name], given, x, 5)
    single = torch.cat([model.gradients_from(layers[name], one[None], x, 5) for one in given])
    assert close(together, single, 1e-3)


# Passes


def test_every_pass_is_counted(model: Classifier) -> None:
    x = inputs()
    given = model.layer_inputs("stage2", inputs(4))
    assert added(model, lambda: model.logits(x)) == Cost(3, 0)
    assert added(model, lambda: model.gradients(x, TARGET)) == Cost(3, 3)
    assert added(model, lambda: model.layer_inputs("stage2", x)) == Cost(3, 0)
    assert added(model, lambda: model.layer_inputs("stage2.bn1", x)) == Cost(3, 0)
    assert added(model, lambda: model.gradients_from("stage2", given, x[:1], TARGET)) == Cost(4, 4)
    assert added(model, lambda: model.gradients_from("stage2.conv1", given, x[:1], TARGET)) == Cost(4, 4)
    assert added(model, lambda: model.activations_and_gradients("stage2", x, TARGET)) == Cost(3, 3)
    assert added(model, lambda: model.activations_and_gradients("stage2.conv1", x, TARGET)) == Cost(3, 3)


def test_passes_of_a_library_are_counted_too(model: Classifier) -> None:
    def explain() -> None:
        with model.lent() as network:
            x = inputs(2).requires_grad_()
            network(x)[:, TARGET].sum().backward()
            network(inputs(4))

    assert added(model, explain) == Cost(6, 2)


def test_the_folded_network_is_lent_as_safely(model: Classifier) -> None:
    before, expected = state_of(model.fast), model.logits(inputs(2))
    with model.lent(folded=True) as network:
        assert network is model.fast
        assert not [one for one in network.modules() if isinstance(one, nn.BatchNorm2d)]
        assert close(network(inputs(2)), expected, 1e-5)
        network.register_forward_hook(lambda module, given, output: output * 0)
        network.head = nn.Identity()
    assert state_of(model.fast) == before
    assert torch.equal(model.logits(inputs(2)), expected)


def test_a_new_classifier_has_made_no_pass(model: Classifier) -> None:
    assert model.passes == Cost(0, 0)


# Names of layers


def test_auto_is_the_layer_of_the_card(model: Classifier) -> None:
    assert model.layer("auto") == "stage2"
    assert model.layer("stage1.conv1") == "stage1.conv1"


@pytest.mark.parametrize("name", ["stage3", "stage2.conv9", "stem.weight", "stage2.", "stage 2"])
def test_an_unknown_layer_is_a_sentence(model: Classifier, name: str) -> None:
    with pytest.raises(XaiError) as caught:
        model.layer(name)
    assert str(caught.value) == (f"Toy has no layer {name!r}; a layer is a dotted path such as stage2, or auto.")


@pytest.fixture
def branches() -> Classifier:
    return classifier(randomised(Branches()), classes=5, cam_layer="body")


WAYS: dict[str, Callable[[Classifier, str], Any]] = {
    "layer_inputs": lambda model, layer: model.layer_inputs(layer, inputs()),
    "gradients_from": lambda model, layer: model.gradients_from(layer, torch.zeros(2, 3, 32, 32), inputs(1), TARGET),
    "activations_and_gradients": lambda model, layer: model.activations_and_gradients(layer, inputs(), TARGET),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_layer_that_is_not_used_is_a_sentence(branches: Classifier, way: Callable[[Classifier, str], Any]) -> None:
    assert branches.layer("unused") == "unused"
    with pytest.raises(XaiError, match=r"^The layer 'unused' of Toy is not used when it classifies; choose another\.$"):
        way(branches, "unused")


def test_a_layer_without_effect_has_no_gradient(branches: Classifier) -> None:
    output, gradient = branches.activations_and_gradients("idle", inputs(), TARGET)
    assert output.abs().max() > 0
    assert torch.equal(gradient, torch.zeros_like(output))
    given = branches.layer_inputs("idle", inputs())
    assert torch.equal(branches.gradients_from("idle", given, inputs(1), TARGET), torch.zeros_like(given))


@pytest.mark.parametrize("layer", ["head"])
@pytest.mark.parametrize("way", ["layer_inputs", "activations_and_gradients"])
def test_a_layer_without_maps_is_a_sentence(branches: Classifier, way: str, layer: str) -> None:
    with pytest.raises(XaiError, match="has no single map of channels; choose a convolution or a stage"):
        WAYS[way](branches, layer)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("layer", ["unused", "head"])
def test_a_refused_layer_leaves_no_hook(
    branches: Classifier, way: Callable[[Classifier, str], Any], layer: str
) -> None:
    before = fingerprint(branches)
    with contextlib.suppress(XaiError, RuntimeError):
        way(branches, layer)
    assert fingerprint(branches) == before


def test_a_layer_beside_another_in_a_concatenation_takes_many_given_inputs(branches: Classifier) -> None:
    given = branches.layer_inputs("left", inputs(4))
    together = branches.gradients_from("left", given, inputs(1), TARGET)
    single = torch.cat([branches.gradients_from("left", one[None], inputs(1), TARGET) for one in given])
    assert close(together, single, 1e-5)


def test_the_gradient_at_a_layer_that_is_called_twice_is_not_lost() -> None:
    model = classifier(randomised(Twice()), classes=5, cam_layer="conv")
    output, gradient = model.activations_and_gradients("conv", inputs(), TARGET)
    x = inputs()
    with torch.enable_grad():
        last = model.network.get_submodule("conv")(model.network.get_submodule("conv")(x)).detach().requires_grad_()
        score = model.network.get_submodule("head")(last.mean(dim=(2, 3)))[:, TARGET].sum()
    assert close(output, last.detach())
    assert close(gradient, torch.autograd.grad(score, last)[0])


# Lending


def fingerprint(model: Classifier) -> str:
    """A hash of both networks: tree, types, attributes, hooks, flags, gradients and weights."""
    state = hashlib.sha256()
    for network in model.networks:
        for name, module in network.named_modules(remove_duplicate=False):
            facts = {
                key: sorted(value) if isinstance(value, dict) else value
                for key, value in vars(module).items()
                if isinstance(value, dict | bool | int | float | str | tuple | type(None))
            }
            state.update(f"{name} {id(module)} {type(module)} {sorted(vars(module))} {facts}".encode())
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            state.update(f"{name} {id(tensor)} {tensor.requires_grad} {tensor.grad is None}".encode())
            state.update(tensor.numpy().tobytes())
    return state.hexdigest()


def guided_backprop_of_grad_cam(network: nn.Module) -> None:
    GuidedBackpropReLUModel(network, device="cpu")(inputs(1), target_category=TARGET)


def guided_backprop_of_captum(network: nn.Module) -> None:
    GuidedBackprop(network).attribute(inputs(1), target=TARGET)


def deep_lift_of_captum(network: nn.Module) -> None:
    DeepLift(network).attribute(inputs(1), torch.zeros(1, 3, 32, 32), target=TARGET)


def deep_shap(network: nn.Module) -> None:
    import shap

    shap.DeepExplainer(network, inputs(2)).shap_values(inputs(1), check_additivity=False)


def grad_cam_without_cleaning_up(network: nn.Module) -> None:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    GradCAM(network, [network.get_submodule("stage2")])(inputs(1).requires_grad_(), [ClassifierOutputTarget(TARGET)])


def hooks_of_all_kinds(network: nn.Module) -> None:
    layer = network.get_submodule("stage1")
    layer.register_forward_hook(lambda module, given, output: output * 0)
    layer.register_forward_hook(lambda module, given, named, output: output * 0, with_kwargs=True, always_call=True)
    layer.register_forward_pre_hook(lambda module, given: (given[0] * 0,))
    layer.register_forward_pre_hook(lambda module, given, named: ((given[0] * 0,), named), with_kwargs=True)
    layer.register_full_backward_hook(lambda module, given, output: None)
    layer.register_full_backward_pre_hook(lambda module, output: None)
    network.register_forward_hook(lambda module, given, output: output * 0)


def old_backward_hooks(network: nn.Module) -> None:
    for module in network.modules():
        module.register_backward_hook(lambda module, given, output: None)


def new_backward_hooks(network: nn.Module) -> None:
    for module in network.modules():
        module.register_full_backward_hook(lambda module, given, output: None)


def no_hooks_at_all(network: nn.Module) -> None:
    for module in network.modules():
        module._forward_hooks.clear()


def training_mode(network: nn.Module) -> None:
    network.train()
    network(inputs())


def gradients_of_weights(network: nn.Module) -> None:
    network.requires_grad_(True)
    network(inputs(1)).sum().backward()
    assert network.get_parameter("head.weight").grad is not None


def other_modules(network: nn.Module) -> None:
    network.get_submodule("stage1").relu = nn.Identity()
    network.get_submodule("stage2").conv1 = nn.Conv2d(12, 12, 1)
    network.stage1 = nn.Identity()
    network.add_module("extra", nn.Linear(1, 1))
    del network.stage2


def other_settings(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    network.get_submodule("stem").stride = (1, 1)


def attributes(network: nn.Module) -> None:
    for module in network.modules():
        module.x = torch.zeros(1000)


def other_weights(network: nn.Module) -> None:
    network.get_submodule("head").weight = nn.Parameter(torch.zeros(5, 12))
    network.get_submodule("stage1.bn1").running_mean = torch.ones(8)
    network.get_parameter("stem.weight").data = torch.zeros(8, 3, 3, 3)
    network.get_buffer("stage1.bn2.running_var").fill_(3)


LIBRARIES: list[Callable[[nn.Module], None]] = [
    guided_backprop_of_grad_cam,
    guided_backprop_of_captum,
    deep_lift_of_captum,
    deep_shap,
    grad_cam_without_cleaning_up,
    hooks_of_all_kinds,
    old_backward_hooks,
    new_backward_hooks,
    no_hooks_at_all,
    training_mode,
    gradients_of_weights,
    other_modules,
    other_settings,
    attributes,
    other_weights,
]


@pytest.mark.parametrize("change", LIBRARIES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("fails", [False, True], ids=["", "and fails"])
def test_a_lent_network_comes_back_unchanged(
    model: Classifier, change: Callable[[nn.Module], None], fails: bool
) -> None:
    before = fingerprint(model)
    logits, gradients, slow = model.logits(inputs()), model.gradients(inputs(), TARGET), model.network(inputs())
    try:
        with model.lent() as network:
            change(network)
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    assert fingerprint(model) == before
    assert torch.equal(model.logits(inputs()), logits)
    assert torch.equal(model.gradients(inputs(), TARGET), gradients)
    assert torch.equal(model.network(inputs()), slow)
    assert added(model, lambda: model.network(inputs())) == Cost(3, 0)


def test_some_of_these_libraries_do_change_the_network(model: Classifier) -> None:
    before = fingerprint(model)
    guided_backprop_of_grad_cam(model.network)
    assert fingerprint(model) != before


def test_an_error_inside_a_hook_of_a_library_leaves_nothing(model: Classifier) -> None:
    before = fingerprint(model)

    def fail(module: nn.Module, given: Any, output: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), model.lent() as network:
        network.get_submodule("stage2").register_forward_hook(fail)
        deep_lift_of_captum(network)
    assert fingerprint(model) == before


def test_a_library_gets_gradients_even_where_they_are_switched_off(model: Classifier) -> None:
    with torch.no_grad(), model.lent() as network:
        x = inputs(1).requires_grad_()
        network(x).sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0


def test_old_and_new_libraries_can_take_turns(model: Classifier) -> None:
    for change in (old_backward_hooks, new_backward_hooks, old_backward_hooks):
        with model.lent() as network:
            change(network)


@pytest.mark.parametrize("explain", [guided_backprop_of_captum, guided_backprop_of_grad_cam, deep_lift_of_captum])
def test_libraries_that_fail_on_the_plain_network_run_on_the_lent_one(
    model: Classifier, explain: Callable[[nn.Module], None]
) -> None:
    with model.lent() as network:
        explain(network)


# Loading and memory


def real(name: str) -> Classifier:
    """A built-in classifier with random weights."""

    def build() -> nn.Module:
        family, _, architecture = cards()[name].architecture.partition("/")
        if family == "timm":
            import timm

            return timm.create_model(architecture, pretrained=False)
        import torchvision

        return torchvision.models.get_model(architecture, weights=None)

    return Classifier(cards()[name], quickly_built(build), "random", torch.device("cpu"))


def test_a_loaded_classifier_has_the_digest_of_its_card_and_weights(tiny_card: Path) -> None:
    card = cards()["tiny"]
    model = Classifier.load(card, torch.device("cpu"))
    assert model.digest == card.digest(weights.digest(card))
    assert model.logits(inputs()).shape == (3, 5)


def test_a_classifier_without_weights_is_a_sentence(tiny_card: Path) -> None:
    tiny_card.with_suffix(".safetensors").unlink()
    with pytest.raises(XaiError, match=r"of Tiny is missing; put it there\.$"):
        Classifier.load(cards()["tiny"], torch.device("cpu"))


def test_memory_counts_shared_weights_once(model: Classifier) -> None:
    own = sum(tensor.nbytes for tensor in (*model.network.parameters(), *model.network.buffers()))
    folded = 2 * (8 * 8 + 12 * 12) * 9 * 4 + 2 * (8 + 12) * 4
    assert model.bytes == own + folded


def test_a_block_with_an_optional_argument_works_as_a_layer() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), Optional(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = classifier(randomised(network), classes=5, cam_layer="1")
    given = model.layer_inputs("1", inputs())
    assert close(given, model.network.get_submodule("0")(inputs()))
