"""Masks as NPZ files: numpy's arrays in a zip archive."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ...types import Bools, XaiError
from .reading import read_bytes

MOST_ARRAYS = 256
"""Objects in one file at most."""


def written(mask: Bools) -> bytes:
    """An NPZ file of bool (H, W) under the name `mask`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, mask=mask)
    return buffer.getvalue()


def read(file: Path, size: tuple[int, int]) -> Bools:
    """The union of a file's arrays, bool of `size`; each is one object, wherever it is not 0.

    Raises `XaiError` for a damaged archive, pickled objects, other sizes, and numbers that are not whole.
    """
    mask = np.zeros(size, dtype=bool)
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(file))) as archive:
            names = archive.namelist()
            if not 0 < len(names) <= MOST_ARRAYS:
                raise XaiError(f"{file.name} holds {len(names)} arrays: 1 to {MOST_ARRAYS} can be read.")
            for name in names:
                with archive.open(name) as member:
                    _check(member, file.name, size)
                with archive.open(name) as member:
                    mask |= np.lib.format.read_array(member, allow_pickle=False) != 0
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError, NotImplementedError):
        raise XaiError(f"{file.name} is damaged, or no NPZ file: save it again with numpy.savez.") from None
    return mask


def _check(member: Any, name: str, size: tuple[int, int]) -> None:
    """Looks at an array's header, so that nothing large is made for a wrong one."""
    version = np.lib.format.read_magic(member)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(member)
    if dtype.kind not in "bui":
        raise XaiError(f"{name} holds {dtype} and not bool or whole numbers: save the mask as bool.")
    if shape != size:
        shown = " x ".join(str(side) for side in shape) or "no"
        raise XaiError(
            f"{name} holds an array of {shown[:60]} values and its picture has {size[0]} rows and {size[1]} columns: "
            "save the mask at the picture's own size."
        )
