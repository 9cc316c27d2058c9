"""Bootstrap intervals of means, and of mean differences of pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ...seeds import generator

LEVEL = 0.95
RESAMPLES = 1999


@dataclass(frozen=True)
class Interval:
    """A mean with its interval; `n` values are in it, `undefined` ones were left out."""

    mean: float
    low: float
    high: float
    n: int
    undefined: int = 0


def mean_interval(values: npt.ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """The mean of values (N,) and its bootstrap interval (BCa), the same at every call.

    Not-a-number is left out and counted. A single value has no interval; values that are all the same have one of
    no width.
    """
    given = np.asarray(values, dtype=np.float64)
    kept = np.sort(given[np.isfinite(given)])  # whatever the order, the same numbers
    undefined = len(given) - len(kept)
    if not len(kept):
        return Interval(math.nan, math.nan, math.nan, 0, undefined)
    mean = float(kept.mean())
    if len(kept) == 1:
        return Interval(mean, math.nan, math.nan, 1, undefined)
    if np.ptp(kept) == 0:
        return Interval(mean, mean, mean, len(kept), undefined)
    low, high = _bounds(kept.tobytes(), level, resamples)
    return Interval(mean, low, high, len(kept), undefined)


def difference_interval(a: npt.ArrayLike, b: npt.ArrayLike, level: float = LEVEL) -> Interval:
    """The mean of a - b, pair by pair, and its interval; pairs with an undefined value are left out and counted."""
    return mean_interval(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64), level)


@lru_cache(maxsize=8192)
def _bounds(data: bytes, level: float, resamples: int) -> tuple[float, float]:
    """The bias-corrected and accelerated percentiles of the resampled means (Efron 1987).

    As `scipy.stats.bootstrap` has it, many times faster: a table has hundreds of intervals, and the acceleration of a
    mean is known in closed form.
    """
    from scipy.special import ndtr, ndtri

    values = np.frombuffer(data)
    means = values[_draws(len(values), resamples)].mean(axis=1)
    mean = values.mean()
    below = ((means < mean).mean() + (means <= mean).mean()) / 2
    apart = values - mean
    acceleration = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    bias = ndtri(below)
    shifted = bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    parts = ndtr(bias + shifted / (1 - acceleration * shifted))
    if not np.isfinite(parts).all():  # where BCa has no answer the percentiles have one
        parts = np.asarray([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(means, parts)
    return float(low), float(high)


@lru_cache(maxsize=8)
def _draws(count: int, resamples: int) -> npt.NDArray[np.int32]:
    """Which values are drawn, int32 (resamples, count); the same for all samples of a size."""
    return generator(0, "bootstrap", count).integers(0, count, (resamples, count), dtype=np.int32)
