"""Segment Anything as a tool of the studio, where its package `segment_anything` and its weights are there.

`XAI_SAM_WEIGHTS` names the weights' file, as published: sam_vit_b_*.pth, sam_vit_l_*.pth or sam_vit_h_*.pth. The
network lives in a process of its own, so that the dashboard's never loads torch; it remembers the last picture.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import settings
from ..types import Bools, Pixels, XaiError, array_digest
from .tools import Hints

SIZES = ("vit_b", "vit_l", "vit_h")
POINTS = 8
"""Points per kind of mark that the network is given at most."""


def available() -> bool:
    """Whether the package and the weights are there; loads neither."""
    weights = settings.current().sam_weights
    return weights is not None and weights.is_file() and importlib.util.find_spec("segment_anything") is not None


def segment(pixels: Pixels, hints: Hints) -> Bools:
    """The object within the hints' box as the network sees it: bool (height, width) of the box.

    Marked pixels keep their mark. Raises `XaiError` where package or weights are missing or do not fit.
    """
    weights = settings.current().sam_weights
    if weights is None or not available():
        raise XaiError("Segment Anything is not installed: name its weights by XAI_SAM_WEIGHTS, or use GrabCut.")
    top, left, height, width = hints.box
    points = [(point, label) for label in (1, 0) for point in _points((hints.background, hints.foreground)[label])]
    try:
        mask = _process().submit(_segment, str(weights), pixels, hints.box, points).result()
    except BrokenProcessPool:
        _process.cache_clear()
        raise XaiError("Segment Anything has stopped, perhaps for want of memory: try again, or use GrabCut.") from None
    found = (mask | hints.foreground) & ~(hints.background & ~hints.foreground)
    return np.asarray(found[top : top + height, left : left + width])


def _points(mask: Bools) -> list[tuple[int, int]]:
    """Up to `POINTS` pixels (x, y) of a mask, evenly spaced along its rows."""
    rows, columns = np.nonzero(mask)
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).round().astype(int))
    return [(int(columns[place]), int(rows[place])) for place in chosen]


@cache
def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


@cache
def _predictor(weights: str) -> Any:
    import torch
    from segment_anything import SamPredictor, sam_model_registry

    name = next((size for size in SIZES if size in Path(weights).name), None)
    if name is None:
        raise XaiError(f"The name of {Path(weights).name} does not say which network it is: {', '.join(SIZES)}.")
    network = sam_model_registry[name](checkpoint=None)
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        raise XaiError(f"The weights {Path(weights).name} cannot be read: {error}") from None
    device = settings.current().device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return SamPredictor(network.eval().to(device))


_seen = ""


def _segment(weights: str, pixels: Pixels, box: tuple[int, ...], points: list[tuple[tuple[int, int], int]]) -> Bools:
    """In the process of its own: the mask bool (H, W) of the whole picture."""
    global _seen
    predictor = _predictor(weights)
    digest = array_digest(pixels)
    if digest != _seen:
        predictor.set_image(pixels)
        _seen = digest
    top, left, height, width = box
    masks, _, _ = predictor.predict(
        box=np.array([left, top, left + width, top + height]),
        point_coords=np.array([point for point, _ in points]) if points else None,
        point_labels=np.array([label for _, label in points]) if points else None,
        multimask_output=False,
    )
    return np.asarray(masks[0], dtype=bool)
