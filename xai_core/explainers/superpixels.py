"""Superpixels, and how the hidden ones are filled: shared by every method that hides regions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..types import Bools, Floats, Make, Pixels, Run

Segmentation = Literal["slic", "quickshift", "grid", "felzenszwalb", "watershed"]
Fill = Literal["segment_mean", "black", "grey", "light_grey", "mean", "blur"]


def segments(pixels: Pixels, method: Segmentation, count: int) -> np.ndarray:
    """Labels 0..S-1 as int (H, W) of a uint8 (H, W, 3) picture.

    `slic` aims at `count` segments of compactness 10, on a picture smoothed by 2 px: without that, noise of sigma 25
    makes it return a single segment. `quickshift` has lime's settings (kernel 4, distance 200, ratio 0.2) and finds
    its own number. Both get uint8: on floats of 0-255 quickshift finds five times as many. `grid` has as many rows as
    columns, `watershed` floods the picture's edges from a grid of places, and `felzenszwalb` gets the scale at which
    it comes closest to `count`.
    """
    from skimage.segmentation import quickshift, slic

    if method == "slic":
        labels = slic(pixels, n_segments=count, compactness=10, start_label=0, channel_axis=-1, sigma=2)
    elif method == "quickshift":
        labels = quickshift(pixels, kernel_size=4, max_dist=200, ratio=0.2)
    elif method == "grid":
        rows, columns = (np.arange(length) * cells_along(count) // length for length in pixels.shape[:2])
        labels = rows[:, None] * cells_along(count) + columns
    elif method == "watershed":
        labels = _watershed(pixels, count)
    else:
        labels = _felzenszwalb(pixels, count)
    return np.asarray(np.unique(labels, return_inverse=True)[1].reshape(pixels.shape[:2]))


def cells_along(count: int) -> int:
    """Cells along a side of the square grid that has about `count` of them."""
    return max(1, int(np.sqrt(count) + 0.5))


def _watershed(pixels: Pixels, count: int) -> np.ndarray:
    from skimage.filters import gaussian, sobel
    from skimage.segmentation import watershed

    grey = gaussian(pixels.astype(np.float32).mean(axis=2) / 255, sigma=2)
    return np.asarray(watershed(sobel(grey), markers=count, compactness=1e-4))


def _felzenszwalb(pixels: Pixels, count: int) -> np.ndarray:
    """The coarser the scale, the fewer segments: the scale is halved into its interval seven times."""
    from skimage.segmentation import felzenszwalb

    low, high = 1.0, 10_000.0
    smallest = max(4, pixels.shape[0] * pixels.shape[1] // (8 * count))
    found: list[np.ndarray] = []
    for _ in range(7):
        scale = (low * high) ** 0.5
        found.append(np.asarray(felzenszwalb(pixels, scale=scale, sigma=0.8, min_size=smallest)))
        low, high = (scale, high) if found[-1].max() + 1 > count else (low, scale)
    return min(found, key=lambda labels: abs(int(labels.max()) + 1 - count))


def hiding(run: Run, labels: np.ndarray, fill: Fill, keep: Bools) -> Make:
    """Makes the picture once for every row of `keep`, bool (N, S), with the superpixels that do not stay filled."""
    hidden = run.normalise(filled(run.frame, labels, fill))[None]
    places, kept = run.tensor(labels), run.tensor(keep)

    def make(start: int, stop: int) -> Any:
        return run.x.where(kept[start:stop][:, places][:, None], hidden)

    return make


def filled(pixels: Pixels, labels: np.ndarray, fill: Fill) -> Floats:
    """What shows where a segment is hidden, float32 (H, W, 3) in [0, 1].

    `segment_mean` is the mean colour of every segment (lime's default), `mean` the whole picture's, `blur` a
    Gaussian of 10 px, `light_grey` 190 of 255 (CIU's default).
    """
    values = pixels.astype(np.float32) / 255
    if fill == "segment_mean":
        sizes = np.bincount(labels.ravel())
        means = [np.bincount(labels.ravel(), weights=values[..., channel].ravel()) / sizes for channel in range(3)]
        return np.asarray(np.stack(means, axis=-1)[labels], dtype=np.float32)
    if fill == "blur":
        from scipy.ndimage import gaussian_filter

        blurred: Any = gaussian_filter(values, sigma=(10, 10, 0))
        return np.asarray(blurred, dtype=np.float32)
    level = {"black": 0.0, "grey": 0.5, "light_grey": 190 / 255}.get(fill)
    colour = values.mean(axis=(0, 1), dtype=np.float64) if level is None else level
    return np.broadcast_to(np.asarray(colour, dtype=np.float32), values.shape).copy()
