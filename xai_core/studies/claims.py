"""Conclusions of a source, and whether they hold here: by a stated rule, from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exhibits import Exhibit, Spread, Table, Words
from .naming import listed, map_title, model_title
from .statistics.intervals import Interval, difference_interval
from .verdicts import FAILS, HOLDS, RULE, UNDECIDED, UNTOLD, Verdict, of_all, sign_of

if TYPE_CHECKING:
    import pandas as pd


def preferred(variants: Iterable[str], variant: str) -> str:
    """Which of a method's variants stands for it beside a source: the one asked for, or else the first by name."""
    return min(variants, key=lambda one: (one != variant, one), default="")


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a score of a model's maps by a method, under a corruption, or the mean over several.

    Empty fields stand for all that there is. `variant` is preferred where the method has several.
    """

    score: str
    model: str = ""
    method: str = ""
    corruption: str = ""
    variant: str = ""

    def values(self, rows: pd.DataFrame) -> pd.Series:
        """The value of every picture, undefined where one of those that it is the mean of is."""
        found = rows[rows["score"] == self.score]
        if self.model:
            found = found[found["model"] == self.model]
        if self.corruption:
            names = found["corruption"].str.split("=").str[0]
            found = found[(names == self.corruption) | (found["corruption"] == self.corruption)]
        if self.method:
            found = found[found["method"] == self.method]
            kept = preferred(found["variant"], self.variant)
            found = found[found["variant"] == kept]
        grouped = found.groupby("picture")["value"]
        return grouped.mean(skipna=False).where(grouped.size() == grouped.size().max())

    @property
    def missing(self) -> str:
        """What was not run, if it has no values."""
        return " with ".join(
            part for part in (map_title(self.method) if self.method else "", model_title(self.model)) if part
        )


@dataclass(frozen=True)
class Claim:
    """A conclusion: the first side of each pair is greater than `factor` times the second."""

    text: str
    pairs: Sequence[tuple[Side, Side]]
    factor: float = 1.0
    where: str = ""
    """The model that it is about, where it is about one."""


@dataclass(frozen=True)
class Judgement:
    """Whether a claim holds here, and the narrowest of its differences; `missing` is what was not run."""

    claim: Claim
    verdict: Verdict
    narrowest: Interval | None
    missing: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The verdict in a table whose column says where."""
        gap = f": {listed(self.missing)} not run or undefined" if self.missing else ""
        return self.verdict.removesuffix(" here") + gap


def judged(claim: Claim, rows: pd.DataFrame) -> Judgement:
    """Whether a claim holds, by `verdicts.RULE`."""
    intervals, missing = [], []
    for first, second in claim.pairs:
        a, b = first.values(rows), second.values(rows)
        gaps = [side.missing for side, values in ((first, a), (second, b)) if not values.notna().any()]
        missing += gaps
        if not gaps:
            a, b = a.align(b, join="inner")
            intervals.append(difference_interval(a.to_numpy(), claim.factor * b.to_numpy()))
    narrowest = min(intervals, key=lambda one: one.low if one.low == one.low else float("-inf"), default=None)
    if missing:
        return Judgement(claim, UNTOLD, narrowest, tuple(dict.fromkeys(missing)))
    verdict = of_all(sign_of(one) for one in intervals)
    if verdict == FAILS:
        narrowest = min(intervals, key=lambda one: one.high)
    return Judgement(claim, verdict, narrowest)


def verdicts(claims: Sequence[Claim], rows: pd.DataFrame, name: str, source: str) -> list[Exhibit]:
    """What becomes of a source's claims: sentences, and a table with the numbers."""
    import pandas as pd

    found = [judged(claim, rows) for claim in claims]
    lines = [
        {
            "Conclusion": one.claim.text,
            "Model": model_title(one.claim.where) if one.claim.where else "–",
            "Here": one.words,
            "Difference": one.narrowest.mean if one.narrowest else float("nan"),
            "Low": one.narrowest.low if one.narrowest else float("nan"),
            "High": one.narrowest.high if one.narrowest else float("nan"),
            "Pictures": one.narrowest.n if one.narrowest else 0,
        }
        for one in found
    ]
    table = Table(
        name,
        f"Conclusions of {source}",
        pd.DataFrame(lines),
        f"{RULE} Shown is the difference that decides, in the score's own unit.",
        spreads={"Difference": Spread("Low", "High", "Pictures")},
    )
    return [Words(list(_sentences(found, source))), table]


def _sentences(found: Sequence[Judgement], source: str) -> Iterator[str]:
    openings = {
        HOLDS: f"Of {source}'s conclusions these hold here",
        FAILS: f"Of {source}'s conclusions these do not hold here",
        UNDECIDED: f"These conclusions of {source} are neither borne out nor refuted by these pictures",
        UNTOLD: f"These conclusions of {source} cannot be told here, since what they are about was not run",
    }
    for verdict, opening in openings.items():
        said = [f"{one.claim.text}{_about(one.claim)}" for one in found if one.verdict == verdict]
        if said:
            yield f"{opening}: {'; '.join(said)}."


def _about(claim: Claim) -> str:
    return f" ({model_title(claim.where)})" if claim.where else ""
