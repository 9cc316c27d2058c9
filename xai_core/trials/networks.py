"""The networks that trials train: a small one for small pictures, ResNet-18 for larger ones, and their cards."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..classifiers.cards import Card
from ..images.geometry import Preprocess

if TYPE_CHECKING:
    from torch import nn

Doubles = npt.NDArray[np.float64]

SMALL_SIDE = 48
"""Pictures up to this side get the small network where nothing else is asked for."""
WEIGHTS = "weights/"
"""What names of weights begin with among the details of a result."""


def resolved(network: str, side: int) -> str:
    """ "small" or "resnet18": what "auto" means for pictures of this side."""
    if network != "auto":
        return network
    return "small" if side <= SMALL_SIDE else "resnet18"


def build(network: str, side: int, classes: int) -> nn.Module:
    """A network for pictures (3, side, side), initialised from torch's stream as it stands."""
    if network == "resnet18":
        import torchvision

        built: nn.Module = torchvision.models.resnet18(weights=None, num_classes=classes)
        return built
    return small(side, classes)


def small(side: int, classes: int) -> nn.Module:
    """Three convolutions with batch norm, and a linear layer on the means of their maps.

    Maps are halved after the first convolution, and from 16 pixels on after the second.
    """
    from torch import nn

    def stage(before: int, after: int, halved: bool) -> nn.Sequential:
        layers: list[tuple[str, nn.Module]] = [
            ("conv", nn.Conv2d(before, after, 3, padding=1, bias=False)),
            ("norm", nn.BatchNorm2d(after)),
            ("relu", nn.ReLU()),
        ]
        return nn.Sequential(OrderedDict([*layers, ("pool", nn.MaxPool2d(2))] if halved else layers))

    width = 16
    return nn.Sequential(
        OrderedDict(
            stage1=stage(3, width, True),
            stage2=stage(width, 2 * width, side >= 16),
            stage3=stage(2 * width, 2 * width, False),
            mean=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(2 * width, classes),
        )
    )


def card(network: str, side: int, classes: Sequence[str], mean: Doubles, std: Doubles) -> Card:
    """What explaining such a network takes; `mean` and `std` are those that its pictures are normalised by."""
    stages = {"small": ("stage1", "stage2", "stage3"), "resnet18": ("relu", "layer1", "layer2", "layer3", "layer4")}
    first, second, third = (float(value) for value in mean)
    deep, wide, high = (float(value) for value in std)
    return Card(
        name="trial",
        title="ResNet-18" if network == "resnet18" else "Small network",
        architecture="torchvision/resnet18" if network == "resnet18" else "xai_core.trials.networks:small",
        weights="none",
        preprocess=Preprocess(resize=side, crop=side, mean=(first, second, third), std=(deep, wide, high)),
        categories=list(classes),
        cam_layer=stages[network][-1],
        stages=stages[network],
    )


def weights_of(network: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """The network's state as arrays, for the details of a result."""
    return {WEIGHTS + name: values.detach().cpu().numpy() for name, values in network.state_dict().items()}


def with_weights(network: nn.Module, details: Mapping[str, npt.NDArray[Any]]) -> nn.Module:
    """The network with the state in the details of a result."""
    import torch

    found = {name.removeprefix(WEIGHTS): values for name, values in details.items() if name.startswith(WEIGHTS)}
    network.load_state_dict({name: torch.as_tensor(np.array(values)) for name, values in found.items()})
    return network
