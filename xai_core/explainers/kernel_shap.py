"""KernelSHAP on superpixels: Shapley values by a weighted regression over coalitions of visible superpixels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ..registry import METHODS, parameter
from ..seeds import generator
from ..types import Attribution, Bools, Cost, Run
from .base import Explainer
from .sampling import is_precise, precision_parameter
from .superpixels import Fill, Segmentation, hiding, segments

Doubles = npt.NDArray[np.float64]
CHECKED_EVERY = 32
"""Samples between two looks at the precision."""


def size_probabilities(features: int) -> Doubles:
    """The Shapley kernel's probability of every size 1 to features - 1 of a coalition, (features - 1,)."""
    sizes = np.arange(1, features)
    weights = (features - 1) / (sizes * (features - sizes))
    return np.asarray(weights / weights.sum())


def coalitions(count: int, features: int, balanced: bool, random: np.random.Generator) -> tuple[Bools, Doubles]:
    """Which superpixels are visible, bool (count, features), and the weight of every row in the regression, (count,).

    Plain rows are drawn with the Shapley kernel's probability and count alike. `balanced` ones come in pairs of
    opposites and have every size equally often (leverage scores: Musco and Witter 2024), the sizes of the pairs spread
    evenly in an order that may stop anywhere; they are weighted by the kernel over the probability of being drawn.
    """
    rows = (count + 1) // 2 if balanced else count
    if balanced:
        sizes = 1 + (((np.arange(rows) * GOLDEN + random.random()) % 1.0) * (features - 1)).astype(int)
    else:
        cumulative = size_probabilities(features).cumsum()
        sizes = 1 + np.minimum(np.searchsorted(cumulative, random.random(rows), side="right"), features - 2)
    keep = random.random((rows, features)).argsort(axis=1).argsort(axis=1) < sizes[:, None]
    if not balanced:
        return keep, np.ones(rows)
    keep = np.stack([keep, ~keep], axis=1).reshape(-1, features)[:count]
    return keep, size_probabilities(features)[keep.sum(axis=1) - 1] * (features - 1)


GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it modulo 1 are spread well after any number of them."""


def shapley_regression(
    keep: Bools, y: Doubles, empty: float, full: float, weights: Doubles | None = None, group: int = 1
) -> tuple[Doubles, Doubles]:
    """Shapley values (S,) from coalitions bool (N, S) with values y (N,), and their standard errors (S,).

    Weighted least squares of y - empty on the coalitions under the constraint that the values add up to full - empty.
    Without `weights` every row counts alike. Errors allow for any dependence within `group` rows that follow each
    other.
    """
    features = keep.shape[1]
    total = full - empty
    if features == 1:
        return np.array([total]), np.zeros(1)
    weights = np.ones(len(y)) if weights is None else weights
    last = keep[:, -1].astype(np.float64)
    x = keep[:, :-1] - last[:, None]  # the last value is what the others leave
    wanted = y - empty - total * last
    normal = x.T @ (weights[:, None] * x) + 1e-9 * len(y) * np.eye(features - 1)
    values = np.linalg.solve(normal, x.T @ (weights * wanted))
    pull = np.add.reduceat(x * (weights * (wanted - x @ values))[:, None], np.arange(0, len(y), group))
    spread = np.linalg.solve(normal, pull.T)
    errors = np.append(np.sqrt((spread**2).sum(axis=1)), np.sqrt((spread.sum(axis=0) ** 2).sum()))
    return np.append(values, total - values.sum()), errors


@METHODS.register(
    "kernel_shap",
    title="KernelSHAP",
    summary="Shares out the difference between the picture's logit and that of a hidden picture among superpixels, by "
    "hiding random groups of them. Red superpixels speak for the class, blue ones against it.",
    family="shap",
    cites=(
        "Lundberg and Lee 2017, A unified approach to interpreting model predictions",
        "Musco and Witter 2024, Provably accurate Shapley value estimation via leverage score sampling",
    ),
    presets={"quick": {"samples": 128, "segments": 20}, "balanced": {"samples": 512, "segments": 30}},
    version=2,
)
class KernelShap(Explainer):
    """Shapley values of superpixels by the kernel's weighted regression, constrained to add up; spec M-10."""

    samples: int = parameter(2048, "Pictures with hidden superpixels.", unit="samples", ge=2, le=10000, step=1)
    segmentation: Segmentation = parameter("slic", "How the picture is cut into superpixels.")
    segments: int = parameter(50, "Superpixels that slic aims at.", unit="superpixels", ge=2, le=400, step=1)
    fill: Fill = parameter("segment_mean", "What shows where a superpixel is hidden.")
    sampling: Literal["balanced", "plain"] = parameter(
        "balanced", "Coalitions in pairs of opposites with every size equally often, or as the kernel draws them."
    )
    precision: float = precision_parameter()

    def cost(self) -> Cost:
        return Cost(2 + self.samples, 0)

    def explain(self, run: Run) -> Attribution:
        labels = segments(run.frame, self.segmentation, self.segments)
        features = int(labels.max()) + 1
        balanced = self.sampling == "balanced"
        drawn, weights = np.ones((self.samples, features), dtype=bool), np.ones(self.samples)
        if features > 1:
            drawn, weights = coalitions(self.samples, features, balanced, generator(run.seed, "kernel shap"))
        keep = np.concatenate([np.zeros((1, features), dtype=bool), np.ones((1, features), dtype=bool), drawn])
        y = np.empty(len(keep))
        done = 0

        def fitted() -> tuple[Doubles, Doubles]:
            known = weights[: done - 2]
            values, errors = shapley_regression(keep[2:done], y[2:done], y[0], y[1], known, group=1 + balanced)
            return values[labels], errors[labels]

        for rows, logits in run.logits(len(keep), hiding(run, labels, self.fill, keep)):
            y[rows] = logits[:, run.target].double().cpu().numpy()
            done = rows.stop
            if done > 2:
                run.partial(lambda: fitted()[0], True)
            if self.precision and done > CHECKED_EVERY and is_precise(*fitted(), self.precision):
                break
        values, errors = fitted()
        return Attribution(values, signed=True, errors=errors)
