"""A study's charts on paper: SVG in the colours of the page around it, and PNG on white."""

from __future__ import annotations

import io
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...studies.exhibits import Chart
from ..numbers import number
from . import layout
from .charts import cells, heat_range

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 7.4
"""Inches."""
COLUMNS = 3
ONE_AT_A_TIME = threading.Lock()
"""Matplotlib's settings are those of the whole process."""


@dataclass(frozen=True)
class Ink:
    """Colours of what is no data."""

    text: str
    quiet: str
    line: str


PAPER = Ink("#16202c", "#5a6673", "#d5dbe3")
MARKS = Ink("#010203", "#040506", "#070809")
"""Stand for the variables of a page's style, as which they are written into an SVG."""
VARIABLES = {MARKS.text: "var(--text)", MARKS.quiet: "var(--quiet)", MARKS.line: "var(--line)"}


def svg(chart: Chart, name: str = "") -> str:
    """The chart as an SVG element; its ink is `--text`, `--quiet` and `--line` of the page, its font the page's.

    `name` begins all its ids: two charts of one page need two.
    """
    with ONE_AT_A_TIME:
        figure = _drawn(chart, MARKS)
        text = _saved(figure, "svg", chart.name).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r"font-family: 'DejaVu Sans'[^;\"]*", "font-family: var(--font)", text)
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert found is not None
    part = min(100.0, float(found[1]) / (WIDTH * 72) * 100)
    opening = f'<svg role="img" {found[0]} style="max-width: {part:.0f}%" xmlns:xlink="http://www.w3.org/1999/xlink">'
    text = opening + text[text.index(">") + 1 :]
    return _own_names(text, name or chart.name)


def png(chart: Chart, dpi: int = 200) -> bytes:
    """The chart as a PNG on white."""
    with ONE_AT_A_TIME:
        return _saved(_drawn(chart, PAPER), "png", chart.name, dpi=dpi, facecolor="white")


def _saved(figure: Any, kind: str, name: str, **how: Any) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        about = {"metadata": {"Date": None}} if kind == "svg" else {}
        figure.savefig(
            buffer, format=kind, bbox_inches="tight", pad_inches=0.04, transparent=kind == "svg", **about, **how
        )
    return buffer.getvalue()


def _own_names(text: str, prefix: str) -> str:
    """The SVG with ids that no other one of the page has."""
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    return re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)


