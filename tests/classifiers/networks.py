"""Networks with one difficulty each, and cheap random weights for large ones, for tests of loading and preparing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network in evaluation mode with random weights of the right scale and random batch-norm statistics."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if not tensor.is_floating_point():
                tensor.zero_()
            elif name.endswith(("running_var", "weight")) and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.ndim == 1:
                tensor.uniform_(-0.2, 0.2, generator=generator)
            else:
                bound = math.sqrt(6 / tensor[0].numel())
                tensor.uniform_(-bound, bound, generator=generator)
    return network.eval().requires_grad_(False)


def quickly_built(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """What `build` makes, without the time that torch's own initialisation takes."""
    with torch.device("meta"):
        network = build()
    return randomised(network.to_empty(device="cpu"), seed)


class CountedOperations(TorchDispatchMode):
    """While it is entered, `count` counts torch's own operations by their overload, whoever calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[object] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count[func] += 1
        return func(*args, **(kwargs or {}))


class WithPosition(nn.Module):
    """A buffer that no state dict holds, which only building for real fills."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.register_buffer("position", torch.linspace(0, 1, 5), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean(dim=(2, 3)) + self.position


class WithConstant(nn.Module):
    """A tensor that is neither a parameter nor a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.scale = torch.full((5,), 2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean(dim=(2, 3)) * self.scale


class WithRates(nn.Module):
    """A constructor that looks at a tensor's value, as many networks with stochastic depth do."""

    def __init__(self) -> None:
        super().__init__()
        rates = [float(rate) for rate in torch.linspace(0, 0.5, 3)]
        self.stages = nn.Sequential(*(nn.Dropout(rate) for rate in rates))
        self.conv = nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.stages(x)).mean(dim=(2, 3))


def unbuildable() -> nn.Module:
    """A constructor that fails."""
    raise ZeroDivisionError("no network today")


class SharedInSequence(nn.Module):
    """One in-place ReLU object in two places of a sequence, which the forward walks through by hand."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.ReLU(inplace=True)
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 5, 3), relu)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.features:
            x = layer(x)
        return x.mean(dim=(2, 3))


class Block(nn.Module):
    """A convolution and an activation that is given to it."""

    def __init__(self, inputs: int, outputs: int, activation: nn.Module):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        self.act = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv(x))


class SharedBetweenBlocks(nn.Module):
    """One in-place ReLU object that two blocks own."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.ReLU(inplace=True)
        self.first, self.second = Block(3, 4, relu), Block(4, 5, relu)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x)).mean(dim=(2, 3))


class ReusedFromList(nn.Module):
    """A ReLU in a list of modules that is called twice, and a member of a list that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Conv2d(4, 5, 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers[1](self.layers[0](x))
        return self.layers[1](self.layers[2](x)).mean(dim=(2, 3))


class Functional(nn.Module):
    """ReLUs and additions in all spellings."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 5, 1), *(nn.Conv2d(5, 5, 3, padding=1) for _ in range(6))])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.convs[0](x).relu_()
        x = nn.functional.relu(input=self.convs[1](x)) + x
        x = torch.relu(self.convs[2](x)).add_(x)
        x = torch.add(nn.functional.relu_(self.convs[3](x)), x)
        x = self.convs[4](x).relu().add(x)
        x = torch.add(input=nn.functional.relu(self.convs[5](x), inplace=True), other=x)
        x += torch.relu_(self.convs[6](x))
        return x.mean(dim=(2, 3))


class Optional(nn.Module):
    """A block whose shortcut may be left out: what happens depends on whether it is."""

    def __init__(self, channels: int = 5):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor | None = None) -> torch.Tensor:
        out = self.conv(x)
        if shortcut is None:
            out = out * 2
        else:
            out += shortcut
        return self.relu(out)


class OptionalArgument(nn.Module):
    """Two blocks of which one gets the optional argument."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, padding=1)
        self.with_it, self.without_it = Optional(), Optional()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.without_it(self.with_it(x, x)).mean(dim=(2, 3))


class BatchStatistics(nn.Module):
    """A batch norm that keeps no statistics, and one without weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.bn1 = nn.BatchNorm2d(4, track_running_stats=False)
        self.conv2 = nn.Conv2d(4, 5, 3)
        self.bn2 = nn.BatchNorm2d(5, affine=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x)))).mean(dim=(2, 3))


class SharedConvolution(nn.Module):
    """Convolutions that must not be folded: called twice, used beside their batch norm, or behind something else."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 3, padding=1)
        self.bn1, self.bn2 = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.branches = nn.Conv2d(3, 5, 3)
        self.bn3 = nn.BatchNorm2d(5)
        self.apart = nn.Conv2d(5, 5, 1)
        self.relu = nn.ReLU()
        self.bn4 = nn.BatchNorm2d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn2(self.twice(self.bn1(self.twice(x))))
        x = self.branches(x)
        x = self.bn3(x) * x
        return self.bn4(self.relu(self.apart(x))).mean(dim=(2, 3))


class Branches(nn.Module):
    """Layers that a layer-wise method may be asked for wrongly: unused, without effect, and not a map of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3, padding=1)
        self.unused = nn.Conv2d(3, 6, 3)
        self.idle = nn.Conv2d(6, 6, 1)
        self.left, self.right = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 4, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.body(x))
        self.idle(x)
        x = torch.cat([self.left(x), self.right(x)], 1)
        return self.head(torch.tanh(x).mean(dim=(2, 3)))


class Twice(nn.Module):
    """A convolution that is called twice in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(self.conv(x)).mean(dim=(2, 3)))
