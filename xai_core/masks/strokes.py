"""What an annotator's hand did: a stroke is the mask's new content within a box of pixels.

A mask is the fold of its strokes over an empty one, so that a draft is saved stroke by stroke. Undo is a stroke too:
it writes back what was there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..types import Bools, XaiError
from .runs import checked, decoded, encoded

LONGEST_TOOL = 40
"""Letters of a tool's name at most."""


@dataclass(frozen=True)
class Stroke:
    """The mask's content within `box` (top, left, height, width) after stroke `number`, from 1 on, of a draft.

    `counts` are the run lengths of the box alone, columns first (`runs`); `tool` is what drew it.
    """

    number: int
    tool: str
    box: tuple[int, int, int, int]
    counts: tuple[int, ...]

    @classmethod
    def between(cls, number: int, tool: str, before: Bools, after: Bools) -> Stroke:
        """The smallest stroke that turns one mask into the other; of one pixel where they are equal."""
        rows, columns = (np.flatnonzero((before != after).any(axis=axis)) for axis in (1, 0))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 1)
        left, right = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 1)
        part = after[top:bottom, left:right]
        return cls(number, tool, (top, left, bottom - top, right - left), tuple(encoded(part)))

    @classmethod
    def read(cls, data: Any) -> Stroke:
        """A stroke from what a browser sent: {"number", "tool", "box", "counts"}; raises `XaiError`."""
        wrong = XaiError("The browser sent a stroke that cannot be read: reload the page; your saved strokes stay.")
        try:
            number, tool, box, counts = (data[key] for key in ("number", "tool", "box", "counts"))
            whole = [number, *box, *counts]
        except (TypeError, KeyError, IndexError):
            raise wrong from None
        if len(box) != 4 or not isinstance(tool, str) or any(type(one) is not int or one < 0 for one in whole):
            raise wrong
        if number < 1 or not 0 < len(tool) <= LONGEST_TOOL:
            raise wrong
        top, left, height, width = box
        checked(counts, height, width)
        return cls(number, tool, (top, left, height, width), tuple(counts))


def drawn(mask: Bools, strokes: Iterable[Stroke]) -> Bools:
    """A new mask, bool (H, W): the strokes over `mask`, in their order; raises `XaiError` for a box beyond it."""
    mask = mask.copy()
    for stroke in strokes:
        top, left, height, width = stroke.box
        if top + height > mask.shape[0] or left + width > mask.shape[1]:
            raise XaiError(f"Stroke {stroke.number} lies outside of the picture: reload the page and draw it again.")
        mask[top : top + height, left : left + width] = decoded(stroke.counts, height, width)
    return mask
