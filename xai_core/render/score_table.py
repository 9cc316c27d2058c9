"""Maps x scores as a table in which every score colours its ranks, the baselines as grey rows below."""

from __future__ import annotations

from html import escape
from typing import Any

from ..classifiers.cards import Card
from ..engine.comparison import Variant
from ..engine.following import Standing
from ..registry import METHODS, SCORE_FAMILIES, SCORES
from .grid import score_lines
from .numbers import number

STRONGEST = 0.38
"""Opacity of the best value's colour."""


def score_table(standing: Standing, card: Card) -> str:
    """The table of one model as HTML; an empty text where no score was asked for.

    Scores of a family stand together. The best of a score has the strongest colour, the worst has none. A value
    that does not beat every baseline's is grey. Where random maps were asked for, every value says how many of
    them it beats.
    """
    families = list(SCORE_FAMILIES)
    lines = sorted(score_lines(standing, card), key=lambda line: families.index(_group(line)))
    if not lines:
        return ""
    comparison = standing.outcome.comparison
    groups = [_group(line) for line in lines]
    spans = [(one, groups.count(one)) for one in dict.fromkeys(groups)]
    top = "".join(f'<th colspan="{count}" class="group">{escape(SCORE_FAMILIES[one])}</th>' for one, count in spans)
    heads = "".join(
        f'<th title="{escape(line["help"])}">{escape(line["title"])} <i>{line["arrow"]}</i></th>' for line in lines
    )
    outcome = standing.outcome

    def wins(line: dict[str, Any], variant: Variant) -> str:
        """The map's place among random ones, where they were asked for."""
        score, _, part = line["id"].partition(".")
        found = outcome.wins(card.name, variant.name, score, part)
        return "" if found is None else f"<small>beats {found[0]} of {found[1]}</small>"

    rows = [
        _row(variant.title, [_cell(line, place, wins(line, variant)) for line in lines], "")
        for place, variant in enumerate(comparison.variants)
    ]
    rows += [
        _row(METHODS[variant.method].title, [_plain(line["baselines"][place]) for line in lines], "baseline")
        for place, variant in enumerate(comparison.baselines)
    ]
    return (
        '<div class="scores"><table><thead>'
        f"<tr><th></th>{top}</tr><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _group(line: dict[str, Any]) -> str:
    return SCORES[line["id"].partition(".")[0]].family


def _row(title: str, cells: list[str], kind: str) -> str:
    return f'<tr class="{kind}"><th scope="row">{escape(title)}</th>{"".join(cells)}</tr>'


def _plain(value: dict[str, Any]) -> str:
    return f'<td title="{escape(value["title"])}">{escape(value["text"])}</td>'


def _cell(line: dict[str, Any], place: int, wins: str) -> str:
    value = line["values"][place]
    if value["value"] is None:
        return _plain(value)
    sign = 1 if line["arrow"] == "↑" else -1
    others = [sign * one["value"] for one in line["values"] if one["value"] is not None]
    own = sign * value["value"]
    worse = sum(one < own for one in others)
    strength = STRONGEST * worse / max(len(others) - 1, 1)
    baselines = [sign * one["value"] for one in line["baselines"] if one["value"] is not None]
    beaten = not baselines or own > max(baselines)
    words = "" if beaten else f"not better than the best baseline ({number(sign * max(baselines))})"
    kind = "" if beaten else "below"
    style = f"background: rgb(0 114 178 / {strength:.2f})"
    return f'<td class="{kind}" title="{words}" style="{style}">{escape(value["text"])}{wins}</td>'
