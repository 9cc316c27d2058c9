"""Masks from files: bright pixels, or opaque ones, are the object, at the file's own resolution."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from xai_core.masks.reading import open_mask
from xai_core.types import Bools, XaiError

OBJECT = np.array([[0, 1, 1], [0, 0, 1]], dtype=bool)
"""A mask without any symmetry."""


def file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def painted(mask: Bools, inside: tuple[int, ...], outside: tuple[int, ...]) -> Image.Image:
    """An image with one colour inside the mask and another outside."""
    return Image.fromarray(np.where(mask[..., None], np.uint8(inside), np.uint8(outside)))


@given(arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any))
def test_white_on_black_is_read_as_it_was_drawn(values: Bools) -> None:
    for image in (Image.fromarray(values), Image.fromarray(values.astype(np.uint8) * 255)):
        np.testing.assert_array_equal(open_mask(file(image)).values, values)


def test_brighter_than_half_is_the_object() -> None:
    grey = Image.fromarray(np.array([[0, 127, 128, 255]], dtype=np.uint8))
    np.testing.assert_array_equal(open_mask(file(grey)).values, [[False, False, True, True]])


def test_the_edges_of_a_lossy_file_stay_where_they_were() -> None:
    mask = np.zeros((64, 64), dtype=bool)
    mask[16:48, 24:60] = True
    read = open_mask(file(Image.fromarray(mask.astype(np.uint8) * 255), "JPEG", quality=70))
    np.testing.assert_array_equal(read.values, mask)


@pytest.mark.parametrize("kind", ["1", "L", "P", "RGB", "CMYK", "I;16", "F"])
def test_a_mask_of_any_mode_is_read(kind: str) -> None:
    if kind == "I;16":
        image = Image.fromarray(OBJECT.astype(np.uint16) * 65535)
    elif kind == "F":
        image = Image.fromarray(OBJECT.astype(np.float32))
    else:
        image = Image.fromarray(OBJECT.astype(np.uint8) * 255).convert(kind)
    np.testing.assert_array_equal(open_mask(file(image, "TIFF")).values, OBJECT)


def test_a_drawing_on_a_transparent_ground_is_read_by_its_transparency() -> None:
    dark = painted(OBJECT, (10, 10, 10, 255), (255, 255, 255, 0))
    np.testing.assert_array_equal(open_mask(file(dark)).values, OBJECT)


def test_opaque_on_half_transparent_needs_more_than_half() -> None:
    image = Image.fromarray(np.array([[[9, 9, 9, 127], [9, 9, 9, 128], [9, 9, 9, 0]]], dtype=np.uint8))
    np.testing.assert_array_equal(open_mask(file(image)).values, [[False, True, False]])


def test_a_palette_with_a_transparent_colour_is_read_by_its_transparency() -> None:
    image = Image.fromarray(OBJECT.astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 20, 20, 20])
    np.testing.assert_array_equal(open_mask(file(image, transparency=0)).values, OBJECT)


def test_a_transparency_that_hides_nothing_says_nothing() -> None:
    image = painted(OBJECT, (255, 255, 255, 255), (0, 0, 0, 255))
    np.testing.assert_array_equal(open_mask(file(image)).values, OBJECT)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (4, 3)),
        Image.new("RGBA", (4, 3), (0, 0, 0, 255)),
        Image.new("RGBA", (4, 3), (0, 0, 0, 0)),
        Image.new("RGBA", (4, 3), (255, 255, 255, 0)),
    ],
    ids=["black", "opaque black", "transparent", "transparent white"],
)
def test_an_empty_mask_is_one_sentence(image: Image.Image) -> None:
    with pytest.raises(XaiError) as caught:
        open_mask(file(image), name="mine.png")
    assert str(caught.value) == "The mask mine.png is empty: paint the object white on black and try again."


def test_a_mask_of_a_whole_picture_is_a_mask() -> None:
    assert open_mask(file(Image.new("L", (4, 3), 255))).values.all()


def test_a_mask_is_turned_upright_like_its_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored with its first row at the right
    stored = Image.fromarray(np.ascontiguousarray(OBJECT.T[::-1]).astype(np.uint8) * 255)
    np.testing.assert_array_equal(open_mask(file(stored, exif=exif)).values, OBJECT)


def test_a_mask_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "owl_mask.png"
    path.write_bytes(file(Image.fromarray(OBJECT)))
    assert open_mask(path).name == "owl_mask.png"
    assert open_mask(path, name="owl").name == "owl"


def test_what_is_wrong_with_a_file_is_said_as_for_pictures(tmp_path: Path) -> None:
    for data, said in ((b"", "is empty"), (b"words", "is not a picture")):
        with pytest.raises(XaiError, match=said):
            open_mask(data)
    with pytest.raises(XaiError, match="No such file"):
        open_mask(tmp_path / "nothing.png")
    with pytest.raises(XaiError, match="damaged"):
        open_mask(file(Image.effect_noise((50, 50), 80))[:1000])


def test_a_mask_has_the_limits_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_MAX_MEGAPIXELS", "1")
    with pytest.raises(XaiError, match="limit of 1 megapixels"):
        open_mask(file(Image.new("1", (2000, 1000), 1)))
