"""Ranks of several methods over the same pictures: Friedman's test, and Nemenyi's critical difference (Demsar 2006)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Ranking:
    """Mean ranks (K,) of K methods over `n` pictures, 1 the best; `dropped` pictures had an undefined value.

    `p` is Friedman's, not-a-number for fewer than three methods or one picture. Methods whose mean ranks are closer
    than `critical_difference` cannot be told apart.
    """

    mean: npt.NDArray[np.float64]
    n: int
    dropped: int
    p: float
    critical_difference: float

    @property
    def cliques(self) -> list[list[int]]:
        """Groups of methods, by their numbers, best first, that cannot be told apart."""
        return cliques(self.mean, self.critical_difference)


def ranking(values: npt.ArrayLike, higher_is_better: bool = True, alpha: float = ALPHA) -> Ranking:
    """The ranking of K methods from their values (N, K) for N pictures; ties share their mean rank."""
    from scipy.stats import rankdata

    table = np.asarray(values, dtype=np.float64)
    kept = table[np.isfinite(table).all(axis=1)]
    count = table.shape[1]
    if not len(kept):
        return Ranking(np.full(count, math.nan), 0, len(table), math.nan, math.nan)
    ranks = rankdata(-kept if higher_is_better else kept, axis=1)
    mean: npt.NDArray[np.float64] = ranks.mean(axis=0)
    limit = critical_difference(count, len(kept), alpha) if count > 1 else math.nan
    return Ranking(mean, len(kept), len(table) - len(kept), friedman(kept), limit)


def friedman(values: npt.ArrayLike) -> float:
    """The p-value of Friedman's test of (N, K) values without gaps; 1 where all methods are alike on every picture."""
    from scipy import stats

    table = np.asarray(values, dtype=np.float64)
    if table.shape[1] < 3 or len(table) < 2:
        return math.nan
    if (np.ptp(table, axis=1) == 0).all():
        return 1.0
    return float(stats.friedmanchisquare(*table.T).pvalue)


@lru_cache(maxsize=256)
def critical_difference(methods: int, pictures: int, alpha: float = ALPHA) -> float:
    """How far two mean ranks must be apart: q * sqrt(K (K + 1) / 6 N), q the studentised range over sqrt(2)."""
    from scipy.stats import studentized_range

    q = studentized_range.ppf(1 - alpha, methods, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(methods * (methods + 1) / (6 * pictures)))


def cliques(mean_ranks: npt.ArrayLike, limit: float) -> list[list[int]]:
    """The largest groups of neighbours in rank that span less than `limit`; a method alone is none."""
    ranks = np.asarray(mean_ranks, dtype=np.float64)
    if not np.isfinite([*ranks, limit]).all():
        return []
    order = np.argsort(ranks, kind="stable")
    found: list[list[int]] = []
    last = -1
    for start in range(len(order)):
        stop = start
        while stop + 1 < len(order) and ranks[order[stop + 1]] - ranks[order[start]] < limit:
            stop += 1
        if stop > start and stop > last:
            found.append([int(place) for place in order[start : stop + 1]])
            last = stop
    return found
