"""LIME: a linear model of what hiding superpixels does."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..registry import METHODS, Published, parameter
from ..seeds import derive, generator
from ..types import Attribution, Bools, Cost, Run
from .base import CheckedExplainer
from .sampling import balanced_masks, independent_masks, is_precise, precision_parameter
from .superpixels import Fill, Segmentation, filled, hiding, segments

Doubles = npt.NDArray[np.float64]

CHECKED_EVERY = 32
"""Samples between two looks at the precision."""


def kernel_weights(keep: Bools, width: float) -> Doubles:
    """lime's sample weights, (N,): sqrt(exp(-d^2 / width^2)) of the cosine distance d to the row that keeps all."""
    similarity = np.sqrt(keep.sum(axis=1) / keep.shape[1])
    return np.asarray(np.sqrt(np.exp(-((1 - similarity) ** 2) / width**2)))


def weighted_ridge(keep: Bools, y: Doubles, weights: Doubles, ridge: float, group: int = 1) -> tuple[Doubles, Doubles]:
    """The ridge regression of y (N,) on keep (N, S) with sample weights (N,) and a free intercept.

    Returns the coefficients (S,), as scikit-learn's `Ridge(alpha=ridge)`, or of least squares without a ridge (the
    shortest where several fit alike). Their standard errors (S,) by the sandwich formula come with them, which allows
    for noise that differs between samples, and for any dependence within groups of `group` samples that follow each
    other.
    """
    x = keep.astype(np.float64)
    x = x - (weights @ x) / weights.sum()
    centred = y - (weights @ y) / weights.sum()
    normal = x.T @ (weights[:, None] * x) + ridge * np.eye(x.shape[1])

    def solved(right: Doubles) -> Doubles:
        if ridge == 0:
            return np.asarray(np.linalg.pinv(normal, hermitian=True) @ right)
        return np.asarray(np.linalg.solve(normal, right))

    coefficients = solved(x.T @ (weights * centred))
    residual = weights * (centred - x @ coefficients)
    pull = np.add.reduceat(x * residual[:, None], np.arange(0, len(y), group))
    spread = solved(pull.T)
    return coefficients, np.sqrt((spread**2).sum(axis=1))


def logistic_surrogate(keep: Bools, y: Doubles, weights: Doubles, ridge: float = 0.1) -> Callable[[Bools], Doubles]:
    """A logistic model of probabilities y (N,) that is additive in keep (N, S); returns its predictions by masks.

    Newton's method with a ridge on all but the intercept; it need not be a good model (see `assisted_ridge`).
    """
    x = _with_intercept(keep)
    mean = np.clip(np.average(y, weights=weights), SMALLEST, 1 - SMALLEST)
    beta = np.append(np.log(mean / (1 - mean)), np.zeros(keep.shape[1]))
    penalty = ridge * np.diag(np.append(0.0, np.ones(keep.shape[1])))
    for _ in range(NEWTON_STEPS):
        fitted = _expit(x @ beta)
        slope = weights * np.maximum(fitted * (1 - fitted), SMALLEST)
        change = np.linalg.solve((x.T * slope) @ x + penalty, x.T @ (weights * (y - fitted)) - penalty @ beta)
        beta += change * min(1.0, LARGEST_STEP / max(np.abs(change).max(), SMALLEST))
        if np.abs(change).max() < 1e-6:
            break
    return lambda masks: _expit(_with_intercept(masks) @ beta)


SMALLEST = 1e-6
NEWTON_STEPS, LARGEST_STEP = 30, 3.0


def _with_intercept(keep: Bools) -> Doubles:
    return np.column_stack([np.ones(len(keep)), keep - 0.5])


def _expit(values: Doubles) -> Doubles:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -50, 50))))


