"""Bootstrap intervals of means, and of mean differences of pairs."""

from __future__ import annotations

import math
import warnings
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
    from scipy import stats

    values = np.frombuffer(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where BCa has no answer the percentiles have one
        for method in ("BCa", "percentile"):
            found = stats.bootstrap(
                (values,),
                np.mean,
                n_resamples=resamples,
                confidence_level=level,
                method=method,
                rng=generator(0, "bootstrap"),
            ).confidence_interval
            if np.isfinite([found.low, found.high]).all():
                break
    return float(found.low), float(found.high)
