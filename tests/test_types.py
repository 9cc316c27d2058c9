"""What travels between the parts: digests that name content, arrays that nobody can change, costs that add up."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xai_core.types import Cost, Mask, Picture, Pixels, Prediction, array_digest, digest_of, frozen

PICTURES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3)))


def pixels() -> Pixels:
    return np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_equal_pixels_have_equal_digests() -> None:
    assert Picture(pixels()).digest == Picture(pixels()).digest


def test_a_digest_is_64_hexadecimal_digits() -> None:
    digest = Picture(pixels()).digest
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")


def test_names_titles_and_licences_do_not_count() -> None:
    told = Picture(pixels(), name="owl.png", title="Owl", licence="CC0", source="a friend")
    assert told.digest == Picture(pixels()).digest


@given(PICTURES, st.data())
def test_one_changed_value_changes_the_digest(values: Pixels, data: st.DataObject) -> None:
    changed = values.copy()
    place = tuple(data.draw(st.integers(0, length - 1)) for length in values.shape)
    changed[place] ^= np.uint8(data.draw(st.integers(1, 255)))
    assert Picture(changed).digest != Picture(values).digest


def test_the_shape_counts() -> None:
    assert Picture(pixels()).digest != Picture(pixels().reshape(6, 4, 3)).digest


def test_the_type_counts() -> None:
    ones = np.ones((3, 3), dtype=np.uint8)
    assert array_digest(ones) != array_digest(ones.view(bool))


def test_the_layout_in_memory_does_not_count() -> None:
    transposed = np.ascontiguousarray(pixels().transpose(1, 0, 2)).transpose(1, 0, 2)
    assert not transposed.flags.c_contiguous
    assert Picture(transposed).digest == Picture(pixels()).digest


def test_masks_have_digests_of_their_values_alone() -> None:
    values = np.eye(4, dtype=bool)
    assert Mask(values, name="a").digest == Mask(values.copy(), name="b").digest
    assert Mask(values).digest != Mask(~values).digest


def test_parts_of_a_digest_do_not_run_into_each_other() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of("ab", "") != digest_of("ab")


def test_a_digest_is_sha256_of_the_parts_behind_their_lengths() -> None:
    expected = hashlib.sha256((2).to_bytes(8, "little") + b"ab" + (1).to_bytes(8, "little") + b"c").hexdigest()
    assert digest_of("ab", b"c") == expected


def test_a_pictures_pixels_cannot_be_changed() -> None:
    picture = Picture(pixels())
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0, 0] = 1


def test_a_masks_values_cannot_be_changed() -> None:
    mask = Mask(np.eye(3, dtype=bool))
    with pytest.raises(ValueError, match="read-only"):
        mask.values[0, 0] = False


def test_freezing_leaves_the_callers_own_array_as_it_was() -> None:
    own = pixels()
    picture = Picture(own)
    digest = picture.digest
    own[0, 0, 0] ^= 255
    assert Picture(picture.pixels).digest == digest


def test_what_is_frozen_is_not_copied_again() -> None:
    once = frozen(pixels())
    assert frozen(once) is once


def test_frozen_arrays_are_contiguous_and_equal() -> None:
    transposed = pixels().transpose(1, 0, 2)
    result = frozen(transposed)
    assert result.flags.c_contiguous
    assert not result.flags.writeable
    np.testing.assert_array_equal(result, transposed)


@pytest.mark.parametrize(
    "values",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)],
    ids=["no channels", "four channels", "float"],
)
def test_a_picture_is_refused_unless_it_is_8_bit_rgb(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        Picture(values)


def test_the_size_is_height_then_width() -> None:
    assert Picture(pixels()).size == (4, 6)


def test_masks_become_bool() -> None:
    mask = Mask(np.array([[0, 2], [1, 0]]))
    assert mask.values.dtype == bool
    np.testing.assert_array_equal(mask.values, [[False, True], [True, False]])


@given(*[st.integers(0, 10**6)] * 4)
def test_costs_add_part_by_part(a: int, b: int, c: int, d: int) -> None:
    total = Cost(a, b) + Cost(c, d)
    assert total == Cost(a + c, b + d)
    assert total.total == a + b + c + d
    assert Cost() + total == total


def prediction(probabilities: list[float]) -> Prediction:
    frame = np.zeros((2, 2, 3), np.uint8)
    return Prediction(np.array(probabilities, np.float32), frame, None, "key", Cost(1), 0.0, {})


def test_the_top_class_is_the_first_of_equals() -> None:
    assert prediction([0.1, 0.4, 0.4, 0.1]).top == 1


def test_the_ranking_is_best_first_with_ties_by_index() -> None:
    assert prediction([0.2, 0.3, 0.2, 0.3]).ranking(3) == [1, 3, 0]
    assert prediction([0.25, 0.75]).ranking(5) == [1, 0]
