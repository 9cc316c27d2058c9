"""How much of the variance each factor of a grid explains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...seeds import generator
from .intervals import RESAMPLES, Interval


def eta_squared(values: npt.ArrayLike, levels: npt.ArrayLike, blocks: npt.ArrayLike | None = None) -> float:
    """The part of the variance of values (N,) that lies between the levels (N,) of a factor, in [0, 1].

    With `blocks` (N,), such as pictures, each block's mean is taken away first, so that easy pictures do not hide the
    factor. Undefined values are left out; not-a-number where nothing varies.
    """
    given = np.asarray(values, dtype=np.float64)
    kept = np.isfinite(given)
    given = given[kept]
    if not len(given):
        return math.nan
    smallest = len(given) * (1e-12 * float(np.abs(given).max())) ** 2
    if blocks is not None:
        given = given - _group_means(given, np.asarray(blocks)[kept])
    given = given - given.mean()
    total = float((given**2).sum())
    between = _group_means(given, np.asarray(levels)[kept])
    return float((between**2).sum()) / total if total > smallest else math.nan


def eta_gap(
    values: npt.ArrayLike, more: npt.ArrayLike, less: npt.ArrayLike, blocks: npt.ArrayLike, resamples: int = RESAMPLES
) -> Interval:
    """Eta squared of the levels `more` (N,) less that of `less` (N,), and its 95 % percentile interval over blocks.

    Blocks, such as pictures, are drawn with replacement, the same at every call; `n` counts them. Undefined values are
    left out. A single block has no interval.
    """
    given = np.asarray(values, dtype=np.float64)
    kept = np.isfinite(given)
    given, block = given[kept], np.unique(np.asarray(blocks)[kept], return_inverse=True)[1]
    levels = [np.asarray(one)[kept] for one in (more, less)]
    first, second = (eta_squared(given, one, block) for one in levels)
    count = int(block.max(initial=-1)) + 1
    if count < 2 or math.isnan(first):
        return Interval(first - second, math.nan, math.nan, count, int((~kept).sum()))
    times = generator(0, "eta", count).multinomial(count, np.full(count, 1 / count), resamples)  # each block is drawn
    apart = given - _group_means(given, block)
    total = times @ np.bincount(block, apart**2)
    between = [_between(apart, one, block, times) for one in levels]
    with np.errstate(invalid="ignore"):  # of draws in which nothing varies nothing is known
        low, high = np.nanpercentile((between[0] - between[1]) / total, [2.5, 97.5])
    return Interval(first - second, float(low), float(high), count, int((~kept).sum()))


def _between(
    apart: npt.NDArray[np.float64],
    levels: npt.NDArray[np.generic],
    block: npt.NDArray[np.intp],
    times: npt.NDArray[Any],
) -> npt.NDArray[np.float64]:
    """The sum of squares between levels, without the blocks' means, where each block comes `times` (draws, blocks)."""
    _, level = np.unique(levels, return_inverse=True)
    shape = (times.shape[1], int(level.max()) + 1)
    place = block * shape[1] + level
    sums = times @ np.bincount(place, apart, minlength=shape[0] * shape[1]).reshape(shape)
    counts = times @ np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
    return np.asarray((sums**2 / np.maximum(counts, 1)).sum(axis=1), dtype=np.float64)


def _group_means(values: npt.NDArray[np.float64], groups: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """The mean of its group for every value."""
    _, places = np.unique(groups, return_inverse=True)
    means: npt.NDArray[np.float64] = (np.bincount(places, values) / np.bincount(places))[places]
    return means
