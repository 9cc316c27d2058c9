"""Networks that forget: which layers, how, and that nothing else is touched."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.networks import Tiny
from xai_core.classifiers import preparing
from xai_core.classifiers.randomising import blocks, randomise
from xai_core.types import Randomised

STAGES = ("stem", "stage1", "stage2")


def network() -> nn.Module:
    torch.manual_seed(5)
    made = Tiny().eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.weight.fill_(3)
    return made


def test_blocks_begin_at_the_logits_and_end_at_the_picture() -> None:
    assert blocks(network(), STAGES) == (
        ("head",),
        ("down", "stage2.conv1", "stage2.bn1", "stage2.conv2", "stage2.bn2"),
        ("stage1.conv1", "stage1.bn1", "stage1.conv2", "stage1.bn2"),
        ("stem",),
    )


@pytest.mark.parametrize("stages", [(), ("stage2",), STAGES, ("stem", "nowhere")])
def test_every_layer_with_weights_is_in_one_block_alone(stages: tuple[str, ...]) -> None:
    found = [layer for block in blocks(network(), stages) for layer in block]
    weighted = [path for path, module in network().named_modules() if list(module.parameters(recurse=False))]
    assert sorted(found) == sorted(weighted)
    assert found[0] == "head"


def test_preparing_a_network_changes_no_block() -> None:
    assert blocks(preparing.prepare(network()), STAGES) == blocks(network(), STAGES)


def test_only_the_named_layers_forget_and_statistics_stay() -> None:
    before, after = network().state_dict(), network()
    randomise(after, Randomised(("head", "stage2.bn1"), 0))
    changed = {name for name, values in after.state_dict().items() if not torch.equal(values, before[name])}
    assert changed == {"head.weight", "head.bias", "stage2.bn1.weight"}  # its bias was 0 and is again
    assert (after.get_submodule("stage2.bn1").weight == 1).all()


def test_a_layer_is_initialised_as_its_class_does_it() -> None:
    after = network()
    randomise(after, Randomised(("down",), 3))
    weight = after.get_submodule("down").weight
    bound = 1 / math.sqrt(8 * 9)  # Kaiming, uniform
    assert weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_the_seed_decides_and_not_which_other_layers_forget() -> None:
    def head(layers: tuple[str, ...], seed: int) -> torch.Tensor:
        made = network()
        randomise(made, Randomised(layers, seed))
        return made.get_submodule("head").weight

    assert torch.equal(head(("head",), 1), head(("stem", "down", "head"), 1))
    assert not torch.equal(head(("head",), 1), head(("head",), 2))


def test_the_global_generator_is_left_alone() -> None:
    made, before = network(), torch.get_rng_state()
    randomise(made, Randomised(("head", "stem"), 1))
    assert torch.equal(torch.get_rng_state(), before)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.arange(100.0))


def test_weights_without_an_initialiser_trade_places() -> None:
    made = nn.Sequential(Scaled()).requires_grad_(False)
    randomise(made, Randomised(("0",), 0))
    values = made.get_submodule("0").scale
    assert not torch.equal(values, torch.arange(100.0))
    assert torch.equal(values.sort().values, torch.arange(100.0))
