"""Confidence when the background, or the subject, is hidden."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ..registry import SCORES, Value, parameter
from ..types import Bools, Cost, Floats, Measured, Run
from .base import ScoreMethod
from .ranking import top_fraction

SMALLEST = 1e-6
"""Below this probability a relative drop is undefined."""


def confidence_change(before: float, after: float) -> tuple[float, float]:
    """Increase (100 if the probability rose, else 0) and relative drop (in percent, 0 if it rose) of one picture.

    Both are not-a-number when the probability was below 1e-6 (Grad-CAM++'s measures; spec E-01).
    """
    if before < SMALLEST:
        return math.nan, math.nan
    return (100.0 if after > before else 0.0), 100.0 * (max(0.0, before - after) / before)


@SCORES.register(
    "occlusion",
    title="Occlusion",
    summary="Hides the background of the map's top pixels, then the top pixels themselves, and watches the "
    "probability. A faithful map keeps the class while its background is hidden and loses it with its subject.",
    family="faithfulness",
    cites=("Devarakonda and Kim (S1)", "Chattopadhay et al. 2018, Grad-CAM++"),
    values={
        "background_drop": Value(
            "Drop, background hidden", "lower", 0, 100, "%", "Part of the probability that is lost.", headline=True
        ),
        "subject_drop": Value(
            "Drop, subject hidden", "higher", 0, 100, "%", "Part of the probability that is lost.", headline=True
        ),
        "background_increase": Value(
            "Increase, background hidden", "higher", 0, 100, "%", "100 when the probability rose; a mean over pictures."
        ),
        "subject_increase": Value(
            "Increase, subject hidden", "lower", 0, 100, "%", "100 when the probability rose; a mean over pictures."
        ),
    },
)
class Occlusion(ScoreMethod):
    """Increase and relative drop of the target's probability with background or subject filled; spec E-01."""

    fraction: float = parameter(0.2, "Part of the pixels that counts as subject.", ge=0.01, le=0.99, step=0.01)
    fill: Literal["mean", "black", "picture_mean", "blur"] = parameter(
        "mean",
        "What hidden pixels show: the model's mean colour, black, this picture's mean colour, or a blur.",
    )

    def cost(self) -> Cost:
        return Cost(3, 0)

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        subject = top_fraction(saliency, self.fraction, run.seed)
        visible = run.tensor(np.stack([np.ones_like(subject), subject, ~subject]))[:, None]
        fill = self._filled(run)
        before, without_background, without_subject = probabilities_of(run, visible, fill)
        background, subject_hidden = (
            confidence_change(before, without_background),
            confidence_change(before, without_subject),
        )
        values = {
            "background_increase": background[0],
            "background_drop": background[1],
            "subject_increase": subject_hidden[0],
            "subject_drop": subject_hidden[1],
        }
        reason = f"the class has a probability below {SMALLEST:g}"
        return Measured(values, {part: reason for part, value in values.items() if math.isnan(value)})

    def _filled(self, run: Run) -> Any:
        if self.fill == "mean":
            return run.x * 0
        values = run.frame.astype(np.float32) / 255
        if self.fill == "blur":
            from scipy.ndimage import gaussian_filter

            return run.normalise(np.asarray(gaussian_filter(values, sigma=(10, 10, 0)), dtype=np.float32))[None]
        colour = 0.0 if self.fill == "black" else values.mean(axis=(0, 1), dtype=np.float64)
        return run.normalise(np.broadcast_to(np.asarray(colour, dtype=np.float32), values.shape).copy())[None]


def probabilities_of(run: Run, visible: Any, fill: Any) -> list[float]:
    """Probabilities of the target with `fill` shown wherever a bool (N, 1, H, W) mask is not visible."""
    x = run.x
    result: list[float] = []
    for _, values in run.probabilities(len(visible), lambda start, stop: x.where(visible[start:stop], fill)):
        result += [float(value) for value in values.double().cpu()]
    return result
