"""A multigrid solver for the equations of linear imputation, compiled by numba.

On the picture every missing pixel is the weighted mean of its neighbours, known or missing, so that nothing but the
picture is read there. On coarse grids the equations are nine-point stencils: `stencils[i, j, 3 * (di + 1) + dj + 1]` is
the coefficient with which the value at (i + di, j + dj) enters the equation of (i, j); a diagonal of 0 marks a place
without an equation. Values have a margin of one on every side, so that nothing leaves them. Coarse grids keep every
second place, interpolate bilinearly between places that have an equation, and have the Galerkin operators R A P, which
are nine-point stencils again; smoothing is Gauss-Seidel in reading order on the way down and backwards on the way up.

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
        return cast(Callable[P, R], njit(nogil=True, cache=True, fastmath={"contract"})(function))
    except RuntimeError:  # neither this folder nor the home can be written to
        return cast(Callable[P, R], njit(nogil=True, fastmath={"contract"})(function))


@compiled
def fill(pixels: Array, missing: Array, tolerance: float) -> tuple[Array, int]:
    """Fills the missing pixels so that each is the weighted mean of its neighbours.

    `pixels` is float64 (H, W, 3), `missing` bool (H, W), with at least one pixel known. Returns the filled pixels,
    float64 (H, W, 3), and the number of V(1, 1) cycles; it ends when a cycle changes no value by more than
    `tolerance`.
    """
    grids = [_first_coarse(missing)]
    while min(grids[-1].shape[0], grids[-1].shape[1]) > SMALLEST_GRID:
        grids.append(_coarser(grids[-1]))
    values = [np.zeros((one.shape[0] + 2, one.shape[1] + 2, 3)) for one in grids]
    rights = [np.zeros((one.shape[0], one.shape[1], 3)) for one in grids]
    picture, inverse = _started(pixels, missing)
    before = picture.copy()
    cycles, change = 0, np.inf
    while cycles < MOST_CYCLES and change > tolerance:
        _sweep_picture(missing, picture, inverse, True)
        _restrict_picture(missing, picture, inverse, rights[0])
        values[0][:] = 0
        _cycle(grids, values, rights)
        _interpolate_picture(missing, values[0], picture)
        _sweep_picture(missing, picture, inverse, False)
        change = _change(picture, before)
        cycles += 1
    return picture[1:-1, 1:-1].copy(), cycles


@compiled
def _weight(k: int) -> float:
    """Weight of the neighbour at place k of a stencil."""
    return BESIDE if k % 2 == 1 else DIAGONAL


@compiled
def _neighbours(i: int, j: int, height: int, width: int) -> float:
    """The sum of the weights of the neighbours that lie inside."""
    if 0 < i < height - 1 and 0 < j < width - 1:
        return 1.0
    total = 0.0
    for k in range(9):
        if k != 4 and 0 <= i + k // 3 - 1 < height and 0 <= j + k % 3 - 1 < width:
            total += _weight(k)
    return total


@compiled
def _first_coarse(missing: Array) -> Array:
    """The Galerkin operator of the picture's equations on every second place, (h, w, 9)."""
    height, width = missing.shape
    coarse = np.zeros(((height + 1) // 2, (width + 1) // 2, 9))
    for i in range(height):
        for j in range(width):
            if not missing[i, j]:
                continue
            _spread(coarse, i, j, i, j, _neighbours(i, j, height, width))
            for k in range(5, 9):
                y, x = i + k // 3 - 1, j + k % 3 - 1
                if y < height and 0 <= x < width and missing[y, x]:
                    _spread(coarse, i, j, y, x, -_weight(k))
    return coarse


@compiled
def _started(pixels: Array, missing: Array) -> tuple[Array, Array]:
    """The picture with a margin of zeros, its missing pixels at the mean of the known ones, (H + 2, W + 2, 3), and what
    the sum over the neighbours inside is multiplied with, (H, W): 1 but at the border.
    """
    height, width = missing.shape
    mean = np.zeros(3)
    count = 0
    picture, inverse = np.zeros((height + 2, width + 2, 3)), np.ones((height, width))
    for i in range(height):
        for j in range(width):
            if not missing[i, j]:
                mean += pixels[i, j]
                count += 1
                picture[i + 1, j + 1] = pixels[i, j]
            total = _neighbours(i, j, height, width)
            inverse[i, j] = 1 / total if total > 0 else 0.0
    for i in range(height):
        for j in range(width):
            if missing[i, j]:
                picture[i + 1, j + 1] = mean / count
    return picture, inverse


@compiled
def _around(above: Array, here: Array, below: Array, j: int, channel: int) -> float:
    """The weighted sum of the eight neighbours of place j of three rows with margins."""
    beside = above[j + 1, channel] + here[j, channel] + here[j + 2, channel] + below[j + 1, channel]
    diagonal = above[j, channel] + above[j + 2, channel] + below[j, channel] + below[j + 2, channel]
    total: float = BESIDE * beside + DIAGONAL * diagonal
    return total


@compiled
def _sweep_picture(missing: Array, picture: Array, inverse: Array, forward: bool) -> None:
    """A Gauss-Seidel sweep over the missing pixels; on the picture itself, stencils need not be read."""
    height, width = missing.shape
    for row in range(height):
        i = row if forward else height - 1 - row
        above, here, below = picture[i], picture[i + 1], picture[i + 2]
        wanted, scales = missing[i], inverse[i]
        for column in range(width):
            j = column if forward else width - 1 - column
            if wanted[j]:
                scale = scales[j]
                a, b, c = (
                    _around(above, here, below, j, 0),
                    _around(above, here, below, j, 1),
                    _around(above, here, below, j, 2),
                )
                here[j + 1, 0] = a * scale
                here[j + 1, 1] = b * scale
                here[j + 1, 2] = c * scale


@compiled
def _restrict_picture(missing: Array, picture: Array, inverse: Array, coarse: Array) -> None:
    """Collects what is left of the picture's equations on the first coarse grid, (h, w, 3)."""
    coarse[:] = 0
    line = np.zeros((coarse.shape[1] + 1, 3))
    for i in range(missing.shape[0]):
        above, here, below = picture[i], picture[i + 1], picture[i + 2]
        wanted, scales = missing[i], inverse[i]
        line[:] = 0
        for j in range(missing.shape[1]):
            if wanted[j]:
                diagonal = 1.0 if scales[j] == 1.0 else 1 / scales[j]
                a = _around(above, here, below, j, 0) - diagonal * here[j + 1, 0]
                b = _around(above, here, below, j, 1) - diagonal * here[j + 1, 1]
                c = _around(above, here, below, j, 2) - diagonal * here[j + 1, 2]
                _share(line, coarse.shape[1], j, a, b, c)
        _collect(line, coarse, i)


@compiled
def _interpolate_picture(missing: Array, coarse: Array, picture: Array) -> None:
    """Adds the coarse correction to the missing pixels; both have margins."""
    line = np.zeros((coarse.shape[1] - 1, 3))
    for i in range(missing.shape[0]):
        _between(coarse, i, line)
        here, wanted = picture[i + 1], missing[i]
        for j in range(missing.shape[1]):
            if wanted[j]:
                _correct(line, j, here)


@compiled
def _change(picture: Array, before: Array) -> float:
    """The largest change of a value since `before`, which becomes the picture."""
    largest = 0.0
    for i in range(picture.shape[0]):
        for j in range(picture.shape[1]):
            for channel in range(3):
                largest = max(largest, abs(picture[i, j, channel] - before[i, j, channel]))
                before[i, j, channel] = picture[i, j, channel]
    return largest


@compiled
def _cycle(grids: Any, values: Any, rights: Any) -> None:
    """One V cycle on the coarse grids."""
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
def _share(line: Array, size: int, j: int, a: float, b: float, c: float) -> None:
    """Adds what is left at the fine column j to its parents, of `size`, on a line of the coarse grid, (size + 1, 3)."""
    left = j // 2
    if j % 2 == 0 or left + 1 >= size:
        line[left, 0] += a
        line[left, 1] += b
        line[left, 2] += c
    else:
        line[left, 0] += 0.5 * a
        line[left, 1] += 0.5 * b
        line[left, 2] += 0.5 * c
        line[left + 1, 0] += 0.5 * a
        line[left + 1, 1] += 0.5 * b
        line[left + 1, 2] += 0.5 * c


@compiled
def _collect(line: Array, coarse: Array, i: int) -> None:
    """Adds the line of the fine row i to its parents on the coarse grid, (h, w, 3)."""
    top, up, bottom, down = _parents(i, coarse.shape[0])
    above, below = coarse[top], coarse[bottom]
    for j in range(coarse.shape[1]):
        for channel in range(3):
            above[j, channel] += up * line[j, channel]
            if down != 0:
                below[j, channel] += down * line[j, channel]


@compiled
def _between(coarse: Array, i: int, line: Array) -> None:
    """The coarse row (w, 3), of values with margins, that lies at the fine row i, on a line (w + 1, 3)."""
    top, up, bottom, down = _parents(i, coarse.shape[0] - 2)
    above, below = coarse[top + 1], coarse[bottom + 1]
    for j in range(coarse.shape[1] - 2):
        for channel in range(3):
            line[j, channel] = up * above[j + 1, channel] + down * below[j + 1, channel]


@compiled
def _correct(line: Array, j: int, values: Array) -> None:
    """Adds the coarse correction at the fine column j to a row of values with margins."""
    left = j // 2
    if j % 2 == 0 or left + 2 >= line.shape[0]:
        values[j + 1, 0] += line[left, 0]
        values[j + 1, 1] += line[left, 1]
        values[j + 1, 2] += line[left, 2]
    else:
        values[j + 1, 0] += 0.5 * (line[left, 0] + line[left + 1, 0])
        values[j + 1, 1] += 0.5 * (line[left, 1] + line[left + 1, 1])
        values[j + 1, 2] += 0.5 * (line[left, 2] + line[left + 1, 2])


@compiled
def _restrict(stencils: Array, values: Array, right: Array, coarse: Array) -> None:
    """Collects what is left of the equations, (H, W, 3), on the coarse grid, (h, w, 3)."""
    coarse[:] = 0
    line = np.zeros((coarse.shape[1] + 1, 3))
    for i in range(right.shape[0]):
        line[:] = 0
        for j in range(right.shape[1]):
            if stencils[i, j, 4] <= 0:
                continue
            a, b, c = right[i, j, 0], right[i, j, 1], right[i, j, 2]
            for k in range(9):
                weight, y, x = stencils[i, j, k], i + k // 3, j + k % 3
                a -= weight * values[y, x, 0]
                b -= weight * values[y, x, 1]
                c -= weight * values[y, x, 2]
            _share(line, coarse.shape[1], j, a, b, c)
        _collect(line, coarse, i)


@compiled
def _interpolate(stencils: Array, coarse: Array, values: Array) -> None:
    """Adds the coarse correction to the values that have an equation; both have margins."""
    line = np.zeros((coarse.shape[1] - 1, 3))
    for i in range(stencils.shape[0]):
        _between(coarse, i, line)
        for j in range(stencils.shape[1]):
            if stencils[i, j, 4] > 0:
                _correct(line, j, values[i + 1])
