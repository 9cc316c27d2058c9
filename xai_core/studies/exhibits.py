"""What a study shows: words, tables, charts and pictures, as data; `render.report` draws them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ..types import Pixels

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Words:
    """Sentences; each is a paragraph of plain text."""

    sentences: Sequence[str]


@dataclass(frozen=True)
class Spread:
    """Columns that belong to another one: the ends of its interval, how many values it is the mean of, and how many
    were undefined. A table shows the ends in the same cell, its files have columns of their own."""

    low: str
    high: str
    n: str = ""
    undefined: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """A table: columns are its headings; numbers are shown with `digits` significant digits, not-a-number as a dash.

    `name` names its files: lower case, digits and hyphens. `spreads` are by column. The best value of a column in
    `better` stands out; rows in `quiet`, by their number, are baselines, which stand back.
    """

    name: str
    title: str
    frame: pd.DataFrame
    note: str = ""
    digits: int = 3
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    better: Mapping[str, Literal["higher", "lower"]] = field(default_factory=dict)
    quiet: Collection[int] = ()


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure of a data frame in long form.

    "lines" draws `y` over `x`, "bars" and "dots" a `y` for every `x`, "scatter" points, "heat" the `y` of every `x` and
    `group`, and "ranks" a critical-difference diagram: mean rank `y` of every `x`, with the cliques in `cliques`. There
    is a line, bar or colour for each value of the column `group`; `low` and `high` are columns with an interval.
    `facet` is a column that has a panel for each value.
    """

    name: str
    title: str
    kind: Literal["lines", "bars", "dots", "scatter", "heat", "ranks"]
    frame: pd.DataFrame
    x: str
    y: str
    group: str = ""
    low: str = ""
    high: str = ""
    facet: str = ""
    note: str = ""
    cliques: Sequence[Sequence[str]] = ()
    level: float | None = None
    """A horizontal line: chance, or no effect."""
    reach: float | None = None
    """The critical difference of a "ranks" diagram."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures, uint8 (H, W, 3), each with a caption, in rows of `columns`."""

    name: str
    title: str
    pictures: Sequence[tuple[Pixels, str]]
    columns: int = 4
    note: str = ""


Exhibit = Words | Table | Chart | Gallery


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a report."""

    title: str
    exhibits: Sequence[Exhibit] = field(default_factory=tuple)

    @property
    def filled(self) -> Section:
        """The same without tables and charts that have nothing to show yet."""
        shown = [one for one in self.exhibits if not isinstance(one, Table | Chart) or len(one.frame)]
        return replace(self, exhibits=shown)
