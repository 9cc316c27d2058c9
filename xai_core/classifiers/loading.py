"""From a card to a network with its weights; nothing that is read can execute code."""

from __future__ import annotations

import contextlib
import importlib
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..types import XaiError
from . import weights
from .cards import Card, WeightsFile


def load_network(card: Card) -> nn.Module:
    """The card's network in evaluation mode, float32, on the CPU, with its weights and overrides.

    Raises `XaiError` when the architecture, the weights or an override does not fit.
    """
    weights.verify(card)
    state = _read_state(weights.located(card), card)
    network = _build(card)
    state = _renamed(state, network, card)
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except (RuntimeError, TypeError) as error:
        raise XaiError(f"The weights of {card.title} do not fit {card.architecture}: {_one_line(str(error))}") from None
    for dotted, value in card.overrides.items():
        _override(network, dotted, value, card)
    network.requires_grad_(False)
    return network.eval()


def _build(card: Card) -> nn.Module:
    """The architecture without memory for its weights where that goes: they are assigned from the file."""
    with contextlib.suppress(Exception), torch.device("meta"):  # a constructor may need real values
        network = _constructed(card.architecture)
        if not _has_unsaved_tensors(network):
            return network
    try:
        return _constructed(card.architecture)
    except XaiError:
        raise
    except Exception as error:
        reason = _one_line(f"{type(error).__name__}: {error}")
        raise XaiError(f"The architecture {card.architecture} of {card.title} cannot be built ({reason}).") from None


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:300]


def _constructed(architecture: str) -> nn.Module:
    if architecture.startswith("torchvision/"):
        import torchvision

        return _module(torchvision.models.get_model(architecture.partition("/")[2], weights=None), architecture)
    if architecture.startswith("timm/"):
        import timm

        return _module(timm.create_model(architecture.partition("/")[2], pretrained=False), architecture)
    module, _, attribute = architecture.partition(":")
    target: Any = importlib.import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    return _module(target(), architecture)


def _module(built: Any, architecture: str) -> nn.Module:
    if not isinstance(built, nn.Module):
        raise XaiError(f"{architecture} builds a {type(built).__name__}, not a torch module.")
    return built


def _has_unsaved_tensors(network: nn.Module) -> bool:
    """Whether a tensor exists that no state dict fills, and that would stay without values."""
    saved = set(network.state_dict())
    plain = (isinstance(value, torch.Tensor) for module in network.modules() for value in vars(module).values())
    return any(name not in saved for name, _ in network.named_buffers()) or any(plain)


def _read_state(path: Path, card: Card) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # readers of damaged files raise errors of every kind
        reason = _one_line(str(error)) or type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # torch's text advises to run the code
            reason = "it holds something other than tensors"
        raise XaiError(f"The weights file {path} of {card.title} cannot be read ({reason}); get it again.") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise XaiError(f"The weights file {path} of {card.title} holds no state dict; give the card another file.")
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.\w+)$")


def _renamed(state: dict[str, torch.Tensor], network: nn.Module, card: Card) -> dict[str, torch.Tensor]:
    if isinstance(card.weights, WeightsFile) and card.weights.keys == "in_order":
        wanted = network.state_dict()
        pairs = list(zip(state.items(), wanted.items(), strict=False))
        same = all(a.shape == b.shape and x.rpartition(".")[2] == y.rpartition(".")[2] for (x, a), (y, b) in pairs)
        if len(state) != len(wanted) or not same:
            raise XaiError(f"The weights of {card.title} do not fit {card.architecture} in their order.")
        return {new: value for (_, value), (new, _) in pairs}
    # torchvision's published DenseNets still have the keys of its first version: norm.1 for norm1
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}


def _override(network: nn.Module, dotted: str, value: Any, card: Card) -> None:
    path, _, attribute = dotted.rpartition(".")
    try:
        owner = network.get_submodule(path)
        current = getattr(owner, attribute)
        setattr(owner, attribute, tuple(value) if isinstance(current, tuple) and isinstance(value, list) else value)
    except AttributeError:
        raise XaiError(f"The override {dotted!r} of {card.title} names nothing in {card.architecture}.") from None
    except TypeError:  # a layer or its weights
        raise XaiError(f"The override {dotted!r} of {card.title} names nothing that can be set to {value!r}.") from None
