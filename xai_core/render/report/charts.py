"""A study's charts as plotly figures, for pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...studies.exhibits import Chart
from . import layout

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = 3
"""Panels side by side."""
GREY = "rgba(128, 128, 128, 0.55)"
AXIS, LEGEND = 48, 44
"""Pixels below a panel: of its axis with its title, and of the legend under that, which has up to two lines."""


def plotly_figure(chart: Chart) -> Any:
    """Any chart, as an interactive figure without a title, in the colours of the page it is put into."""
    if chart.kind == "ranks":
        return _ranks(chart)
    from plotly.subplots import make_subplots

    panels = layout.panels(chart)
    columns = min(len(panels), COLUMNS) or 1
    rows = -(-len(panels) // columns) or 1
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[_safe(title) for title, _ in panels] if chart.facet else None,
        shared_yaxes=True,
        shared_xaxes="all" if layout.lies(chart) else False,
        horizontal_spacing=0.04,
        vertical_spacing=0.3 / rows,
    )
    told: set[str] = set()
    for number, (_, frame) in enumerate(panels):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        if chart.kind == "heat":
            _heat(figure, chart, frame, place)
        else:
            _marks(figure, chart, frame, place, told)
    _axes(figure, chart, rows, columns)
    figure.update_xaxes(showticklabels=True)
    names = len(layout.categories(chart)) if layout.lies(chart) else 0
    tall = 90 + 24 * names * max(1, len(layout.groups(chart)) / 2) if names else 300
    if chart.kind == "heat":
        tall = 120 + 30 * len(layout.groups(chart))
    named = bool(chart.group) and chart.kind != "heat"
    figure.update_layout(
        height=tall * rows + (LEGEND if named else 0),
        margin={"l": 10, "r": 10, "t": 36 if chart.facet else 12, "b": AXIS + LEGEND if named else 10},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        showlegend=named,
        barmode="group",
        hovermode="closest",
    )
    return figure


def _marks(figure: Any, chart: Chart, frame: pd.DataFrame, place: dict[str, int], told: set[str]) -> None:
    """Lines, bars, dots or points of every group in one panel; `told` are the groups that the legend has already."""
    lies, names = layout.lies(chart), layout.categories(chart)
    known = layout.styles(chart)
    for number, (name, style) in enumerate(known.items()):
        part = layout.of_group(chart, frame, name)
        if part.empty:
            continue
        if chart.kind == "lines" and not names:
            part = part.sort_values(chart.x, kind="stable")
        along = [str(one) for one in part[chart.x]] if names else part[chart.x].tolist()
        values = part[chart.y].astype(float).tolist()
        if chart.kind == "dots":
            move = layout.shift(number, len(known)) if len(known) > 1 and _shares(chart, frame) else 0.0
            along = [names.index(one) + move for one in along]
        title = _safe(name)
        shown: dict[str, Any] = {
            "x": values if lies else along,
            "y": along if lies else values,
            "name": title,
            "legendgroup": title,
            "showlegend": name not in told,
            "legendrank": 1000 + number,
            "hovertext": [_safe(str(one)) for one in part[chart.x]],
            "hovertemplate": f"%{{hovertext}}<br>%{{{'x' if lies else 'y'}:.3g}}<extra>{title}</extra>",
            **place,
        }
        told.add(name)
        if chart.low and chart.high and chart.kind != "lines":
            shown["error_x" if lies else "error_y"] = _errors(chart, part)
        if chart.kind == "bars":
            figure.add_bar(**shown, orientation="h" if lies else "v", marker={"color": style.colour})
            continue
        mode = "lines+markers" if chart.kind == "lines" else "markers"
        if chart.low and chart.high and chart.kind == "lines":
            _band(figure, along, part[chart.low].tolist(), part[chart.high].tolist(), style.colour, place)
        figure.add_scatter(
            **shown,
            mode=mode,
            marker={
                "color": style.colour,
                "symbol": style.marker[0],
                "size": 7 if chart.kind == "scatter" else 8,
                "opacity": 0.75 if chart.kind == "scatter" else 1,
            },
            line={"color": style.colour, "dash": style.dash[0], "width": 2},
        )
    if chart.level is not None:
        line = {"line": {"color": GREY, "dash": "dot", "width": 1.5}, **place}
        if lies:
            figure.add_vline(x=chart.level, **line)
        else:
            figure.add_hline(y=chart.level, **line)


def _shares(chart: Chart, frame: pd.DataFrame) -> bool:
    """Whether some name has dots of several groups."""
    return bool(frame.groupby(chart.x)[chart.group].nunique().max() > 1) if chart.group else False


def _errors(chart: Chart, part: pd.DataFrame) -> dict[str, Any]:
    values = part[chart.y].to_numpy(dtype=float)
    above = np.nan_to_num(part[chart.high].to_numpy(dtype=float) - values)
    below = np.nan_to_num(values - part[chart.low].to_numpy(dtype=float))
    return {"type": "data", "symmetric": False, "array": above.tolist(), "arrayminus": below.tolist(), "thickness": 1.5}


def _band(
    figure: Any, along: list[Any], low: list[float], high: list[float], colour: str, place: dict[str, int]
) -> None:
    """The interval of a line, as a shade."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    figure.add_scatter(
        x=[*along, *along[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, 0.15)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        **place,
    )