def _drawn(chart: Chart, ink: Ink) -> Any:
    from matplotlib.figure import Figure

    if chart.kind == "ranks":
        return _ranks(chart, ink)
    panels = layout.panels(chart)
    columns = min(len(panels), COLUMNS) or 1
    rows = -(-len(panels) // columns) or 1
    known = layout.styles(chart)
    many = len(layout.categories(chart)) if layout.lies(chart) else 0
    tall = 0.9 + 0.24 * many * max(1.0, len(known) / 2 if _dodged(chart) else 1.0) if many else 2.6
    if chart.kind == "heat":
        tall = 0.9 + 0.34 * len(layout.groups(chart))
    figure = Figure(
        figsize=(WIDTH if columns > 1 or chart.kind != "scatter" else 5.2, tall * rows + 0.3), layout="constrained"
    )
    axes = figure.subplots(
        rows, columns, squeeze=False, sharey=chart.kind != "heat", sharex=layout.lies(chart) or chart.kind == "lines"
    )
    for number_, place in enumerate(axes.flat):
        if number_ >= len(panels):
            place.set_visible(False)
            continue
        title, frame = panels[number_]
        if title:
            place.set_title(_plain(title), fontsize=9.5, color=ink.text, loc="left", fontweight="bold")
        _style(place, ink, layout.lies(chart))
        if chart.kind == "heat":
            _heat(place, chart, frame, ink, number_ % columns == 0)
        else:
            _marks(place, chart, frame, ink)
            if layout.lies(chart):
                place.set_xlabel(_plain(chart.y), fontsize=8.5, color=ink.quiet)
            else:
                place.set_xlabel(_plain(chart.x), fontsize=8.5, color=ink.quiet)
                if number_ % columns == 0:
                    place.set_ylabel(_plain(chart.y), fontsize=8.5, color=ink.quiet)
    if chart.group and chart.kind != "heat" and len(known) > 1:
        _legend(figure, chart, ink)
    return figure


def _style(axes: Any, ink: Ink, lies: bool) -> None:
    axes.set_facecolor("none")
    for side in ("top", "right", "left") if not lies else ("top", "right"):
        axes.spines[side].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(ink.line)
    axes.tick_params(colors=ink.quiet, labelsize=8.5, length=0, labelbottom=True)
    axes.grid(axis="x" if lies else "y", color=ink.line, linewidth=0.7)
    axes.set_axisbelow(True)


def _dodged(chart: Chart) -> bool:
    return bool(chart.group) and bool(chart.frame.groupby(chart.x)[chart.group].nunique().max() > 1)


def _marks(axes: Any, chart: Chart, frame: pd.DataFrame, ink: Ink) -> None:
    """Lines, bars, dots or points of every group in one panel."""
    lies, names, known = layout.lies(chart), layout.categories(chart), layout.styles(chart)
    spread = len(known) > 1 and chart.kind in ("bars", "dots") and _dodged(chart)
    for place, (name, style) in enumerate(known.items()):
        part = layout.of_group(chart, frame, name)
        if part.empty:
            continue
        if chart.kind == "lines" and not names:
            part = part.sort_values(chart.x, kind="stable")
        along = np.asarray([names.index(str(one)) for one in part[chart.x]] if names else part[chart.x], dtype=float)
        values = part[chart.y].to_numpy(dtype=float)
        if spread:
            along = along + layout.shift(place, len(known), 0.8 if chart.kind == "bars" else 0.6)
        bounds = None
        if chart.low and chart.high:
            bounds = np.stack([part[chart.low].to_numpy(dtype=float), part[chart.high].to_numpy(dtype=float)])
        if chart.kind == "lines":
            axes.plot(
                along,
                values,
                color=style.colour,
                linestyle=style.dash[1],
                marker=style.marker[1],
                markersize=4,
                linewidth=1.7,
            )
            if bounds is not None:
                axes.fill_between(along, *bounds, color=style.colour, alpha=0.15, linewidth=0)
        elif chart.kind == "scatter":
            axes.scatter(along, values, color=style.colour, marker=style.marker[1], s=18, alpha=0.75, linewidths=0)
        else:
            wide = 0.8 / len(known) * 0.92 if spread else 0.62
            if chart.kind == "bars":
                (axes.barh if lies else axes.bar)(along, values, wide, color=style.colour)
            else:
                axes.scatter(values, along, color=style.colour, marker=style.marker[1], s=30, zorder=3, linewidths=0)
            if bounds is not None:
                errors = np.nan_to_num(np.abs(bounds - values))
                line = ink.text if chart.kind == "bars" else style.colour
                which = {"xerr": errors} if lies else {"yerr": errors}
                x, y = (values, along) if lies else (along, values)
                axes.errorbar(x, y, **which, fmt="none", ecolor=line, elinewidth=1.4)
    if names:
        set_ticks = axes.set_yticks if lies else axes.set_xticks
        crowded = not lies and sum(map(len, names)) > 60
        set_ticks(
            range(len(names)), [_plain(one) for one in names], **({"rotation": 30, "ha": "right"} if crowded else {})
        )
        if lies:
            axes.set_ylim(len(names) - 0.4, -0.6)
    if places := layout.ticks(chart):
        axes.set_xticks(places)
    if chart.level is not None:
        (axes.axvline if lies else axes.axhline)(chart.level, color=ink.quiet, linestyle=":", linewidth=1.2)


def _heat(axes: Any, chart: Chart, frame: pd.DataFrame, ink: Ink, named: bool) -> None:
    from matplotlib import colormaps

    values = cells(chart, frame)
    low, high = heat_range(chart)
    table = colormaps["RdBu" if chart.level is not None else "cividis"]
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.pcolormesh(np.ma.masked_invalid(values), cmap=table, vmin=low, vmax=high, edgecolor="none", linewidth=0)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            shade = table((value - low) / (high - low) if high > low else 0.0)
            bright = 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2] > 0.55
            colour = "#10151c" if bright else "#ffffff"
            if values.shape[1] <= 12:
                axes.text(
                    column + 0.5, row + 0.5, number(float(value)), ha="center", va="center", fontsize=8, color=colour
                )
    columns = layout.categories(chart)
    crowded = sum(map(len, columns)) > 60
    turned = {"rotation": 35, "ha": "right"} if crowded else {}
    axes.set_xticks(np.arange(len(columns)) + 0.5, [_plain(one) for one in columns], **turned)
    axes.set_yticks(np.arange(values.shape[0]) + 0.5, [_plain(one) for one in layout.groups(chart)] if named else [])
    axes.set_ylim(max(values.shape[0], 1), 0)


