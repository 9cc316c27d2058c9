"""From a picture to its perturbed copies: smoothing, sampling and filling. Everything here is numpy.

The page makes the very same pictures from the same parameters and seed to show them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ...images import galleries
from ...seeds import generator
from ...types import Bools, Floats, Pixels
from ..superpixels import Fill, cells_along, filled

Smoothing = Literal["none", "bilinear", "gaussian"]
Sampling = Literal["random", "entropic", "only_one", "all_but_one", "uniform", "normal", "beta"]
PipelineFill = Literal[
    "imagenet_mean",
    "black",
    "grey",
    "light_grey",
    "mean",
    "segment_mean",
    "blur",
    "histogram_colour",
    "random_colour",
    "inpainting",
    "another_picture",
]
CHANCE: tuple[Sampling, ...] = ("random", "uniform", "normal", "beta")
"""The samplings that draw independent samples; the others are a plan without chance."""

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
BINS = 8
"""Of the picture's colour histogram, along each channel."""


# -- smoothing ---------------------------------------------------------------------------------------------------------


def soft_masks(labels: np.ndarray, smoothing: Smoothing, count: int, sigma: float) -> Floats:
    """How much every segment owns of every pixel, float32 (S, H, W); at every pixel they add up to 1.

    `bilinear` is the mean over a square as wide as a cell of the square grid of `count` cells, which on that grid is
    the bilinear interpolation of its cells; `gaussian` has `sigma` pixels of a picture of 224.
    """
    masks = (labels == np.arange(labels.max() + 1)[:, None, None]).astype(np.float32)
    if smoothing == "bilinear":
        from scipy.ndimage import correlate1d

        for axis in (1, 2):
            box = _box(masks.shape[axis] / cells_along(count))
            masks = np.asarray(correlate1d(masks, box, axis=axis, mode="nearest"))
    elif smoothing == "gaussian":
        from scipy.ndimage import gaussian_filter

        width = sigma * labels.shape[0] / 224
        masks = np.asarray(gaussian_filter(masks, sigma=(0, width, width)))
    return np.asarray(masks / masks.sum(axis=0))


def _box(width: float) -> npt.NDArray[np.float64]:
    """Weights of the pixels in a window of `width` pixels around the middle of one; those at its ends count in part."""
    reach = int(np.ceil(max(width - 1, 0) / 2))
    distance = np.abs(np.arange(-reach, reach + 1))
    weights = np.clip(width / 2 - distance + 0.5, 0, 1)
    return np.asarray(weights / weights.sum())


# -- sampling ----------------------------------------------------------------------------------------------------------


def sampled(sampling: Sampling, count: int, features: int, keep: float, spread: float, seed: int) -> Bools:
    """Which segments stay, bool (N, features); N is `count` but for the plans that the segments decide.

    `random` keeps each with probability `keep`. `uniform`, `normal` and `beta` draw that probability anew for every
    sample: from 0 to 1, or around `keep` with standard deviation `spread`. `only_one` keeps all, then hides one after
    the other; `all_but_one` is its opposite. `entropic` hides 0, all, 1, all but 1, 2, ... segments, in their order.
    More samples of a drawn kind begin with the same ones.
    """
    if sampling == "only_one":
        return np.concatenate([np.ones((1, features), dtype=bool), ~np.eye(features, dtype=bool)])
    if sampling == "all_but_one":
        return np.concatenate([np.zeros((1, features), dtype=bool), np.eye(features, dtype=bool)])
    if sampling == "entropic":
        rows = np.ones((min(count, 2 ** min(features, 62)), features), dtype=bool)
        for row, hidden in zip(rows, _outside_in(features), strict=False):
            row[list(hidden)] = False
        return rows
    chances = np.full(count, keep)
    random = generator(seed, "pipeline chances")
    if sampling == "uniform":
        chances = random.random(count)
    elif sampling == "normal":
        chances = np.clip(keep + spread * random.standard_normal(count), 0, 1)
    elif sampling == "beta":
        narrowness = max(keep * (1 - keep) / max(spread, 1e-3) ** 2 - 1, 0.1)
        chances = random.beta(keep * narrowness, (1 - keep) * narrowness, count)
    return generator(seed, "pipeline").random((count, features)) < chances[:, None]


