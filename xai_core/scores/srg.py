"""LIF, MIF and SRG of S3: removing the least, and the most influential pixels first, from nothing to everything."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..registry import SCORES, Value, parameter
from ..types import Bools, Cost, Curve, Floats, Measured, Run
from .base import ScoreMethod
from .ranking import count_of, first, most_relevant_first


@SCORES.register(
    "srg",
    title="SRG",
    summary="Symmetric relevance gain: removes the least influential pixels first, then the most influential ones "
    "first, and takes the difference of the mean probabilities. It is about 0 for a random map and higher for a map "
    "that orders the pixels well.",
    family="faithfulness",
    cites=(
        "Blücher, Vielhaben, Strodthoff 2024, Decoupling pixel flipping and occlusion strategy",
        "Pihlgren and Främling 2025 (S3)",
    ),
    presets={"quick": {"steps": 6}},
    values={
        "srg": Value("SRG", "higher", -1, 1, help="LIF − MIF; about 0 for a random map.", headline=True),
        "lif": Value("LIF", "higher", 0, 1, help="Mean probability, least influential pixels removed first."),
        "mif": Value("MIF", "lower", 0, 1, help="Mean probability, most influential pixels removed first."),
    },
)
class Srg(ScoreMethod):
    """LIF and MIF are means of the probability over fractions removed from 0 to 1, both ends included; spec E-12."""

    steps: int = parameter(10, "Fractions from 0 to 100 %.", unit="fractions", ge=2, le=100, step=1)
    fill: Literal["grey", "black", "mean"] = parameter(
        "grey", "What shows where pixels are removed; mean is this picture's own colour."
    )

    def cost(self) -> Cost:
        return Cost(2 + 2 * (self.steps - 2), 0)

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        order = most_relevant_first(saliency, run.seed)
        shape = saliency.shape[0], saliency.shape[1]
        fractions = np.linspace(0, 1, self.steps)
        inner = [count_of(float(fraction), order.size) for fraction in fractions[1:-1]]
        removed = [first(way, count, shape) for way in (order[::-1], order) for count in inner]
        ends = [np.zeros(shape, dtype=bool), np.ones(shape, dtype=bool)]
        hidden = run.tensor(np.stack([*ends, *removed]))[:, None]
        fill = self._fill(run)
        y = np.empty(len(hidden))
        for rows, values in run.probabilities(len(hidden), lambda start, stop: fill.where(hidden[start:stop], run.x)):
            y[rows] = values.double().cpu().numpy()
        least, most = y[2:].reshape(2, -1)
        x = fractions.astype(np.float32)
        curves = {name: np.array([y[0], *inside, y[1]]) for name, inside in (("lif", least), ("mif", most))}
        lif, mif = (float(curve.mean()) for curve in curves.values())
        return Measured(
            {"srg": lif - mif, "lif": lif, "mif": mif},
            curves={name: Curve(x, curve.astype(np.float32)) for name, curve in curves.items()},
        )

    def _fill(self, run: Run) -> Any:
        values = run.frame / np.float32(255)
        level = {"grey": 0.5, "black": 0.0}.get(self.fill)
        colour = values.mean(axis=(0, 1), dtype=np.float64) if level is None else np.full(3, level)
        return run.normalise(colour.astype(np.float32)[None, None])[None]
