"""Propagation: the class's score is handed down layer by layer, every unit sharing out what it got.

A layer keeps its output and gets another gradient, by which it hands down relevance: a unit's relevance is its value
times its gradient, at any layer and on any way through the network. Additions, concatenations, means and maxima share
out by themselves, in proportion to what they add up.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Run, XaiError
from .base import CheckedExplainer, Explainer, array, upsampled

Rule = Callable[[Any, tuple[Any, ...], Any], Any]
"""(layer, inputs, output) to a tensor of the output's shape by whose gradient the layer hands down its relevance."""

FirstRule = Callable[[Any, Any, Any], tuple[Any, list[Any]]]
"""(layer, picture, output) to the same, and the tensors that then hold the relevance beside the picture."""

STABILISER = 1e-12
"""Keeps denominators from 0; no sum but that of the epsilon rule cancels."""


# -- rules -------------------------------------------------------------------------------------------------------------


def share(parts: Any, output: Any, whole: Any = None, stabiliser: float = STABILISER) -> Any:
    """Hands down the output's relevance in proportion to what `parts`, a sum over inputs, is made of.

    Where `whole` is more than the parts, the rest of the relevance stays behind.
    """
    whole = parts if whole is None else whole
    ratio = output / (whole + stabiliser * (2.0 * (whole >= 0) - 1))
    return parts * ratio.where(whole != 0, ratio * 0).detach()


def reweighted(layer: Any, change: Callable[[Any], Any], biased: bool) -> Callable[[Any], Any]:
    """The function of a layer with changed weights, without its hooks; its bias is 0 unless `biased`."""
    twin = copy.copy(layer)
    bias = change(layer.bias) if biased and layer.bias is not None else None
    twin._parameters = {"weight": change(layer.weight), "bias": bias}
    return twin.forward  # type: ignore[no-any-return]


def part(values: Any, sign: int) -> Any:
    """The positive or the negative part."""
    return values.clamp_min(0) if sign > 0 else values.clamp_max(0)


def contributions(layer: Any, x: Any, sign: int, biased: bool) -> Any:
    """What makes the output of a convolution or linear layer higher (sign 1) or lower (-1)."""
    total = reweighted(layer, lambda weight: part(weight, sign), biased)(part(x, 1))
    if bool((x < 0).any()):
        total = total + reweighted(layer, lambda weight: part(weight, -sign), False)(part(x, -1))
    return total


