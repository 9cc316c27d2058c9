"""Where the samples that gradients are taken at lie in the eyes of a network, beside the pictures themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..explainers.gradient import FeatureSuppression, SmoothGrad
from ..explainers.integrated import IntegratedGradients
from ..registry import TRIALS, Value, parameter
from ..seeds import derive
from ..types import Cost, Make, Measured, Run
from .base import Lab, TrialMethod, depending_on

SAMPLED = ("noise", "path", "dropping")
"""SmoothGrad's noise, the way of integrated gradients, and the dropped pixels of feature suppression."""

Rows = npt.NDArray[np.float64]


@TRIALS.register(
    "embedding",
    title="Samples in the embedding",
    summary="Looks at the features before the logits of noisy pictures, of pictures on the way from a grey one, and of "
    "pictures with dropped pixels. The closer they are to the picture's own, the less the network is asked about "
    "something that it never saw.",
    family="sampling",
    cites=("Luo, McDermott, O'Riordan, Sampling matters in explanations (S4)",),
    values={"explained": Value("Part of the kernel's variance in the plane", "higher", 0, 1)},
)
class Embedding(TrialMethod):
    """Features of `pictures` frames and of samples of each, in a plane by principal components of the cosine kernel.

    The data are `frames`, uint8 (P, H, W, 3). The details are, for "plain" and every one of `SAMPLED`, the place
    `NAME`, float32 (P, n, 2); for the sampled ones `NAME distance` (P,), the cosine distance of the mean of a picture's
    samples from the picture; `NAME home` (P,), the part of them to which no other picture is closer, not-a-number for
    a single picture; and `others` (P,), the mean cosine distance of a picture from the others.
    """

    pictures: int = parameter(10, "Pictures.", unit="pictures", ge=1, le=50, step=1)
    samples: int = parameter(20, "Samples of every picture and kind.", unit="samples", ge=2, le=100, step=1)
    noise_level: float = parameter(0.15, "SmoothGrad's noise.", unit="of the picture's range", ge=0, le=1, step=0.01)
    drop: float = parameter(0.7, "Probability that a pixel is dropped.", ge=0, le=1, step=0.05)

    @property
    def methods(self) -> dict[str, SmoothGrad | IntegratedGradients | FeatureSuppression]:
        """The methods that take the samples, in the order of `SAMPLED`."""
        return {
            "smoothgrad": SmoothGrad(samples=self.samples, noise_level=self.noise_level),
            "integrated_gradients": IntegratedGradients(steps=self.samples),
            "feature_suppression": FeatureSuppression(samples=self.samples, drop=self.drop),
        }

    def dependencies(self) -> dict[str, Any]:
        return depending_on(self.methods)

    def cost(self) -> Cost:
        return Cost(self.pictures * (1 + len(SAMPLED) * self.samples), 0)

    def run(self, lab: Lab) -> Measured:
        frames = lab.data["frames"]
        model = lab.model()
        plain, sampled = [], []
        for place, frame in enumerate(frames):
            run = lab.run(model, frame, seed=derive(lab.seed, "embedding", place))
            plain.append(_features(run, 1, _itself(run)))
            sampled.append([_features(run, self.samples, one.inputs(run)) for one in self.methods.values()])
        clean = np.concatenate(plain)
        kinds = dict(zip(SAMPLED, np.stack(sampled, axis=1), strict=True))  # each (P, n, D)
        places, explained = in_a_plane(
            np.concatenate([clean, *(one.reshape(-1, clean.shape[1]) for one in kinds.values())])
        )
        details = {"plain": places[: len(clean), None], "others": from_the_others(clean)}
        start = len(clean)
        for name, features in kinds.items():
            stop = start + len(clean) * self.samples
            details[name] = places[start:stop].reshape(len(clean), self.samples, 2)
            details[f"{name} distance"] = from_the_picture(features, clean)
            details[f"{name} home"] = at_home(features, clean)
            start = stop
        return Measured(
            {"explained": explained}, details={name: values.astype(np.float32) for name, values in details.items()}
        )


def _itself(run: Run) -> Make:
    return lambda start, stop: run.x


def _features(run: Run, count: int, make: Make) -> Rows:
    return np.concatenate([rows.double().cpu().numpy() for _, rows in run.features(count, make)])


def directions(features: Rows) -> Rows:
    """Features (..., D) as unit vectors; those that are zero stay."""
    norms = np.linalg.norm(features, axis=-1, keepdims=True)
    return np.asarray(features / np.where(norms > 0, norms, 1))


def from_the_picture(features: Rows, clean: Rows) -> Rows:
    """The cosine distance (P,) of the mean of samples (P, n, D) from the picture's own features (P, D)."""
    return np.asarray(1 - (directions(features.mean(axis=1)) * directions(clean)).sum(axis=1))


def at_home(features: Rows, clean: Rows) -> Rows:
    """The part (P,) of samples (P, n, D) to which no picture (P, D) is closer than their own, by the cosine."""
    if len(clean) < 2:
        return np.full(1, np.nan)
    likeness = directions(features) @ directions(clean).T
    own = likeness[np.arange(len(clean)), :, np.arange(len(clean))]
    return np.asarray((own >= likeness.max(axis=2)).mean(axis=1))


def from_the_others(clean: Rows) -> Rows:
    """The mean cosine distance (P,) of every picture (P, D) from the others; not-a-number for a single one."""
    count = len(clean)
    if count < 2:
        return np.full(1, np.nan)
    likeness = directions(clean) @ directions(clean).T
    return np.asarray(1 - (likeness.sum(axis=1) - likeness.diagonal()) / (count - 1))


def in_a_plane(features: Rows) -> tuple[Rows, float]:
    """The first two principal components (N, 2) of features (N, D) under the cosine kernel, and the part of its
    variance that they hold."""
    from sklearn.decomposition import KernelPCA
    from sklearn.metrics.pairwise import cosine_similarity

    solver: dict[str, Any] = {"eigen_solver": "dense"} if len(features) < 500 else {"random_state": 0}
    pca = KernelPCA(n_components=min(2, len(features)), kernel="cosine", **solver)
    places = np.asarray(pca.fit_transform(features))
    places = np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
    kernel = cosine_similarity(features)
    total = float(kernel.trace() - kernel.sum() / len(kernel))  # of the centred kernel
    return places, float(pca.eigenvalues_.sum()) / total if total > 0 else float("nan")
