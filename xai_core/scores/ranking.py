"""Ranks of pixels, and the masks made from them: the one place where a map becomes a set of pixels.

Masks never come from thresholds: a map with many equal values (a rectified CAM is zero over half the picture) would
remove far more or less than was asked for. Ties are broken once per map, by a seeded random key (spec R4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..seeds import generator
from ..types import Bools

Order = npt.NDArray[np.int64]


def most_relevant_first(saliency: npt.NDArray[np.floating], seed: int) -> Order:
    """Flat indices of the pixels, int64 (H*W,), most relevant first; equal values in a seeded random order."""
    flat = np.asarray(saliency, dtype=np.float64).ravel()
    keys = generator(seed, "ties").permutation(flat.size)
    return np.lexsort((keys, -flat)).astype(np.int64)


def first(order: Order, count: int, shape: tuple[int, int]) -> Bools:
    """The first `count` pixels of an order, as a bool mask of `shape`."""
    mask = np.zeros(order.size, dtype=bool)
    mask[order[:count]] = True
    return mask.reshape(shape)


def places(order: Order, shape: tuple[int, int]) -> Order:
    """The place of every pixel in an order, int64 (H, W): `places < count` are its first `count` pixels."""
    found = np.empty_like(order)
    found[order] = np.arange(order.size)
    return found.reshape(shape)


def count_of(fraction: float, total: int) -> int:
    """The number of pixels that is nearest to a fraction of all."""
    return round(fraction * total)


def top_fraction(saliency: npt.NDArray[np.floating], fraction: float, seed: int) -> Bools:
    """The most relevant `fraction` of the pixels, as a bool (H, W) mask of exactly that size."""
    count = count_of(fraction, saliency.size)
    return first(most_relevant_first(saliency, seed), count, (saliency.shape[0], saliency.shape[1]))


def is_flat(saliency: npt.NDArray[np.floating]) -> bool:
    """Whether all values are equal: such a map ranks nothing."""
    return bool(saliency.size == 0 or saliency.min() == saliency.max())


def average_ranks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The rank of every value, scaled to [0, 1], in the shape of `values`; equal values share their average rank."""
    unique, inverse, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    if len(unique) < 2:
        return np.full(values.shape, 0.5)
    average = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray((average / (values.size - 1))[inverse].reshape(values.shape))


def rank_correlation(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> float:
    """Spearman's correlation of two maps, in [-1, 1]; not-a-number when one of them is flat."""
    if is_flat(left) or is_flat(right):
        return float("nan")
    return float(np.corrcoef(average_ranks(left).ravel(), average_ranks(right).ravel())[0, 1])
