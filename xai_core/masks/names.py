"""Names of people who draw masks; a name becomes a folder's on export."""

from __future__ import annotations

import unicodedata

from ..types import XaiError

LONGEST = 80
"""Letters of a name."""
LONGEST_BYTES = 255
"""Bytes of a folder's name, in most file systems."""


def checked_name(name: str) -> str:
    """The name without blanks around it; raises `XaiError` for one that cannot be a folder's."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > LONGEST or not name.isprintable() or set("/\\") & set(name) or name in (".", ".."):
        raise XaiError(
            f"An annotator's name has 1 to {LONGEST} printable letters and no slash, and {name[:LONGEST]!a} does not; "
            "choose another one."
        )
    if len(name.encode()) > LONGEST_BYTES:
        raise XaiError(f"The name {name!r} is too long for a folder; choose a shorter one.")
    return name
