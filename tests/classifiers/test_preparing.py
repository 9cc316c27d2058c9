"""Prepared networks: the same logits, every ReLU and every addition a module of its own; and folded batch norm."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest
import torch
import torchvision
from torch import nn

from tests.networks import tiny
from xai_core.classifiers.cards import cards
from xai_core.classifiers.preparing import Add, fold_batch_norm, in_place, prepare

from . import networks
from .networks import CountedOperations, quickly_built, randomised


def of_timm(name: str) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False)


def of_torchvision(name: str) -> nn.Module:
    return torchvision.models.get_model(name, weights=None)


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "tiny": tiny,
    "vgg16": lambda: of_torchvision("vgg16"),
    "mobilenet_v2": lambda: of_torchvision("mobilenet_v2"),
    "resnet18": lambda: of_torchvision("resnet18"),
    "resnet50": lambda: of_torchvision("resnet50"),
    "densenet121": lambda: of_torchvision("densenet121"),
    "alexnet": lambda: of_torchvision("alexnet"),
    "efficientnet_lite0": lambda: of_timm("tf_efficientnet_lite0"),
    "timm resnet26d": lambda: of_timm("resnet26d"),
    "timm regnetx_002": lambda: of_timm("regnetx_002"),
}
NETWORKS = list(BUILDERS)
WITH_BATCH_NORM = [name for name in NETWORKS if name not in ("vgg16", "alexnet")]
ADDITIONS = {
    "tiny": 2,
    "vgg16": 0,
    "mobilenet_v2": 10,
    "resnet18": 8,
    "resnet50": 16,
    "densenet121": 0,
    "alexnet": 0,
    "efficientnet_lite0": 9,
    "timm resnet26d": 8,
    "timm regnetx_002": 13,
}
RELUS = {
    "tiny": 5,
    "vgg16": 15,
    "mobilenet_v2": 35,
    "resnet18": 17,
    "resnet50": 49,
    "densenet121": 121,
    "alexnet": 7,
    "efficientnet_lite0": 33,
    "timm resnet26d": 27,
    "timm regnetx_002": 40,
}

IN_PLACE = {
    torch.ops.aten.relu_.default,
    torch.ops.aten.hardtanh_.default,
    torch.ops.aten.threshold_.default,
    torch.ops.aten.add_.Tensor,
}


@cache
def original(name: str) -> nn.Module:
    """The network with random weights and random batch-norm statistics; no test may change it."""
    return quickly_built(BUILDERS[name])


@cache
def prepared(name: str) -> nn.Module:
    return prepare(original(name))


@cache
def folded(name: str) -> tuple[nn.Module, frozenset[str]]:
    return fold_batch_norm(prepared(name))


@pytest.fixture(scope="module", autouse=True)
def forget_networks() -> object:
    yield
    for cached in (original, prepared, folded):
        cached.cache_clear()


def inputs(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def outputs(network: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The output of every layer that gives one tensor, by name, and "" for the logits."""
    caught: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def catch(module: nn.Module, given: object, output: object) -> None:
            if isinstance(output, torch.Tensor):
                caught[name] = output.clone()

        return catch

    handles = [module.register_forward_hook(hook(name)) for name, module in network.named_modules()]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    return caught


def calls(network: nn.Module, x: torch.Tensor, kinds: tuple[type[nn.Module], ...]) -> Counter[str]:
    """How often each module of these kinds is called in one forward pass."""
    counted: Counter[str] = Counter()
    handles = [
        module.register_forward_hook(lambda module, given, output, name=name: counted.update([name]))
        for name, module in network.named_modules()
        if isinstance(module, kinds)
    ]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    return counted


def operations(network: nn.Module, x: torch.Tensor) -> Counter[object]:
    """How often torch's own operations are called in one forward pass, whatever Python code calls them."""
    with torch.no_grad(), CountedOperations() as counted:
        network(x)
    return counted.count


