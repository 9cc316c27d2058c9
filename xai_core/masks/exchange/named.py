"""A mask with the names that it goes by between tools."""

from __future__ import annotations

import unicodedata
import zlib
from dataclasses import dataclass

import numpy as np

from ...types import Bools, Mask
from ..names import checked_name


@dataclass(frozen=True)
class NamedMask:
    """Whose mask of which picture: `picture` is its file's name, `digest` that of its pixels; `annotator` may be None.

    `size` is height and width in pixels; `packed` the pixels as compressed bits, so that hundreds fit into memory.
    """

    picture: str
    digest: str
    annotator: str | None
    size: tuple[int, int]
    packed: bytes

    @classmethod
    def of(cls, picture: str, digest: str, annotator: str | None, values: Bools) -> NamedMask:
        """The mask bool (H, W) under these names; raises `XaiError` for a name that no annotator may have."""
        if annotator is not None:
            annotator = checked_name(annotator)
        height, width = values.shape
        return cls(picture, digest, annotator, (height, width), zlib.compress(np.packbits(values).tobytes(), 1))

    @property
    def values(self) -> Bools:
        """Bool (H, W)."""
        height, width = self.size
        bits = np.frombuffer(zlib.decompress(self.packed), dtype=np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)

    @property
    def mask(self) -> Mask:
        """The mask at the picture's own resolution."""
        return Mask(self.values, name=self.picture)


def plain_name(name: str) -> str:
    """The last part of a path of either kind, without letters that a file's name may not have."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    safe = "".join(letter if letter.isprintable() and letter not in ':*?"<>|' else "_" for letter in last)
    return safe.strip().lstrip(".") or "picture"
