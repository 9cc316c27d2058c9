"""A multigrid solver for the equations of linear imputation, compiled by numba.

The equations are a grid of nine-point stencils: `stencils[i, j, 3 * (di + 1) + dj + 1]` is the coefficient with which
the value at (i + di, j + dj) enters the equation of (i, j); a diagonal of 0 marks a place without an equation. Values
have a margin of one on every side, so that a stencil never leaves them. Coarse grids keep every second place,
interpolate bilinearly between places that have an equation, and have the Galerkin operators R A P, which are
nine-point stencils again; smoothing is Gauss-Seidel in reading order on the way down and backwards on the way up.

One system is solved by one thread, which holds no lock: results do not depend on how many are solved at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

P = ParamSpec("P")
R = TypeVar("R")
Array = npt.NDArray[Any]

BESIDE, DIAGONAL = 1 / 6, 1 / 12
"""Weights of the four neighbours beside a pixel and of the four diagonal ones."""
SMALLEST_GRID = 4
"""Rows or columns from which on there is no coarser grid."""
COARSEST_SWEEPS = 10
MOST_CYCLES = 60
"""Seven or so do; this bounds a system that float64 cannot solve to the tolerance."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compiles a function on its first call, and keeps the result on disk where there is a place for it."""
    try:
        return cast(Callable[P, R], njit(nogil=True, cache=True)(function))
    except RuntimeError:  # neither this folder nor the home can be written to
        return cast(Callable[P, R], njit(nogil=True)(function))


@compiled
def fill(pixels: Array, missing: Array, tolerance: float) -> tuple[Array, int]:
    """Fills the missing pixels so that each is the weighted mean of its neighbours.

    `pixels` is float64 (H, W, 3), `missing` bool (H, W), with at least one pixel known. Returns the filled pixels,
    float64 (H, W, 3), and the number of V(1, 1) cycles; it ends when a cycle changes no value by more than
    `tolerance`.
    """
    grids = [_equations(missing)]
    while min(grids[-1].shape[0], grids[-1].shape[1]) > SMALLEST_GRID:
        grids.append(_coarser(grids[-1]))
    values = [np.zeros((one.shape[0] + 2, one.shape[1] + 2, 3)) for one in grids]
    rights = [np.zeros((one.shape[0], one.shape[1], 3)) for one in grids]
    _known(pixels, missing, values[0], rights[0])
    cycles, change = 0, np.inf
    while cycles < MOST_CYCLES and change > tolerance:
        before = values[0].copy()
        _cycle(grids, values, rights)
        change = np.abs(values[0] - before).max()
        cycles += 1
    filled = pixels.copy()
    for i in range(missing.shape[0]):
        for j in range(missing.shape[1]):
            if missing[i, j]:
                filled[i, j] = values[0][i + 1, j + 1]
    return filled, cycles


@compiled
def _weight(k: int) -> float:
    """Weight of the neighbour at place k of a stencil."""
    return BESIDE if k % 2 == 1 else DIAGONAL


@compiled
def _equations(missing: Array) -> Array:
    """The stencils of all missing pixels, (H, W, 9)."""
    height, width = missing.shape
    stencils = np.zeros((height, width, 9))
    for i in range(height):
        for j in range(width):
            if not missing[i, j]:
                continue
            for k in range(9):
                y, x = i + k // 3 - 1, j + k % 3 - 1
                if k != 4 and 0 <= y < height and 0 <= x < width:
                    stencils[i, j, 4] += _weight(k)
                    if missing[y, x]:
                        stencils[i, j, k] = -_weight(k)
    return stencils


@compiled
def _known(pixels: Array, missing: Array, values: Array, right: Array) -> None:
    """Brings the known pixels to the right side of the equations, and starts at their mean."""
    height, width = missing.shape
    mean = np.zeros(3)
    count = 0
    for i in range(height):
        for j in range(width):
            if missing[i, j]:
                continue
            mean += pixels[i, j]
            count += 1
            for k in range(9):
                y, x = i + k // 3 - 1, j + k % 3 - 1
                if k != 4 and 0 <= y < height and 0 <= x < width and missing[y, x]:
                    right[y, x] += _weight(k) * pixels[i, j]
    for i in range(height):
        for j in range(width):
            if missing[i, j]:
                values[i + 1, j + 1] = mean / count


@compiled
def _cycle(grids: Any, values: Any, rights: Any) -> None:
    """One V cycle."""
    last = len(grids) - 1
    for level in range(last):
        _sweep(grids[level], values[level], rights[level], True)
        _restrict(grids[level], values[level], rights[level], rights[level + 1])
        values[level + 1][:] = 0
    for _ in range(COARSEST_SWEEPS):
        _sweep(grids[last], values[last], rights[last], True)
        _sweep(grids[last], values[last], rights[last], False)
    for level in range(last - 1, -1, -1):
        _interpolate(grids[level], values[level + 1], values[level])
        _sweep(grids[level], values[level], rights[level], False)


