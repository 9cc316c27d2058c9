"""Maps that explain nothing: what a score gives to them is what it gives for free (spec M-28)."""

from __future__ import annotations

import numpy as np

from ..registry import METHODS, parameter
from ..seeds import generator
from ..types import Attribution, Run
from .base import Explainer, upsampled

BASELINES = ("random", "centre", "sobel")
"""The baselines that stand beside every score; the others can be chosen as methods."""


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
    "smooth_random",
    title="Smooth random",
    summary="Random values on a coarse grid, smoothly joined: blobs in random places. It looks like a coarse map, and "
    "shows what such a map's scores are worth.",
    family="baseline",
)
class SmoothRandom(Explainer):
    """Standard normal values on a grid, bilinearly up to the picture's size, moved to begin at 0."""

    grid: int = parameter(7, "Values along a side.", ge=2, le=56, step=1)

    def explain(self, run: Run) -> Attribution:
        drawn = generator(run.seed, "smooth random map").standard_normal((self.grid, self.grid), dtype=np.float32)
        values = upsampled(drawn, run.frame.shape[:2])
        return Attribution(values - values.min(), signed=False)


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


@METHODS.register(
    "constant",
    title="Constant",
    summary="The same value for every pixel. A score that orders pixels must call it undefined, or worth nothing.",
    family="baseline",
)
class Constant(Explainer):
    """One everywhere."""

    def explain(self, run: Run) -> Attribution:
        return Attribution(np.ones(run.frame.shape[:2], dtype=np.float32), signed=False)


@METHODS.register(
    "luminance",
    title="Luminance",
    summary="How bright the picture is. It never looks at the network, and tells which maps merely follow the light.",
    family="baseline",
)
class Luminance(Explainer):
    """Rec. 601 luma of the picture, 0 to 1."""

    def explain(self, run: Run) -> Attribution:
        luma = run.frame.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        return Attribution(luma / np.float32(255), signed=False)
