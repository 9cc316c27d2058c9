"""The CAM family: which places of a layer's activation speak for the class."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Run, XaiError
from .base import CheckedExplainer, array, upsampled
from .gradient import SIGNED, Reduction, reduced, reduction_parameter
from .rectified import rectified_gradient


class LayerMap(CheckedExplainer):
    """Base of what is made of one layer's activation A (C, h, w) and of the gradient G of the logit by it."""

    library: ClassVar[str]
    """The name of grad-cam's class."""

    layer: str = parameter("auto", "The layer whose output is used, as a dotted path; auto is the model's own choice.")

    def cost(self) -> Cost:
        return Cost(1, 1)

    def coarse(self, activation: Any, gradient: Any) -> Any:
        """The map (h, w) at the layer's size."""
        raise NotImplementedError

    def explain_ourselves(self, run: Run) -> Attribution:
        layer = run.layer(self.layer)
        coarse = self.coarse(*run.activations_and_gradients(layer))
        return Attribution(upsampled(array(coarse), run.frame.shape[:2]), signed=False, layer=layer)

    def explain_by_library(self, run: Run) -> Attribution:
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        layer = run.layer(self.layer)
        method = getattr(pytorch_grad_cam, self.library)
        values = None
        with (
            run.network() as network,
            contextlib.suppress(ValueError, AttributeError),  # of a layer without a map of channels, or never used
            method(model=network, target_layers=[network.get_submodule(layer)]) as library,
        ):
            values = library(input_tensor=run.x.clone().requires_grad_(), targets=[ClassifierOutputTarget(run.target)])[
                0
            ]
        if values is None:
            raise XaiError(f"grad-cam cannot use the layer {layer!r}; choose a convolution or a stage.")
        return Attribution(values, signed=False, layer=layer, notes=("grad-cam scales every map to 0-1.",))


@METHODS.register(
    "gradcam",
    title="Grad-CAM",
    summary="Weights the channels of a late layer by how much the class depends on them, and adds them up. Bright "
    "regions hold what speaks for the class; the map is as coarse as the layer.",
    family="cam",
    cites=("Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks",),
    reference="grad-cam",
)
class GradCAM(LayerMap):
    """ReLU(sum_k a_k A_k) with a_k the mean over the places of the gradient of the logit by A_k; spec M-12."""

    library: ClassVar[str] = "GradCAM"

    def coarse(self, activation: Any, gradient: Any) -> Any:
        weights = gradient.mean(dim=(1, 2), keepdim=True)
        return (weights * activation).sum(0).clamp_min(0)


@METHODS.register(
    "gradcam_plus_plus",
    title="Grad-CAM++",
    summary="Grad-CAM with weights that also count a channel on which the class depends only here and there, so that "
    "several objects of one class all light up. Bright regions hold what speaks for the class.",
    family="cam",
    cites=("Chattopadhay et al. 2018, Grad-CAM++: improved visual explanations for deep convolutional networks",),
    reference="grad-cam",
)
class GradCAMPlusPlus(LayerMap):
    """ReLU(sum_k w_k A_k), w_k = sum over places of a ReLU(G), a = G^2 / (2 G^2 + (sum A) G^3); spec M-13.

    What keeps the denominator from 0 is relative to the gradient: small logits change nothing.
    """

    library: ClassVar[str] = "GradCAMPlusPlus"

    def coarse(self, activation: Any, gradient: Any) -> Any:
        activation, gradient = activation.double(), gradient.double()
        squared = gradient.square()
        denominator = 2 * squared + activation.sum(dim=(1, 2), keepdim=True) * squared * gradient
        usable = (gradient != 0) & (denominator.abs() > 1e-12 * squared.max())
        factors = squared / denominator.where(usable, denominator * 0 + 1)
        weights = (factors * gradient.clamp_min(0)).where(usable, squared * 0).sum(dim=(1, 2), keepdim=True)
        return (weights * activation).sum(0).clamp_min(0)


@METHODS.register(
    "hirescam",
    title="HiResCAM",
    summary="Multiplies a late layer's activation with the gradient place by place before it adds up the channels: "
    "what the layer contributes where, without Grad-CAM's averaging. The map is as coarse as the layer.",
    family="cam",
    cites=("Draelos and Carin 2020, Use HiResCAM instead of Grad-CAM for faithful explanations",),
    reference="grad-cam",
)
class HiResCAM(LayerMap):
    """ReLU(sum_k G_k A_k), place by place."""

    library: ClassVar[str] = "HiResCAM"

    def coarse(self, activation: Any, gradient: Any) -> Any:
        return (gradient * activation).sum(0).clamp_min(0)


@METHODS.register(
    "layercam",
    title="LayerCAM",
    summary="Weights every place of every channel by its own positive gradient, which also works at early, fine "
    "layers. Bright regions hold what speaks for the class.",
    family="cam",
    cites=("Jiang et al. 2021, LayerCAM: exploring hierarchical class activation maps for localization",),
    reference="grad-cam",
)
class LayerCAM(LayerMap):
    """ReLU(sum_k ReLU(G_k) A_k), place by place."""

    library: ClassVar[str] = "LayerCAM"

    def coarse(self, activation: Any, gradient: Any) -> Any:
        return (gradient.clamp_min(0) * activation).sum(0).clamp_min(0)


@METHODS.register(
    "guided_gradcam",
    title="Guided Grad-CAM",
    summary="Guided backprop where Grad-CAM is bright: fine lines, kept to the regions of the class. The lines "
    "themselves are mostly edges of the picture.",
    family="cam",
    cites=("Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks",),
    reference="captum",
)
class GuidedGradCAM(CheckedExplainer):
    """Guided backprop times Grad-CAM, pixel by pixel; spec M-17."""

    layer: str = parameter("auto", "The layer of Grad-CAM, as a dotted path; auto is the model's own choice.")
    reduction: Reduction = reduction_parameter("abs_max")

    def cost(self) -> Cost:
        return Cost(2, 2)

    def explain_ourselves(self, run: Run) -> Attribution:
        coarse = GradCAM(layer=self.layer).explain_ourselves(run)
        guided, _ = rectified_gradient(run, guided=True)
        values = array(reduced(guided, self.reduction)) * coarse.values
        return Attribution(values, self.reduction in SIGNED, layer=coarse.layer)

    def explain_by_library(self, run: Run) -> Attribution:
        from captum.attr import GuidedGradCam

        layer = run.layer(self.layer)
        with run.network() as network:
            method = GuidedGradCam(network, network.get_submodule(layer))
            product = method.attribute(run.x.clone(), run.target, interpolate_mode="bilinear")[0]
        return Attribution(array(reduced(product, self.reduction)), self.reduction in SIGNED, layer=layer)
