"""Files of other tools, read within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from ...settings import MEGABYTE
from ...types import XaiError

LARGEST_MB = 256
"""Megabytes of a file of masks at most."""


def read_bytes(file: Path) -> bytes:
    """A file's bytes; raises `XaiError` where it is too large or cannot be read."""
    try:
        size = file.stat().st_size
        if size > LARGEST_MB * MEGABYTE:
            raise XaiError(f"{file.name} has {size / MEGABYTE:.0f} MB, more than the limit of {LARGEST_MB}: split it.")
        return file.read_bytes()
    except OSError as error:
        raise XaiError(f"{file.name} cannot be read: {error.strerror or error}.") from None


def read_json(file: Path) -> Any:
    """A JSON file's content; raises `XaiError` for what is no JSON, nests too deep, or has numbers that are none."""
    data = read_bytes(file)
    try:
        return orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        raise XaiError(f"{file.name} is no JSON that can be read: export it again.") from None
