"""Masks as polygons: every pixel comes back, for us and for pycocotools; each polygon is a simple ring."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from pycocotools import mask as coco

from tests.checks import is_sentence
from xai_core.masks import polygons as module
from xai_core.masks.polygons import polygons, rasterised
from xai_core.types import Bools, XaiError

from .making import MASKS, noise


def theirs(outlines: list[list[float]], mask: Bools) -> Bools:
    """What pycocotools makes of polygons, as its `annToMask` does."""
    return coco.decode(coco.merge(coco.frPyObjects(outlines, *mask.shape))).astype(bool)


def area(outline: list[float]) -> float:
    """A polygon's area by the shoelace formula."""
    x, y = np.reshape(outline, (-1, 2)).T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


@settings(max_examples=300)
@given(MASKS)
def test_every_pixel_comes_back(mask: Bools) -> None:
    outlines = polygons(mask)
    assert np.array_equal(rasterised(outlines, *mask.shape), mask)
    if outlines:
        assert np.array_equal(theirs(outlines, mask), mask)


@given(MASKS)
def test_polygons_are_simple_rings_that_do_not_overlap(mask: Bools) -> None:
    outlines = polygons(mask)
    assert sum(map(area, outlines)) == mask.sum()  # with the union exact: no two overlap
    for outline in outlines:
        corners = list(zip(outline[::2], outline[1::2], strict=True))
        assert len(set(corners)) == len(corners)  # no ring meets itself
        for (x, y), (right, down) in pairwise([*corners, corners[0]]):
            assert (x == right) != (y == down)  # along the edges of pixels


def test_a_hole_is_cut_open_and_a_part_without_stays_whole() -> None:
    ring = np.ones((5, 6), dtype=bool)
    ring[2, 2:4] = False
    assert len(polygons(ring)) == 2
    assert len(polygons(np.pad(np.ones((3, 4), dtype=bool), 2))) == 1
    assert polygons(np.zeros((3, 4), dtype=bool)) == []


def test_pixels_that_touch_at_a_corner_are_parts_of_their_own() -> None:
    assert len(polygons(np.eye(3, dtype=bool))) == 3


def test_a_long_ring_is_cut_and_still_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = noise((40, 31), 0.6, 1)
    whole = len(polygons(mask))
    monkeypatch.setattr(module, "LONGEST_RING", 24)
    outlines = polygons(mask)
    assert len(outlines) > whole
    assert np.array_equal(rasterised(outlines, *mask.shape), mask)


def test_a_polygon_between_pixels_is_read_as_pycocotools_reads_it() -> None:
    empty = np.zeros((30, 40), dtype=bool)
    star = [3.2, 4.1, 35.7, 8.3, 20.25, 29.9, 12.6, -2.5, 44.0, 21.5]
    assert np.array_equal(rasterised([star], 30, 40), theirs([star], empty))


@pytest.mark.parametrize(
    "outline",
    [
        [],
        [1.0, 2.0],
        [1.0, 2.0, 3.0, 4.0],
        [1.0] * 7,
        [float("nan")] * 6,
        [0, 0, 1e300, 0, 1, 1],
        [-999.0, 0, 1, 1, 2, 3],
    ],
)
def test_what_is_no_polygon_is_refused(outline: list[Any]) -> None:
    with pytest.raises(XaiError) as refused:
        rasterised([outline], 6, 7)
    assert is_sentence(str(refused.value))


def test_an_outline_without_end_is_refused() -> None:
    with pytest.raises(XaiError, match="longer"):
        rasterised([[0, 0, 3000, 3000] * 2000], 3000, 3000)
