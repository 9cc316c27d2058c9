"""Noisy linear imputation: removed pixels are filled from their neighbours, so that their shape tells nothing.

Every missing pixel is the weighted mean of its eight neighbours (1/6 beside, 1/12 diagonal, made to add up to one at
the border), solved for all missing pixels together; Rong et al. 2022, spec E-02.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..types import Bools, XaiError

Doubles = npt.NDArray[np.float64]

_NEIGHBOURS = [
    (down, right, 1 / 6 if down == 0 or right == 0 else 1 / 12)
    for down in (-1, 0, 1)
    for right in (-1, 0, 1)
    if (down, right) != (0, 0)
]


def impute(pixels: npt.NDArray[np.floating], missing: Bools) -> Doubles:
    """Pixels (H, W, C) with the `missing` ones, bool (H, W), filled in; without noise, float64.

    Known pixels stay as they are, bit by bit. Raises `XaiError` when no pixel is known.
    """
    from scipy import sparse
    from scipy.sparse.linalg import splu

    if missing.all():
        raise XaiError("Nothing is left to impute from: at least one pixel must stay; remove a smaller fraction.")
    result = np.asarray(pixels, dtype=np.float64).copy()
    unknown = np.flatnonzero(missing)
    if not unknown.size:
        return result
    height, width = missing.shape
    number = np.full(missing.size, -1, dtype=np.int32)
    number[unknown] = np.arange(unknown.size, dtype=np.int32)
    rows, columns = np.divmod(unknown, width)
    flat = result.reshape(height * width, -1)
    totals = np.zeros(unknown.size)
    known_sum = np.zeros((unknown.size, flat.shape[1]))
    entries: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Doubles]] = []
    for down, right, weight in _NEIGHBOURS:
        row, column = rows + down, columns + right
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        neighbour = np.where(inside, row * width + column, 0)
        totals += weight * inside
        from_unknown = inside & (number[neighbour] >= 0)
        from_known = inside & ~from_unknown
        known_sum[from_known] += weight * flat[neighbour[from_known]]
        here = np.flatnonzero(from_unknown).astype(np.int32)
        entries.append((here, number[neighbour[here]], np.full(here.size, -weight)))
    diagonal = np.arange(unknown.size, dtype=np.int32)
    entries.append((diagonal, diagonal, totals))
    i, j, values = (np.concatenate([entry[part] for entry in entries]) for part in range(3))
    system = sparse.csc_matrix((values, (i, j)), shape=(unknown.size, unknown.size))
    factors = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    flat[unknown] = factors.solve(known_sum)
    return result
