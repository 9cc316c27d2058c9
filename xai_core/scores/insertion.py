"""Insertion and deletion: the probability while pixels appear, or disappear, in the order of a map."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..registry import SCORES, Value, parameter
from ..types import Bools, Cost, Curve, Floats, Measured, Run
from .base import ScoreMethod
from .ranking import Order, count_of, most_relevant_first, places

Doubles = npt.NDArray[np.float64]
Fill = Literal["blur", "wide_blur", "mean", "black", "grey"]
STEPS = 224
"""RISE's steps: one row of pixels each, at 224 px."""


def substrate(run: Run, fill: Fill) -> Any:
    """What shows where a pixel is not, as normalised input (1, 3, H, W).

    `mean` is the model's mean colour, zero in normalised space; `blur` the picture under RISE's kernel, a Gaussian of
    5 px cut off to 11 x 11 pixels; `wide_blur` is a Gaussian of 10 px, as in Fong and Vedaldi 2017.
    """
    if fill == "mean":
        return run.x * 0
    values = run.frame / np.float32(255)
    if fill in ("blur", "wide_blur"):
        from scipy.ndimage import gaussian_filter

        sigma, truncate = (5, 1) if fill == "blur" else (10, 4)
        blurred = gaussian_filter(values, sigma=(sigma, sigma, 0), truncate=truncate)
        return run.normalise(np.asarray(blurred, dtype=np.float32))[None]
    return run.normalise(np.full_like(values, 0.5 if fill == "grey" else 0.0))[None]


def probabilities_along(run: Run, order: Order, counts: Order, before: Any, after: Any) -> Doubles:
    """Probabilities of the target, float64 (N,), with `after` at the first `counts` (N,) places and `before` elsewhere.

    `order` is the place of every pixel, int64 (H, W); `before` and `after` are inputs (1, 3, H, W).
    """
    place, reached = run.tensor(order), run.tensor(counts).view(-1, 1, 1, 1)
    found = np.empty(len(counts))
    for rows, values in run.probabilities(
        len(counts), lambda start, stop: after.where(place < reached[start:stop], before)
    ):
        found[rows] = values.double().cpu().numpy()
    return found


def counts_along(steps: int, total: int) -> Order:
    """Pixels changed after every one of `steps` even steps from none to all, int64 (steps + 1,)."""
    return np.array([count_of(step / steps, total) for step in range(steps + 1)], dtype=np.int64)


def area_under(counts: Order, y: Doubles) -> float:
    """The area under `y` (N,) over the fraction of pixels that `counts` (N,) are, by the trapezoid rule."""
    return float(np.trapezoid(y, counts / counts[-1]))


class Removal(ScoreMethod):
    """What insertion and deletion share: both follow the map's order from one picture to another."""

    steps: int = parameter(STEPS, "Steps from no pixel to all.", unit="steps", ge=2, le=1000, step=1)

    def cost(self) -> Cost:
        return Cost(self.steps + 1, 0)

    def area(self, run: Run, saliency: Floats, before: Any, after: Any) -> Measured:
        """The area under the probability while `after` takes the place of `before`, the most relevant pixels first."""
        shape = (saliency.shape[0], saliency.shape[1])
        counts = counts_along(self.steps, saliency.size)
        y = probabilities_along(run, places(most_relevant_first(saliency, run.seed), shape), counts, before, after)
        x = np.linspace(0, 1, self.steps + 1, dtype=np.float32)
        return Measured({"auc": area_under(counts, y)}, curves={"probability": Curve(x, y.astype(np.float32))})


PRESETS: dict[str, dict[str, int]] = {"quick": {"steps": 14}, "balanced": {"steps": 56}}
CITES = ("Petsiuk, Das, Saenko 2018, RISE: Randomized input sampling for explanation of black-box models",)


@SCORES.register(
    "insertion",
    title="Insertion",
    summary="Puts the pixels into a blurred picture, the most relevant ones first, and watches the probability. A map "
    "that finds what the class needs has it back after few pixels: the area under the curve is large.",
    family="faithfulness",
    cites=CITES,
    presets=PRESETS,
    values={
        "auc": Value(
            "Insertion", "higher", 0, 1, help="Area under the probability, over the fraction inserted.", headline=True
        )
    },
)
class Insertion(Removal):
    """Area under the target's probability while the picture replaces `start`; spec E-13."""

    start: Fill = parameter("blur", "What is there at first; black and grey show edges wherever pixels are inserted.")

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        return self.area(run, saliency, substrate(run, self.start), run.x)


@SCORES.register(
    "deletion",
    title="Deletion",
    summary="Takes the most relevant pixels away first and watches the probability. A map that finds what the class "
    "needs loses it after few pixels: the area under the curve is small.",
    family="faithfulness",
    version=2,
    cites=(*CITES, "Fong, Vedaldi 2017, Interpretable explanations of black boxes by meaningful perturbation"),
    presets=PRESETS,
    values={
        "auc": Value(
            "Deletion", "lower", 0, 1, help="Area under the probability, over the fraction deleted.", headline=True
        )
    },
)
class Deletion(Removal):
    """Area under the target's probability while `fill` replaces the picture; spec E-13.

    Scattered pixels of one colour are an attack of their own: with RISE's fill, the mean colour, independent random
    maps take the class away sooner than Grad-CAM on 6 of 16 pictures. A wide blur is closer to a picture.
    """

    fill: Fill = parameter(
        "wide_blur", "What shows where pixels are deleted; mean is the model's mean colour, which RISE takes."
    )

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        return self.area(run, saliency, run.x, substrate(run, self.fill))
