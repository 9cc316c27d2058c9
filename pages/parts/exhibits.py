"""A study's exhibits in the page: words, tables, charts and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.parts import components
from pages.parts.telling import escaped
from xai_core.render.encoding import photo_uri
from xai_core.render.numbers import number
from xai_core.studies.exhibits import Chart, Exhibit, Gallery, Section, Table, Words

if TYPE_CHECKING:
    import pandas as pd

QUIET = "color: #8a929c"
BEST = "background-color: rgb(0 114 178 / 18%)"
ROW = 35
"""Pixels that a row of a table is high."""
MOST = 14
"""Rows that are shown without scrolling."""


def show(sections: Sequence[Section]) -> None:
    """The sections one below the other."""
    for place, section in enumerate(sections):
        st.subheader(section.title, anchor=False, divider="gray" if place else False)
        for which, exhibit in enumerate(section.exhibits):
            _show(exhibit, f"exhibit.{place}.{which}")


def _show(exhibit: Exhibit, key: str) -> None:
    if isinstance(exhibit, Words):
        for sentence in exhibit.sentences:
            st.markdown(escaped(sentence))
        return
    st.markdown(f"**{escaped(exhibit.title)}**")
    if isinstance(exhibit, Table):
        table(exhibit, key)
    elif isinstance(exhibit, Chart):
        from xai_core.render.report.charts import plotly_figure

        st.plotly_chart(plotly_figure(exhibit), width="stretch", key=key, config={"displayModeBar": False})
    elif isinstance(exhibit, Gallery):
        for first in range(0, len(exhibit.pictures), exhibit.columns):
            row = exhibit.pictures[first : first + exhibit.columns]
            components.strip(st, [photo_uri(pixels) for pixels, _ in row], [words for _, words in row])
    if exhibit.note:
        st.caption(escaped(exhibit.note))


def table(exhibit: Table, key: str) -> None:
    """A table whose numbers stay numbers, so that it is sorted by a click on a heading."""
    frame = exhibit.frame.reset_index(drop=True)
    hidden = {name for one in exhibit.spreads.values() for name in (one.low, one.high, one.n, one.undefined) if name}
    shown = [name for name in frame.columns if name not in hidden]
    st.dataframe(
        _styled(exhibit, frame, shown),
        hide_index=True,
        column_order=shown,
        height=ROW * (min(len(frame), MOST) + 1) + 3,
        row_height=ROW,
        key=key,
    )


def _styled(exhibit: Table, frame: pd.DataFrame, shown: Sequence[str]) -> Any:
    """The table with numbers as people read them, intervals beside their means, the best marked, baselines grey."""
    numbers = [name for name in shown if frame[name].dtype.kind == "f"]
    styled = frame.style.format(dict.fromkeys(numbers, number))
    for name, spread in exhibit.spreads.items():
        for row, value in frame[name].dropna().items():
            words = f"{number(value)}  [{number(frame.loc[row, spread.low])}, {number(frame.loc[row, spread.high])}]"
            styled = styled.format(_saying(words), subset=([row], [name]))
    quiet = [row for row in frame.index if row in exhibit.quiet]
    for name, way in exhibit.better.items():
        loud = frame.loc[~frame.index.isin(quiet), name].dropna()
        best = loud.index[loud == (loud.max() if way == "higher" else loud.min())]
        if len(loud) > 1:
            styled = styled.map(lambda value: BEST, subset=(list(best), [name]))
    return styled.map(lambda value: QUIET, subset=(quiet, list(shown))) if quiet else styled


def _saying(words: str) -> Any:
    return lambda value: words
