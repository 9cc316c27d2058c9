"""Whether computing leaves anything behind: memory, or hooks on a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..classifiers.evaluator import Classifier
from ..engine.cache import Cache
from ..engine.executor import Executor
from ..engine.requests import Explain, prepare_input
from ..images.galleries import bundled
from ..registry import METHODS, MODELS
from . import note
from .measuring import resident_bytes

SETTLED = 50
"""Explanations after which memory should not grow any more."""


def run(model: str, explanations: int = 300, settled: int = SETTLED, preset: str = "quick") -> dict[str, Any]:
    """{"growth_percent", "hooks", "device_growth_percent"} of explanations with distinct keys, caches off.

    All methods take turns, over the bundled pictures, targets and seeds. Growth is that of resident memory (of the
    GPU's allocated memory) after the first `settled`, in percent; hooks are those that a network has more than it had
    after loading. On a CPU device memory is none, and does not grow.
    """
    executor = Executor(Cache(Path(), memory_bytes=0, disk_bytes=0))
    card = MODELS[model]
    classifier = executor.classifier(model)
    before = hooks(classifier)
    inputs = [prepare_input(sample.open(), card) for sample in bundled().samples]
    methods = list(METHODS)
    keys: set[str] = set()
    resident = device = 0
    for number in range(explanations):
        spec = methods[number % len(methods)]
        given = inputs[number % len(inputs)]
        request = Explain(given, spec.name, spec.make({}, preset), number % len(card.labels), seed=number)
        keys.add(executor.compute(request).key)
        if number + 1 == settled:
            resident, device = resident_bytes(), _device_bytes(executor.device)
        if (number + 1) % 25 == 0:
            note(f"{number + 1} of {explanations} explanations, {resident_bytes() / 1e6:.0f} MB")
    assert len(keys) == explanations
    return {
        "growth_percent": _growth(resident, resident_bytes()),
        "hooks": hooks(classifier) - before,
        "device_growth_percent": _growth(device, _device_bytes(executor.device)),
    }


def hooks(classifier: Classifier) -> int:
    """Hooks on all modules of both of a classifier's networks."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules: dict[int, nn.Module] = {
        id(module): module for network in classifier.networks for module in network.modules()
    }
    return sum(len(getattr(module, kind)) for module in modules.values() for kind in kinds)


def _device_bytes(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def _growth(before: int, after: int) -> float:
    return round(100 * (after - before) / before, 2) if before else 0.0
