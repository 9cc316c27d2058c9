"""The CAM family: which places of a layer's activation speak for the class."""

from __future__ import annotations

import contextlib

from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Run, XaiError
from .base import CheckedExplainer, array, upsampled


@METHODS.register(
    "gradcam",
    title="Grad-CAM",
    summary="Weights the channels of a late layer by how much the class depends on them, and adds them up. Bright "
    "regions hold what speaks for the class; the map is as coarse as the layer.",
    family="cam",
    cites=("Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks",),
    reference="grad-cam",
)
class GradCAM(CheckedExplainer):
    """ReLU(sum_k a_k A_k) with a_k the mean over the places of the gradient of the logit by A_k; spec M-12."""

    layer: str = parameter("auto", "The layer whose output is used, as a dotted path; auto is the model's own choice.")

    def cost(self) -> Cost:
        return Cost(1, 1)

    def explain_ourselves(self, run: Run) -> Attribution:
        layer = run.layer(self.layer)
        activation, gradient = run.activations_and_gradients(layer)
        weights = gradient.mean(dim=(1, 2), keepdim=True)
        coarse = (weights * activation).sum(0).clamp_min(0)
        return Attribution(upsampled(array(coarse), run.frame.shape[:2]), signed=False, layer=layer)

    def explain_by_library(self, run: Run) -> Attribution:
        from pytorch_grad_cam import GradCAM as LibraryGradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        layer = run.layer(self.layer)
        values = None
        with (
            run.network() as network,
            contextlib.suppress(ValueError, AttributeError),  # of a layer without a map of channels, or never used
            LibraryGradCAM(model=network, target_layers=[network.get_submodule(layer)]) as library,
        ):
            values = library(input_tensor=run.x.clone().requires_grad_(), targets=[ClassifierOutputTarget(run.target)])[
                0
            ]
        if values is None:
            raise XaiError(f"grad-cam cannot use the layer {layer!r}; choose a convolution or a stage.")
        return Attribution(values, signed=False, layer=layer, notes=("grad-cam scales every map to 0-1.",))
