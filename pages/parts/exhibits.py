"""A study's exhibits in the page: words, tables, charts and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.parts import components
from pages.parts.telling import escaped
from xai_core.render.encoding import photo_uri
from xai_core.render.report import tables
from xai_core.studies.exhibits import Chart, Exhibit, Gallery, Section, Table, Words

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

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
    st.dataframe(
        styled(exhibit),
        hide_index=True,
        height=ROW * (min(len(exhibit.frame), MOST) + 1) + 3,
        row_height=ROW,
        key=key,
    )


def styled(exhibit: Table) -> Styler:
    """The values of a table's columns with the texts and the best cells of its report; baselines are grey."""
    import pandas as pd

    texts, outstanding = tables.texts(exhibit), tables.best(exhibit)
    values = exhibit.frame.reset_index(drop=True)
    counted = {name: pd.to_numeric(texts[name]) for name in texts if name not in values}  # which only texts have
    values = values.assign(**counted)[list(texts)]
    found = values.style
    for column in values.columns[values.dtypes.map(lambda kind: kind.kind in "iuf")]:
        found = found.format(lambda value: tables.shown(value, exhibit.digits), subset=[column])
        for row, text in texts[column].items():
            if text != tables.shown(values.loc[row, column], exhibit.digits):
                found = found.format(_saying(text), subset=([row], [column]))
    for column in {column for _, column in outstanding}:
        rows = [row for row, one in outstanding if one == column]
        found = found.map(lambda value: BEST, subset=(rows, [column]))
    quiet = [row for row in values.index if row in exhibit.quiet]
    return found.map(lambda value: QUIET, subset=(quiet, list(values))) if quiet else found


def _saying(words: str) -> Any:
    return lambda value: words
