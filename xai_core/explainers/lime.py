"""LIME: a linear model of what hiding superpixels does."""

from __future__ import annotations

import contextlib
import io
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..registry import METHODS, parameter
from ..seeds import derive, generator
from ..types import Attribution, Bools, Cost, Run
from .base import CheckedExplainer
from .sampling import balanced_masks, independent_masks, is_precise, precision_parameter
from .superpixels import Fill, Segmentation, filled, segments

Doubles = npt.NDArray[np.float64]


def kernel_weights(keep: Bools, width: float) -> Doubles:
    """lime's sample weights, (N,): sqrt(exp(-d^2 / width^2)) of the cosine distance d to the row that keeps all."""
    similarity = np.sqrt(keep.sum(axis=1) / keep.shape[1])
    return np.asarray(np.sqrt(np.exp(-((1 - similarity) ** 2) / width**2)))


def weighted_ridge(keep: Bools, y: Doubles, weights: Doubles, ridge: float, group: int = 1) -> tuple[Doubles, Doubles]:
    """The ridge regression of y (N,) on keep (N, S) with sample weights (N,) and a free intercept.

    Returns the coefficients (S,), as scikit-learn's `Ridge(alpha=ridge)`, and their standard errors (S,) by the
    sandwich formula, which allows for noise that differs between samples, and for any dependence within groups of
    `group` samples that follow each other.
    """
    x = keep.astype(np.float64)
    x = x - (weights @ x) / weights.sum()
    centred = y - (weights @ y) / weights.sum()
    normal = x.T @ (weights[:, None] * x) + ridge * np.eye(x.shape[1])
    coefficients = np.linalg.solve(normal, x.T @ (weights * centred))
    residual = weights * (centred - x @ coefficients)
    pull = np.add.reduceat(x * residual[:, None], np.arange(0, len(y), group))
    spread = np.linalg.solve(normal, pull.T)
    return coefficients, np.sqrt((spread**2).sum(axis=1))


@METHODS.register(
    "lime",
    title="LIME",
    summary="Hides random superpixels and fits a linear model to the probability of the class. A red superpixel "
    "raises the probability while it is visible, a blue one lowers it.",
    family="superpixel",
    cites=("Ribeiro, Singh, Guestrin 2016, Why should I trust you?", "lime 0.2.0.1 for the defaults"),
    presets={
        "quick": {"samples": 128, "segmentation": "slic"},
        "balanced": {"samples": 400, "segmentation": "slic"},
    },
    reference="lime",
)
class Lime(CheckedExplainer):
    """Ridge weights of superpixels, spread over their pixels; spec M-11."""

    samples: int = parameter(1000, "Pictures with hidden superpixels.", unit="samples", ge=2, le=10000, step=1)
    segmentation: Segmentation = parameter("quickshift", "How the picture is cut into superpixels.")
    segments: int = parameter(50, "Superpixels that slic aims at.", unit="superpixels", ge=2, le=400, step=1)
    fill: Fill = parameter("segment_mean", "What shows where a superpixel is hidden.")
    kernel_width: float = parameter(0.25, "Width of the kernel over the cosine distance.", ge=0.01, le=10, step=0.05)
    ridge: float = parameter(1.0, "Penalty of the ridge regression.", ge=0.000001, le=100, step=0.1)
    sampling: Literal["balanced", "plain"] = parameter(
        "balanced", "Opposites and whole Hadamard blocks of superpixels, or each superpixel drawn independently."
    )
    precision: float = precision_parameter()

    def cost(self) -> Cost:
        return Cost(self.samples, 0)

    def explain_ourselves(self, run: Run) -> Attribution:
        labels = segments(run.frame, self.segmentation, self.segments)
        keep = self._masks(int(labels.max()) + 1, generator(run.seed, "lime"))
        weights = kernel_weights(keep, self.kernel_width)
        shown = run.x
        hidden = run.normalise(filled(run.frame, labels, self.fill))[None]
        places, rows_kept = run.tensor(labels), run.tensor(keep)

        def perturbed(start: int, stop: int) -> Any:
            visible = rows_kept[start:stop][:, places][:, None]
            return shown.where(visible, hidden)

        y = np.empty(self.samples)
        done = 0

        def fitted() -> tuple[Doubles, Doubles]:
            coefficients, errors = weighted_ridge(keep[:done], y[:done], weights[:done], self.ridge, self._group)
            return coefficients[labels], errors[labels]

        for rows, probabilities in run.probabilities(self.samples, perturbed):
            y[rows] = probabilities.cpu().numpy()
            done = rows.stop
            run.partial(lambda: fitted()[0], True)
            if self.precision and is_precise(*fitted(), self.precision):
                break
        values, errors = fitted()
        return Attribution(values, signed=True, errors=errors)

    @property
    def _group(self) -> int:
        """Samples that belong together: a mask and its opposite."""
        return 2 if self.sampling == "balanced" else 1

    def _masks(self, features: int, random: np.random.Generator) -> Bools:
        """Which superpixels stay, bool (samples, features); lime's plain sampling keeps all in the first row."""
        if self.sampling == "balanced":
            return balanced_masks(self.samples, features, random)
        keep = independent_masks(self.samples, features, random)
        keep[0] = True
        return keep

    def explain_by_library(self, run: Run) -> Attribution:
        import torch
        from lime.lime_image import LimeImageExplainer
        from sklearn.linear_model import Ridge
        from sklearn.metrics import pairwise_distances

        labels = segments(run.frame, self.segmentation, self.segments)
        fill = filled(run.frame, labels, self.fill)
        library = LimeImageExplainer(self.kernel_width, random_state=derive(run.seed, "lime library") % 2**32)
        with run.network() as network, torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):

            def classify(pictures: npt.NDArray[Any]) -> npt.NDArray[Any]:
                x = run.normalise(pictures.astype(np.float32))
                return np.asarray(network(x).softmax(1).double().cpu().numpy())

            picture = run.frame.astype(np.float32) / 255
            keep, outcome = library.data_labels(picture, fill, labels, classify, self.samples, batch_size=32)
        _, chosen, _, _ = library.base.explain_instance_with_data(
            keep,
            outcome,
            pairwise_distances(keep, keep[:1], metric="cosine").ravel(),
            run.target,
            num_features=100000,
            model_regressor=Ridge(alpha=self.ridge),
        )
        coefficients = np.zeros(int(labels.max()) + 1)
        for feature, weight in chosen:
            coefficients[feature] = weight
        return Attribution(coefficients[labels], signed=True)
