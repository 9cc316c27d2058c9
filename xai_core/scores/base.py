"""What every score is: its parameters as fields, and `measure`."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..registry import Parameters
from ..types import Bools, Floats, Measured, Run
from .ranking import is_flat


class ScoreMethod(Parameters):
    """Base of every score: its fields are its parameters."""

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        """The score of a map float32 (H, W) of `run.target` in `run.frame`.

        `mask` is the object in the input frame, bool (H, W), or None. What is undefined is not-a-number, with a
        reason.
        """
        raise NotImplementedError


def undefined(parts: Iterable[str], reason: str) -> Measured:
    """A measurement in which every part is not-a-number, for one reason (spec R11)."""
    parts = list(parts)
    return Measured(dict.fromkeys(parts, math.nan), dict.fromkeys(parts, reason))


def unusable(saliency: Floats) -> str | None:
    """Why a map cannot be scored at all, or None: it ranks nothing when it is flat."""
    if not np.isfinite(saliency).all():
        return "the map holds values that are not numbers"
    return "the map is flat, so it ranks no pixel before another" if is_flat(saliency) else None
