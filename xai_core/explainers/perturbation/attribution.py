"""From the probabilities of perturbed copies to a number for every segment (spec P-5)."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...types import Bools, XaiError

Doubles = npt.NDArray[np.float64]
Attribute = Literal["rise", "pda", "lime", "shap", "ciu"]
SIGNED: tuple[Attribute, ...] = ("pda", "lime", "shap", "ciu")
END_WEIGHT = 1e5
"""Weight of the samples that keep all or nothing, for which the Shapley kernel is infinite."""


@dataclass(frozen=True, eq=False)
class Segments:
    """A number for every segment: `values` float64 (S,).

    `influence` is float64 (N, S): what each sample's own noise adds to the values, so that influence^T influence is
    their covariance. `unknown` is bool (S,): never hidden, or never kept; these get the mean of the others.
    """

    values: Doubles
    influence: Doubles
    unknown: Bools


def attribute(kind: Attribute, keep: Bools, y: Doubles, whole: float) -> Segments:
    """What N samples say of S segments; `keep` is bool (N, S), `y` (N,) and `whole` the untouched picture's.

    Values are rounded to nine digits, as S3 does, so that segments that are equal tie.
    """
    makers = {"rise": _rise, "pda": _pda, "lime": _lime, "shap": _shap, "ciu": _ciu}
    return makers[kind](keep, y.astype(np.float64), whole)


def is_one_by_one(keep: Bools) -> bool:
    """Whether after the first row exactly one segment is hidden, or kept, in turn."""
    rest = keep[1:]
    if len(rest) != keep.shape[1]:
        return False
    eye = np.eye(keep.shape[1], dtype=bool)
    return bool((keep[0].all() and (rest == ~eye).all()) or (not keep[0].any() and (rest == eye).all()))


def _rise(keep: Bools, y: Doubles, whole: float) -> Segments:
    """The mean probability while a segment is kept."""
    return _means(keep, y, 0.0, 1.0)


def _pda(keep: Bools, y: Doubles, whole: float) -> Segments:
    """What the probability loses on average while a segment is hidden."""
    return _means(~keep, y, whole, -1.0)


def _means(chosen: Bools, y: Doubles, offset: float, sign: float) -> Segments:
    """offset + sign times the mean of y over the samples that are chosen, for every segment."""
    counts = chosen.sum(axis=0)
    unknown = counts == 0
    some = np.maximum(counts, 1)
    means = (y @ chosen) / some
    unbiased = np.sqrt(some / np.maximum(some - 1, 1))
    influence = sign * chosen * (y[:, None] - means) / some * unbiased
    return _finished(offset + sign * means, influence, unknown)


def _lime(keep: Bools, y: Doubles, whole: float) -> Segments:
    """Least squares with an intercept; no kernel and no ridge (S3's LIME)."""
    return _least_squares(keep, y, np.ones(len(y)))


def _shap(keep: Bools, y: Doubles, whole: float) -> Segments:
    """Least squares with an intercept under the Shapley kernel."""
    return _least_squares(keep, y, shapley_kernel(keep))


def shapley_kernel(keep: Bools) -> Doubles:
    """(M - 1) / (C(M, s) s (M - s)) for s of M segments kept, 1e5 at both ends; the largest is scaled to 1."""
    total = keep.shape[1]
    kept = keep.sum(axis=1)
    sizes = np.arange(total + 1)
    inner = (sizes > 0) & (sizes < total)
    logs = np.full(total + 1, np.log(END_WEIGHT))
    choose = np.array([lgamma(total + 1) - lgamma(s + 1) - lgamma(total - s + 1) for s in sizes])
    logs[inner] = np.log(total - 1) - choose[inner] - np.log(sizes[inner]) - np.log(total - sizes[inner])
    weights = logs[kept]
    return np.asarray(np.exp(weights - weights.max()))


def _least_squares(keep: Bools, y: Doubles, weights: Doubles) -> Segments:
    """The shortest solution where the samples leave something open: what they do not tell apart shares evenly."""
    root = np.sqrt(weights)[:, None]
    x = np.column_stack([np.ones(len(y)), keep.astype(np.float64)])
    inverse = np.linalg.pinv(root * x) * root.T
    coefficients = inverse @ y
    leverage = np.einsum("sn,ns->n", inverse, x)
    residual = (y - x @ coefficients) / np.clip(1 - leverage, 1e-6, 1)  # the jackknife's (HC3)
    never = np.asarray(keep.all(axis=0) | ~keep.any(axis=0))
    return _finished(coefficients[1:], (inverse[1:] * residual).T, never)


def _ciu(keep: Bools, y: Doubles, whole: float) -> Segments:
    """Influence CI (CU - 1/2): half of what hiding, or showing, the one segment changes."""
    if not is_one_by_one(keep):
        raise XaiError("CIU looks at one segment at a time; choose the sampling only_one or all_but_one.")
    change = y[0] - y[1:] if keep[0].all() else y[1:] - y[0]
    return _finished(change / 2, np.zeros(keep.shape), np.zeros(keep.shape[1], dtype=bool))


def _finished(values: Doubles, influence: Doubles, unknown: Bools) -> Segments:
    values = values.copy()
    values[unknown] = values[~unknown].mean() if (~unknown).any() else 0.0
    return Segments(values.round(9), np.where(unknown, 0.0, influence), unknown)
