"""Networks that forget: layers initialised anew, for the question whether a map depends on what was learnt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..seeds import derive
from ..types import Randomised


def blocks(network: nn.Module, stages: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The layers that have weights of their own, by dotted path, in blocks from the logits down to the picture.

    A block ends with each of the `stages`, which are dotted paths from early to late; the logits are a block alone.
    """
    paths = [path for path, _ in network.named_modules()]
    ends = [
        max((place for place, path in enumerate(paths) if f"{path}.".startswith(f"{stage}.")), default=-1)
        for stage in stages
    ]
    found: dict[int, list[str]] = {}
    for place, (path, module) in enumerate(network.named_modules()):
        if next(module.parameters(recurse=False), None) is not None:
            found.setdefault(sum(end < place for end in ends), []).append(path)
    upwards = [layers for _, layers in sorted(found.items())]
    top = upwards[-1].pop()
    return tuple(tuple(layers) for layers in ([top], *reversed(upwards)) if layers)


def randomise(network: nn.Module, changed: Randomised) -> None:
    """Initialises layers anew in place, each as its own class does it and from its own random stream.

    Running statistics stay, because they are not trained. Weights of a module that cannot initialise itself trade
    places among each other.
    """
    for path in changed.layers:
        module = network.get_submodule(path)
        seed = derive(changed.seed, "randomised", path)
        statistics = {name: buffer.clone() for name, buffer in module.named_buffers(recurse=False)}
        before = torch.get_rng_state()
        try:
            torch.default_generator.manual_seed(seed)  # initialisers draw from this one; those of devices stay
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # type: ignore[operator]
            else:
                _shuffle(module)
        finally:
            torch.set_rng_state(before)
        for name, values in statistics.items():
            module.get_buffer(name).copy_(values)


def _shuffle(module: nn.Module) -> None:
    for values in module.parameters(recurse=False):
        values.copy_(values.flatten()[torch.randperm(values.numel())].view_as(values))
