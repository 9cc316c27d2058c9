"""The drift of maps over the severities of a corruption: curves with each method's own noise, words, table, figure."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..registry import Value
from ..scores.drift import MEASURES, onset
from ..types import Pixels
from .charts import BASELINE_COLOUR, CATEGORICAL
from .numbers import number
from .sheets import as_text

OBJECT = Value("IoU with the object", "higher", 0, 1, help="As many of the most relevant pixels as the object has.")
PROBABILITY = Value("Probability of the class", "higher", 0, 1, help="Of the explained class, as the model gives it.")
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Drift:
    """One method's map of one model over the severities, the clean picture first.

    `values` are numbers by measure, not-a-number where they are not there yet or a map is flat; `noise` is the lowest
    and the highest of each measure between runs on the clean picture, or empty where those are not there yet; `flat`
    are the places of severities whose map is there, and flat.
    """

    model: str
    method: str
    values: Mapping[str, Sequence[float]]
    noise: Mapping[str, tuple[float, float]]
    flat: Collection[int] = ()


@dataclass(frozen=True)
class Sheet:
    """All that is shown of one picture: severities in words, drifts, and by model the class's probabilities."""

    levels: Sequence[str]
    drifts: Sequence[Drift]
    probabilities: Mapping[str, Sequence[float]]

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(one.method for one in self.drifts))


