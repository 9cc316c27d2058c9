"""XRAI: integrated gradients, gathered into the regions of the picture that hold most of them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..registry import METHODS, parameter
from ..types import Attribution, Bools, Cost, Floats, Pixels, Run
from .base import Explainer, array
from .integrated import baseline_input, points_on_the_way

SCALES = (50, 100, 150, 250, 500, 1200)
"""Felzenszwalb's scales of the regions: the larger, the larger."""


@METHODS.register(
    "xrai",
    title="XRAI",
    summary="Cuts the picture into regions of many sizes and takes the one whose pixels have the highest integrated "
    "gradients, then the next, until all is covered. The brighter a region, the more each of its pixels gives.",
    family="gradient",
    cites=("Kapishnikov et al. 2019, XRAI: better attributions through regions",),
    presets={"quick": {"steps": 12, "algorithm": "fast"}, "balanced": {"steps": 32}},
)
class Xrai(Explainer):
    """Regions by Google's saliency library, over our integrated gradients from black and from white; spec M-26.

    The attribution of a pixel is the largest over its channels of the mean of both; a region's value is the mean over
    its pixels that no region before it had.
    """

    steps: int = parameter(100, "Points on each of the two ways.", unit="steps", ge=1, le=1000, step=1)
    algorithm: Literal["full", "fast"] = parameter(
        "full", "Choose every region by what it adds to those before, or sort all of them once."
    )

    def cost(self) -> Cost:
        return Cost(2 * self.steps, 2 * self.steps)

    def explain(self, run: Run) -> Attribution:
        values, _ = regions(run.frame, from_black_and_white(run, self.steps), self.algorithm)
        return Attribution(values, signed=True)


def from_black_and_white(run: Run, steps: int) -> Floats:
    """The mean of the integrated gradients from black and from white, float32 (H, W, 3)."""
    import torch

    points, weights = (run.tensor(np.repeat(one, 2)).view(-1, 1, 1, 1) for one in points_on_the_way(steps))
    starts = torch.stack([baseline_input(run, "black"), baseline_input(run, "white")])
    ways = run.x - starts

    def make(start: int, stop: int) -> Any:
        which = torch.arange(start, stop, device=starts.device) % 2
        return starts[which] + points[start:stop].float() * ways[which]

    total = ways.double() * 0
    for rows, gradients in run.gradients(2 * steps, make):
        for way in (0, 1):
            mine = slice((rows.start + way) % 2, None, 2)
            total[way] += (weights[rows][mine] * gradients[mine].double()).sum(0)
    return array((ways * total).mean(0).permute(1, 2, 0))


def candidates(frame: Pixels) -> list[Bools]:
    """The regions (H, W) to choose from: Felzenszwalb's segments at six scales, each wider by 5 px; spec M-26.

    They are the library's own, made faster.
    """
    import cv2
    from skimage.morphology import disk
    from skimage.segmentation import felzenszwalb
    from skimage.transform import resize

    if not np.ptp(frame):
        return [np.ones(frame.shape[:2], dtype=bool)]  # nothing to cut
    values = frame.astype(np.float32)
    scaled = 2 * (values - values.min()) / np.ptp(values) - 1
    scaled = resize(scaled, (224, 224), order=3, mode="constant", preserve_range=True, anti_aliasing=True)
    found = []
    for scale in SCALES:
        labels = felzenszwalb(scaled, scale=scale, sigma=0.8, min_size=150)
        labels = resize(labels, frame.shape[:2], order=0, mode="constant", preserve_range=True, anti_aliasing=False)
        found += [cv2.dilate((labels == one).astype(np.uint8), disk(5)).astype(bool) for one in np.unique(labels)]
    return found


def regions(frame: Pixels, attribution: Floats, algorithm: str) -> tuple[Floats, np.ndarray]:
    """The map float32 (H, W) and the ranks of its regions, int (H, W) from 1, of an attribution (H, W, 3)."""
    from saliency.core import XRAI, XRAIParameters

    found = XRAI().GetMaskWithDetails(
        frame,
        call_model_function=None,
        segments=candidates(frame),
        base_attribution=attribution,
        extra_parameters=XRAIParameters(algorithm=algorithm, return_xrai_segments=True),
    )
    return found.attribution_mask.astype(np.float32), found.segments
