"""Outlines lie on the edge of their mask and nowhere else, at any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from xai_core.render.outlines import colours, filled, outlined, rgb, shown_mask, shown_picture, shown_size

GREY = 128


@given(height=st.integers(1, 300), width=st.integers(1, 300), side=st.integers(20, 200))
def test_a_picture_and_its_mask_are_shown_at_one_size(height: int, width: int, side: int) -> None:
    rows, columns = shown_size((height, width), side)
    assert max(rows, columns) <= max(side, 1) and min(rows, columns) >= 1
    scale = max(rows, columns) / max(height, width)
    assert abs(rows - max(1, scale * height)) <= 1 and abs(columns - max(1, scale * width)) <= 1
    pixels = np.full((height, width, 3), GREY, dtype=np.uint8)
    assert shown_picture(pixels, side).shape == (rows, columns, 3)
    mask = shown_mask(np.ones((height, width), dtype=bool), side)
    assert mask.shape == (rows, columns) and mask.all()


@pytest.mark.parametrize("side", [400, 100])
def test_only_what_is_near_the_edge_changes(side: int) -> None:
    pixels = np.full((200, 300, 3), GREY, dtype=np.uint8)
    mask = np.zeros((200, 300), dtype=bool)
    mask[40:160, 60:240] = True
    mask[90:110, 140:160] = False
    shown = outlined(pixels, {"one": mask}, {"one": "#ff0000"}, side)
    inside = shown_mask(mask, side)
    away = np.maximum(ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside))
    changed = (shown != GREY).any(axis=-1)
    assert not changed[away > 6].any()
    red = (shown[..., 0] > 200) & (shown[..., 1] < 60)
    assert red[(away <= 1) & inside].mean() > 0.9, "the hole has an outline too"


def test_the_later_of_two_is_on_top_and_each_has_its_colour() -> None:
    pixels = np.full((300, 300, 3), GREY, dtype=np.uint8)
    first, second = np.zeros((2, 300, 300), dtype=bool)
    first[50:150, 50:150] = second[180:250, 180:250] = True
    colour = colours(["a", "b"])
    shown = outlined(pixels, {"a": first, "b": second}, colour, 300)
    for name, place in (("a", (100, 50)), ("b", (200, 180))):
        assert tuple(shown[place]) == rgb(colour[name])
    assert len(set(colours([str(one) for one in range(8)]).values())) == 8


def test_an_empty_mask_has_no_outline_and_what_is_outside_is_dim() -> None:
    pixels = np.full((60, 60, 3), GREY, dtype=np.uint8)
    empty = np.zeros((60, 60), dtype=bool)
    assert (outlined(pixels, {"one": empty}, {"one": "#ff0000"}, 60) == GREY).all()
    mask = empty.copy()
    mask[20:40, 20:40] = True
    shown = filled(pixels, mask, "#0000ff", 60)
    assert (shown[~mask] < 70).all() and (shown[mask][:, 2] > GREY).all()
