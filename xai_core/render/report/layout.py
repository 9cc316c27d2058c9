"""Where everything in a chart goes, whoever draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...registry import METHODS
from ...studies.exhibits import Chart
from ..charts import BASELINE_COLOUR, CATEGORICAL

if TYPE_CHECKING:
    import pandas as pd

LONG = 12
"""Characters of a name beyond which bars lie, so that nobody reads sideways."""
MARKERS = (("circle", "o"), ("square", "s"), ("triangle-up", "^"), ("diamond", "D"), ("triangle-down", "v"), ("x", "X"))
"""Signs of plotly and of matplotlib; together with the colours, nothing is told by colour alone."""
DASHES = (("solid", "-"), ("dash", "--"), ("dot", ":"), ("dashdot", "-."))


@dataclass(frozen=True)
class Style:
    """How a group looks: a colour, and a sign and a line for plotly and matplotlib."""

    colour: str
    marker: tuple[str, str]
    dash: tuple[str, str]


def groups(chart: Chart) -> list[str]:
    """The names of its groups in the order of the rows; a single empty one where there are none."""
    return _distinct(chart.frame, chart.group) if chart.group else [""]


def styles(chart: Chart) -> Mapping[str, Style]:
    """How every group looks; baselines are grey."""
    grey = {"baseline", *(spec.title for spec in METHODS if spec.family == "baseline")}
    found: dict[str, Style] = {}
    counts = {True: 0, False: 0}
    for name in groups(chart):
        baseline = name in grey
        place = counts[baseline]
        counts[baseline] += 1
        colour = BASELINE_COLOUR if baseline else CATEGORICAL[place % len(CATEGORICAL)]
        dash = DASHES[(place + 1 if baseline else place // len(CATEGORICAL)) % len(DASHES)]
        found[name] = Style(colour, MARKERS[place % len(MARKERS)], dash)
    return found


def of_group(chart: Chart, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one group."""
    return frame[frame[chart.group].astype(str) == name] if chart.group else frame


def panels(chart: Chart) -> list[tuple[str, pd.DataFrame]]:
    """A title and its rows for each panel."""
    if not chart.facet:
        return [("", chart.frame)]
    return [
        (name, chart.frame[chart.frame[chart.facet].astype(str) == name])
        for name in _distinct(chart.frame, chart.facet)
    ]


def categories(chart: Chart) -> list[str]:
    """The names along `x` in the order of the rows; none where `x` is a number that lines or points go along."""
    if chart.kind in ("lines", "scatter") and chart.frame[chart.x].dtype.kind in "iufb":
        return []
    return _distinct(chart.frame, chart.x)


def ticks(chart: Chart) -> list[int]:
    """The places along a numeric `x` that have a name: whole numbers, if all are and there are few."""
    if categories(chart) or chart.frame[chart.x].dtype.kind not in "iu":
        return []
    found = sorted({int(one) for one in chart.frame[chart.x]})
    return found if len(found) <= 12 else []


def lies(chart: Chart) -> bool:
    """Whether the names along `x` stand one below the other."""
    names = categories(chart)
    return chart.kind == "dots" or (chart.kind == "bars" and (len(names) > 8 or max(map(len, names), default=0) > LONG))


def shift(place: int, count: int, room: float = 0.6) -> float:
    """How far the one of `count` groups is moved from the middle of a name's place, which is 1 wide."""
    return (place - (count - 1) / 2) * room / count


def _distinct(frame: pd.DataFrame, column: str) -> list[str]:
    return [str(one) for one in dict.fromkeys(frame[column])]


@dataclass(frozen=True)
class Label:
    """A method in a diagram of ranks: where its line leaves the axis, how far down it goes, and to which side."""

    name: str
    rank: float
    depth: float
    left: bool
    group: str


@dataclass(frozen=True)
class Ranks:
    """A critical-difference diagram: the axis goes from 1 to `count` at depth 0; depths grow downwards.

    `bars` are (from, to, depth) of methods that cannot be told apart.
    """

    count: int
    labels: tuple[Label, ...]
    bars: tuple[tuple[float, float, float], ...]

    @property
    def depth(self) -> float:
        return max([label.depth for label in self.labels], default=1.0)


def ranks(chart: Chart) -> Ranks:
    """The diagram after Demsar 2006: the better half of the names stands on the left, the other on the right."""
    lines: list[dict[Any, Any]] = chart.frame.sort_values(chart.y, kind="stable").to_dict("records")
    of = {str(line[chart.x]): float(line[chart.y]) for line in lines}
    bars: list[tuple[float, float, float]] = []
    rows: list[float] = []
    for clique in chart.cliques:
        low, high = min(of[name] for name in clique), max(of[name] for name in clique)
        row = next((number for number, end in enumerate(rows) if end < low - 0.1), len(rows))
        rows[row : row + 1] = [high]
        bars.append((low - 0.04, high + 0.04, 0.45 + 0.4 * row))
    first = 0.9 + 0.4 * len(rows)
    half = (len(lines) + 1) // 2
    labels = [
        Label(
            str(line[chart.x]),
            float(line[chart.y]),
            first + (place if place < half else len(lines) - 1 - place) * 0.8,
            place < half,
            str(line[chart.group]) if chart.group else "",
        )
        for place, line in enumerate(lines)
    ]
    return Ranks(max(len(lines), 2), tuple(labels), tuple(bars))
