"""Score-CAM: channels weighted by how much of the class is left where they are active, without any gradient."""

from __future__ import annotations

from typing import Any, ClassVar

from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Run
from .base import array, upsampled
from .cam import LayerMap

USUAL_CHANNELS = 2048
"""What the time is estimated with until the layer is known: ResNet-50's last stage."""


@METHODS.register(
    "score_cam",
    title="Score-CAM",
    summary="Shows the network the picture through every channel of a late layer, and weights the channels with the "
    "logit that is left. Bright regions hold what speaks for the class; it takes no gradient, and many passes.",
    family="cam",
    cites=("Wang et al. 2020, Score-CAM: score-weighted visual explanations for convolutional neural networks",),
    presets={"quick": {"channels": 64}, "balanced": {"channels": 256}},
    reference="grad-cam",
)
class ScoreCAM(LayerMap):
    """ReLU(sum_k w_k A_k), w = softmax over k of f_c(x times A_k, enlarged and scaled to 0-1); spec M-14."""

    library: ClassVar[str] = "ScoreCAM"
    cost_is_exact: ClassVar[bool] = False

    channels: int = parameter(
        0, "Channels at most, those that vary most; 0 takes all.", unit="channels", ge=0, le=4096, step=1
    )

    def cost(self) -> Cost:
        return Cost(1 + (self.channels or USUAL_CHANNELS), 0)

    def explain_ourselves(self, run: Run) -> Attribution:
        import torch

        layer = run.layer(self.layer)
        activation = run.output_of(layer)
        if self.channels and self.channels < len(activation):
            spread = activation.flatten(1).std(dim=1, correction=0)
            activation = activation[spread.argsort(descending=True, stable=True)[: self.channels]]
        run.expect(Cost(1 + len(activation), 0))
        size = run.frame.shape[:2]
        low = activation.amin(dim=(1, 2), keepdim=True)
        spans = activation.amax(dim=(1, 2), keepdim=True) - low
        scaled = (activation - low) / spans.where(spans > 0, spans * 0 + 1)

        def shown(start: int, stop: int) -> Any:
            masks = torch.nn.functional.interpolate(
                scaled[start:stop, None], size=size, mode="bilinear", align_corners=False
            )
            return run.x * masks

        scores = activation.new_zeros(len(activation))
        done = 0

        def so_far() -> Any:
            weights = scores[:done].softmax(0)[:, None, None]
            return upsampled(array((weights * activation[:done]).sum(0).clamp_min(0)), size)

        for rows, logits in run.logits(len(activation), shown):
            scores[rows] = logits[:, run.target]
            done = rows.stop
            run.partial(so_far, False)
        return Attribution(so_far(), signed=False, layer=layer)

    def explain_by_library(self, run: Run) -> Attribution:
        with run.apart():
            channels = len(run.output_of(run.layer(self.layer)))
        run.expect(Cost(1 + channels, 0))
        return super().explain_by_library(run)
