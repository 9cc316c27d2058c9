"""A loaded classifier: single batches through its network, every pass counted.

No other part calls a network. `Run` loops over batches with this, and lends `network` to a reference library.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ..types import Cost, Randomised, XaiError
from . import preparing, randomising, weights
from .cards import Card
from .loading import load_network


class _Reached(Exception):  # not an error, whence the name
    """Raised by a hook to end a forward pass at the layer that was asked for."""


class Classifier:
    """A prepared network on its device.

    Inputs are float32 (B, 3, H, W), normalised, on `device`; logits are float32 (B, K). `network` is the prepared
    network, `fast` the same with batch norm folded, which everything uses unless it needs a layer that folding
    changed; `fastest` also overwrites tensors that nobody needs again, for passes that hook no layer.
    """

    def __init__(self, card: Card, network: nn.Module, digest: str, device: torch.device, classes: int | None = None):
        """`network` is in evaluation mode, float32, on the CPU; `digest` names card and weights in keys.

        With `classes` every pass raises `XaiError` unless the network has that many.
        """
        self.card = card
        self._classes = classes
        self.device = device
        self.digest = digest
        self.batch = 0
        """Pictures per pass that memory has turned out to allow; 0 while that is not known."""
        prepared = preparing.prepare(network)
        fast, self._changed = preparing.fold_batch_norm(prepared)
        self.network = prepared.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fast = fast.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fastest = preparing.in_place(self.fast)
        self._concatenated: set[str] = set()
        self._forward = self._backward = 0
        for network in self.networks:
            network.register_forward_hook(self._count)
        self._mean = torch.tensor(card.preprocess.mean, device=device).view(3, 1, 1)
        self._std = torch.tensor(card.preprocess.std, device=device).view(3, 1, 1)

    @classmethod
    def load(cls, card: Card, device: torch.device, changed: Randomised | None = None) -> Classifier:
        """The classifier of a card; raises `XaiError` when its weights are not here or do not fit.

        `changed` has some of its layers initialised anew.
        """
        network = load_network(card)
        if changed is not None:
            randomising.randomise(network, changed)
        return cls(card, network, card.digest(weights.digest(card)), device, len(card.labels))

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The network in all its forms."""
        return self.network, self.fast, self.fastest

    @cached_property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        """The layers that have weights, in blocks from the logits down."""
        return randomising.blocks(self.network, self.card.layers)

    @property
    def bytes(self) -> int:
        """Memory of all tensors of the networks, shared ones once."""
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for network in self.networks
            for tensor in (*network.parameters(), *network.buffers())
        }
        return sum(storages.values())

    @property
    def passes(self) -> Cost:
        """All passes so far, counted by hooks, whoever made them."""
        return Cost(self._forward, self._backward)

    def _count(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._forward += len(output)
        if self._classes is not None and output.shape[1] != self._classes:
            raise XaiError(
                f"The card of {self.card.title} names {self._classes} categories and the network has "
                f"{output.shape[1]} classes; correct the card."
            )
        if output.requires_grad:
            output.register_hook(self._count_backward)  # type: ignore[no-untyped-call]

    def _count_backward(self, gradient: torch.Tensor) -> None:
        self._backward += len(gradient)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] (..., H, W, 3) as network input (..., 3, H, W) float32."""
        x = pixels.to(self.device, torch.float32).movedim(-1, -3)
        return (x - self._mean) / self._std

    def layer(self, name: str) -> str:
        """The dotted path of a layer; "auto" is the card's `cam_layer`; raises `XaiError` for an unknown one."""
        path = self.card.cam_layer if name == "auto" else name
        try:
            self.network.get_submodule(path)
        except AttributeError:
            raise XaiError(
                f"{self.card.title} has no layer {path!r}; a layer is a dotted path such as "
                f"{self.card.cam_layer}, or auto."
            ) from None
        return path

    def _network_for_output(self, layer: str) -> nn.Module:
        network: nn.Module = self.network if layer in self._changed else self.fast
        return network

    def _network_for_input(self, layer: str) -> nn.Module:
        """Folding changed the input of batch norms; the prepared network serves for all of them, folded or not."""
        norm = isinstance(self.network.get_submodule(layer), nn.BatchNorm2d)
        network: nn.Module = self.network if norm else self.fast
        return network

    def _unused(self, layer: str) -> XaiError:
        return XaiError(f"The layer {layer!r} of {self.card.title} is not used when it classifies; choose another.")

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) without a graph."""
        with torch.inference_mode():
            return self.fastest(x.clone(memory_format=torch.channels_last))  # type: ignore[no-any-return]

    def gradients(self, x: torch.Tensor, target: int) -> torch.Tensor:
        """Gradients (B, 3, H, W) of the target's logit with respect to the inputs."""
        with torch.enable_grad():
            x = _channels_last(x.detach()).requires_grad_()
            score = self.fastest(x.clone())[:, target].sum()
            return torch.autograd.grad(score, x)[0]

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the layer of the logits gets, (B, D), the mean over places where it is a convolution; ends there."""
        caught: list[torch.Tensor] = []

        def catch(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            caught.append(inputs[0] if inputs[0].ndim == 2 else inputs[0].flatten(2).mean(2))
            raise _Reached

        top = self.fast.get_submodule(self.blocks[0][0])
        return self._stopped(self.fast, top.register_forward_pre_hook(catch), caught, self.blocks[0][0], x)

    def layer_inputs(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        """What a layer gets as its input, (B, C, h, w); the pass ends there."""
        caught: list[torch.Tensor] = []

        def catch(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            caught.append(_single(inputs, layer))
            raise _Reached

        network = self._network_for_input(layer)
        return self._stopped(network, network.get_submodule(layer).register_forward_pre_hook(catch), caught, layer, x)

    def layer_outputs(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        """What a layer gives at its first call, (B, C, h, w); the pass ends there."""
        caught: list[torch.Tensor] = []

        def catch(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            caught.append(_single((output,), layer))
            raise _Reached

        network = self._network_for_output(layer)
        return self._stopped(network, network.get_submodule(layer).register_forward_hook(catch), caught, layer, x)

    def _stopped(
        self, network: nn.Module, hook: Any, caught: list[torch.Tensor], layer: str, x: torch.Tensor
    ) -> torch.Tensor:
        """A pass that ends where `hook` has caught something."""
        with torch.inference_mode(), _hooked(hook), contextlib.suppress(_Reached):
            network(_channels_last(x))
        if not caught:
            raise self._unused(layer)
        self._forward += len(x)
        return caught[0].clone()

    def gradients_from(self, layer: str, given: torch.Tensor, x: torch.Tensor, target: int) -> torch.Tensor:
        """Gradients (B, C, h, w) of the target's logit with respect to `given` inputs of a layer.

        The layers below run on the single input `x` only, because what they compute is replaced. What goes past the
        layer is stretched over the batch by an addition; for a concatenation `x` is.
        """
        if layer not in self._concatenated:
            try:
                return self._gradients_from(layer, given, x, target)
            except RuntimeError as error:
                if isinstance(error, torch.OutOfMemoryError) or len(given) == len(x):
                    raise
        gradients = self._gradients_from(layer, given, x.expand(len(given), -1, -1, -1), target)
        self._concatenated.add(layer)
        return gradients

    def _gradients_from(self, layer: str, given: torch.Tensor, x: torch.Tensor, target: int) -> torch.Tensor:
        used = []

        def replace(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            used.append(True)
            return (h, *inputs[1:])

        with torch.enable_grad():
            h = given.detach().clone().requires_grad_()
            network = self._network_for_input(layer)
            with _hooked(network.get_submodule(layer).register_forward_pre_hook(replace)):
                score = network(_channels_last(x))[:, target].sum()
            if not used:
                raise self._unused(layer)
            return _gradient(score, h)

    def activations_and_gradients(self, layer: str, x: torch.Tensor, target: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Output (B, C, h, w) of a layer at its last call, and the gradient of the target's logit at that output."""
        caught: list[torch.Tensor] = []

        def catch(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
            caught.append(_single((output,), layer).detach().requires_grad_())
            return caught[-1]

        network = self._network_for_output(layer)
        with torch.enable_grad():
            with _hooked(network.get_submodule(layer).register_forward_hook(catch)):
                score = network(_channels_last(x))[:, target].sum()
            if not caught:
                raise self._unused(layer)
            return caught[-1].detach(), _gradient(score, caught[-1])

    def answer(
        self, x: torch.Tensor, score: Callable[[torch.Tensor], torch.Tensor], layer: str = ""
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (B,) of the logits (B, K), or of a layer's output (B, C, h, w) where the pass then ends, and their
        gradients (B, 3, H, W) by the inputs."""
        with torch.enable_grad():
            x = _channels_last(x.detach()).requires_grad_()
            if not layer:
                scores = score(self.fastest(x.clone()))
                return scores.detach(), _gradient(scores.sum(), x)
            scores = score(self._reached(layer, x))
            self._forward += len(x)
            self._backward += len(x)
            return scores.detach(), _gradient(scores.sum(), x)

    def _reached(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        """A layer's output at its first call, with its graph; the pass ends there."""
        caught: list[torch.Tensor] = []

        def catch(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            caught.append(_single((output,), layer))
            raise _Reached

        network = self._network_for_output(layer)
        with _hooked(network.get_submodule(layer).register_forward_hook(catch)), contextlib.suppress(_Reached):
            network(x)
        if not caught:
            raise self._unused(layer)
        return caught[0]

    @contextlib.contextmanager
    def contrasted(self, target: int, against: int) -> Iterator[None]:
        """While it is open, the target's logit is its difference to that of the class `against`, whoever asks."""

        def subtract(module: nn.Module, inputs: Any, logits: torch.Tensor) -> torch.Tensor:
            changed = logits.clone()
            changed[:, target] = logits[:, target] - logits[:, against]
            return changed

        with contextlib.ExitStack() as hooks:
            for network in self.networks:
                hooks.enter_context(_hooked(network.register_forward_hook(subtract)))
            yield

    @contextlib.contextmanager
    def lent(self, folded: bool = False) -> Iterator[nn.Module]:
        """Lends the prepared network, or with `folded` the `fast` one, and takes back what the borrower changed.

        Hooks that it leaves behind, modules and weights that it replaces, settings, flags, attributes, statistics and
        gradients are undone; a weight that it overwrites in place is not.
        """
        network = self.fast if folded else self.network
        known = {module: _attributes(module) for module in network.modules()}
        tensors = {tensor: tensor.data for tensor in (*network.parameters(), *network.buffers())}
        statistics = {buffer: buffer.clone() for buffer in network.buffers()}
        try:
            with torch.enable_grad():
                yield network
        finally:
            for module, attributes in known.items():
                _restore(module, attributes)
            for tensor, data in tensors.items():
                tensor.data = data
                tensor.grad = None
                tensor.requires_grad_(False)
            for buffer, values in statistics.items():
                buffer.copy_(values)


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _single(values: tuple[Any, ...], layer: str) -> torch.Tensor:
    if len(values) != 1 or not isinstance(values[0], torch.Tensor) or values[0].ndim != 4:
        raise XaiError(f"The layer {layer!r} has no single map of channels; choose a convolution or a stage.")
    return values[0]


@contextlib.contextmanager
def _hooked(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _gradient(score: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """The gradient of the score; zero where the score does not depend on `at`."""
    found = torch.autograd.grad(score, at, allow_unused=True)[0] if score.requires_grad else None
    return torch.zeros_like(at) if found is None else found


def _attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """All that a module holds: its attributes, and what is in those that hold hooks, children and weights."""
    return {
        name: (value, value.copy() if isinstance(value, dict | set) else None) for name, value in vars(module).items()
    }


def _restore(module: nn.Module, attributes: dict[str, tuple[Any, Any]]) -> None:
    vars(module).clear()
    for name, (value, content) in attributes.items():
        if content is not None:
            value.clear()
            value.update(content)
        vars(module)[name] = value
