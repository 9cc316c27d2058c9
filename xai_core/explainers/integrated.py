"""Integrated gradients: what happens on the straight way from a baseline to the picture."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..images import galleries
from ..registry import METHODS, parameter
from ..seeds import generator
from ..types import Attribution, Cost, Make, Run
from .base import CheckedExplainer, array
from .gradient import SIGNED, Reduction, norms, reduced, reduction_parameter
from .sampling import well_spread_order

Baseline = Literal["zero", "black", "white", "blur", "noise", "photos"]


def baseline_input(run: Run, baseline: Baseline) -> Any:
    """The input (3, H, W) where the way begins.

    `zero` is the mean colour of ImageNet, `blur` the picture under a Gaussian of 10 px, `noise` uniform on every
    channel, `photos` the mean of the background pictures.
    """
    if baseline == "zero":
        return run.x[0] * 0
    if baseline == "photos":
        return run.pictures("photos").mean(0)
    shape = run.frame.shape
    if baseline == "noise":
        return run.normalise(generator(run.seed, "baseline").random(shape, dtype=np.float32))
    if baseline == "blur":
        from scipy.ndimage import gaussian_filter

        return run.normalise(gaussian_filter(run.frame / np.float32(255), sigma=(10, 10, 0)))
    return run.normalise(np.full(shape, 1.0 if baseline == "white" else 0.0, dtype=np.float32))


def points_on_the_way(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (steps,) in (0, 1) and their weights by Gauss-Legendre's rule.

    Their order is such that any number of them covers the whole way: a partial map is one of all of it.
    """
    points, weights = np.polynomial.legendre.leggauss(steps)
    order = well_spread_order(steps)
    return (points[order] + 1) / 2, weights[order] / 2


@METHODS.register(
    "integrated_gradients",
    title="Integrated gradients",
    version=2,
    summary="Shares out the difference between this picture's logit and a baseline's among the pixels, by adding up "
    "gradients on the straight way between them. Red speaks for the class, blue against it; pixels that look like the "
    "baseline count nothing.",
    family="gradient",
    cites=("Sundararajan, Taly, Yan 2017, Axiomatic attribution for deep networks",),
    presets={"quick": {"steps": 16}, "balanced": {"steps": 32}},
    reference="captum",
)
class IntegratedGradients(CheckedExplainer):
    """(x - x') times the integral of df_c/dx over x' + alpha (x - x'), by Gauss-Legendre's rule; spec M-06.

    The sum of all values is f_c(x) - f_c(x') but for the error of the rule, which the map's completeness tells. The
    details `norms`, float32 (steps,), are the Euclidean norms of the gradients at the points.
    """

    steps: int = parameter(50, "Points on the way.", unit="steps", ge=1, le=1000, step=1)
    baseline: Baseline = parameter("zero", "Where the way begins: zero is the mean colour.")
    reduction: Reduction = reduction_parameter("sum")

    def cost(self) -> Cost:
        return Cost(self.steps, self.steps)

    def dependencies(self) -> dict[str, Any]:
        if self.baseline != "photos":
            return {}
        return {"background": [picture.digest for picture in galleries.background("photos")]}

    def inputs(self, run: Run) -> Make:
        """Makes the points on the way."""
        here, there = run.x[0], baseline_input(run, self.baseline)
        alphas = run.tensor(points_on_the_way(self.steps)[0].astype(np.float32)).view(-1, 1, 1, 1)
        return lambda start, stop: there + alphas[start:stop] * (here - there)

    def explain_ourselves(self, run: Run) -> Attribution:
        here, there = run.x[0], baseline_input(run, self.baseline)
        weights = points_on_the_way(self.steps)[1]
        parts = run.tensor(weights).view(-1, 1, 1, 1)
        total: Any = 0.0
        seen = 0.0
        lengths = np.zeros(self.steps, dtype=np.float32)

        def attribution() -> Any:
            return (here - there) * (total / seen)

        for rows, gradient in run.gradients(self.steps, self.inputs(run)):
            total = total + (parts[rows] * gradient.double()).sum(0)
            seen += float(weights[rows].sum())
            lengths[rows] = array(norms(gradient))
            run.partial(lambda: array(reduced(attribution(), self.reduction)), self.reduction in SIGNED)
        values = attribution()
        return Attribution(
            array(reduced(values, self.reduction)),
            self.reduction in SIGNED,
            completeness=completeness_error(run, float(values.sum()), here, there),
            details={"norms": lengths},
        )

    def explain_by_library(self, run: Run) -> Attribution:
        from captum.attr import IntegratedGradients as Library

        start = baseline_input(run, self.baseline)[None]
        with run.network() as network:
            values = Library(network).attribute(
                run.x.clone(), start, run.target, n_steps=self.steps, internal_batch_size=min(8, self.steps)
            )[0]
        return Attribution(array(reduced(values, self.reduction)), self.reduction in SIGNED)


def completeness_error(run: Run, total: float, here: Any, there: Any) -> float | None:
    """|total - (f_c(here) - f_c(there))| / |f_c(here) - f_c(there)|; None where the logits are the same."""
    import torch

    with run.apart():
        ends = torch.stack([here, there])
        logits = torch.cat([rows[:, run.target] for _, rows in run.logits(2, lambda start, stop: ends[start:stop])])
    difference = float(logits[0] - logits[1])
    return abs(total - difference) / abs(difference) if difference else None
