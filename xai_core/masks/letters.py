"""COCO's compressed run lengths: letters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..types import XaiError


def from_letters(letters: str) -> npt.NDArray[np.int64]:
    """The run lengths in COCO's letters, int64 (N,), columns and zeros first; raises `XaiError` where they break off.

    A letter holds 5 bits, the lowest first, and whether the number goes on; from the fourth on, a number is the
    difference to the last but one. pycocotools would read beyond the end of letters that break off.
    """
    values = np.frombuffer(letters.encode("ascii", "replace"), dtype=np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(values & 32 == 0)
    sizes = np.diff(ends, prepend=-1)
    if not values.size or ((values < 0) | (values > 63)).any() or values[-1] & 32 or sizes.max() > 7:
        raise XaiError("The run lengths of a mask are damaged or break off: export it again.")
    starts = ends + 1 - sizes
    shifts = 5 * (np.arange(values.size) - np.repeat(starts, sizes))
    numbers = np.add.reduceat((values & 31) << shifts, starts)
    numbers -= np.where(values[ends] & 16, 1 << 5 * sizes, 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
