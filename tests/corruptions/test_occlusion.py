"""Occlusion: one black rectangle of the stated area, anywhere in the picture, and the mask that says where (C-02)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_core.corruptions.chain import Corrupted
from xai_core.corruptions.occlusion import Occlusion
from xai_core.types import Bools


def covered(area: float, height: int = 224, width: int = 224, seed: int = 0) -> Corrupted:
    """A white picture with a part of it covered."""
    white = np.full((height, width, 3), 255, dtype=np.uint8)
    return Occlusion(area=area).apply(white, np.random.default_rng(seed))


def mask_of(result: Corrupted) -> Bools:
    assert result.occluded is not None
    return result.occluded


@given(st.floats(0, 1, allow_nan=False), st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32))
def test_the_area_is_the_stated_fraction_up_to_whole_pixels(area: float, height: int, width: int, seed: int) -> None:
    mask = mask_of(covered(area, height, width, seed))
    # Each side is rounded to whole pixels, by half a pixel at most.
    side = area**0.5
    assert abs(int(mask.sum()) - area * height * width) <= 0.5 * side * (height + width) + 0.25 + 1e-6


@pytest.mark.parametrize(("area", "side"), [(0.1, 71), (0.3, 123), (0.5, 158)])
def test_the_sides_at_224_pixels_are_those_of_the_specification(area: float, side: int) -> None:
    assert mask_of(covered(area)).sum() == side * side


@given(st.floats(0.001, 1), st.integers(2, 80), st.integers(2, 80), st.integers(0, 2**32))
def test_the_mask_is_the_area_that_changed_and_is_one_black_rectangle(
    area: float, height: int, width: int, seed: int
) -> None:
    result = covered(area, height, width, seed)
    mask = mask_of(result)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, (result.pixels == 0).all(axis=-1))
    np.testing.assert_array_equal(mask, (result.pixels != 255).any(axis=-1))
    np.testing.assert_array_equal(mask, mask.any(axis=1)[:, None] & mask.any(axis=0)[None, :])
    for line in (mask.any(axis=0), mask.any(axis=1)):
        assert np.count_nonzero(np.diff(np.pad(line, 1).astype(int))) in (0, 2)  # in one piece


def test_the_rectangle_has_the_pictures_proportions() -> None:
    mask = mask_of(covered(0.25, 100, 300))
    assert (mask.any(axis=1).sum(), mask.any(axis=0).sum()) == (50, 150)


def test_every_place_is_covered_by_some_seed_and_equally_often_in_corners() -> None:
    counts = sum(mask_of(covered(0.25, 10, 12, seed)).astype(int) for seed in range(4000))
    corners = np.array([counts[0, 0], counts[0, -1], counts[-1, 0], counts[-1, -1]])
    # A 5 x 6 rectangle has 6 x 7 places, of which one covers a corner.
    expected = 4000 / 42
    assert np.abs(corners - expected).max() < 5 * expected**0.5
    np.testing.assert_allclose(counts, counts[::-1, ::-1], atol=5 * 2000**0.5)
    assert counts.argmax() in (4 * 12 + 5, 4 * 12 + 6, 5 * 12 + 5, 5 * 12 + 6)  # one of the four in the middle


def test_what_is_not_covered_stays() -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    before = pixels.copy()
    result = Occlusion(area=0.3).apply(pixels, np.random.default_rng(0))
    mask = mask_of(result)
    np.testing.assert_array_equal(result.pixels[~mask], pixels[~mask])
    assert (result.pixels[mask] == 0).all()
    np.testing.assert_array_equal(pixels, before)
    assert result.pixels.dtype == np.uint8


def test_nothing_and_everything_can_be_covered() -> None:
    assert not mask_of(covered(0)).any()
    assert (covered(0).pixels == 255).all()
    assert mask_of(covered(1)).all()
    assert not covered(1).pixels.any()


def test_the_seed_decides_the_place() -> None:
    np.testing.assert_array_equal(covered(0.1, seed=4).pixels, covered(0.1, seed=4).pixels)
    assert len({covered(0.1, seed=seed).pixels.tobytes() for seed in range(10)}) > 5


@pytest.mark.parametrize(("value", "area"), [(0.1, 0.0096), (0.3, 0.0895), (0.5, 0.25)])
def test_a_part_of_the_side_covers_what_s0s_notebook_covers(value: float, area: float) -> None:
    white = np.full((224, 224, 3), 255, dtype=np.uint8)
    result = Occlusion(area=value, measure="side_fraction").apply(white, np.random.default_rng(0))
    assert mask_of(result).mean() == pytest.approx(area, abs=6e-5)


def test_s0s_notebook_never_reaches_the_last_position() -> None:
    white = np.full((6, 6, 3), 255, dtype=np.uint8)

    def reached(measure: str) -> Bools:
        one = Occlusion(area=0.5 if measure == "side_fraction" else 0.25, measure=measure)  # type: ignore[arg-type]
        masks = [mask_of(one.apply(white, np.random.default_rng(seed))) for seed in range(300)]
        return np.logical_or.reduce(masks)

    assert reached("area").all()
    notebook = reached("side_fraction")
    assert notebook[:5, :5].all() and not notebook[5].any() and not notebook[:, 5].any()
    assert mask_of(Occlusion(area=1, measure="side_fraction").apply(white, np.random.default_rng(0))).all()


@given(st.integers(1, 9), st.integers(0, 2**32))
def test_several_patches_share_the_area(patches: int, seed: int) -> None:
    white = np.full((60, 60, 3), 255, dtype=np.uint8)
    mask = mask_of(Occlusion(area=0.2, patches=patches).apply(white, np.random.default_rng(seed)))
    side = round((0.2 / patches) ** 0.5 * 60)
    assert side**2 <= mask.sum() <= patches * side**2


@pytest.mark.parametrize(("fill", "shown"), [("black", 0), ("grey", 128), ("white", 255), ("mean", 100)])
def test_what_is_covered_shows_the_fill_in_the_same_place(fill: str, shown: int) -> None:
    flat = np.full((40, 40, 3), 100, dtype=np.uint8)
    black = Occlusion(area=0.3).apply(flat, np.random.default_rng(1))
    other = Occlusion(area=0.3, fill=fill).apply(flat, np.random.default_rng(1))  # type: ignore[arg-type]
    np.testing.assert_array_equal(mask_of(other), mask_of(black))
    assert (other.pixels[mask_of(other)] == shown).all()


def test_noise_as_a_fill_has_every_colour() -> None:
    flat = np.full((100, 100, 3), 100, dtype=np.uint8)
    result = Occlusion(area=0.5, fill="noise").apply(flat, np.random.default_rng(1))
    values = result.pixels[mask_of(result)]
    assert len(np.unique(values)) == 256
    assert values.mean() == pytest.approx(127.5, abs=3)