@compiled
def _sweep(stencils: Array, values: Array, right: Array, forward: bool) -> None:
    """One Gauss-Seidel sweep in reading order, or backwards."""
    height, width = right.shape[0], right.shape[1]
    for row in range(height):
        i = row if forward else height - 1 - row
        for column in range(width):
            j = column if forward else width - 1 - column
            diagonal = stencils[i, j, 4]
            if diagonal <= 0:
                continue
            a, b, c = right[i, j, 0], right[i, j, 1], right[i, j, 2]
            for k in range(9):
                if k != 4:
                    weight, y, x = stencils[i, j, k], i + k // 3, j + k % 3
                    a -= weight * values[y, x, 0]
                    b -= weight * values[y, x, 1]
                    c -= weight * values[y, x, 2]
            values[i + 1, j + 1, 0] = a / diagonal
            values[i + 1, j + 1, 1] = b / diagonal
            values[i + 1, j + 1, 2] = c / diagonal


@compiled
def _parents(i: int, size: int) -> tuple[int, float, int, float]:
    """The two coarse places, of `size`, between which the fine place i lies, and their weights."""
    low = i // 2
    if i % 2 == 0 or low + 1 >= size:
        return low, 1.0, low, 0.0
    return low, 0.5, low + 1, 0.5


@compiled
def _coarser(stencils: Array) -> Array:
    """The Galerkin operator on every second place; made from one half of every symmetric stencil."""
    height, width = stencils.shape[0], stencils.shape[1]
    coarse = np.zeros(((height + 1) // 2, (width + 1) // 2, 9))
    for i in range(height):
        for j in range(width):
            if stencils[i, j, 4] <= 0:
                continue
            for k in range(4, 9):
                weight = stencils[i, j, k]
                if weight != 0:
                    _spread(coarse, i, j, i + k // 3 - 1, j + k % 3 - 1, weight)
    return coarse


@compiled
def _spread(coarse: Array, i: int, j: int, y: int, x: int, weight: float) -> None:
    """Adds the coefficient between the fine places (i, j) and (y, x) to all pairs of their parents, both ways."""
    height, width = coarse.shape[0], coarse.shape[1]
    top, a, bottom, b = _parents(i, height)
    left, c, right, d = _parents(j, width)
    other_top, e, other_bottom, f = _parents(y, height)
    other_left, g, other_right, h = _parents(x, width)
    same = i == y and j == x
    for row, row_weight in ((top, a), (bottom, b)):
        for column, column_weight in ((left, c), (right, d)):
            here = weight * row_weight * column_weight
            if here == 0:
                continue
            for other_row, other_row_weight in ((other_top, e), (other_bottom, f)):
                for other_column, other_column_weight in ((other_left, g), (other_right, h)):
                    there = here * other_row_weight * other_column_weight
                    if there == 0:
                        continue
                    place = (other_row - row + 1) * 3 + other_column - column + 1
                    coarse[row, column, place] += there
                    if not same:
                        coarse[other_row, other_column, 8 - place] += there


@compiled
def _restrict(stencils: Array, values: Array, right: Array, coarse: Array) -> None:
    """Collects what is left of the equations, (H, W, 3), on the coarse grid, (h, w, 3)."""
    coarse[:] = 0
    height, width = coarse.shape[0], coarse.shape[1]
    for i in range(right.shape[0]):
        top, up, bottom, down = _parents(i, height)
        for j in range(right.shape[1]):
            if stencils[i, j, 4] <= 0:
                continue
            a, b, c = right[i, j, 0], right[i, j, 1], right[i, j, 2]
            for k in range(9):
                weight, y, x = stencils[i, j, k], i + k // 3, j + k % 3
                a -= weight * values[y, x, 0]
                b -= weight * values[y, x, 1]
                c -= weight * values[y, x, 2]
            left, before, other, after = _parents(j, width)
            for row, row_weight in ((top, up), (bottom, down)):
                for column, column_weight in ((left, before), (other, after)):
                    share = row_weight * column_weight
                    if share != 0:
                        coarse[row, column, 0] += share * a
                        coarse[row, column, 1] += share * b
                        coarse[row, column, 2] += share * c


@compiled
def _interpolate(stencils: Array, coarse: Array, values: Array) -> None:
    """Adds the coarse correction to the values that have an equation; both have margins."""
    height, width = coarse.shape[0] - 2, coarse.shape[1] - 2
    for i in range(stencils.shape[0]):
        top, up, bottom, down = _parents(i, height)
        for j in range(stencils.shape[1]):
            if stencils[i, j, 4] <= 0:
                continue
            left, before, right, after = _parents(j, width)
            for channel in range(3):
                values[i + 1, j + 1, channel] += up * (
                    before * coarse[top + 1, left + 1, channel] + after * coarse[top + 1, right + 1, channel]
                ) + down * (
                    before * coarse[bottom + 1, left + 1, channel] + after * coarse[bottom + 1, right + 1, channel]
                )
