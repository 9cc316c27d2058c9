"""Numbers as people read them: few significant digits, a real minus sign, and which way is better."""

from __future__ import annotations

import math

from ..registry import ARROWS, Value


def number(value: float, digits: int = 3) -> str:
    """Significant digits, whole numbers below a million in full; a dash for what is undefined."""
    if math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    rounded = float(f"{size:.{digits - 1}e}")
    if rounded < 1e-3 or size >= 1e6:
        text = f"{size:.{digits - 1}e}".replace("-", "−")
    else:
        text = f"{size:.{max(0, digits - 1 - math.floor(math.log10(rounded)))}f}"
    return f"−{text}" if value < 0 else text


def percent(value: float) -> str:
    """A probability as "39 %", or "3.9 %" below ten."""
    return f"{100 * value:.{1 if value < 0.0995 else 0}f} %"


def directed(value: Value) -> str:
    """A score's title with the arrow for which way is better."""
    return f"{value.title} {ARROWS[value.better]}"


def duration(seconds: float) -> str:
    """Seconds as "3.1 s", "12 s", "2 min" or "1.5 h"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
