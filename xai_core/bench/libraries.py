"""What a user of the libraries would write: the same maps and scores by composing them, on the plain network."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..types import Floats, Pixels

PERCENTILES = [10, 20, 30, 40, 50, 60, 70, 80, 90]
LIME_SAMPLES, SHAP_SAMPLES, SMOOTHGRAD_SAMPLES = 1000, 200, 50


@dataclass(frozen=True)
class Libraries:
    """One classifier and one picture as the libraries want them.

    `network` is the network as torchvision or timm builds it, in evaluation mode; `x` the normalised input (1, 3, H,
    W); `frame` the picture, uint8 (H, W, 3); `background` 20 normalised pictures; `normalise` makes inputs of pixels in
    [0, 1] (N, H, W, 3).
    """

    network: nn.Module
    layer: nn.Module
    x: torch.Tensor
    frame: Pixels
    background: torch.Tensor
    target: int
    normalise: Callable[[Any], torch.Tensor]

    def maps(self) -> dict[str, Callable[[], Any]]:
        """A function for every map."""
        return {"gradcam": self.gradcam, "shap": self.shap, "lime": self.lime, "smoothgrad": self.smoothgrad}

    def gradcam(self) -> Any:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        with GradCAM(self.network, [self.layer]) as cam:
            return cam(self.x.clone(), [ClassifierOutputTarget(self.target)])

    def shap(self) -> Any:
        import shap

        state = np.random.get_state()  # noqa: NPY002  (shap seeds the global generator)
        try:
            explainer = shap.GradientExplainer(self.network, self.background.clone())
            return explainer.shap_values(self.x.clone(), nsamples=SHAP_SAMPLES, ranked_outputs=1, rseed=0)
        finally:
            np.random.set_state(state)  # noqa: NPY002

    def lime(self) -> Any:
        from lime.lime_image import LimeImageExplainer

        def classify(pictures: Any) -> Any:
            with torch.inference_mode():
                return self.network(self.normalise(pictures.astype(np.float32) / 255)).softmax(1).cpu().numpy()

        with contextlib.redirect_stderr(io.StringIO()):
            return LimeImageExplainer(random_state=0).explain_instance(
                self.frame, classify, top_labels=1, num_samples=LIME_SAMPLES, batch_size=32
            )

    def smoothgrad(self) -> Any:
        from captum.attr import NoiseTunnel, Saliency

        width = 0.15 * float(self.x.max() - self.x.min())
        return NoiseTunnel(Saliency(self.network)).attribute(
            self.x.clone(),
            nt_type="smoothgrad",
            nt_samples=SMOOTHGRAD_SAMPLES,
            nt_samples_batch_size=10,
            stdevs=width,
            target=self.target,
            abs=False,
        )

    def occlusion(self, saliency: Floats) -> Any:
        """Change of confidence with the background hidden and with the subject hidden, from grad-cam's metrics."""
        from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence, IncreaseInConfidence
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

        targets: Any = [ClassifierOutputSoftmaxTarget(self.target)]
        top = (saliency >= np.quantile(saliency, 0.8)).astype(np.float32)[None]
        return [
            metric()(self.x, shown, targets, self.network)
            for metric in (DropInConfidence, IncreaseInConfidence)
            for shown in (top, 1 - top)
        ]

    def road(self, saliency: Floats) -> Any:
        from pytorch_grad_cam.metrics.road import ROADCombined
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

        targets: Any = [ClassifierOutputSoftmaxTarget(self.target)]
        return ROADCombined(percentiles=PERCENTILES)(self.x, saliency[None], targets, self.network)

    def imputation(self, masks: list[Any]) -> Any:
        """The library's imputation of these masks of missing pixels, bool (H, W)."""
        from pytorch_grad_cam.metrics.road import NoisyLinearImputer

        imputer = NoisyLinearImputer(noise=0)
        picture = torch.as_tensor(self.frame).movedim(-1, 0).float() / 255
        return [imputer(picture, torch.as_tensor(~mask).float()) for mask in masks]
