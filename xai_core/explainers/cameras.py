"""CAMERAS: activations and gradients of the picture at several resolutions, averaged before they meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Floats, Run, XaiError
from .base import Explainer, array

CHANNELS = 64
"""Channels that are enlarged at once."""


@METHODS.register(
    "cameras",
    title="CAMERAS",
    summary="Enlarges the picture step by step, averages a late layer's activations and gradients over all sizes, and "
    "multiplies them: a class activation map with fine detail. Bright regions hold what speaks for the class.",
    family="cam",
    cites=("Jalwana et al. 2021, CAMERAS: enhanced resolution and sanity preserving class activation mapping",),
    presets={"quick": {"resolutions": 3, "largest": 2.0}, "balanced": {"resolutions": 5, "largest": 3.0}},
)
class Cameras(Explainer):
    """ReLU(sum_k mean_r A_k mean_r G_k) over resolutions r, both enlarged to the picture's size; spec M-24.

    The paper's resolutions are 8 from 224 to 924 px. A pass at r takes (r / 224)^2 times as long as one at 224.
    """

    layer: str = parameter("auto", "The layer whose output is used, as a dotted path; auto is the model's own choice.")
    resolutions: int = parameter(8, "Sizes of the picture.", ge=1, le=20, step=1)
    largest: float = parameter(4.125, "The largest size.", unit="of the side", ge=1, le=6, step=0.125)

    def cost(self) -> Cost:
        return Cost(self.resolutions, self.resolutions)

    def explain(self, run: Run) -> Attribution:
        import torch

        layer = run.layer(self.layer)
        size = run.frame.shape[:2]
        seen: list[tuple[Any, Any]] = []
        for factor in np.linspace(1.0, self.largest, self.resolutions):
            side = [round(float(factor) * one) for one in size]
            x = run.x
            if factor > 1:
                x = torch.nn.functional.interpolate(run.x, size=side, mode="bicubic", align_corners=False)
            seen.append(self._at(run, layer, x))
            run.partial(lambda: _joined(seen, size), False)
        return Attribution(_joined(seen, size), signed=False, layer=layer)

    @staticmethod
    def _at(run: Run, layer: str, x: Any) -> tuple[Any, Any]:
        """Output (1, C, h, w) of the layer for an input of any size, and the gradient of the logit by it."""
        import torch

        caught: list[Any] = []

        def catch(module: Any, inputs: Any, output: Any) -> Any:
            if not isinstance(output, torch.Tensor) or output.ndim != 4:
                raise XaiError(f"The layer {layer!r} has no single map of channels; choose a convolution or a stage.")
            caught.append(output.detach().requires_grad_())
            return caught[-1]

        with run.network() as network:
            network.get_submodule(layer).register_forward_hook(catch)
            score = network(x)[0, run.target]
            if not caught:
                raise XaiError(f"The layer {layer!r} is not used when the network classifies; choose another.")
            gradient = torch.autograd.grad(score, caught[-1])[0]
        return caught[-1].detach(), gradient


def _joined(seen: list[tuple[Any, Any]], size: tuple[int, ...]) -> Floats:
    """ReLU of the sum over channels of mean activation times mean gradient, all enlarged to `size`.

    A few channels at a time: at the picture's size all of them would take gigabytes.
    """
    import torch

    def mean(kind: int, channels: slice) -> Any:
        return sum(
            torch.nn.functional.interpolate(one[kind][:, channels], size=size, mode="bilinear", align_corners=False)[0]
            for one in seen
        ) / len(seen)

    total: Any = 0.0
    for start in range(0, seen[0][0].shape[1], CHANNELS):
        channels = slice(start, start + CHANNELS)
        total = total + (mean(0, channels) * mean(1, channels)).sum(0)
    return array(total.clamp_min(0))
