"""How much of the variance each factor of a grid explains."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


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


def _group_means(values: npt.NDArray[np.float64], groups: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """The mean of its group for every value."""
    _, places = np.unique(groups, return_inverse=True)
    means: npt.NDArray[np.float64] = (np.bincount(places, values) / np.bincount(places))[places]
    return means
