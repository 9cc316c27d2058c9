"""Prediction difference analysis: what the class loses when a window is drawn anew from what photos look like."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..images import galleries
from ..registry import METHODS, parameter
from ..seeds import generator
from ..types import Attribution, Cost, Floats, Run
from .base import Explainer

Doubles = npt.NDArray[np.float64]
PADDING = 2
"""Pixels around a window that it is drawn to fit."""
PATCHES = 4000
"""Places in the background pictures from which the distribution of patches is taken."""
LAPLACE = 100_000
"""How many training pictures the estimate of a probability counts as, against one for every class."""


class PatchSampler:
    """Draws windows as photos have them, given the pixels around: a Gaussian over patches, spec M-20.

    `pictures` are float (N, H, W, 3); windows have `side` pixels, patches `PADDING` more on every side.
    """

    def __init__(self, pictures: npt.NDArray[np.floating], side: int, random: np.random.Generator):
        self.side = side
        width = side + 2 * PADDING
        count, height, length = pictures.shape[:3]
        if min(height, length) < width:
            raise ValueError("a patch is larger than the pictures")
        which = random.integers(0, count, PATCHES)
        tops, lefts = random.integers(0, height - width + 1, PATCHES), random.integers(0, length - width + 1, PATCHES)
        patches = np.stack(
            [
                pictures[one, top : top + width, left : left + width]
                for one, top, left in zip(which, tops, lefts, strict=True)
            ]
        ).reshape(PATCHES, -1)
        inside = np.zeros((width, width, 3), dtype=bool)
        inside[PADDING:-PADDING, PADDING:-PADDING] = True
        self._inside = inside.ravel()
        self._mean = patches.mean(axis=0, dtype=np.float64)
        covariance = np.cov(patches.T.astype(np.float64)) + 1e-4 * np.eye(patches.shape[1])
        within, around = self._inside, ~self._inside
        self._pull = np.linalg.solve(covariance[np.ix_(around, around)], covariance[np.ix_(around, within)]).T
        left_over = covariance[np.ix_(within, within)] - self._pull @ covariance[np.ix_(around, within)]
        self._factor = np.linalg.cholesky(left_over + 1e-6 * np.eye(len(left_over)))

    def draw(self, patch: npt.NDArray[np.floating], samples: int, random: np.random.Generator) -> Floats:
        """Windows (samples, side, side, 3) given a patch (side + 2 PADDING, ..., 3) of the picture, within [0, 1]."""
        around = patch.ravel()[~self._inside] - self._mean[~self._inside]
        centre = self._mean[self._inside] + self._pull @ around
        drawn = centre + random.standard_normal((samples, len(centre))) @ self._factor.T
        return np.asarray(drawn.reshape(samples, self.side, self.side, 3).clip(0, 1), dtype=np.float32)


def log_odds(probability: npt.ArrayLike, classes: int) -> Doubles:
    """log2 of the odds of a probability, of which Laplace's correction leaves none at 0 or 1."""
    p = (np.asarray(probability, dtype=np.float64) * LAPLACE + 1) / (LAPLACE + classes)
    return np.asarray(np.log2(p) - np.log2(1 - p))