def drift_chart(sheet: Sheet) -> Any:
    """A panel per measure over the severities: colours are methods, dashes models, bands the methods' own noise."""
    from plotly.subplots import make_subplots

    objects = any("object" in one.values for one in sheet.drifts)
    panels = {**MEASURES, **({"object": OBJECT} if objects else {}), "probability": PROBABILITY}
    rows = math.ceil(len(panels) / 3)
    titles = [f"{one.title} {'↓' if one.better == 'lower' else ''}".strip() for one in panels.values()]
    figure = make_subplots(rows, 3, subplot_titles=titles, vertical_spacing=0.2, horizontal_spacing=0.06)
    x = list(range(len(sheet.levels)))
    models = list(sheet.probabilities)
    for place, name in enumerate(panels):
        where = {"row": place // 3 + 1, "col": place % 3 + 1}
        for one in sheet.drifts if name != "probability" else ():
            colour = CATEGORICAL[sheet.methods.index(one.method) % len(CATEGORICAL)]
            if name in one.noise:
                _band(figure, one.noise[name], len(x), colour, where)
        for one in sheet.drifts if name != "probability" else ():
            colour = CATEGORICAL[sheet.methods.index(one.method) % len(CATEGORICAL)]
            words = one.method if len(models) == 1 else f"{one.method}, {one.model}"
            figure.add_scatter(
                x=x,
                y=_gaps(one.values.get(name, [])),
                name=words,
                legendgroup=words,
                showlegend=place == 0,
                mode="lines+markers",
                marker={"size": 6},
                line={"color": colour, "dash": DASHES[models.index(one.model) % len(DASHES)], "width": 2},
                hovertemplate=f"{words}: %{{y:.3f}}<extra></extra>",
                **where,
            )
    for model, values in sheet.probabilities.items():
        figure.add_scatter(
            x=x,
            y=_gaps(values),
            name=model,
            showlegend=len(models) > 1,
            mode="lines+markers",
            marker={"size": 6},
            line={"color": BASELINE_COLOUR, "dash": DASHES[models.index(model) % len(DASHES)], "width": 2},
            hovertemplate=f"{model}: %{{y:.1%}}<extra></extra>",
            row=rows,
            col=(len(panels) - 1) % 3 + 1,
        )
    figure.update_xaxes(tickvals=x, ticktext=list(sheet.levels), range=[-0.15, len(x) - 0.85])
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(
        height=230 * rows + 70,
        margin={"l": 40, "r": 10, "t": 64, "b": 30},
        legend={"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0},
        hovermode="x unified",
    )
    return figure


def _band(figure: Any, noise: tuple[float, float], count: int, colour: str, where: Mapping[str, int]) -> None:
    low, high = noise
    if math.isnan(low) or math.isnan(high) or low == high:
        return
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    ends = [-0.15, count - 0.85]
    figure.add_scatter(
        x=[*ends, *reversed(ends)],
        y=[low, low, high, high],
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, 0.18)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        **where,
    )


def _gaps(values: Sequence[float]) -> list[float | None]:
    """Plotly draws no point where there is None."""
    return [None if math.isnan(value) else value for value in values]


def verdicts(sheet: Sheet) -> list[str]:
    """A sentence for every map: whether it drifts beyond its own noise, and from which severity on."""
    several = len({one.model for one in sheet.drifts}) > 1
    return [_verdict(one, sheet.levels, several) for one in sheet.drifts]


def _verdict(one: Drift, levels: Sequence[str], several: bool) -> str:
    who = f"**{one.method}**{f' of {one.model}' if several else ''}"
    values = one.values["spearman"]
    noise = one.noise.get("spearman", (0.0, 0.0))
    if 0 in one.flat or math.isnan(noise[0]):
        return f"{who} cannot be judged: a map of the clean picture is flat."
    if len(values) - 1 in one.flat:
        return f"{who} cannot be judged: the map at the worst severity is flat."
    if not one.noise or math.isnan(values[-1]):
        return f"{who} is judged once its maps are there."
    worst = f"rank correlation {number(values[-1])} at the worst severity"
    if one.flat:
        at = ", ".join(levels[place] for place in sorted(one.flat))
        worst += f", flat and left out at {at}"
    if noise == (1.0, 1.0):
        none = "all of it is the corruption's, as nothing is left to chance"
        drifts = onset("spearman", values[1:], noise) is not None
        return f"{who} drifts beyond its own noise: {none} ({worst})." if drifts else f"{who} does not drift ({worst})."
    seeds = f"two seeds agree by {number(noise[0])} at least"
    start = onset("spearman", values[1:], noise)
    if start is None:
        return f"{who} stays within its own noise ({worst}; {seeds})."
    since = "at every severity" if start == 0 else f"from {levels[start + 1]} on"
    return f"{who} drifts beyond its own noise {since} ({worst}; {seeds})."


COLUMNS = (
    "picture",
    "corruption",
    "moves_pixels",
    "severity",
    "model",
    "target",
    "method",
    "seed",
    "measure",
    "value",
    "noise_low",
    "noise_high",
)


def drift_csv(sheet: Sheet, facts: Mapping[str, Any], targets: Mapping[str, int]) -> str:
    """A row per model, method, severity and measure, with the measure's lowest and highest between clean runs.

    `facts` are the picture, the corruption, whether that moves pixels, and the seed.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()

    def write(row: Mapping[str, Any]) -> None:
        writer.writerow({name: as_text(value) for name, value in {**facts, **row}.items()})

    for one in sheet.drifts:
        for name, values in one.values.items():
            low, high = one.noise.get(name, (math.nan, math.nan))
            for level, value in zip(sheet.levels, values, strict=True):
                row = {"model": one.model, "method": one.method, "severity": level, "measure": name, "value": value}
                write({**row, "target": targets[one.model], "noise_low": low, "noise_high": high})
    for model, values in sheet.probabilities.items():
        for level, value in zip(sheet.levels, values, strict=True):
            row = {"model": model, "severity": level, "measure": "probability", "value": value}
            write({**row, "target": targets[model], "method": ""})
    return buffer.getvalue()


Row = tuple[str, Sequence[tuple[Pixels | None, str]]]
"""A row's title, and its pictures, where they are there, with words."""


def drift_png(title: str, levels: Sequence[str], rows: Sequence[Row], dpi: int = 160) -> bytes:
    """A PNG with the pictures and the maps of every row, a column per severity."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    side = 1.7
    figure = Figure(figsize=(side * len(levels) + 1.3, (side + 0.25) * len(rows) + 0.7), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    wide, high = figure.get_figwidth(), figure.get_figheight()
    figure.text(0.1 / wide, 1 - 0.2 / high, title, fontsize=9, va="top")
    for down, (name, cells) in enumerate(rows):
        top = 0.65 + down * (side + 0.25)
        figure.text(0.1 / wide, 1 - (top + side / 2) / high, name, fontsize=8, va="center", wrap=True)
        for across, (pixels, words) in enumerate(cells):
            axes = figure.add_axes(
                (
                    (1.3 + across * side) / wide,
                    1 - (top + side - 0.1) / high,
                    (side - 0.1) / wide,
                    (side - 0.1) / high,
                )
            )
            axes.set_axis_off()
            if pixels is not None:
                axes.imshow(pixels, interpolation="nearest")
            if down == 0:
                axes.set_title(levels[across], fontsize=8, pad=3)
            axes.text(0.5, -0.03, words, transform=axes.transAxes, fontsize=7, va="top", ha="center")
    for written in figure.findobj(Text):
        written.set_parse_math(False)  # a dollar sign in a name begins no formula
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "Saliency Compare"})
    return buffer.getvalue()


def undefined(levels: int) -> list[float]:
    """Numbers that are not there yet."""
    return np.full(levels, math.nan).tolist()
