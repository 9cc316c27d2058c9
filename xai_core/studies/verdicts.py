"""Whether a claim of a source holds here, by rules that are stated: intervals that lie on one side of a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["yes", "no", "unknown"]

WORDS: dict[Verdict, str] = {"yes": "holds here", "no": "does not hold here", "unknown": "cannot be told here"}


FEWEST = 6
"""Pictures that a verdict takes: of fewer even a sign that all share is chance more often than one time in twenty."""
RULE = (
    f"A claim about means holds here where the 95 % bootstrap interval over pictures lies on its side, does not hold "
    f"where it lies on the other side, and cannot be told where it does neither or there are fewer than {FEWEST} "
    "pictures."
)


def verdict_words(verdict: Verdict) -> str:
    return WORDS[verdict]


def sign_of(found: Interval, limit: float = 0.0) -> Verdict:
    """Yes where the whole interval lies above the limit, no where it lies below; else, or of too few, unknown."""
    if found.n < FEWEST:
        return "unknown"
    if found.low > limit:
        return "yes"
    return "no" if found.high < limit else "unknown"


def of_one_model(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without its column `Model` where there is but one."""
    return frame.drop(columns="Model") if frame["Model"].nunique() == 1 else frame
