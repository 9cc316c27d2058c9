"""What every score is: its parameters as fields, and `measure`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..registry import Parameters
from ..types import Another, Bools, Floats, Measured, Run
from .ranking import is_flat


class Undefined(Exception):  # not an error, whence the name
    """Raised by a score that has no value for this map; its text is the reason (spec R11)."""


class ScoreMethod(Parameters):
    """Base of every score: its fields are its parameters."""

    @property
    def further_maps(self) -> int:
        """Maps at most that it asks for beside `known_maps`; their passes are their own."""
        return 0

    def known_maps(self, corruptions: Sequence[Any], seed: int) -> Sequence[Another]:
        """The further maps that are known beforehand, of a picture with these steps and a request with this seed."""
        return ()

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        """The score of a map float32 (H, W) of `run.target` in `run.frame`.

        `mask` is the object in the input frame, bool (H, W), or None. What is undefined is not-a-number, with a
        reason; where nothing is defined, `Undefined` is raised.
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


BROUGHT_ALONG = "it takes the method that made the map, and this map was brought along"


def no_object(mask: Bools | None) -> str | None:
    """Why there is nothing to compare a map with, or None: a mask is needed, and must hold something."""
    if mask is None:
        return "there is no mask"
    return None if mask.any() else "the mask is empty inside the model's input frame"


def other_maps(run: Run, changes: Iterable[Another]) -> Iterator[Floats]:
    """Further maps by the method that made the map, one after the other; raises `Undefined` for one that is flat."""
    for change in changes:
        found = run.another_map(change)
        if found is None:
            raise Undefined(BROUGHT_ALONG)
        if unusable(found):
            raise Undefined("another map of the method, which this one is compared with, is flat")
        yield found
