"""What several tests ask of a text or of a network."""

from __future__ import annotations

import hashlib
import signal
from typing import Any

from torch import nn


def is_sentence(text: str) -> bool:
    """Whether an error's text is fit for a user: one line, one full stop at its end, no traceback or object in it."""
    return (
        "\n" not in text and len(text) > 10 and text.endswith(".") and "Traceback" not in text and " at 0x" not in text
    )


def hear_ctrl_c() -> None:
    """For a process that is to be interrupted: what a shell has started in the background ignores Ctrl+C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def state_of(network: nn.Module) -> dict[str, Any]:
    """All that a method could leave changed in a network: weights, modules, hooks, modes and gradients."""
    weights = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    modules = list(network.named_modules())
    return {
        "weights": weights.hexdigest(),
        "modules": [(name, id(module)) for name, module in modules],
        "hooks": [
            sorted(registry)
            for _, module in modules
            for registry in (
                module._forward_hooks,
                module._forward_pre_hooks,
                module._backward_hooks,
                module._backward_pre_hooks,
            )
        ],
        "training": [module.training for _, module in modules],
        "inplace": [getattr(module, "inplace", None) for _, module in modules],
        "requires_grad": [parameter.requires_grad for parameter in network.parameters()],
        "gradients": [parameter.grad is None for parameter in network.parameters()],
    }
