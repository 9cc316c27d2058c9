"""A benchmark's result as a table for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def table(result: Mapping[str, Any]) -> str:
    """The numbers of a nested result, one row a line: groups that have the same columns stand below each other."""
    lines: list[str] = []
    _group("", result, lines)
    return "\n".join(lines)


def _group(title: str, values: Mapping[str, Any], lines: list[str]) -> None:
    single = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    groups = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    width = max((len(name) for name in single), default=0)
    if title and single:
        lines.append(title)
    indent = "  " if title else ""
    lines += [f"{indent}{name:<{width}}  {text(value)}" for name, value in single.items()]
    rows = {
        name: value for name, value in groups.items() if not any(isinstance(one, Mapping) for one in value.values())
    }
    for name, value in groups.items():
        if name not in rows:
            _group(f"{title}.{name}" if title else name, value, lines)
    alike: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for name, value in rows.items():
        alike.setdefault(tuple(value), {})[f"{title}.{name}" if title else name] = value
    for columns, members in alike.items():
        lines += _rows(columns, members)


def _has_groups(values: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Mapping) for value in values.values())


def _rows(columns: tuple[str, ...], members: Mapping[str, Mapping[str, Any]]) -> list[str]:
    cells = [["", *columns], *([name, *(text(value) for value in row.values())] for name, row in members.items())]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]


def text(value: Any) -> str:
    """A number with at most four significant digits; anything else as it is."""
    if isinstance(value, float):
        return "undefined" if math.isnan(value) else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)
