"""Masks as run lengths: COCO's uncompressed code, column by column, beginning with the number of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..types import Bools, XaiError

MOST_PIXELS = 2**28
"""No mask is larger, whatever a file says of itself."""


def encoded(mask: Bools) -> list[int]:
    """The lengths of the runs of bool (H, W), columns first: zeros, ones, zeros, ...; the first may be 0."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    if not flat.size:
        return [0]
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return [0, *lengths.tolist()] if flat[0] else list(lengths.tolist())


def decoded(counts: Sequence[int], height: int, width: int) -> Bools:
    """The mask, bool (height, width), of runs as `encoded` makes them; raises `XaiError` where they do not fit."""
    lengths = checked(counts, height, width)
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape((height, width), order="F")


def checked(counts: Sequence[int], height: int, width: int) -> npt.NDArray[np.integer]:
    """The run lengths of a mask of this size; raises `XaiError` where they do not fit. No mask is made."""
    if not (height > 0 and width > 0 and height * width <= MOST_PIXELS):
        raise XaiError(f"A mask of {width} x {height} pixels cannot be read: 1 to {MOST_PIXELS} pixels fit.")
    try:
        lengths: npt.NDArray[Any] = np.asarray(counts)
    except ValueError:  # lists of different lengths
        lengths = np.asarray(None)
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer) or (lengths < 0).any():
        raise XaiError("The mask's run lengths are not a list of whole numbers from 0 on: export it again.")
    if (lengths > height * width).any() or int(lengths.sum()) != height * width:
        raise XaiError(f"The mask's run lengths do not add up to its {width} x {height} pixels: export it again.")
    return lengths
