"""Every model card can be built, fits its labels, and has the layer that it names; no weights are needed."""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import nn

from xai_core.classifiers import cards, preparing
from xai_core.classifiers.cards import BUILT_IN, Card, WeightsFile
from xai_core.classifiers.loading import _build
from xai_core.registry import MODELS

NAMES = sorted(path.stem for path in BUILT_IN.glob("*.yaml"))
every_model = pytest.mark.parametrize("name", NAMES)


@lru_cache
def built(name: str) -> nn.Module:
    """The card's network in evaluation mode, without memory for its weights."""
    return _build(MODELS[name]).to("meta").eval().requires_grad_(False)


@lru_cache
def prepared(name: str) -> nn.Module:
    return preparing.prepare(built(name))


def frame_of(name: str) -> torch.Tensor:
    """Two pictures in the card's input frame, as shapes only."""
    return torch.empty(2, 3, *MODELS[name].preprocess.size, device="meta")


def layer_output(network: nn.Module, layer: str, x: torch.Tensor) -> torch.Tensor:
    caught: list[torch.Tensor] = []
    with network.get_submodule(layer).register_forward_hook(lambda module, inputs, output: caught.append(output)):
        network(x)
    assert len(caught) == 1, f"{layer} is used {len(caught)} times"
    return caught[0]


def test_the_built_in_cards_are_all_there_and_none_is_broken() -> None:
    assert {"vgg16", "resnet50", "densenet121", "efficientnet_lite0", "alexnet", "resnet50_v2weights"} <= set(NAMES)
    assert sorted(MODELS.entries()) == NAMES
    assert cards.problems() == []


@every_model
def test_its_facts_are_complete(name: str) -> None:
    card: Card = MODELS[name]
    assert card.name == name == (BUILT_IN / f"{name}.yaml").stem
    assert card.title
    assert card.licence, "whose weights they are is said"
    assert len(card.labels) == 1000
    assert all(card.labels)
    assert card.labels[0] == "tench"
    assert card.labels[999] == "toilet tissue"
    assert len(card.preprocess.mean) == 3
    assert min(card.preprocess.std) > 0


@every_model
def test_its_network_gives_one_logit_for_every_label(name: str) -> None:
    for network in (built(name), prepared(name)):
        assert network(frame_of(name)).shape == (2, len(MODELS[name].labels))


@every_model
def test_its_cam_layer_is_a_map_of_many_places_in_the_prepared_network(name: str) -> None:
    output = layer_output(prepared(name), MODELS[name].cam_layer, frame_of(name))
    assert output.ndim == 4
    batch, channels, height, width = output.shape
    assert batch == 2
    assert channels >= 256
    assert 4 <= height == width <= 14


def sizes_of_stages(network: nn.Module, stages: tuple[str, ...], x: torch.Tensor) -> list[int]:
    """The height of every stage's output, which is a square map of channels."""
    outputs = [layer_output(network, stage, x) for stage in stages]
    assert all(output.ndim == 4 and output.shape[2] == output.shape[3] for output in outputs)
    return [output.shape[2] for output in outputs]


@every_model
def test_its_stages_are_maps_that_get_coarser_until_that_of_its_cam_layer(name: str) -> None:
    card = MODELS[name]
    assert card.stages and card.layers == card.stages
    sizes = sizes_of_stages(prepared(name), card.stages, frame_of(name))
    assert sizes == sorted(sizes, reverse=True)
    last = layer_output(prepared(name), card.stages[-1], frame_of(name))
    assert last.shape == layer_output(prepared(name), card.cam_layer, frame_of(name)).shape


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(name, marks=() if name == "torchvision/resnet18" else pytest.mark.slow, id=name)
        for name in cards.STAGES
    ],
)
def test_the_stages_of_a_known_architecture_are_maps_that_get_coarser(architecture: str) -> None:
    card = Card(name="any", title="Any", architecture=architecture, weights="any", cam_layer="none")
    network = preparing.prepare(_build(card).to("meta").eval())
    sizes = sizes_of_stages(network, card.layers, torch.empty(1, 3, 224, 224, device="meta"))
    assert sizes == sorted(set(sizes), reverse=True)


@every_model
def test_its_cam_layer_is_the_same_after_folding(name: str) -> None:
    folded, changed = preparing.fold_batch_norm(prepared(name))
    assert MODELS[name].cam_layer not in changed
    folded.get_submodule(MODELS[name].cam_layer)


@every_model
def test_preparing_leaves_no_relu_in_place_and_none_used_twice(name: str) -> None:
    network = prepared(name)
    used: dict[str, int] = {}
    handles = []
    for path, module in network.named_modules():
        assert not getattr(module, "inplace", False), path
        if isinstance(module, nn.ReLU | nn.ReLU6):
            handles.append(
                module.register_forward_hook(lambda *_, path=path: used.update({path: used.get(path, 0) + 1}))
            )
    network(frame_of(name))
    for handle in handles:
        handle.remove()
    assert used
    assert max(used.values()) == 1, [path for path, count in used.items() if count > 1]


@every_model
def test_its_overrides_name_something_in_its_network(name: str) -> None:
    for dotted in MODELS[name].overrides:
        owner, _, attribute = dotted.rpartition(".")
        assert hasattr(built(name).get_submodule(owner), attribute)


@every_model
def test_its_weights_are_named_so_that_they_can_be_found(name: str) -> None:
    weights = MODELS[name].weights
    if isinstance(weights, WeightsFile):
        assert weights.sha256
        if weights.package:
            package = importlib.import_module(weights.package)
            assert (Path(str(package.__file__)).parent / weights.file).is_file()
    else:
        import torchvision

        architecture = MODELS[name].architecture.partition("/")[2]
        assert weights in torchvision.models.get_model_weights(architecture).__members__
