"""Maps that explain nothing: what a score gives to them is what it gives for free (spec M-28)."""

from __future__ import annotations

import numpy as np

from ..registry import METHODS, parameter
from ..seeds import generator
from ..types import Attribution, Run
from .base import Explainer

BASELINES = ("random", "centre", "sobel")
"""The baselines that stand beside every score."""


@METHODS.register(
    "random",
    title="Random",
    summary="Independent random values. A map that scores no better than this tells nothing.",
    family="baseline",
)
class RandomMap(Explainer):
    """Uniform on [0, 1) for every pixel."""

    def explain(self, run: Run) -> Attribution:
        height, width = run.frame.shape[:2]
        return Attribution(generator(run.seed, "random map").random((height, width), dtype=np.float32), signed=False)


@METHODS.register(
    "centre",
    title="Centre",
    summary="A blob in the middle of the picture. Photographers put their subject there, so it often scores well.",
    family="baseline",
)
class Centre(Explainer):
    """A Gaussian around the middle."""

    width: float = parameter(0.25, "Standard deviation.", unit="of the side", ge=0.01, le=2, step=0.01)

    def explain(self, run: Run) -> Attribution:
        height, width = run.frame.shape[:2]
        down = (np.arange(height) + 0.5) / height - 0.5
        right = (np.arange(width) + 0.5) / width - 0.5
        squared = down[:, None] ** 2 + right[None, :] ** 2
        return Attribution(np.exp(-squared / (2 * self.width**2)).astype(np.float32), signed=False)


@METHODS.register(
    "sobel",
    title="Edges",
    summary="The strength of the edges in the picture. It never looks at the network, yet resembles many a map.",
    family="baseline",
)
class Sobel(Explainer):
    """Magnitude of the Sobel gradient of the grey picture."""

    def explain(self, run: Run) -> Attribution:
        from scipy.ndimage import sobel

        grey = run.frame.astype(np.float64).mean(axis=-1) / 255
        return Attribution(np.hypot(sobel(grey, axis=0), sobel(grey, axis=1)).astype(np.float32), signed=False)
