"""Whether a claim of a source holds here, by one rule that is stated: intervals that lie on one side of a limit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from .statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["holds here", "does not hold here", "is not decided here", "cannot be told here"]
HOLDS: Verdict = "holds here"
FAILS: Verdict = "does not hold here"
UNDECIDED: Verdict = "is not decided here"
UNTOLD: Verdict = "cannot be told here"

FEWEST = 6
"""Pictures that a verdict takes: of fewer even a sign that all share is chance more often than one time in twenty."""
RULE = (
    "A conclusion holds here when each difference that it names has its 95 % bootstrap interval over pictures wholly "
    "on its side, and does not hold when one of them lies wholly on the other; otherwise, and with fewer than "
    f"{FEWEST} pictures, it is not decided. It cannot be told where what it is about was not run."
)


def sign_of(found: Interval, limit: float = 0.0) -> Verdict:
    """Whether the whole interval lies above the limit."""
    if found.n < FEWEST:
        return UNDECIDED
    if found.low > limit:
        return HOLDS
    return FAILS if found.high < limit else UNDECIDED


def of_all(found: Iterable[Verdict]) -> Verdict:
    """A claim of many parts holds where all hold, and fails where one fails."""
    parts = set(found)
    return next((one for one in (UNTOLD, FAILS, UNDECIDED) if one in parts), HOLDS)


def of_one_model(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without its column `Model` where there is but one."""
    return frame.drop(columns="Model") if frame["Model"].nunique() == 1 else frame
