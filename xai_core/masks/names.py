"""Names of people who draw masks; a name becomes a folder's on export."""

from __future__ import annotations

import unicodedata

from ..types import XaiError

LONGEST = 80
"""Letters of a name."""
LONGEST_BYTES = 255
"""Bytes of a folder's name, in most file systems."""
JUNK = {"thumbs.db", "desktop.ini", "__macosx"}
"""What systems put into folders by themselves, in small letters."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of anybody's masks."""
    return name.startswith(".") or name.lower() in JUNK


def checked_name(name: str, whose: str = "An annotator's") -> str:
    """The name without blanks around it; raises `XaiError` for one that cannot be a folder's.

    The error says whose name it is.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > LONGEST or not name.isprintable() or set("/\\") & set(name):
        raise XaiError(
            f"{whose} name has 1 to {LONGEST} printable letters and no slash, and {name[:LONGEST]!a} does not; "
            "choose another one."
        )
    if is_hidden(name):
        raise XaiError(f"{whose} name cannot be {name!r}, as a folder of this name is hidden; choose another one.")
    if len(name.encode()) > LONGEST_BYTES:
        raise XaiError(f"The name {name!r} is too long for a folder; choose a shorter one.")
    return name