class AssistedRidge:
    """`weighted_ridge` with a surrogate as control variate: fewer passes for the same weights.

    A model of the probability can be asked for any number of masks without a pass. Its own weights from many masks,
    plus those of what it leaves unexplained on the real samples, are the weights sought whatever the model is; the
    better it is, the less noise is left.
    """

    def __init__(self, features: int, width: float, random: np.random.Generator):
        self._masks = balanced_masks(IMAGINED, features, random)
        self._weights = kernel_weights(self._masks, width)

    def __call__(self, keep: Bools, y: Doubles, weights: Doubles, ridge: float) -> tuple[Doubles, Doubles]:
        """As `weighted_ridge` with pairs as groups."""
        predict = logistic_surrogate(keep, y, weights)
        scaled = ridge * IMAGINED / len(y)  # so that both parts are shrunk alike
        imagined, _ = weighted_ridge(self._masks, predict(self._masks), self._weights, scaled)
        rest, errors = weighted_ridge(keep, y - predict(keep), weights, ridge, group=2)
        return imagined + rest, errors


IMAGINED = 4096
"""Masks that the surrogate is asked for."""


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
    studies={
        "s0": Published("Fleury et al. 2024 (S0): lime's defaults, 50 samples", {"samples": 50, "sampling": "plain"}),
        "s3": Published(
            "Pihlgren and Främling 2025 (S3): least squares without a kernel",
            {
                "samples": 400,
                "segmentation": "slic",
                "segments": 49,
                "fill": "grey",
                "kernel": "none",
                "ridge": 0.0,
                "sampling": "plain",
            },
        ),
    },
    reference="lime",
)
class Lime(CheckedExplainer):
    """Ridge weights of superpixels, spread over their pixels; spec M-11."""

    samples: int = parameter(1000, "Pictures with hidden superpixels.", unit="samples", ge=2, le=10000, step=1)
    segmentation: Segmentation = parameter("quickshift", "How the picture is cut into superpixels.")
    segments: int = parameter(50, "Superpixels that slic aims at.", unit="superpixels", ge=2, le=400, step=1)
    fill: Fill = parameter("segment_mean", "What shows where a superpixel is hidden.")
    kernel: Literal["cosine", "none"] = parameter(
        "cosine", "Pictures with more to see count more, by their cosine distance; or all count alike."
    )
    kernel_width: float = parameter(0.25, "Width of the kernel over the cosine distance.", ge=0.01, le=10, step=0.05)
    ridge: float = parameter(1.0, "Penalty of the ridge regression; 0 is least squares.", ge=0, le=100, step=0.1)
    sampling: Literal["balanced", "plain"] = parameter(
        "balanced", "Balanced masks and a fit that a surrogate assists, or independent masks and lime's own fit."
    )
    precision: float = precision_parameter()

    def cost(self) -> Cost:
        return Cost(self.samples, 0)

    def explain_ourselves(self, run: Run) -> Attribution:
        labels = segments(run.frame, self.segmentation, self.segments)
        keep = self._masks(int(labels.max()) + 1, generator(run.seed, "lime"))
        weights = kernel_weights(keep, self._width)
        fit: Callable[..., tuple[Doubles, Doubles]] = weighted_ridge
        if self.sampling == "balanced":
            fit = AssistedRidge(keep.shape[1], self._width, generator(run.seed, "lime surrogate"))
        y = np.empty(self.samples)
        done = 0

        def fitted() -> tuple[Doubles, Doubles]:
            coefficients, errors = fit(keep[:done], y[:done], weights[:done], self.ridge)
            return coefficients[labels], errors[labels]

        for rows, probabilities in run.probabilities(self.samples, hiding(run, labels, self.fill, keep)):
            y[rows] = probabilities.cpu().numpy()
            done = rows.stop
            run.partial(lambda: fitted()[0], True)
            if self.precision and done % CHECKED_EVERY == 0 and is_precise(*fitted(), self.precision):
                break
        values, errors = fitted()
        return Attribution(values, signed=True, errors=errors)

    @property
    def _width(self) -> float:
        """The kernel's width; an endless one weighs all pictures alike."""
        return self.kernel_width if self.kernel == "cosine" else float("inf")

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
        library = LimeImageExplainer(self._width, random_state=derive(run.seed, "lime library") % 2**32)
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
