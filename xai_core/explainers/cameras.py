"""CAMERAS: activations and gradients of the picture at several resolutions, averaged before they meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Run, XaiError
from .base import Explainer, array


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
        activations: Any = 0.0
        gradients: Any = 0.0

        def enlarged(values: Any) -> Any:
            return torch.nn.functional.interpolate(values, size=size, mode="bilinear", align_corners=False)[0]

        def so_far() -> Any:
            return array((activations * gradients).sum(0).clamp_min(0))

        factors = np.linspace(1.0, self.largest, self.resolutions)
        for factor in factors:
            side = [round(float(factor) * one) for one in size]
            x = torch.nn.functional.interpolate(run.x, size=side, mode="bicubic", align_corners=False)
            activation, gradient = self._at(run, layer, x if factor > 1 else run.x)
            activations = activations + enlarged(activation) / len(factors)
            gradients = gradients + enlarged(gradient) / len(factors)
            run.partial(so_far, False)
        return Attribution(so_far(), signed=False, layer=layer)

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
