"""Whether a claim of a source holds here, by rules that are stated: intervals that lie on one side of a limit."""

from __future__ import annotations

from typing import Literal

from .statistics.intervals import Interval

Verdict = Literal["yes", "no", "unknown"]

WORDS: dict[Verdict, str] = {"yes": "holds here", "no": "does not hold here", "unknown": "cannot be told here"}


def verdict_words(verdict: Verdict) -> str:
    return WORDS[verdict]


def sign_of(found: Interval, limit: float = 0.0) -> Verdict:
    """Yes where the whole interval lies above the limit, no where it lies below, else unknown.

    A single value has no interval and tells nothing.
    """
    if found.low > limit:
        return "yes"
    return "no" if found.high < limit else "unknown"