def gamma_rule(gamma: float, stabiliser: float = STABILISER, biased: bool = True) -> Rule:
    """In proportion to weight times input, where what has the output's sign counts 1 + gamma times.

    A gamma of 0 makes it the epsilon rule. Unless `biased`, the bias's share goes to what has the output's sign.
    """

    def rule(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        if biased and not gamma:
            return share(output, output, stabiliser=stabiliser)
        higher, lower = (contributions(layer, inputs[0], sign, biased) for sign in (1, -1))
        agreeing = higher.where(output >= 0, lower)
        whole = output + gamma * agreeing
        handed = share(whole, output, stabiliser=stabiliser)
        if biased or layer.bias is None:
            return handed
        bias = layer.bias.view(-1, *[1] * (output.ndim - 2))
        return handed + share(agreeing, share(bias, output, whole, stabiliser))

    return rule


def alpha_beta_rule(alpha: float, beta: float, biased: bool = True) -> Rule:
    """`alpha` times the relevance to what makes the output higher, less `beta` times to what makes it lower."""

    def rule(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        handed = alpha * share(contributions(layer, inputs[0], 1, biased), output)
        return handed - beta * share(contributions(layer, inputs[0], -1, biased), output) if beta else handed

    return rule


def flat_rule(layer: Any, x: Any, output: Any) -> tuple[Any, list[Any]]:
    """The same to every pixel and channel that a unit sees."""
    import torch

    evenly = torch.ones_like(x).requires_grad_()
    return share(reweighted(layer, torch.ones_like, False)(evenly), output), [evenly]


def box_rule(low: Any, high: Any) -> FirstRule:
    """In proportion to weight times the distance from the lowest possible input (from the highest, if negative)."""

    def rule(layer: Any, x: Any, output: Any) -> tuple[Any, list[Any]]:
        ends = [end.expand_as(x).clone().requires_grad_() for end in (low, high)]
        above = reweighted(layer, lambda weight: part(weight, 1), False)(ends[0])
        below = reweighted(layer, lambda weight: part(weight, -1), False)(ends[1])
        plain = reweighted(layer, lambda weight: weight, False)(x)
        return share(plain - above - below, output), ends

    return rule


def pass_rule(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
    """All that a unit has to the one input that it has; what reaches an input of 0 is lost."""
    (x,) = inputs
    return x * (output / x.where(x.abs() > 1e-12, x * 0 + 1)).detach()


def same_sign_rule(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
    """Sums and means: in proportion to the inputs of the output's sign."""
    higher, lower = (layer.forward(*(part(x, sign) for x in inputs)) for sign in (1, -1))
    return share(higher.where(output >= 0, lower), output)


# -- passes ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def handing_down(
    network: Any, x: Any, rule_of: Callable[[Any], Rule | None], first: FirstRule | None = None
) -> Iterator[list[Any]]:
    """Within it a pass of the network on `x` (1, 3, H, W) hands down relevance by rules; the logits are what they were.

    `first` is for the layers that read the picture itself. Yields the tensors like `x` that hold its relevance.
    """
    import torch

    holders = [x]

    def hooked(rule: Rule) -> Callable[[Any, tuple[Any, ...], Any], Any]:
        def hook(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
            if first and inputs[0] is x and isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                handed, held = first(layer, x, output)
                holders.extend(held)
            else:
                handed = rule(layer, inputs, output)
            return output.detach() + (handed - handed.detach())

        return hook

    hooks = [
        layer.register_forward_hook(hooked(rule)) for layer in network.modules() if (rule := rule_of(layer)) is not None
    ]
    try:
        yield holders
    finally:
        for one in hooks:
            one.remove()


def relevance(score: Any, holders: list[Any]) -> Any:
    """Value times gradient, summed over the tensors (1, C, h, w) that hold it and over their channels: (h, w)."""
    import torch

    gradients = torch.autograd.grad(score, holders, allow_unused=True)
    parts = [one * gradient for one, gradient in zip(holders, gradients, strict=True) if gradient is not None]
    return sum(parts, holders[0] * 0)[0].detach().double().sum(0)


@contextlib.contextmanager
def output_of(layer: str, network: Any, x: Any) -> Iterator[list[Any]]:
    """Yields a list that a pass on `x` fills with the layer's outputs (1, C, h, w); `input` is `x` itself."""
    if layer == "input":
        yield [x]
        return
    caught: list[Any] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda module, inputs, output: caught.append(output))
    try:
        yield caught
    finally:
        hook.remove()


def unshared(error: float | None) -> tuple[str, ...]:
    """A note where more than a hundredth of the class's score did not come down to the picture."""
    if error is None or error <= 0.01:
        return ()
    return (f"{error:.0%} of the class's score stays with units that only their biases made: their inputs are 0.",)


def passing() -> tuple[type, ...]:
    """The layers that the pass rule is for; a ReLU's own gradient does the same."""
    from torch import nn

    return nn.BatchNorm2d, nn.Hardtanh, nn.SiLU, nn.GELU, nn.Hardswish, nn.Tanh


# -- zennit ------------------------------------------------------------------------------------------------------------


def stacked_sums(network: Any) -> Any:
    """The network with every residual sum as zennit's rules want it; a lent network gets its own back."""
    import torch
    from zennit.layer import Sum

    from ..classifiers.preparing import Add

    class Stacked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sum = Sum()

        def forward(self, left: Any, right: Any) -> Any:
            return self.sum(torch.stack([left, right], dim=-1))

    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Add):
                setattr(module, name, Stacked())
    return network


# -- methods -----------------------------------------------------------------------------------------------------------

Composite = Literal[
    "epsilon_plus_flat",
    "epsilon_plus",
    "epsilon_gamma_box",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "epsilon",
]


@METHODS.register(
    "lrp",
    title="LRP",
    summary="Layer-wise relevance propagation: hands the class's logit down from layer to layer, in proportion to what "
    "each unit added, until it lies on the pixels. Red speaks for the class, blue against it.",
    family="propagation",
    cites=(
        "Bach et al. 2015, On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance "
        "propagation",
        "Montavon et al. 2019, Layer-wise relevance propagation: an overview",
    ),
    reference="zennit",
)
class Lrp(CheckedExplainer):
    """R_j = sum_i z_ij R_i / sum_j z_ij, z_ij being what unit j adds to unit i, by a rule for each layer; spec M-25.

    The values add up to the logit, but for what epsilon absorbs and for the units that only a bias made; the map's
    completeness tells how much that is.
    """

    composite: Composite = parameter(
        "epsilon_plus_flat",
        "The rules of linear layers, of convolutions, and of the first layer where it has its own.",
    )
    biases: Literal["share", "absorb"] = parameter(
        "share", "Share the relevance of biases out among the inputs, or let them absorb it, as composite epsilon does."
    )
    epsilon: float = parameter(1e-6, "Epsilon of the epsilon rule.", ge=1e-9, le=1, step=1e-6)
    gamma: float = parameter(0.25, "Gamma of the gamma rule.", ge=0, le=10, step=0.05)

    def cost(self) -> Cost:
        return Cost(1, 1)

    def explain_ourselves(self, run: Run) -> Attribution:
        with run.network(folded=True) as network:
            x = run.x.detach().clone().requires_grad_()
            with handing_down(network, x, self._rule, self._first_rule(run)) as holders:
                logit = network(x)[0, run.target]
            return self._attribution(relevance(logit, holders), logit)

    def explain_by_library(self, run: Run) -> Attribution:
        import torch

        with run.network(folded=True) as network:
            x = run.x.detach().clone().requires_grad_()
            with self._composite(run).context(stacked_sums(network)):
                logit = network(x)[0, run.target]
                found = torch.autograd.grad(logit, x, logit.detach())[0][0].double().sum(0)
        notes = ("zennit shares out equally what no module averages, and the biases of epsilon and gamma absorb.",)
        return self._attribution(found, logit, notes)

    def _attribution(self, found: Any, logit: Any, notes: tuple[str, ...] = ()) -> Attribution:
        total = float(logit.detach())
        error = abs(float(found.sum()) - total) / abs(total) if total else None
        if self.biases == "share" and ("plus" in self.composite or "gamma" in self.composite):
            notes += unshared(error)
        return Attribution(array(found), signed=True, completeness=error, notes=notes)

    def _rule(self, layer: Any) -> Rule | None:
        from torch import nn

        biased = self.biases == "absorb" or self.composite == "epsilon"
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and self.composite == "epsilon"):
            return gamma_rule(0, self.epsilon, biased)
        if isinstance(layer, nn.Conv2d):
            if "gamma" in self.composite:
                return gamma_rule(self.gamma, biased=biased)
            return alpha_beta_rule(1, 0, biased) if "plus" in self.composite else alpha_beta_rule(2, 1, biased)
        return pass_rule if isinstance(layer, passing()) else None

    def _first_rule(self, run: Run) -> FirstRule | None:
        if self.composite.endswith("flat"):
            return flat_rule
        return box_rule(*darkest_and_brightest(run)) if self.composite.endswith("box") else None

    def _composite(self, run: Run) -> Any:
        """The same rules from zennit."""
        import torch
        from zennit import composites, rules, types

        zero = None if self.biases == "absorb" else "bias"
        linear = rules.Epsilon(self.epsilon)
        low, high = darkest_and_brightest(run)
        convolution = {
            "epsilon": linear,
            "epsilon_gamma_box": rules.Gamma(self.gamma),
            "epsilon_plus": rules.ZPlus(zero_params=zero),
            "epsilon_alpha2_beta1": rules.AlphaBeta(2, 1, zero_params=zero),
        }[self.composite.removesuffix("_flat")]
        first = {"flat": rules.Flat(), "box": rules.ZBox(low, high)}.get(self.composite.rpartition("_")[2])
        kinds = [(types.Convolution, convolution), (torch.nn.Linear, linear)]
        return composites.SpecialFirstLayerMapComposite(
            composites.layer_map_base() + kinds, [] if first is None else [(types.Linear, first)]
        )


def darkest_and_brightest(run: Run) -> tuple[Any, Any]:
    """The lowest and the highest possible input, (1, 3, 1, 1) each."""
    low, high = (run.normalise(np.full((1, 1, 1, 3), level, dtype=np.float32)) for level in (0, 1))
    return low, high


@METHODS.register(
    "excitation_backprop",
    title="Excitation backprop",
    summary="Hands the class down from layer to layer to the units that excited it, through positive weights only, as "
    "the probability that each one won. Bright places excite the class; contrastive, they excite it more than others.",
    family="propagation",
    cites=("Zhang et al. 2016, Top-down neural attention by excitation backprop",),
)
class ExcitationBackprop(Explainer):
    """P_j = sum_i x_j w+_ij P_i / sum_k x_k w+_ik from 1 at the class, summed over a layer's channels; spec M-18.

    Contrastive: less the same with the classifier's weights negated, where that is positive; one pass takes both
    down, since what is handed down is linear in what comes from above. The plain map adds up to 1 before it is
    enlarged, where all ways lead through the layer; the map's completeness tells.
    """

    layer: str = parameter(
        "auto", "The layer whose output is shown, as a dotted path; auto is the model's own choice, input the picture."
    )
    contrastive: bool = parameter(False, "Take away what the classifier's negated weights give.")

    def cost(self) -> Cost:
        return Cost(1, 1)

    def explain(self, run: Run) -> Attribution:
        layer = self._layer(run)
        with run.network(folded=True) as network:
            x = run.x.detach().clone().requires_grad_()
            with handing_down(network, x, self._rules(network)), output_of(layer, network, x) as outputs:
                logit = network(x)[0, run.target]
            whole = float(logit.detach())
            found = relevance(logit / whole if whole else logit * 0, [usable(outputs, layer)])
        error = None if self.contrastive else abs(float(found.sum()) - 1)
        values = upsampled(array(found.clamp_min(0)), run.frame.shape[:2])
        notes = unshared(error) if layer == "input" else ()
        return Attribution(values, signed=False, layer=layer, notes=notes, completeness=error)

    def _layer(self, run: Run) -> str:
        return self.layer if self.layer == "input" else run.layer(self.layer)

    def _rules(self, network: Any) -> Callable[[Any], Rule | None]:
        from torch import nn

        from ..classifiers.preparing import Add

        linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        if self.contrastive and not linear:
            raise XaiError("This network has no linear classifier to negate; choose the plain form.")

        def rule(layer: Any) -> Rule | None:
            if self.contrastive and layer is linear[-1]:
                return alpha_beta_rule(1, 1, biased=False)
            if isinstance(layer, nn.Linear | nn.Conv2d):
                return alpha_beta_rule(1, 0, biased=False)
            if isinstance(layer, Add | nn.AvgPool2d | nn.AdaptiveAvgPool2d):
                return same_sign_rule
            return pass_rule if isinstance(layer, passing()) else None

        return rule


def usable(outputs: list[Any], layer: str) -> Any:
    """The last one of a layer's outputs, which is a single map of channels."""
    import torch

    if not outputs or not isinstance(outputs[-1], torch.Tensor) or outputs[-1].ndim != 4:
        raise XaiError(f"The layer {layer!r} gives no single map of channels; choose a convolution or a stage.")
    return outputs[-1]