def fingerprint(network: nn.Module) -> str:
    """A hash of all that must not change: weights, statistics, types, settings, hooks and flags."""
    state = hashlib.sha256()
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {tensor.requires_grad}".encode())
        state.update(tensor.numpy().tobytes())
    for name, module in network.named_modules(remove_duplicate=False):
        hooks = len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        inplace = getattr(module, "inplace", None)
        state.update(f"{name} {type(module)} {id(module)} {inplace} {module.training} {hooks}".encode())
    return state.hexdigest()


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


# Preparing


@pytest.mark.parametrize("name", NETWORKS)
def test_prepared_logits_are_bit_identical(name: str) -> None:
    x = inputs()
    with torch.no_grad():
        expected = original(name)(x)
        found = prepared(name)(x)
    assert expected.std(dim=1).min() > 0
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_works_in_place_any_more(name: str) -> None:
    assert not [path for path, module in prepared(name).named_modules() if getattr(module, "inplace", False)]
    assert not IN_PLACE & set(operations(prepared(name), inputs(1)))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_relu_is_a_module_that_is_called_once(name: str) -> None:
    counted = calls(prepared(name), inputs(1), (nn.ReLU, nn.ReLU6))
    assert set(counted.values()) == {1}
    assert len(counted) == RELUS[name]
    done = operations(prepared(name), inputs(1))
    assert done[torch.ops.aten.relu.default] + done[torch.ops.aten.hardtanh.default] == RELUS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_residual_addition_is_a_module_that_is_called_once(name: str) -> None:
    counted = calls(prepared(name), inputs(1), (Add,))
    assert set(counted.values()) <= {1}
    assert len(counted) == ADDITIONS[name]
    assert operations(prepared(name), inputs(1))[torch.ops.aten.add.Tensor] == ADDITIONS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_keeps_its_name_and_its_output(name: str) -> None:
    x = inputs(1)
    before, after = outputs(original(name), x), outputs(prepared(name), x)
    assert set(dict(original(name).named_modules())) <= set(dict(prepared(name).named_modules()))
    reused = {path for path, count in calls(original(name), x, (nn.Module,)).items() if count > 1}
    in_place = {path for path, module in original(name).named_modules() if getattr(module, "inplace", False)}
    for path in set(before) - reused - in_place:
        assert torch.equal(after[path], before[path]), path


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "densenet121", "alexnet", "efficientnet_lite0"])
def test_the_cards_layer_gives_maps_before_and_after_folding(name: str) -> None:
    layer = cards()[name].cam_layer
    x = inputs(2, 96)
    for network in (prepared(name), folded(name)[0]):
        maps = outputs(network, x)[layer]
        assert maps.ndim == 4
        assert maps.shape[0] == 2
        assert maps.shape[2] > 1


def test_the_layers_of_the_built_in_cards_are_where_the_literature_takes_them() -> None:
    x = inputs(1, 224)
    shapes = {
        name: tuple(outputs(prepared(name), x)[cards()[name].cam_layer].shape[1:])
        for name in ("vgg16", "resnet50", "densenet121", "alexnet", "efficientnet_lite0")
    }
    assert shapes == {
        "vgg16": (512, 7, 7),
        "resnet50": (2048, 7, 7),
        "densenet121": (1024, 7, 7),
        "alexnet": (256, 6, 6),
        "efficientnet_lite0": (1280, 7, 7),
    }


def test_densenets_last_relu_is_a_layer_whose_map_is_not_negative() -> None:
    maps = outputs(prepared("densenet121"), inputs(1))
    assert maps["relu"].min() == 0
    assert torch.equal(maps["relu"], maps["features"].relu())
    assert maps["features"].min() < 0


