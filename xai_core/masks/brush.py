"""Label Studio's brush code (`format: rle`): runs of RGBA values as a stream of bits, in a list of bytes.

The stream is that of the package rle-pack: 32 bits say how many values there are, 5 how long a value is, 4 times 4 how
long the four kinds of lengths are, each less one. Blocks follow: 1 bit for a run of one value or for values one by one,
2 for the kind of length, the length less one, and the value or values. The picture goes row by row, and the mask is
where its opacity is not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..types import Bools, XaiError

CHANNELS = 4
LENGTHS = (3, 4, 8, 16)
"""Bits of the four kinds of lengths that we write; Label Studio's own converter has the same."""
WORD = 8


def encoded(mask: Bools) -> bytes:
    """The code of bool (H, W): every channel is 255 on the mask and 0 elsewhere."""
    flat = np.asarray(mask, dtype=bool).ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    runs = np.diff(starts, append=flat.size).astype(np.int64) * CHANNELS
    longest = 1 << LENGTHS[-1]
    blocks = -(-runs // longest)
    lengths = np.full(int(blocks.sum()), longest)
    lengths[np.cumsum(blocks) - 1] = runs - (blocks - 1) * longest
    kinds = np.searchsorted(1 << np.array(LENGTHS), lengths)
    sizes = np.array(LENGTHS)[kinds]
    values = np.repeat(flat[starts], blocks) * 255
    codes = ((((1 << 2 | kinds) << sizes) | (lengths - 1)) << WORD) | values
    header = [
        int(bit) for bit in f"{flat.size * CHANNELS:032b}{WORD - 1:05b}" + "".join(f"{n - 1:04b}" for n in LENGTHS)
    ]
    return np.packbits(np.concatenate([header, _bits(codes, 1 + 2 + sizes + WORD)])).tobytes()


def _bits(codes: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The last `sizes` bits of each code, one after the other, as uint8 of 0 and 1."""
    ends = np.cumsum(sizes)
    shifts = np.repeat(ends, sizes) - 1 - np.arange(ends[-1])
    return (np.repeat(codes, sizes) >> shifts & 1).astype(np.uint8)


def decoded(code: Sequence[int], height: int, width: int) -> Bools:
    """The mask bool (height, width) of a code; raises `XaiError` where it does not fit or breaks off."""
    try:
        stream = _Stream(bytes(code))
        count = stream.number(32)
        if count != height * width * CHANNELS:
            raise XaiError(
                f"The brush code has {count} values, but a picture of {width} x {height} pixels needs "
                f"{height * width * CHANNELS}: export it again."
            )
        word = stream.number(5) + 1
        sizes = [stream.number(4) + 1 for _ in LENGTHS]
        some = np.zeros(count, dtype=bool)
        done = 0
        while done < count:
            is_run, kind = divmod(stream.number(3), 4)
            end = done + stream.number(sizes[kind]) + 1
            if end > count:
                raise XaiError("The brush code goes on beyond its picture: export it again.")
            some[done:end] = stream.number(word) != 0 if is_run else stream.some(end - done, word)
            done = end
    except (IndexError, TypeError, ValueError):
        raise XaiError("The brush code is damaged or breaks off: export it again.") from None
    return some.reshape(height, width, CHANNELS)[..., 3].copy()


class _Stream:
    """Numbers of bits, read one after the other; raises `IndexError` at the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def number(self, size: int) -> int:
        """The next `size` bits as a number."""
        end = self._place + size
        part = self._bytes(end)
        self._place = end
        return int.from_bytes(part, "big") >> (-end % 8) & ((1 << size) - 1)

    def some(self, count: int, size: int) -> npt.NDArray[Any]:
        """Whether the next `count` numbers of `size` bits are not 0, bool (count,)."""
        end, first = self._place + count * size, self._place % 8
        bits = np.unpackbits(np.frombuffer(self._bytes(end), dtype=np.uint8))
        self._place = end
        return np.asarray(bits[first : first + count * size].reshape(count, size).any(axis=1))

    def _bytes(self, end: int) -> bytes:
        if end > 8 * len(self._data):
            raise IndexError
        return self._data[self._place // 8 : -(-end // 8)]
