"""A study's tables as people read them, and as CSV and LaTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ...studies.exhibits import Spread, Table
from ..numbers import number
from ..sheets import all_as_text

if TYPE_CHECKING:
    import pandas as pd

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": r"$-$",
    "–": "--",
    "∞": r"$\infty$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "≤": r"$\leq$",
    "σ": r"$\sigma$",
    "²": r"$^2$",
    "η": r"$\eta$",
    "→": r"$\rightarrow$",
    "«": r"\guillemotleft{}",
    "»": r"\guillemotright{}",
}
"""How LaTeX writes what it would read as a command, or does not know."""


def texts(table: Table) -> pd.DataFrame:
    """The table's cells as text: numbers rounded, an interval in the cell of its mean, counts in columns at the end.

    Where the counts of a line are not the same in all its cells, they stand in the cells.
    """
    import pandas as pd

    frame = table.frame
    hidden = {name for spread in table.spreads.values() for name in vars(spread).values() if name}
    counted = [spread for spread in table.spreads.values() if spread.n in frame]
    shared = bool(counted) and all(
        frame[spread.n].equals(frame[counted[0].n].rename(spread.n))
        and _undefined(frame, spread).equals(_undefined(frame, counted[0]))
        for spread in counted
    )
    shown: dict[str, list[str]] = {}
    for column in frame.columns:
        if column in hidden:
            continue
        spread = table.spreads.get(column)
        shown[column] = [_cell(line, column, spread, table.digits, not shared) for line in frame.to_dict("records")]
    if shared:
        alone = len(counted) == 1 and not counted[0].n.startswith(f"{_owner(table, counted[0])} ")
        shown[counted[0].n if alone else "n"] = [f"{one:g}" for one in frame[counted[0].n]]
        gaps = _undefined(frame, counted[0])
        if gaps.any():
            shown[counted[0].undefined if alone else "undefined"] = [str(int(one)) for one in gaps]
    return pd.DataFrame(shown, dtype=object)


def numeric(table: Table, column: str) -> bool:
    """Whether a column of `texts` holds numbers, which stand on the right."""
    return column not in table.frame or table.frame[column].dtype.kind in "iuf"


def best(table: Table) -> set[tuple[int, str]]:
    """The cells, (row, column), that are the best of their column; baselines do not count.

    Where the table has several models or corruptions, there is a best one for each of them.
    """
    frame = table.frame
    words = [one for one in frame.columns if frame[one].dtype.kind not in "iufb" and one != "Method"]
    kept = frame[[place not in set(table.quiet) for place in range(len(frame))]]
    found = set()
    for column, way in table.better.items():
        if column not in kept:
            continue
        for _, part in kept.groupby(words, sort=False) if words else [((), kept)]:
            values = part[column].to_numpy(dtype=float)
            if len(set(values[np.isfinite(values)])) < 2:
                continue
            top = np.nanmax(values) if way == "higher" else np.nanmin(values)
            found |= {(frame.index.get_loc(part.index[place]), column) for place in np.flatnonzero(values == top)}
    return found


def csv_text(table: Table) -> str:
    """The table with all its digits, and a column for the ends of every interval and for every count."""
    text: str = all_as_text(table.frame).to_csv(index=False, na_rep="nan", lineterminator="\n")
    return text


def latex(table: Table) -> str:
    r"""The table as it is shown, for `\input` in a document with the package booktabs."""
    shown = texts(table)
    outstanding = best(table)
    columns = "".join("r" if numeric(table, column) else "l" for column in shown.columns)
    lines = [
        "% Needs \\usepackage{booktabs}.",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escaped(table.title)}. {escaped(table.note)}}}"
        if table.note
        else rf"\caption{{{escaped(table.title)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(escaped(str(column)) for column in shown.columns) + r" \\",
        r"\midrule",
    ]
    for place, line in enumerate(shown.itertuples(index=False)):
        cells = [
            rf"\textbf{{{escaped(cell)}}}" if (place, column) in outstanding else escaped(cell)
            for column, cell in zip(shown.columns, line, strict=True)
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is, in one line."""
    plain = re.sub(r"\s+", " ", "".join(sign if sign.isprintable() else " " for sign in text))
    return "".join(SPECIAL.get(sign, sign) for sign in plain)


def _cell(line: dict[Any, Any], column: str, spread: Spread | None, digits: int, counts: bool) -> str:
    text = shown(line[column], digits)
    if spread is None:
        return text
    low, high = line.get(spread.low, np.nan), line.get(spread.high, np.nan)
    if np.isfinite(low) and np.isfinite(high):
        text += f" [{shown(low, digits)}, {shown(high, digits)}]"
    if counts and spread.n in line:
        gaps = int(line.get(spread.undefined, 0) or 0)
        text += f" (n {line[spread.n]:g}{f', {gaps} undefined' if gaps else ''})"
    return text


def shown(value: Any, digits: int = 3) -> str:
    """One value as text."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return str(value).replace("-", "−")
    if isinstance(value, (float, np.floating)):
        return number(float(value), digits)
    return "–" if value is None else str(value)


def _undefined(frame: pd.DataFrame, spread: Spread) -> Any:
    import pandas as pd

    return frame[spread.undefined].rename("") if spread.undefined in frame else pd.Series(0, frame.index, name="")


def _owner(table: Table, spread: Spread) -> str:
    return next(column for column, one in table.spreads.items() if one is spread)
