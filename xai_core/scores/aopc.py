"""AOPC: the area over the perturbation curve of regions that are replaced by random colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import SCORES, Value, parameter
from ..seeds import generator
from ..types import Bools, Cost, Curve, Floats, Measured, Run
from .base import ScoreMethod
from .ranking import Order, count_of, most_relevant_first, places


def grid(shape: tuple[int, int], cells: int) -> Order:
    """The number of the cell of every pixel, int64 (H, W), row by row on a grid of `cells` x `cells`."""
    rows, columns = (np.arange(length) * cells // length for length in shape)
    return np.asarray(rows[:, None] * cells + columns, dtype=np.int64)


def cell_means(saliency: Floats, cells: Order) -> np.ndarray:
    """The mean of a map in every cell, float64 (cells,)."""
    return np.bincount(cells.ravel(), weights=saliency.ravel()) / np.bincount(cells.ravel())


@SCORES.register(
    "aopc",
    title="AOPC",
    summary="Replaces the most relevant squares of a grid by random colours, one after the other, and takes the mean "
    "loss of probability. The more a map gains over a random one, the better it knows where the class is.",
    family="faithfulness",
    cites=("Samek et al. 2017, Evaluating the visualization of what a deep neural network has learned",),
    presets={"quick": {"steps": 10, "repeats": 1}, "balanced": {"steps": 25, "repeats": 2}},
    values={"aopc": Value("AOPC", "higher", -1, 1, help="Mean loss of the probability over all steps.", headline=True)},
)
class Aopc(ScoreMethod):
    """1/(L+1) times the sum of p(x) - p(x_k) for k = 0 to L, most relevant regions first; spec E-14.

    With fewer `steps` than `regions` the curve is looked at in so many places. All steps of one repeat see the same
    random colours, uniform on every channel.
    """

    regions: int = parameter(100, "Squares that are replaced in all.", unit="squares", ge=1, le=100, step=1)
    cells: int = parameter(
        25, "Squares along a side; 25 are 9 px wide at 224 px.", unit="squares", ge=10, le=32, step=1
    )
    steps: int = parameter(100, "Places of the curve that are looked at.", unit="steps", ge=1, le=100, step=1)
    repeats: int = parameter(5, "Draws of random colours.", unit="draws", ge=1, le=50, step=1)

    def cost(self) -> Cost:
        return Cost(1 + self.steps * self.repeats, 0)

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        shape = (saliency.shape[0], saliency.shape[1])
        side = min(self.cells, *shape)
        cells = grid(shape, side)
        means = cell_means(saliency, cells)
        order = places(most_relevant_first(means, run.seed), (side, side)).ravel()[cells]
        counts = np.array([count_of(step / self.steps, self.regions) for step in range(1, self.steps + 1)])
        place, reached = run.tensor(order), run.tensor(np.concatenate([[0], np.tile(counts, self.repeats)]))

        def make(start: int, stop: int) -> Any:
            draws = [max(index - 1, 0) // self.steps for index in range(start, stop)]
            colours = {draw: self._colours(run, draw) for draw in set(draws)}
            noise = run.normalise(np.stack([colours[draw] for draw in draws]))
            return noise.where(place < reached[start:stop].view(-1, 1, 1, 1), run.x)

        found = np.empty(1 + self.steps * self.repeats)
        for rows, values in run.probabilities(len(found), make):
            found[rows] = values.double().cpu().numpy()
        curve = np.concatenate([found[:1], found[1:].reshape(self.repeats, self.steps).mean(0)])
        x = np.linspace(0, min(self.regions / side**2, 1), self.steps + 1, dtype=np.float32)
        return Measured(
            {"aopc": float(curve[0] - curve.mean())}, curves={"probability": Curve(x, curve.astype(np.float32))}
        )

    def _colours(self, run: Run, draw: int) -> Floats:
        return generator(run.seed, "aopc", draw).random(run.frame.shape, dtype=np.float32)