def _heat(figure: Any, chart: Chart, frame: pd.DataFrame, place: dict[str, int]) -> None:
    from ..numbers import number

    columns, rows = layout.categories(chart), layout.groups(chart)
    values = cells(chart, frame)
    low, high = heat_range(chart)
    figure.add_heatmap(
        z=values.tolist(),
        x=[_safe(one) for one in columns],
        y=[_safe(one) for one in rows],
        text=[[number(one) for one in row] for row in values],
        texttemplate="%{text}" if len(columns) <= 12 else None,
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
        colorscale="RdBu" if chart.level is not None else "Cividis",
        zmin=low,
        zmax=high,
        xgap=2,
        ygap=2,
        showscale=len(columns) > 12,
        colorbar={"thickness": 10, "outlinewidth": 0},
        **place,
    )


def cells(chart: Chart, frame: pd.DataFrame) -> Any:
    """The values of a heat map, float64 (groups, names), not-a-number where there is none."""
    columns, rows = layout.categories(chart), layout.groups(chart)
    values = np.full((len(rows), len(columns)), np.nan)
    for line in frame.to_dict("records"):
        row = rows.index(str(line[chart.group])) if chart.group else 0
        values[row, columns.index(str(line[chart.x]))] = line[chart.y]
    return values


def heat_range(chart: Chart) -> tuple[float, float]:
    """What the ends of a heat map's colours stand for, the same in all panels; `level` is in their middle."""
    values = chart.frame[chart.y].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    if chart.level is None:
        return float(values.min()), float(values.max())
    reach = float(np.abs(values - chart.level).max()) or 1.0
    return chart.level - reach, chart.level + reach


def _axes(figure: Any, chart: Chart, rows: int, columns: int) -> None:
    names = layout.categories(chart)
    along, across = ("y", "x") if layout.lies(chart) else ("x", "y")
    updates = {"x": figure.update_xaxes, "y": figure.update_yaxes}
    for axis in updates.values():
        axis(automargin=True, zeroline=False)
    if chart.kind == "heat":
        figure.update_yaxes(autorange="reversed", showgrid=False)
        figure.update_xaxes(showgrid=False)
        return
    if chart.kind == "dots":
        ticks = {"tickvals": list(range(len(names))), "ticktext": [_safe(name) for name in names]}
        figure.update_yaxes(**ticks, range=[len(names) - 0.4, -0.6], showgrid=False)
    elif layout.lies(chart):
        figure.update_yaxes(autorange="reversed", showgrid=False)
    elif names:
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=names)
    title = {"title_text": _safe(chart.y)}
    updates[across](**title, **({"row": rows} if across == "x" else {"col": 1}))
    if places := layout.ticks(chart):
        figure.update_xaxes(tickvals=places)
    if not layout.lies(chart):
        updates[along](title_text=_safe(chart.x), row=rows)


def _ranks(chart: Chart) -> Any:
    from plotly import graph_objects

    drawn, known = layout.ranks(chart), layout.styles(chart)
    margin = 0.25 * (drawn.count - 1)
    figure = graph_objects.Figure()
    for label in drawn.labels:
        colour = known[label.group].colour
        end = 1 - 0.1 * margin if label.left else drawn.count + 0.1 * margin
        figure.add_scatter(
            x=[label.rank, label.rank, end],
            y=[0, label.depth, label.depth],
            mode="lines",
            line={"color": colour, "width": 1.8},
            hovertemplate=f"{_safe(label.name)}: mean rank {label.rank:.2f}<extra></extra>",
            showlegend=False,
        )
        figure.add_annotation(
            x=end,
            y=label.depth,
            text=f"{_safe(label.name)}  <b>{label.rank:.2f}</b>"
            if label.left
            else f"<b>{label.rank:.2f}</b>  {_safe(label.name)}",
            xanchor="right" if label.left else "left",
            showarrow=False,
        )
    for low, high, depth in drawn.bars:
        figure.add_shape(type="line", x0=low, x1=high, y0=depth, y1=depth, line={"color": GREY, "width": 6})
    if chart.reach:
        figure.add_shape(type="line", x0=1, x1=1 + chart.reach, y0=-1.3, y1=-1.3, line={"color": GREY, "width": 2})
        text = f"critical difference {chart.reach:.2f}"
        figure.add_annotation(x=1, y=-1.75, text=text, xanchor="left", showarrow=False, font={"size": 11})
    for tick in range(1, drawn.count + 1):
        figure.add_annotation(x=tick, y=-0.45, text=str(tick), showarrow=False, font={"size": 11})
    figure.update_xaxes(range=[1 - margin - 0.9, drawn.count + margin + 0.9], visible=False)
    figure.add_shape(type="line", x0=1, x1=drawn.count, y0=0, y1=0, line={"color": GREY, "width": 1.5})
    figure.update_yaxes(range=[drawn.depth + 0.6, -2.2], visible=False)
    figure.update_layout(height=110 + 34 * (drawn.depth + 1), margin={"l": 10, "r": 10, "t": 24, "b": 6})
    return figure


def _safe(text: str) -> str:
    """Text that plotly shows as it is: it would read tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