@pytest.mark.parametrize("name", NETWORKS)
def test_preparing_and_folding_leave_the_original_unchanged(name: str) -> None:
    network = quickly_built(BUILDERS[name])
    before = fingerprint(network)
    ready = prepare(network)
    assert fingerprint(network) == before
    ready_before = fingerprint(ready)
    fast, _ = fold_batch_norm(ready)
    with torch.no_grad():
        ready(inputs(1))
        fast(inputs(1))
    assert fingerprint(network) == before
    assert fingerprint(ready) == ready_before


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_work_in_place_again_have_the_same_logits_and_gradients(name: str) -> None:
    ready, again = prepared(name), in_place(prepared(name))
    done, before = operations(again, inputs(1)), operations(original(name), inputs(1))
    relus = {torch.ops.aten.relu_.default, torch.ops.aten.hardtanh_.default}
    assert {one: done[one] for one in relus} == {one: before[one] for one in relus}
    after_a_norm = ADDITIONS[name] if name in {"tiny", "resnet18", "resnet50", "timm resnet26d"} else 0
    assert done[torch.ops.aten.add_.Tensor] == after_a_norm
    found = []
    for network in (ready, again):
        x = inputs(1).requires_grad_()
        logits = network(x)
        found.append((logits, torch.autograd.grad(logits[0, 0], x)[0]))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])
    assert not IN_PLACE & set(operations(ready, inputs(1)))


@pytest.mark.parametrize("name", NETWORKS)
def test_prepared_networks_share_the_weights(name: str) -> None:
    mine = {path: tensor.data_ptr() for path, tensor in original(name).named_parameters()}
    theirs = {path: tensor.data_ptr() for path, tensor in prepared(name).named_parameters()}
    assert theirs == mine
    mine = {path: tensor.data_ptr() for path, tensor in original(name).named_buffers()}
    assert {path: tensor.data_ptr() for path, tensor in prepared(name).named_buffers()} == mine


@pytest.mark.parametrize("name", ["tiny", "resnet18", "densenet121"])
def test_preparing_twice_changes_nothing_more(name: str) -> None:
    again = prepare(prepared(name))
    assert list(dict(again.named_modules())) == list(dict(prepared(name).named_modules()))
    assert torch.equal(again(inputs(1)), prepared(name)(inputs(1)))


# Difficulties


DIFFICULT: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "one ReLU in two places of a sequence": (networks.SharedInSequence, 2, 0),
    "one ReLU in two blocks": (networks.SharedBetweenBlocks, 2, 0),
    "one ReLU of a list called twice": (networks.ReusedFromList, 2, 0),
    "ReLUs and additions in all spellings": (networks.Functional, 7, 6),
}


@pytest.mark.parametrize(("build", "relus", "additions"), DIFFICULT.values(), ids=DIFFICULT)
def test_difficult_networks_are_prepared_all_the_same(
    build: Callable[[], nn.Module], relus: int, additions: int
) -> None:
    network = randomised(build())
    x = inputs(2, 16)
    ready = prepare(network)
    assert torch.equal(ready(x), network(x))
    assert not IN_PLACE & set(operations(ready, x))
    assert torch.equal(in_place(ready)(x.clone()), network(x.clone()))
    assert list(calls(ready, x, (nn.ReLU,)).values()) == [1] * relus
    assert list(calls(ready, x, (Add,)).values()) == [1] * additions
    assert operations(ready, x)[torch.ops.aten.relu.default] == relus
    names = [name for name, _ in network.named_modules(remove_duplicate=False)]
    assert set(names) <= {name for name, _ in ready.named_modules()}


def test_a_block_with_an_optional_argument_still_does_both() -> None:
    network = randomised(networks.OptionalArgument())
    x = inputs(2, 16)
    fast, _ = fold_batch_norm(prepare(network))
    assert torch.equal(prepare(network)(x), network(x))
    assert torch.equal(fast(x), network(x))


@pytest.mark.parametrize("name", ["dla34", "hrnet_w18_small", "swin_tiny_patch4_window7_224"])
@pytest.mark.slow
def test_networks_that_cannot_be_traced_whole_keep_their_logits_and_names(name: str) -> None:
    network = randomised(of_timm(name))
    x = inputs(1, 224)
    ready = prepare(network)
    assert torch.equal(ready(x), network(x))
    assert set(dict(network.named_modules())) <= set(dict(ready.named_modules()))
    fast, _ = fold_batch_norm(ready)
    assert relative(fast(x), network(x)) < 1e-4


