"""Tests of paired values, corrected for how many there are, and how large a difference is."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...seeds import generator

Values = npt.NDArray[np.float64]

EXACT = 12
"""Up to so many pairs every way to flip the signs is looked at."""
FLIPS = 9999


@dataclass(frozen=True)
class Paired:
    """How two methods differ on the same pictures; `dropped` pairs had an undefined value.

    `wilcoxon` and `flips` are two-sided p-values of the signed-rank test and of the sign-flip test of the mean.
    """

    n: int
    dropped: int
    wilcoxon: float
    flips: float
    rank_biserial: float
    dz: float


def differences(a: npt.ArrayLike, b: npt.ArrayLike) -> Values:
    """a - b of the pairs (N,) of which both values are defined."""
    found = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return found[np.isfinite(found)]


def compare(a: npt.ArrayLike, b: npt.ArrayLike) -> Paired:
    """All that can be said of pairs (N,)."""
    change = differences(a, b)
    return Paired(
        len(change),
        len(np.asarray(a)) - len(change),
        wilcoxon(change),
        sign_flips(change),
        rank_biserial(change),
        cohens_dz(change),
    )


def wilcoxon(change: Values) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test of differences; zeros share their ranks (Pratt).

    1 where nothing differs, not-a-number without a pair.
    """
    from scipy import stats

    if not len(change):
        return math.nan
    if not change.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few pairs
        return float(stats.wilcoxon(change, zero_method="pratt").pvalue)


def sign_flips(change: Values, flips: int = FLIPS) -> float:
    """Two-sided p-value of the mean difference, if the sign of every difference were a coin's.

    Exact up to `EXACT` pairs, else by `flips` random draws that are the same at every call.
    """
    if not len(change):
        return math.nan
    mean = abs(change.sum())
    if len(change) <= EXACT:
        signs = 1 - 2 * ((np.arange(2 ** len(change))[:, None] >> np.arange(len(change))) & 1)
        return float((np.abs(signs @ change) >= mean * (1 - 1e-12)).mean())
    signs = 1 - 2 * generator(0, "sign flips").integers(0, 2, (flips, len(change)))
    return float(((np.abs(signs @ change) >= mean * (1 - 1e-12)).sum() + 1) / (flips + 1))


def holm(p: Sequence[float]) -> Values:
    """Holm's corrected p-values (N,), each at most 1; not-a-number stays and does not count."""
    given = np.asarray(p, dtype=np.float64)
    result = np.full(len(given), math.nan)
    known = np.flatnonzero(np.isfinite(given))
    order = known[np.argsort(given[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return result


def rank_biserial(change: Values) -> float:
    """Matched-pairs rank-biserial correlation in [-1, 1]: ranks in favour less ranks against, over all; zeros left out.

    0 where nothing differs, not-a-number without a pair.
    """
    from scipy.stats import rankdata

    if not len(change):
        return math.nan
    moved = change[change != 0]
    if not len(moved):
        return 0.0
    ranks = rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def cohens_dz(change: Values) -> float:
    """The mean difference in standard deviations of the differences; not-a-number where they do not vary."""
    spread = float(np.std(change, ddof=1)) if len(change) > 1 else 0.0
    return float(change.mean()) / spread if spread > 0 else math.nan


def win_rate(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """The part of the pairs in which a is greater, a tie counting as half; not-a-number without a pair."""
    change = differences(a, b)
    return float(((change > 0) + 0.5 * (change == 0)).mean()) if len(change) else math.nan