@METHODS.register(
    "pda",
    title="Prediction difference",
    summary="Draws window after window of the picture anew, from what photos look like around it, and notes how much "
    "the odds of the class change. Red windows hold evidence for the class, blue ones against it.",
    family="perturbation",
    cites=("Zintgraf et al. 2017, Visualizing deep neural network decisions: prediction difference analysis",),
    presets={"quick": {"positions": 12, "size": 0.1, "samples": 2}, "balanced": {"positions": 28, "samples": 4}},
)
class PredictionDifference(Explainer):
    """log2 odds(p(x)) - log2 odds(mean p(x with the window drawn anew)), averaged where windows overlap; spec M-20.

    The paper takes every window of 10 px at 224 px, 10 samples each: 462,250 passes; here windows stand on a grid.
    """

    positions: int = parameter(56, "Places of the window along a side.", ge=1, le=224, step=1)
    size: float = parameter(10 / 224, "Side of the window.", unit="of the side", ge=0.005, le=0.1, step=0.005)
    samples: int = parameter(10, "Draws of every window.", unit="samples", ge=1, le=100, step=1)
    difference: Literal["evidence", "probability"] = parameter(
        "evidence", "Difference of the log odds (weight of evidence), or of the probability."
    )

    def cost(self) -> Cost:
        return Cost(1 + self.positions**2 * self.samples, 0)

    def dependencies(self) -> dict[str, Any]:
        return {"background": [picture.digest for picture in galleries.background("photos")]}

    def explain(self, run: Run) -> Attribution:
        frame = run.frame / np.float32(255)
        height, width = frame.shape[:2]
        side = max(1, round(self.size * min(height, width)))
        places = [(top, left) for top in self._places(height, side) for left in self._places(width, side)]
        digests = tuple(picture.digest for picture in galleries.background("photos"))
        sampler = _sampler(digests, side)
        padded = np.pad(frame, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)), mode="reflect")
        across = side + 2 * PADDING

        def redrawn(start: int, stop: int) -> Any:
            copies = np.repeat(frame[None], stop - start, axis=0)
            for copy, number in zip(copies, range(start - 1, stop - 1), strict=True):
                if number < 0:  # the first one is the picture itself
                    continue
                window, sample = divmod(number, self.samples)
                top, left = places[window]
                patch = padded[top : top + across, left : left + across]
                random = generator(run.seed, "pda", window, sample)
                copy[top : top + side, left : left + side] = sampler.draw(patch, 1, random)[0]
            return run.normalise(copies)

        p = np.full(1 + len(places) * self.samples, np.nan)
        classes = 0

        def so_far() -> tuple[Floats, Floats]:
            """The map and its standard error."""
            drawn = p[1:].reshape(-1, self.samples)
            known = np.flatnonzero(np.isfinite(drawn).all(axis=1))
            after = drawn[known].mean(axis=1)
            errors = drawn[known].std(axis=1, ddof=min(1, self.samples - 1)) / self.samples**0.5
            if self.difference == "evidence":
                lost = log_odds(p[0], classes) - log_odds(after, classes)
                errors = errors / np.maximum(np.log(2) * after * (1 - after), 1 / LAPLACE)
            else:
                lost = p[0] - after
            values, squares, count = (np.zeros((height, width)) for _ in range(3))
            for window, one, error in zip(known, lost, errors, strict=True):
                top, left = places[window]
                where = np.s_[top : top + side, left : left + side]
                values[where] += one
                squares[where] += error**2
                count[where] += 1
            count = np.maximum(count, 1)
            return (values / count).astype(np.float32), (np.sqrt(squares) / count).astype(np.float32)

        for rows, logits in run.logits(len(p), redrawn):
            p[rows] = logits.double().softmax(1)[:, run.target].cpu().numpy()
            classes = logits.shape[1]
            run.partial(lambda: so_far()[0], True)
        values, errors = so_far()
        return Attribution(values, signed=True, errors=errors if self.samples > 1 else None)

    def _places(self, length: int, side: int) -> list[int]:
        return [int(start) for start in np.linspace(0, length - side, self.positions).round()]


@lru_cache(maxsize=8)
def _sampler(digests: tuple[str, ...], side: int) -> PatchSampler:
    """The sampler of the background pictures, at 224 px whatever the network's input is."""
    from ..images.geometry import Preprocess, picture_frame

    shape = Preprocess(resize=224, crop=224, mean=(0, 0, 0), std=(1, 1, 1))
    frames = [picture_frame(picture.pixels, shape) for picture in galleries.background("photos")]
    return PatchSampler(np.stack(frames) / np.float32(255), side, generator(0, "patches"))
