"""Superpixels and GrabCut."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label

from xai_core.masks import tools
from xai_core.masks.tools import GRABCUT_AREA, GRANULARITIES, SUPERPIXEL_AREA, Hints, enlarged, grabcut, superpixels
from xai_core.types import Bools, Pixels, XaiError


@cache
def disc(factor: int = 1) -> tuple[Pixels, Bools]:
    """A bright disc on a dark, noisy ground, and where it is."""
    down, right = np.mgrid[:90, :120]
    inside = (down - 40) ** 2 + (right - 70) ** 2 < 25**2
    noise = np.random.default_rng(0).normal(0, 12, (90, 120, 3))
    pixels = np.clip(np.where(inside[..., None], (220, 180, 60), (40, 60, 90)) + noise, 0, 255).astype(np.uint8)
    return pixels.repeat(factor, 0).repeat(factor, 1), inside.repeat(factor, 0).repeat(factor, 1)


def overlap(one: Bools, other: Bools) -> float:
    return float((one & other).sum() / (one | other).sum())


def hints(box: tuple[int, int, int, int], shape: tuple[int, ...], **masks: Bools) -> Hints:
    none = np.zeros(shape, dtype=bool)
    return Hints(box, masks.get("mask", none), masks.get("foreground", none), masks.get("background", none))


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_superpixels_are_connected_numbered_and_as_many_as_was_asked_for(granularity: str) -> None:
    pixels, _ = disc(3)
    labels = superpixels(pixels, granularity)
    assert labels.dtype == np.uint16 and labels.shape == pixels.shape[:2]
    count = int(labels.max()) + 1
    assert GRANULARITIES[granularity] / 2 < count < GRANULARITIES[granularity] * 1.5
    assert (np.bincount(labels.ravel()) > 0).all()
    assert label(labels, background=-1, connectivity=2).max() == count, "each is in one piece"
    np.testing.assert_array_equal(labels, superpixels(pixels, granularity))


def test_superpixels_follow_the_edges_of_the_picture() -> None:
    pixels, inside = disc(3)
    labels = superpixels(pixels, "medium")
    share = ndimage.mean(inside, labels, np.arange(labels.max() + 1))
    assert overlap(share[labels] > 0.5, inside) > 0.95


def test_large_pictures_have_superpixels_of_a_bounded_size() -> None:
    pixels, _ = disc(12)
    labels = superpixels(pixels, "coarse")
    assert 0.95 * SUPERPIXEL_AREA < labels.size < 1.05 * SUPERPIXEL_AREA
    assert abs(labels.shape[0] / labels.shape[1] - 90 / 120) < 0.01


def test_an_unknown_granularity_is_one_sentence() -> None:
    with pytest.raises(XaiError, match=r"^There are no 'tiny' superpixels: choose one of coarse, medium, fine\.$"):
        superpixels(disc()[0], "tiny")


@given(st.integers(1, 7), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40))
def test_enlarged_labels_are_those_under_the_middle_of_each_pixel(h: int, w: int, height: int, width: int) -> None:
    labels = np.arange(h * w, dtype=np.uint16).reshape(h, w)
    rows = [int((y + 0.5) * h / height + 1e-9) for y in range(height)]
    columns = [int((x + 0.5) * w / width + 1e-9) for x in range(width)]
    np.testing.assert_array_equal(enlarged(labels, height, width), labels[rows][:, columns])


@pytest.mark.parametrize("factor", [1, 8])
def test_grabcut_finds_what_is_in_the_box(factor: int) -> None:
    pixels, inside = disc(factor)
    assert (pixels[..., 0].size > GRABCUT_AREA) == (factor > 1)
    top, left, height, width = (factor * side for side in (8, 38, 64, 64))
    asked = hints((top, left, height, width), inside.shape)
    found = grabcut(pixels, asked)
    assert found.shape == (height, width)
    assert overlap(found, inside[top : top + height, left : left + width]) > 0.95
    np.testing.assert_array_equal(found, grabcut(pixels, asked))


def test_marks_are_kept_whatever_grabcut_thinks() -> None:
    pixels, inside = disc()
    box = (8, 38, 64, 64)
    foreground, background = np.zeros((2, *inside.shape), dtype=bool)
    foreground[10:14, 40:46] = True  # ground
    background[38:44, 66:74] = True  # disc
    found = grabcut(pixels, hints(box, inside.shape, foreground=foreground, background=background))
    assert found[2:6, 2:8].all() and not found[30:36, 28:36].any()
    plain = grabcut(pixels, hints(box, inside.shape))
    assert not plain[2:6, 2:8].any() and plain[30:36, 28:36].all()


def test_grabcut_begins_with_the_mask_where_there_is_one() -> None:
    pixels, _ = disc()
    both = np.concatenate([pixels, pixels], axis=1)
    drawn = np.zeros(both.shape[:2], dtype=bool)
    drawn[25:55, 55:85] = True  # most of the first disc
    found = grabcut(both, hints((2, 2, 86, 236), drawn.shape, mask=drawn), rounds=1)
    assert found[25:50, 55:80].mean() > 0.9


@pytest.mark.parametrize("box", [(0, 0, 91, 10), (0, 115, 10, 10), (-1, 0, 10, 10), (5, 5, 1, 20)])
def test_a_box_that_is_not_in_the_picture_is_one_sentence(box: tuple[int, int, int, int]) -> None:
    pixels, inside = disc()
    with pytest.raises(XaiError, match="draw it again"):
        grabcut(pixels, hints(box, inside.shape))


def test_a_box_without_background_is_one_sentence() -> None:
    pixels, inside = disc()
    with pytest.raises(XaiError, match="leave some background"):
        grabcut(pixels, hints((0, 0, 90, 120), inside.shape))


def test_a_mark_of_one_pixel_counts_in_a_large_picture() -> None:
    mask = np.zeros((900, 1200), dtype=bool)
    mask[450, 600] = True
    assert tools._resized(mask, (90, 120), 0.0).sum() >= 1
