"""Interactive charts as plotly figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.comparison import Outcome
from ..registry import METHODS
from ..types import Curve, Probed

CATEGORICAL = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#7b61c9")
"""Colours for at most eight categories, after Okabe and Ito: safe for colour-blind eyes."""
CURVES = {
    "road": (("morf", "solid", "most relevant first"), ("lerf", "dot", "least relevant first")),
    "srg": (("mif", "solid", "most influential first"), ("lif", "dot", "least influential first")),
    "insertion": (("probability", "solid", "most relevant first"),),
    "deletion": (("probability", "solid", "most relevant first"),),
    "aopc": (("probability", "solid", "most relevant first"),),
}
"""By score its curves of the probability over a part of the pixels: which is drawn how, and what comes first."""
AXES = {"insertion": "pixels inserted", "aopc": "regions replaced"}
"""What the horizontal axis counts where it is not pixels removed."""
BASELINE_COLOUR = "#8a929c"


def removal_curves(outcome: Outcome, score_name: str, titles: Mapping[str, str] | None = None) -> Any:
    """Probability of the class over the fraction removed, a panel per model; None when there are no curves.

    Solid lines take the most relevant pixels first, dotted ones the least relevant; the area that is scored is shaded,
    between the two, or under the one. The random map is grey. `titles` are the lines' names by variant, where they
    are not the variants' own.
    """
    from plotly.subplots import make_subplots

    comparison = outcome.comparison
    scored = {model for model, _, name in outcome.scores if name == score_name}
    cards = [card for card in comparison.cards if card.name in scored]
    if not cards:
        return None
    figure = make_subplots(1, len(cards), subplot_titles=[card.title for card in cards], shared_yaxes=True)
    random = next((one for one in comparison.baselines if one.method == "random"), None)
    shown = [*comparison.variants, *([random] if random is not None else [])]
    for column, card in enumerate(cards, start=1):
        for place, variant in enumerate(shown):
            score = outcome.scores.get((card.name, variant.name, score_name))
            if score is None:
                continue
            colour = BASELINE_COLOUR if variant is random else CATEGORICAL[place % len(CATEGORICAL)]
            title = METHODS[variant.method].title if variant is random else variant.title
            title = (titles or {}).get(variant.name, title)
            for place_in_legend, (name, dash, words) in enumerate(CURVES[score_name]):
                if name not in score.curves:
                    continue
                figure.add_scatter(
                    x=score.curves[name].x.tolist(),
                    y=score.curves[name].y.tolist(),
                    name=title,
                    legendgroup=variant.name,
                    showlegend=column == 1 and place_in_legend == 0,
                    mode="lines+markers",
                    marker={"size": 5},
                    line={"color": colour, "dash": dash, "width": 2},
                    fill=_filled(place_in_legend, len(CURVES[score_name])),
                    fillcolor=_tint(colour),
                    hovertemplate=f"{title}, {words}<br>%{{x:.0%}}: %{{y:.3f}}<extra></extra>",
                    row=1,
                    col=column,
                )
    last = 0.95 if score_name == "road" else 1.02
    figure.update_xaxes(title_text=AXES.get(score_name, "pixels removed"), tickformat=".0%", range=[-0.02, last])
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="probability of the class", col=1)
    figure.update_layout(
        height=330,
        margin={"l": 60, "r": 10, "t": 36, "b": 50},
        legend={"orientation": "h", "y": -0.28, "x": 0},
        hovermode="closest",
    )
    return figure


def agreement_matrix(titles: Sequence[str], correlations: npt.NDArray[np.floating]) -> Any:
    """Rank correlations (M, M) of M maps as coloured squares with their numbers; blue is alike, red is opposite."""
    from plotly import graph_objects

    wide = len(titles) <= 12
    texts = [["" if np.isnan(value) else f"{value:.2f}" for value in row] for row in correlations]
    figure = graph_objects.Figure()
    figure.add_heatmap(
        z=correlations.tolist(),
        x=list(range(len(titles))),
        y=list(range(len(titles))),
        text=texts,
        texttemplate="%{text}" if wide else None,
        customdata=[[f"{row}, {column}" for column in titles] for row in titles],
        hovertemplate="%{customdata}: %{text}<extra></extra>",
        colorscale="RdBu",
        zmin=-1,
        zmax=1,
        xgap=2,
        ygap=2,
        showscale=not wide,
        colorbar={"thickness": 10, "outlinewidth": 0},
    )
    ticks = {"tickvals": list(range(len(titles))), "ticktext": list(titles), "showgrid": False, "zeroline": False}
    figure.update_xaxes(**ticks, tickangle=0 if len(titles) <= 5 else -40)
    figure.update_yaxes(**ticks, autorange="reversed")
    figure.update_layout(height=130 + 26 * max(len(titles), 7), margin={"l": 10, "r": 10, "t": 8, "b": 10})
    return figure


def probe_chart(found: Probed, region: str) -> Any:
    """How probable the class is after the change at random places, in bins, and after that of the `region`."""
    from plotly import graph_objects

    top = max(found.before, found.after, float(found.elsewhere.max()), 0.01) * 1.02
    figure = graph_objects.Figure()
    figure.add_histogram(
        x=found.elsewhere.tolist(),
        xbins={"start": 0, "end": top, "size": top / 40},
        marker={"color": BASELINE_COLOUR},
        hovertemplate="%{x}: %{y} random places<extra></extra>",
    )
    lines = (
        (found.after, region, CATEGORICAL[1], "solid", 1.0),
        (found.before, "whole picture", CATEGORICAL[0], "dot", 0.82),
    )
    for value, words, colour, dash, height in lines:
        left = value > top / 2
        figure.add_vline(
            x=value,
            line={"color": colour, "width": 2, "dash": dash},
            annotation={"text": words, "xanchor": "right" if left else "left", "y": height},
        )
    figure.update_xaxes(title_text="probability of the class", tickformat=".0%", range=[0, top])
    figure.update_yaxes(title_text="random places", rangemode="tozero")
    figure.update_layout(height=190, margin={"l": 50, "r": 10, "t": 24, "b": 40}, showlegend=False, bargap=0.05)
    return figure


def _filled(place: int, count: int) -> str | None:
    """A curve alone is shaded down to zero, the second of two up to the first."""
    if count == 1:
        return "tozeroy"
    return "tonexty" if place else None


def _tint(colour: str) -> str:
    """A colour of which several may lie on each other."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.07)"


def objective_curve(curve: Curve, unit: str) -> Any:
    """What an ascent has raised over its steps."""
    from plotly import graph_objects

    figure = graph_objects.Figure()
    figure.add_scatter(
        x=curve.x.tolist(),
        y=curve.y.tolist(),
        mode="lines",
        line={"color": CATEGORICAL[0], "width": 2},
        hovertemplate="step %{x:.0f}: %{y:.3g}<extra></extra>",
    )
    figure.update_xaxes(title_text="step")
    figure.update_yaxes(title_text=unit)
    figure.update_layout(height=170, margin={"l": 50, "r": 10, "t": 8, "b": 40}, showlegend=False)
    return figure
