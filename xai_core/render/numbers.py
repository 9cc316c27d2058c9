"""Numbers as people read them: three significant digits, a real minus sign, and which way is better."""

from __future__ import annotations

import math

from ..registry import Value

ARROWS = {"higher": "↑", "lower": "↓"}


def number(value: float) -> str:
    """Three significant digits; a dash for what is undefined."""
    if math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    text = f"{size:.3g}" if size >= 1e-3 else f"{size:.1e}"
    if "e" in text and 1e-3 <= size < 1e6:
        text = f"{size:.0f}"
    elif "e" not in text and size < 100:
        digits = 3 - 1 - math.floor(math.log10(float(text)))
        text = f"{float(text):.{digits}f}"
    return f"−{text}" if value < 0 else text


def directed(value: Value) -> str:
    """A score's title with the arrow for which way is better."""
    return f"{value.title} {ARROWS[value.better]}"


def duration(seconds: float) -> str:
    """Seconds as "3 s", "2 min" or "1.5 h"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
