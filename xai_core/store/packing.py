"""Masks and strokes as bytes of a column: run lengths as little-endian uint32, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from ..masks.runs import decoded, encoded
from ..types import Bools


def packed_counts(counts: Sequence[int]) -> bytes:
    """Run lengths as bytes."""
    return zlib.compress(np.asarray(counts, dtype="<u4").tobytes(), 1)


def unpacked_counts(data: bytes) -> list[int]:
    """The run lengths that `packed_counts` was given."""
    return [int(count) for count in np.frombuffer(zlib.decompress(data), dtype="<u4")]


def packed(mask: Bools) -> bytes:
    """A mask, bool (H, W), as bytes."""
    return packed_counts(encoded(mask))


def unpacked(data: bytes, size: tuple[int, int]) -> Bools:
    """The mask, bool (H, W), that `packed` was given; `size` is its height and width."""
    counts = np.frombuffer(zlib.decompress(data), dtype="<u4").astype(np.int64)
    return decoded(counts, *size)  # type: ignore[arg-type]
