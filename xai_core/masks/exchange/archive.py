"""A folder of masks as one ZIP file, and back within limits."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

from ...settings import MEGABYTE
from ...types import XaiError

MOST_FILES = 20_000
LARGEST_MB = 1024
"""Megabytes that an archive may hold at most, unpacked."""


def archived(folder: Path) -> bytes:
    """All files of a folder as a ZIP, under their paths in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return buffer.getvalue()


def unpack(data: bytes, folder: Path, name: str) -> None:
    """Unpacks the ZIP file `name` into a folder and nowhere else.

    Raises `XaiError` for what is no ZIP, is damaged or locked, or would be too large; then nothing counts as unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries) / MEGABYTE
            if len(entries) > MOST_FILES or size > LARGEST_MB:
                raise XaiError(
                    f"{name} unpacks to {len(entries)} files with {size:.0f} MB, and at most {MOST_FILES} files with "
                    f"{LARGEST_MB} MB are taken: split it."
                )
            archive.extractall(folder)
    except RuntimeError:
        raise XaiError(f"{name} is locked by a password or packed in an unknown way: pack it as a plain ZIP.") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError):
        raise XaiError(f"{name} is damaged, or no ZIP file: pack it again.") from None