def _legend(figure: Any, chart: Chart, ink: Ink) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for name, style in layout.styles(chart).items():
        line: Any = style.dash[1] if chart.kind == "lines" else "none"
        sign = "s" if chart.kind == "bars" else style.marker[1]
        handles.append(
            Line2D([], [], color=style.colour, marker=sign, linestyle=line, markersize=5.5, label=_plain(name))
        )
    columns = max(1, min(len(handles), int(90 / (max(map(len, layout.groups(chart))) + 6))))
    figure.legend(
        handles=handles, loc="outside lower left", ncols=columns, frameon=False, fontsize=8.5, labelcolor=ink.text
    )


def _ranks(chart: Chart, ink: Ink) -> Any:
    from matplotlib.figure import Figure

    drawn, known = layout.ranks(chart), layout.styles(chart)
    span = drawn.count - 1
    figure = Figure(figsize=(WIDTH, 0.75 + 0.27 * (drawn.depth + 1)))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(1 - 0.55 * span, drawn.count + 0.55 * span)
    axes.set_ylim(drawn.depth + 0.5, -2.1)
    axes.plot([1, drawn.count], [0, 0], color=ink.quiet, linewidth=1.2)
    for tick in range(1, drawn.count + 1):
        axes.plot([tick, tick], [0, -0.18], color=ink.quiet, linewidth=1.2)
        axes.text(tick, -0.3, str(tick), ha="center", va="bottom", fontsize=8.5, color=ink.quiet)
    for label in drawn.labels:
        end = 1 - 0.03 * span if label.left else drawn.count + 0.03 * span
        axes.plot(
            [label.rank, label.rank, end], [0, label.depth, label.depth], color=known[label.group].colour, linewidth=1.5
        )
        parts = [_plain(label.name), f"{label.rank:.2f}"]
        text = "  ".join(parts if label.left else parts[::-1])
        side = "right" if label.left else "left"
        axes.text(
            end + (-0.012 if label.left else 0.012) * span,
            label.depth,
            text,
            ha=side,
            va="center",
            fontsize=8.8,
            color=ink.text,
        )
    for low, high, depth in drawn.bars:
        axes.plot([low, high], [depth, depth], color=ink.text, linewidth=4, solid_capstyle="round", alpha=0.8)
    if chart.reach:
        axes.plot([1, 1 + chart.reach], [-1.45, -1.45], color=ink.text, linewidth=1.4, marker="|", markersize=6)
        axes.text(
            1, -1.62, f"critical difference {chart.reach:.2f}", ha="left", va="bottom", fontsize=8.2, color=ink.quiet
        )
    return figure


def _plain(text: str) -> str:
    """Text that matplotlib shows as it is: it would read formulas between dollar signs."""
    return "".join(sign if sign.isprintable() else " " for sign in text).replace("$", r"\$")
