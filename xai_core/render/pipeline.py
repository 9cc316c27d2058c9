"""What each stage of the perturbation pipeline made, as pictures."""

from __future__ import annotations

import numpy as np

from ..explainers.perturbation.stages import Stages
from ..types import Floats, Pixels
from .colours import lookup_table, overlay, shades, table_for

LINE = np.array([255, 214, 0], dtype=np.uint8)
"""The colour of the borders between segments: seen on light and on dark."""
ENLARGED = 2
"""Screen pixels for one of the picture, so that borders are thin."""


def segments_picture(frame: Pixels, labels: np.ndarray) -> Pixels:
    """The picture with the borders of its segments, uint8, twice the size."""
    large, areas = (np.repeat(np.repeat(one, ENLARGED, axis=0), ENLARGED, axis=1) for one in (frame, labels))
    border = np.zeros(areas.shape, dtype=bool)
    border[1:] |= areas[1:] != areas[:-1]
    border[:, 1:] |= areas[:, 1:] != areas[:, :-1]
    large = large.copy()
    large[border] = LINE
    return large


def middle_segment(labels: np.ndarray) -> int:
    """The segment in the middle of the picture."""
    return int(labels[labels.shape[0] // 2, labels.shape[1] // 2])


def ownership_picture(frame: Pixels, mask: Floats) -> Pixels:
    """How much of every pixel one segment owns, over the grey picture; black is nothing."""
    indices = np.rint(mask.clip(0, 1) * 255).astype(np.uint8)
    return overlay(frame, indices, lookup_table("inferno"), 0.8)


def mask_pictures(stages: Stages, count: int) -> list[Pixels]:
    """What stays of the first samples, white for all."""
    masks = np.rint(stages.masks(0, count) * 255).astype(np.uint8)
    return [np.repeat(mask[..., None], 3, axis=2) for mask in masks]


def perturbed_pictures(stages: Stages, count: int) -> list[Pixels]:
    """The first perturbed copies, as the network gets them."""
    return [np.rint(one * 255).astype(np.uint8) for one in stages.pictures(0, count).clip(0, 1)]


def scores_picture(frame: Pixels, labels: np.ndarray, scores: Floats, signed: bool) -> Pixels:
    """Every segment in the colour of its number, over the grey picture."""
    return map_picture(frame, scores[labels], signed)


def map_picture(frame: Pixels, values: Floats, signed: bool) -> Pixels:
    """A map in its colours over the grey picture."""
    indices, _ = shades(values, signed)
    return overlay(frame, indices, table_for(signed, "value", "inferno", "RdBu_r"), 0.75)
