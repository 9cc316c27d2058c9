"""How alike two maps are: pure functions of arrays (H, W), each 1 (or for the error 0) for a map and itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .ranking import average_ranks, count_of, is_flat, rank_correlation

Map = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]


def scaled(saliency: Map) -> Doubles:
    """The map from 0 at its least to 1 at its greatest value, float64; a flat map is 0."""
    values = np.asarray(saliency, dtype=np.float64)
    span = np.ptp(values)
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)


def squared_error(left: Map, right: Map) -> float:
    """The mean squared difference of two maps as they are; scaling both by s scales it by s^2."""
    return float(np.mean((np.asarray(left, dtype=np.float64) - right) ** 2))


def structural_similarity(left: Map, right: Map) -> float:
    """SSIM of two scaled maps with Gaussian windows of 11 pixels (Wang et al. 2004), in [-1, 1].

    Not-a-number for maps that are smaller than a window.
    """
    from skimage.metrics import structural_similarity

    if min(left.shape) < 11:
        return math.nan
    found = structural_similarity(
        scaled(left), scaled(right), data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(found)


def edge_directions(saliency: Map) -> Doubles:
    """Histograms of oriented gradients (N,) of the scaled map, in cells of 16 pixels, or smaller ones in small maps."""
    from skimage.feature import hog

    side = max(1, min(16, min(saliency.shape) // 3))
    return np.asarray(hog(scaled(saliency), pixels_per_cell=(side, side)), dtype=np.float64)


def edge_correlation(left: Map, right: Map) -> float:
    """Spearman's correlation of the histograms of oriented gradients, in [-1, 1]; not-a-number without any edge."""
    return rank_correlation(edge_directions(left), edge_directions(right))


def top_membership(saliency: Map, fraction: float) -> Doubles:
    """How far each pixel is among the most relevant `fraction`, in [0, 1]; those tied at the cut share what is left."""
    values = np.asarray(saliency, dtype=np.float64)
    count = count_of(fraction, values.size)
    if not count:
        return np.zeros_like(values)
    cut = np.partition(values, values.size - count, axis=None)[values.size - count]
    above, tied = values > cut, values == cut
    share = (count - np.count_nonzero(above)) / np.count_nonzero(tied)
    return np.where(above, 1.0, np.where(tied, share, 0.0))


def top_overlap(left: Map, right: Map, fraction: float) -> float:
    """IoU of the most relevant `fraction` of both maps, in [0, 1]; not-a-number where a map is flat, or nothing is top.

    Pixels tied at the cut are in both sets to a part, and to agree on these is no agreement. So this is the IoU of two
    sets of that size whose memberships correlate as these do: plain IoU without ties, 1 for the same order of pixels,
    and q / (2 - q) for maps that have nothing to do with each other, whatever their ties.
    """
    if is_flat(left) or is_flat(right):
        return math.nan
    count, total = count_of(fraction, left.size), left.size
    if count in (0, total):
        return 1.0 if count else math.nan
    one, other = (top_membership(values, fraction).ravel() for values in (left, right))
    chance = count * count / total
    shared = max(chance + float(np.corrcoef(one, other)[0, 1]) * (count - chance), 0.0)
    return shared / (2 * count - shared)


def pixel_variance(maps: Sequence[Map]) -> float:
    """The variance of every pixel over scaled maps (divided by their number), averaged; in [0, 0.25]."""
    return float(np.mean(np.var([scaled(one) for one in maps], axis=0)))


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far M maps of one picture agree.

    `correlations` (M, M) are rank correlations in [-1, 1], not-a-number for flat maps; `disagreement` (H, W) in
    [0, 1] is the standard deviation of a pixel's rank over the maps, as a part of the greatest possible one.
    """

    correlations: Doubles
    disagreement: Doubles


def agreement(maps: Sequence[Map]) -> Agreement:
    """Which maps order the pixels alike, and at which pixels they differ; takes two maps or more."""
    if len(maps) < 2:
        raise ValueError("agreement takes two maps or more")
    ranks = np.stack([average_ranks(one) for one in maps])
    count = len(maps)
    correlations = np.full((count, count), np.nan)
    live = [place for place, one in enumerate(maps) if not is_flat(one)]
    if live:
        found = np.corrcoef(ranks[live].reshape(len(live), -1)).clip(-1, 1)
        correlations[np.ix_(live, live)] = (found + found.T) / 2
        correlations[live, live] = 1
    half = count // 2
    greatest = math.sqrt(half * (count - half)) / count  # half of the maps rank it first, half of them last
    return Agreement(correlations, ranks.std(axis=0) / greatest)
