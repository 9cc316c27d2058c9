"""DeepLIFT SHAP: differences from background pictures, handed down through the network layer by layer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

from ..images import galleries
from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Run
from .base import CheckedExplainer, array

TOGETHER = 2
"""Backgrounds in one pass: their graphs are three times as large as a gradient's."""

SMALLEST = 1e-6
"""Differences below it are not divided by."""

MISSED = 0.05
"""Completeness errors above it are said beside the map."""


@METHODS.register(
    "deeplift_shap",
    title="DeepLIFT SHAP",
    summary="Compares every activation with that for a background picture and hands the difference of the logits down, "
    "layer by layer, to the pixels that caused it. Red speaks for the class, blue against it; all values add up to the "
    "difference of the logits.",
    family="shap",
    cites=(
        "Shrikumar, Greenside, Kundaje 2017, Learning important features through propagating activation differences",
        "Lundberg and Lee 2017, A unified approach to interpreting model predictions",
    ),
    reference="captum",
)
class DeepLiftShap(CheckedExplainer):
    """Mean over backgrounds x' of (x - x') times DeepLIFT's multipliers by the rescale rule, over channels; spec M-08.

    A unit's multiplier is its difference over that of its input. A maximum's whole difference goes to the place of the
    larger one of the two maxima, and windows that overlap add up: the values add up exactly in networks of linear
    layers, batch norm, element-wise activations and max-pooling, sums and concatenations. Elsewhere they are plain
    gradients at x', and the map's completeness tells what is missed.
    """

    background: Literal["photos", "imagenet50"] = parameter(
        "photos", "The pictures to compare with: the 16 bundled photos, or Imagenet50."
    )

    def cost(self) -> Cost:
        count = len(galleries.background(self.background))
        if self.implementation == "reference":  # captum sees the picture anew beside every background
            return Cost(2 * count, 2 * count)
        return Cost(1 + count, count)

    def dependencies(self) -> dict[str, Any]:
        return {"background": [picture.digest for picture in galleries.background(self.background)]}

    def explain_ourselves(self, run: Run) -> Attribution:
        import torch

        backgrounds = run.pictures(self.background)
        total: Any = 0.0
        there = 0.0
        done = 0

        def mean() -> Any:
            return total / done

        with run.network() as network:
            differences = Differences(network)
            with differences.recorded(), torch.no_grad():
                here = float(network(run.x)[0, run.target])
            for start in range(0, len(backgrounds), TOGETHER):
                others = backgrounds[start : start + TOGETHER].detach().clone().requires_grad_()
                with differences.handed_down():
                    logits = network(others)[:, run.target]
                multipliers = torch.autograd.grad(logits.sum(), others)[0]
                total = total + ((run.x - others.detach()) * multipliers).double().sum((0, 1))
                there += float(logits.detach().double().sum())
                done += len(others)
                run.partial(lambda: array(mean()), True)
        values = mean()
        difference = here - there / done
        missed = abs(float(values.sum()) - difference) / abs(difference) if difference else None
        return Attribution(array(values), signed=True, notes=_notes(missed), completeness=missed)

    def explain_by_library(self, run: Run) -> Attribution:
        import warnings

        from captum.attr import DeepLift

        backgrounds = run.pictures(self.background)
        total: Any = 0.0
        with run.network() as network, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum says that it sets hooks
            library = DeepLift(network)
            for other in backgrounds:
                total = total + library.attribute(run.x.clone(), other[None].clone(), run.target)[0].detach().double()
        notes = ("captum passes ReLU6 by, and lets windows of a pooling that overlap overwrite each other.",)
        return Attribution(array(total.sum(0) / len(backgrounds)), signed=True, notes=notes)


def _notes(missed: float | None) -> tuple[str, ...]:
    if missed is None or missed <= MISSED:
        return ()
    return (
        f"Experimental for this network: the values miss the difference of the logits by {missed:.0%}, because it has "
        "steps that DeepLIFT's rules do not cover.",
    )


class Differences:
    """Remembers what a network's nonlinear modules did with one picture, and puts the slopes between that and what
    they do with other pictures in the place of their gradients."""

    def __init__(self, network: Any):
        from torch import nn

        elementwise = (
            *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
            *(nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.LogSigmoid, nn.Softsign),
        )
        modules = list(network.modules())
        self._rules: list[tuple[Any, Callable[..., Any]]] = [
            *((one, _rescaled) for one in modules if isinstance(one, elementwise)),
            *((one, _pooled) for one in modules if type(one) is nn.MaxPool2d and not one.return_indices),
        ]
        self._seen: list[tuple[Any, Any]] = []

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Within, a pass of one picture is remembered."""
        self._seen = []

        def record(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
            self._seen.append((inputs[0].detach(), output.detach()))

        with self._hooked(lambda rule: record):
            yield

    @contextlib.contextmanager
    def handed_down(self) -> Iterator[None]:
        """Within, a pass of other pictures has the multipliers from the remembered picture to them as gradients."""
        seen = iter(self._seen)  # the same modules are called in the same order

        def hook(rule: Callable[..., Any]) -> Callable[..., Any]:
            return lambda module, inputs, output: rule(module, inputs[0], output.detach(), *next(seen))

        with self._hooked(hook):
            yield

    @contextlib.contextmanager
    def _hooked(self, hook: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
        handles = [module.register_forward_hook(hook(rule)) for module, rule in self._rules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _rescaled(module: Any, h: Any, y: Any, there: Any, seen: Any) -> Any:
    """`y` (B, ...) with the slopes from `h` to `there` (1, ...) as its gradient by `h`."""
    import torch

    change = there - h.detach()
    small = change.abs() < SMALLEST
    slope = (seen - y) / change.masked_fill(small, 1.0)
    if small.any():
        with torch.enable_grad():
            at = h.detach().requires_grad_()
            slope = slope.where(~small, torch.autograd.grad(module.forward(at).sum(), at)[0])
    return _linear(h, y, slope)


def _pooled(module: Any, h: Any, y: Any, there: Any, seen: Any) -> Any:
    """`y` (B, C, h, w) with the whole difference of a window's maxima put down to the place of the larger one.

    There the input changes by at least as much, and in the same direction: the slope is in [0, 1].
    """
    from torch.nn.functional import max_pool2d

    def places(values: Any) -> Any:
        kind = (module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode)
        return max_pool2d(values, *kind, return_indices=True)[1]

    place = places(there).where(seen > y, places(h.detach())).flatten(2)
    at = h.flatten(2).gather(2, place).view_as(y)
    change = there.flatten(2).expand(len(h), -1, -1).gather(2, place).view_as(y) - at.detach()
    same = change == 0
    return _linear(at, y, ((seen - y) / change.masked_fill(same, 1.0)).masked_fill(same, 1.0))


def _linear(h: Any, y: Any, slope: Any) -> Any:
    """The values of `y`, which grow with `h` by `slope`."""
    return y + slope * (h - h.detach())
