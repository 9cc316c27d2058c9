"""The comparison as one picture for a slide or a paper."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ..classifiers.cards import Card
from ..engine.comparison import Outcome
from ..registry import ARROWS, SCORES
from ..types import SaliencyMap
from .colours import DIVERGING, SEQUENTIAL, Mode, overlay, shades, table_for
from .numbers import number

CELL = 2.3
"""Width of a cell in inches."""


def figure_png(
    outcome: Outcome,
    mode: Mode = "value",
    sequential: str = SEQUENTIAL[0],
    diverging: str = DIVERGING[0],
    opacity: float = 0.7,
    dpi: int = 200,
) -> bytes:
    """A PNG with a row per model and a column per map, each over its own colour bar, with its headline scores."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    comparison = outcome.comparison
    columns, rows = 1 + len(comparison.variants), len(comparison.cards)
    lines = (
        len(_score_lines(outcome, comparison.cards[0].name, comparison.variants[0].name)) if comparison.variants else 0
    )
    height = CELL + 0.75 + 0.17 * lines
    figure = Figure(figsize=(CELL * columns + 0.2, height * rows + 0.75), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.1 / figure.get_figwidth(), 1 - 0.2 / figure.get_figheight(), _headline(outcome), fontsize=9, va="top")
    for row, card in enumerate(comparison.cards):
        top = 0.55 + row * height
        _picture_cell(_axes(figure, 0, top), outcome, card)
        for column, variant in enumerate(comparison.variants, start=1):
            axes = _axes(figure, column, top)
            saliency = outcome.maps.get((card.name, variant.name))
            axes.set_title(variant.title, fontsize=9, pad=4)
            if saliency is None:
                axes.text(0.5, 0.5, "not computed", ha="center", va="center", fontsize=8, color="0.5")
                continue
            table = table_for(saliency.signed, mode, sequential, diverging)
            indices, scale = shades(saliency.values, saliency.signed, mode)
            axes.imshow(overlay(outcome.predictions[card.name].frame, indices, table, opacity), interpolation="nearest")
            _colour_bar(figure, axes, table, scale.low, scale.high, scale.unit)
            for line, text in enumerate(_score_lines(outcome, card.name, variant.name)):
                axes.text(0, -0.24 - 0.075 * line, text, transform=axes.transAxes, fontsize=7, va="top")
    for written in figure.findobj(Text):
        written.set_parse_math(False)  # a dollar sign in a name begins no formula
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "Saliency Compare"})
    return buffer.getvalue()


def _axes(figure: Any, column: int, top: float) -> Any:
    wide, high = figure.get_figwidth(), figure.get_figheight()
    left, side = 0.1 + column * CELL, CELL - 0.15
    axes = figure.add_axes((left / wide, 1 - (top + 0.2 + side) / high, side / wide, side / high))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _headline(outcome: Outcome) -> str:
    comparison = outcome.comparison
    picture = comparison.picture
    return f"{picture.title or picture.name}  ·  {comparison.corruption_label}  ·  seed {comparison.seed}"


def _picture_cell(axes: Any, outcome: Outcome, card: Card) -> None:
    axes.set_title(card.title, fontsize=9, pad=4, fontweight="bold")
    prediction, clean = outcome.predictions.get(card.name), outcome.clean.get(card.name)
    if prediction is None or clean is None:
        return
    axes.imshow(prediction.frame, interpolation="nearest")
    target = outcome.targets[card.name]
    lines = [f"explained: {card.labels[target]}", f"clean {clean.probabilities[target]:.1%}"]
    if outcome.comparison.corruption_label != "clean":
        lines.append(f"corrupted {prediction.probabilities[target]:.1%}")
    for line, text in enumerate(lines):
        axes.text(0, -0.04 - 0.075 * line, text, transform=axes.transAxes, fontsize=7, va="top")


def _colour_bar(figure: Any, axes: Any, table: np.ndarray, low: float, high: float, unit: str) -> None:
    box = axes.get_position()
    bar = figure.add_axes((box.x0, box.y0 - 0.055 * box.height, box.width, 0.035 * box.height))
    bar.imshow(table[None], aspect="auto", interpolation="nearest")
    bar.set_axis_off()
    ends = ("lowest", "highest") if unit == "rank" else (number(low), number(high))
    for x, text, side in ((0.0, ends[0], "left"), (1.0, ends[1], "right")):
        axes.text(x, -0.08, text, transform=axes.transAxes, fontsize=6, va="top", ha=side, color="0.3")
    if low < 0 < high and unit == "value":
        axes.text(0.5, -0.08, "0", transform=axes.transAxes, fontsize=6, va="top", ha="center", color="0.3")


def _score_lines(outcome: Outcome, model: str, variant: str) -> list[str]:
    lines = []
    for name in outcome.comparison.scores:
        if SCORES[name].needs_mask and outcome.comparison.mask is None:
            continue
        score = outcome.scores.get((model, variant, name))
        for part, value in SCORES[name].values.items():
            if value.headline and score is not None:
                unit = f" {value.unit}" if value.unit else ""
                lines.append(f"{value.title} {ARROWS[value.better]} {number(score.values[part])}{unit}")
    return lines


def map_scale(saliency: SaliencyMap) -> dict[str, float]:
    """The ends of a map's colour bar, for a manifest."""
    _, scale = shades(saliency.values, saliency.signed)
    return {"low": scale.low, "high": scale.high}
