"""Text in CSV files that a spreadsheet would run as a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a formula may begin with, or what stands before one."""


def as_text(value: T) -> T | str:
    """The value; text that a spreadsheet would read as a formula has a ' before it, which tells it that it is none."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not text[0].isspace()


def all_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame with `as_text` of its headings, and of every value in columns that are no numbers."""
    texts = [name for name in frame.columns if frame[name].dtype.kind not in "iufb"]
    return frame.assign(**{name: frame[name].map(as_text) for name in texts}).rename(columns=as_text)