def _outside_in(features: int) -> Iterator[tuple[int, ...]]:
    """All sets of features: none, all, one, all but one, two, ...; lexicographic within a size."""
    for few in range(features // 2 + 1):
        yield from combinations(range(features), few)
        if few != features - few:
            yield from combinations(range(features), features - few)


# -- filling -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Stages:
    """A picture on its way through the pipeline, up to the perturbed copies.

    `labels` is int (H, W), `soft` float32 (S, H, W), `keep` bool (N, S), of which the first row may keep all.
    """

    frame: Pixels
    labels: np.ndarray
    soft: Floats
    keep: Bools
    fill: PipelineFill
    seed: int

    @property
    def fill_is_fixed(self) -> bool:
        """Whether all samples are filled with the same."""
        return self.fill in ("imagenet_mean", *get_args(Fill))

    def masks(self, start: int, stop: int) -> Floats:
        """How much of every pixel stays in the samples, float32 (n, H, W) in [0, 1]."""
        kept = self.keep[start:stop].astype(np.float32) @ self.soft.reshape(len(self.soft), -1)
        return np.asarray(kept.reshape(-1, *self.labels.shape).clip(0, 1))

    def fills(self, start: int, stop: int) -> Floats:
        """What shows where segments are hidden, float32 (n, H, W, 3) in [0, 1], or (1, H, W, 3) for a fixed one."""
        if self.fill == "imagenet_mean":
            return np.broadcast_to(IMAGENET_MEAN, (1, *self.frame.shape)).copy()
        if self.fill_is_fixed:
            return filled(self.frame, self.labels, self.fill)[None]  # type: ignore[arg-type]
        if self.fill == "inpainting":
            return np.stack([_inpainted(self.frame, mask < 0.5) for mask in self.masks(start, stop)])
        return np.stack([self._drawn(generator(self.seed, "pipeline fill", one)) for one in range(start, stop)])

    def _drawn(self, random: np.random.Generator) -> Floats:
        if self.fill == "another_picture":
            others = photos(self.frame.shape[0], tuple(one.digest for one in galleries.background("photos")))
            return np.asarray(others[random.integers(len(others))])
        colour = random.random(3)
        if self.fill == "histogram_colour":
            pixel = self.frame.reshape(-1, 3)[random.integers(self.labels.size)]  # a bin with its frequency
            colour = (pixel.astype(int) * BINS // 256 + 0.5) / BINS
        return np.broadcast_to(colour.astype(np.float32), self.frame.shape)

    def pictures(self, start: int, stop: int) -> Floats:
        """The perturbed copies, float32 (n, H, W, 3) in [0, 1]."""
        fill = self.fills(start, stop)
        clean = self.frame / np.float32(255)
        return np.asarray(fill + (clean - fill) * self.masks(start, stop)[..., None])


def _inpainted(frame: Pixels, missing: Bools) -> Floats:
    import cv2

    if missing.all():
        return np.broadcast_to(IMAGENET_MEAN, frame.shape)
    done = cv2.inpaint(np.ascontiguousarray(frame), missing.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return np.asarray(done / np.float32(255))


@lru_cache(maxsize=4)
def photos(side: int, digests: tuple[str, ...]) -> Floats:
    """The background photos, float32 (N, side, side, 3) in [0, 1]."""
    from ...images.geometry import Preprocess, picture_frame

    shape = Preprocess(resize=side, crop=side)
    frames = [picture_frame(one.pixels, shape) for one in galleries.background("photos")]
    return np.asarray(np.stack(frames) / np.float32(255))