FAMILIES = [
    *("squeezenet1_1", "googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5"),
    *("shufflenet_v2_x0_5", "regnet_y_400mf", "efficientnet_b0", "convnext_tiny", "resnext50_32x4d"),
    *("swin_t", "swin_v2_t", "vit_b_32"),
]


@pytest.mark.filterwarnings("ignore::FutureWarning:torchvision.*")
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.slow
def test_torchvisions_other_families_keep_their_logits(name: str) -> None:
    network = randomised(of_torchvision(name))
    x = inputs(1, 224 if name.startswith("vit") else 96)
    ready = prepare(network)
    assert torch.equal(ready(x), network(x))
    assert relative(fold_batch_norm(ready)[0](x), network(x)) < 1e-4


# Folding


@pytest.mark.parametrize("name", NETWORKS)
def test_folded_logits_are_within_one_in_ten_thousand(name: str) -> None:
    x = inputs()
    fast, changed = folded(name)
    with torch.no_grad():
        assert relative(fast(x), prepared(name)(x)) < 1e-4
    assert bool(changed) == (name in WITH_BATCH_NORM)


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_the_names_are_exactly_the_convolutions_whose_output_changed(name: str) -> None:
    x = inputs(1)
    fast, changed = folded(name)
    before, after = outputs(prepared(name), x), outputs(fast, x)
    assert set(before) <= set(after)
    differing = {path for path in before if relative(after[path], before[path]) > 1e-3}
    assert differing == changed
    assert all(isinstance(prepared(name).get_submodule(path), nn.Conv2d) for path in changed)


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_no_batch_norm_is_left_behind_a_folded_convolution(name: str) -> None:
    fast, changed = folded(name)
    norms = [path for path, module in fast.named_modules() if isinstance(module, nn.BatchNorm2d)]
    before = [path for path, module in prepared(name).named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == len(before) - len(changed)
    if name == "timm resnet26d":
        assert norms == ["bn1"]  # behind a sequence
    elif name == "densenet121":
        assert "features.norm5" in norms  # behind a concatenation
    else:
        assert norms == []


def test_densenet_keeps_the_batch_norms_before_its_convolutions() -> None:
    fast, changed = folded("densenet121")
    assert "features.conv0" in changed
    assert "features.denseblock1.denselayer1.conv1" in changed
    assert "features.denseblock1.denselayer1.conv2" not in changed
    assert isinstance(fast.get_submodule("features.norm5"), nn.BatchNorm2d)


def test_a_folded_timm_batch_norm_keeps_its_activation() -> None:
    fast, _ = folded("efficientnet_lite0")
    ready = prepared("efficientnet_lite0")
    assert len(calls(fast, inputs(1), (nn.ReLU6,))) == RELUS["efficientnet_lite0"]
    x = inputs(1)
    assert relative(outputs(fast, x)["bn2"], outputs(ready, x)["bn2"]) < 1e-4


def test_folding_shares_the_weights_that_it_does_not_change() -> None:
    fast, _ = folded("resnet18")
    assert fast.get_parameter("fc.weight").data_ptr() == original("resnet18").get_parameter("fc.weight").data_ptr()
    assert (
        fast.get_parameter("conv1.weight").data_ptr() != original("resnet18").get_parameter("conv1.weight").data_ptr()
    )


def test_a_batch_norm_without_statistics_is_left_and_one_without_weights_is_folded() -> None:
    ready = prepare(randomised(networks.BatchStatistics()))
    x = inputs(2, 16)
    fast, changed = fold_batch_norm(ready)
    assert changed == {"conv2"}
    assert relative(fast(x), ready(x)) < 1e-4


def test_a_convolution_that_something_else_uses_is_not_folded() -> None:
    ready = prepare(randomised(networks.SharedConvolution()))
    x = inputs(2, 16)
    fast, changed = fold_batch_norm(ready)
    assert changed == frozenset()
    assert torch.equal(fast(x), ready(x))
