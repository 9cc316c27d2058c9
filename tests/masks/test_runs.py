"""Run lengths and strokes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from xai_core.masks.runs import decoded, encoded
from xai_core.masks.strokes import Stroke, drawn
from xai_core.types import Bools, XaiError

SIZES = st.tuples(st.integers(1, 23), st.integers(1, 17))
MASKS = SIZES.flatmap(lambda size: arrays(bool, size))
PAIRS = SIZES.flatmap(lambda size: st.tuples(arrays(bool, size), arrays(bool, size)))


@given(MASKS)
def test_a_mask_comes_back_from_its_runs_and_coco_reads_them(mask: Bools) -> None:
    counts = encoded(mask)
    assert np.array_equal(decoded(counts, *mask.shape), mask)
    theirs = coco.frPyObjects({"size": list(mask.shape), "counts": counts}, *mask.shape)
    assert np.array_equal(coco.decode(theirs).astype(bool), mask)


def test_runs_go_down_the_columns_and_begin_with_zeros() -> None:
    assert encoded(np.array([[1, 0], [1, 1]], dtype=bool)) == [0, 2, 1, 1]
    assert encoded(np.zeros((2, 3), dtype=bool)) == [6]
    assert encoded(np.ones((2, 3), dtype=bool)) == [0, 6]


@pytest.mark.parametrize(
    "counts", [[5], [7], [-1, 7], [2.0, 4.0], ["6"], [[3], [3]], [[3, 3]], [[1], [2, 3]], [2**63, 6], None, []]
)
def test_runs_that_do_not_fit_are_refused(counts: Any) -> None:
    with pytest.raises(XaiError, match="run lengths"):
        decoded(counts, 2, 3)


@pytest.mark.parametrize("size", [(0, 3), (3, -1), (10**9, 10**9)])
def test_a_size_that_no_mask_has_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(XaiError, match="cannot be read"):
        decoded([1], *size)


def test_long_and_narrow_pictures_are_masks_too() -> None:
    mask = np.zeros((1, 60_000), dtype=bool)
    mask[0, 7:9] = True
    assert np.array_equal(decoded(encoded(mask), 1, 60_000), mask)


@given(PAIRS)
def test_a_stroke_turns_one_mask_into_the_other(pair: tuple[Bools, Bools]) -> None:
    before, after = pair
    stroke = Stroke.between(3, "brush", before, after)
    assert np.array_equal(drawn(before, [stroke]), after)
    assert np.array_equal(drawn(drawn(before, [stroke]), [stroke]), after)  # again changes nothing
    assert Stroke.read(vars(stroke) | {"box": list(stroke.box), "counts": list(stroke.counts)}) == stroke


def test_strokes_are_drawn_in_their_order_and_leave_the_mask_alone() -> None:
    empty = np.zeros((4, 4), dtype=bool)
    on, off = Stroke(1, "brush", (1, 1, 2, 2), (0, 4)), Stroke(2, "eraser", (1, 1, 2, 1), (2,))
    assert drawn(empty, [on, off]).sum() == 2
    assert drawn(empty, [off, on]).sum() == 4
    assert not empty.any()


def test_a_stroke_beyond_the_picture_is_refused() -> None:
    with pytest.raises(XaiError, match="outside"):
        drawn(np.zeros((4, 4), dtype=bool), [Stroke(1, "brush", (3, 0, 2, 1), (2,))])


GOOD = {"number": 1, "tool": "brush", "box": [0, 0, 1, 2], "counts": [0, 2]}


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0},
        {"number": True},
        {"number": "1"},
        {"tool": ""},
        {"tool": "x" * 41},
        {"tool": 3},
        {"box": [0, 0, 1]},
        {"box": [0, 0, 1, -2]},
        {"box": None},
        {"counts": [1]},
        {"counts": [0, 2.0]},
        {"counts": "02"},
    ],
)
def test_what_is_no_stroke_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(XaiError):
        Stroke.read(GOOD | change)


@pytest.mark.parametrize("data", [None, [], "stroke", {"number": 1}])
def test_what_is_no_record_is_refused(data: Any) -> None:
    with pytest.raises(XaiError, match="cannot be read"):
        Stroke.read(data)
