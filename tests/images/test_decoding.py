"""Decoding: every format and mode becomes upright RGB, limits hold before pixels are decoded, and whatever is wrong
with a file is one sentence."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from xai_core.images.decoding import FORMATS, SUFFIXES, open_picture, open_thumbnail
from xai_core.types import Picture, Pixels, XaiError

from ..conftest import ROOT

LOSSLESS: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "BMP": {}}


def scene(height: int = 24, width: int = 40) -> Pixels:
    """A picture without any symmetry, smooth enough for JPEG: uint8 (H, W, 3)."""
    down, right = np.mgrid[0:height, 0:width]
    red, green = 40 + 160 * down // height, 30 + 200 * right // width
    return np.stack([red, green, 120 + red // 4 - green // 4], axis=-1).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """The image as a file of a format."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sentence_of(source: str | Path | bytes | Image.Image) -> str:
    """What the user is told about a source that cannot be opened: one sentence on one line."""
    with pytest.raises(XaiError) as caught:
        open_picture(source)
    text = str(caught.value)
    assert text == " ".join(text.split())
    assert text.endswith(".")
    assert text[:-1].count(". ") == 0
    return text


# -- formats and modes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_give_the_very_pixels(kind: str) -> None:
    picture = open_picture(encoded(scene(), kind, **LOSSLESS[kind]))
    np.testing.assert_array_equal(picture.pixels, scene())


@pytest.mark.parametrize(("kind", "tolerance"), [("JPEG", 3), ("WEBP", 12)])
def test_lossy_formats_give_nearly_the_pixels(kind: str, tolerance: int) -> None:
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"quality": 100}
    picture = open_picture(encoded(scene(), kind, **options))
    np.testing.assert_allclose(picture.pixels.astype(int), scene(), atol=tolerance)


def test_a_gif_gives_its_palettes_colours() -> None:
    colours = np.array([[[10, 20, 30], [200, 100, 0], [0, 255, 7]]], dtype=np.uint8).repeat(5, axis=0)
    np.testing.assert_array_equal(open_picture(encoded(colours, "GIF")).pixels, colours)


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_an_animation_gives_its_first_frame(kind: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
    np.testing.assert_array_equal(open_picture(data).pixels, np.asarray(frames[0]))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_grey_is_the_same_in_every_channel(kind: str) -> None:
    grey = scene()[..., 1]
    np.testing.assert_array_equal(open_picture(encoded(grey, kind)).pixels, np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "group4"})])
def test_one_bit_pictures_are_black_and_white(kind: str, options: dict[str, Any]) -> None:
    values = scene()[..., 1] > 128
    expected = np.where(values[..., None], 255, 0).repeat(3, axis=-1)
    np.testing.assert_array_equal(open_picture(encoded(values, kind, **options)).pixels, expected)


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 0, 200, 10, 20, 30])
    image.putdata([0, 1, 2])
    return image


def test_a_palette_gives_its_colours() -> None:
    picture = open_picture(encoded(palette_image(), "PNG"))
    np.testing.assert_array_equal(picture.pixels, [[[255, 0, 0], [0, 0, 200], [10, 20, 30]]])


def test_a_palette_with_transparency_lies_over_white() -> None:
    picture = open_picture(encoded(palette_image(), "PNG", transparency=bytes([51, 0, 255])))
    np.testing.assert_array_equal(picture.pixels, [[[255, 204, 204], [255, 255, 255], [10, 20, 30]]])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_lies_over_white(kind: str) -> None:
    picture = open_picture(encoded(palette_image(), kind, transparency=1))
    np.testing.assert_array_equal(picture.pixels, [[[255, 0, 0], [255, 255, 255], [10, 20, 30]]])


def test_a_transparent_colour_of_rgb_and_of_grey_lies_over_white() -> None:
    values = np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8)
    picture = open_picture(encoded(values, "PNG", transparency=(1, 2, 3)))
    np.testing.assert_array_equal(picture.pixels, [[[255, 255, 255], [4, 5, 6]]])
    picture = open_picture(encoded(values[..., 0], "PNG", transparency=4))
    np.testing.assert_array_equal(picture.pixels, [[[1, 1, 1], [255, 255, 255]]])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_rgba_lies_over_white(kind: str) -> None:
    values = np.array([[[255, 0, 0, 51], [0, 0, 0, 128], [9, 8, 7, 255], [9, 8, 7, 0]]], dtype=np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    picture = open_picture(encoded(values, kind, **options))
    np.testing.assert_array_equal(picture.pixels, [[[255, 204, 204], [127, 127, 127], [9, 8, 7], [255, 255, 255]]])


def test_grey_with_transparency_lies_over_white() -> None:
    values = np.array([[[0, 51], [0, 128], [9, 255], [9, 0]]], dtype=np.uint8)
    image = Image.frombytes("LA", (4, 1), values.tobytes())
    expected = np.array([[204, 127, 9, 255]])[..., None].repeat(3, axis=-1)
    np.testing.assert_array_equal(open_picture(encoded(image, "PNG")).pixels, expected)


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 4), min_size=1, max_size=20))
def test_over_white_means_mixed_by_alpha(values: list[tuple[int, int, int, int]]) -> None:
    rgba = np.array([values], dtype=np.uint8)
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(open_picture(encoded(rgba, "PNG")).pixels, expected, atol=0.75)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_brightness(kind: str) -> None:
    values = np.array([[0, 257 * 100, 32768, 65535, 128]], dtype=np.uint16)
    picture = open_picture(encoded(values, kind))
    np.testing.assert_array_equal(picture.pixels[..., 0], [[0, 100, 128, 255, 0]])
    assert (picture.pixels == picture.pixels[..., :1]).all()


def test_every_16_bit_value_is_rounded_to_the_nearest() -> None:
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(open_picture(Image.fromarray(values)).pixels[..., 0], np.rint(values / 257))


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
def test_16_bit_tiffs_of_both_byte_orders_are_read(order: str) -> None:
    values = np.array([[0, 257 * 7], [65535, 257 * 200]])
    tags = [(256, 2), (257, 2), (258, 16), (259, 1), (262, 1), (277, 1), (278, 2), (279, 8)]
    data = tiff(order, tags, values.astype(f"{order}u2").tobytes())
    np.testing.assert_array_equal(open_picture(data).pixels[..., 1], [[0, 7], [255, 200]])


def test_32_bit_integers_are_read_as_16_bit_grey() -> None:
    image = Image.fromarray(np.array([[0, 257 * 30, 65535]], dtype=np.int32))
    np.testing.assert_array_equal(open_picture(encoded(image, "TIFF")).pixels[..., 0], [[0, 30, 255]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.2, 0.6, 1.0], [0, 51, 153, 255]),
        ([0.0, 51.4, 153.6, 255.0], [0, 51, 154, 255]),
        ([0.0, 257.0 * 9, 257.0 * 80, 65535.0], [0, 9, 80, 255]),
        ([0.0, 1e5, 1.5e5, 2e5], [0, 128, 191, 255]),
        ([-3.0, np.nan, 0.2, 1.0], [0, 0, 51, 255]),
        ([np.inf, -np.inf, 0.2, 1.0], [255, 0, 51, 255]),
        ([0.0, 0.0, 0.0, 0.0], [0, 0, 0, 0]),
    ],
    ids=["0 to 1", "0 to 255", "0 to 65535", "beyond", "negative and nan", "infinite", "black"],
)
def test_float_tiffs_are_scaled_by_their_range(values: list[float], expected: list[int]) -> None:
    picture = open_picture(encoded(np.array([values], dtype=np.float32), "TIFF"))
    np.testing.assert_array_equal(picture.pixels[0], np.array(expected)[:, None].repeat(3, axis=1))


def test_a_cmyk_jpeg_has_the_colours_of_its_inks() -> None:
    inks = np.zeros((16, 32, 4), dtype=np.uint8)
    inks[:, :8], inks[:, 8:16], inks[:, 16:24] = (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 0, 128)
    image = Image.frombytes("CMYK", (32, 16), inks.tobytes())
    picture = open_picture(encoded(image, "JPEG", quality=100, subsampling=0))
    for left, colour in enumerate([(0, 255, 255), (255, 0, 255), (127, 127, 127), (255, 255, 255)]):
        seen = picture.pixels[4:12, 8 * left + 2 : 8 * left + 6].astype(int)
        assert np.abs(seen - colour).max() <= 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "I", "F"])
def test_a_pil_image_of_any_mode_is_taken(mode: str) -> None:
    picture = open_picture(Image.new(mode, (5, 4)))
    assert picture.size == (4, 5)
    assert picture.pixels.dtype == np.uint8


def test_a_pil_image_stays_as_it_was() -> None:
    image = Image.fromarray(scene())
    picture = open_picture(image)
    image.paste("red", (0, 0, 5, 5))
    np.testing.assert_array_equal(picture.pixels, scene())
    assert image.size == (40, 24)


def test_the_smallest_picture_is_a_picture() -> None:
    np.testing.assert_array_equal(open_picture(encoded(np.full((1, 1, 3), 9, np.uint8), "PNG")).pixels, [[[9, 9, 9]]])


# -- EXIF rotation -------------------------------------------------------------------------------------------------

STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,  # the first row is the top, the first column the left side
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: upright[::-1, ::-1],  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.transpose(1, 0, 2),  # left, top
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],  # right, top
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],  # left, bottom
}
"""How EXIF says that an upright picture was stored, by orientation."""


def oriented(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"quality": 100, "subsampling": 0} if kind == "JPEG" else LOSSLESS[kind]
    stored = STORED.get(orientation, STORED[1])(scene())
    return encoded(np.ascontiguousarray(stored), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation_ends_upright(orientation: int, kind: str) -> None:
    picture = open_picture(oriented(orientation, kind))
    assert picture.size == (24, 40)
    np.testing.assert_allclose(picture.pixels.astype(int), scene(), atol=3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_an_orientation_that_does_not_exist_changes_nothing(orientation: int) -> None:
    np.testing.assert_array_equal(open_picture(oriented(orientation, "PNG")).pixels, scene())


# -- sources and names ---------------------------------------------------------------------------------------------


def test_path_text_bytes_and_image_give_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "owl.png"
    path.write_bytes(encoded(scene(), "PNG"))
    sources = [path, str(path), path.read_bytes(), Image.open(path)]
    assert {open_picture(source).digest for source in sources} == {Picture(scene()).digest}


def test_a_picture_is_named_after_its_file_or_as_told(tmp_path: Path) -> None:
    path = tmp_path / "owl.png"
    path.write_bytes(encoded(scene(), "PNG"))
    assert open_picture(path).name == open_picture(Image.open(path)).name == "owl.png"
    assert open_picture(path, name="eule").name == open_picture(path.read_bytes(), name="eule").name == "eule"
    assert open_picture(Image.open(path), name="eule").name == "eule"


def test_the_format_is_told_by_the_content_and_not_by_the_name(tmp_path: Path) -> None:
    path = tmp_path / "owl.jpg"
    path.write_bytes(encoded(scene(), "PNG"))
    np.testing.assert_array_equal(open_picture(path).pixels, scene())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_that_galleries_list_is_a_format_that_opens(suffix: str) -> None:
    Image.init()
    assert Image.EXTENSION[suffix] in FORMATS


# -- limits --------------------------------------------------------------------------------------------------------


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG that declares a size and holds hardly any pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(order: str, tags: list[tuple[int, int]], strip: bytes) -> bytes:
    """An uncompressed TIFF of one strip with these tags."""
    entries = sorted([*tags, (273, 8 + 2 + 12 * (len(tags) + 1) + 4)])
    directory = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return head + directory + bytes(4) + strip


SMALL = {kind: encoded(scene(8, 8), kind, **LOSSLESS.get(kind, {})) for kind in ("JPEG", "WEBP", "BMP", "GIF")}


def jpeg(width: int, height: int) -> bytes:
    data = SMALL["JPEG"]
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def webp(width: int, height: int) -> bytes:
    data = SMALL["WEBP"]
    place = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, place)
    bits = bits & 0xF0000000 | (height - 1) << 14 | (width - 1)
    return data[:place] + struct.pack("<I", bits) + data[place + 4 :]


def bmp(width: int, height: int) -> bytes:
    data = SMALL["BMP"]
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def gif(width: int, height: int) -> bytes:
    data = SMALL["GIF"]
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def big_tiff(width: int, height: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (277, 1), (278, height), (279, 64)]
    return tiff("<", tags, bytes(64))


DECLARING: dict[str, Callable[[int, int], bytes]] = {
    "PNG": png,
    "JPEG": jpeg,
    "WEBP": webp,
    "BMP": bmp,
    "GIF": gif,
    "TIFF": big_tiff,
}


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the classes whose pixels were decoded, or tried to."""
    calls: list[str] = []

    def load(self: Image.Image, *_: object) -> None:
        calls.append(type(self).__name__)
        raise AssertionError("pixels are decoded")

    Image.init()
    kinds: list[type[Image.Image]] = [Image.Image]
    for kind in kinds:
        kinds += kind.__subclasses__()
        if "load" in vars(kind):
            monkeypatch.setattr(kind, "load", load)
    return calls


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_that_declares_too_many_pixels_is_refused_before_any_is_decoded(
    kind: str, decodings: list[str]
) -> None:
    side = 16000 if kind == "WEBP" else 30000
    data = DECLARING[kind](side, side)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == (kind, (side, side))
    text = sentence_of(data)
    assert f"{side} x {side} pixels" in text
    assert "64 megapixels" in text
    assert decodings == []


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_within_the_limits_is_decoded(kind: str, decodings: list[str]) -> None:
    assert "damaged" in sentence_of(DECLARING[kind](200, 100))
    assert decodings


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(20_000_001)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("the file is read"))
    text = sentence_of(path)
    assert "large.png has 20.0 MB" in text
    assert "limit is 20 MB" in text


def test_bytes_that_are_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_MAX_UPLOAD_MB", "1")
    data = encoded(scene(), "PNG")
    assert open_picture(data + bytes(1_000_000 - len(data))).size == (24, 40)
    assert "the limit is 1 MB" in sentence_of(data + bytes(1_000_001 - len(data)))


@pytest.mark.parametrize("wrap", [lambda image: image, lambda image: encoded(image, "PNG")], ids=["image", "bytes"])
def test_the_limit_of_megapixels_is_a_setting_and_includes_itself(
    wrap: Callable[[Image.Image], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_MAX_MEGAPIXELS", "1")
    assert open_picture(wrap(Image.new("L", (1000, 1000)))).size == (1000, 1000)
    assert "1001 x 1000 pixels" in sentence_of(wrap(Image.new("L", (1001, 1000))))


def test_a_text_chunk_that_swells_is_refused() -> None:
    bomb = b"Comment\0\0" + zlib.compress(bytes(200_000_000))
    assert len(bomb) < 1_000_000
    sentence_of(png(8, 8, (b"zTXt", bomb)))


# -- what is wrong with a file -------------------------------------------------------------------------------------


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    text = sentence_of(tmp_path / "nothing.png")
    assert "nothing.png" in text
    assert "No such file" in text


def test_a_folder_is_one_sentence(tmp_path: Path) -> None:
    assert "is a folder" in sentence_of(tmp_path)


def test_an_empty_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert sentence_of(tmp_path / "empty.jpg") == "empty.jpg is empty; choose another file."
    assert "is empty" in sentence_of(b"")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "pipe.png" in sentence_of(tmp_path / "pipe.png")


def test_a_text_that_is_named_like_a_picture_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("This is no picture.\n" * 50)
    text = sentence_of(path)
    assert "notes.jpg is not a picture" in text
    assert "JPEG, PNG, WebP, TIFF, BMP or GIF" in text


def test_formats_that_run_programs_are_never_opened() -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    with Image.open(io.BytesIO(postscript)) as image:
        assert image.format == "EPS"
    assert "not a picture" in sentence_of(postscript)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_one_sentence(kind: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    data = encoded(noise, kind)
    text = sentence_of(data[: int(len(data) * part)])
    assert "damaged or cut off" in text or "not a picture" in text


def test_nothing_but_the_sentence_is_said_about_a_damaged_file(tmp_path: Path) -> None:
    data = encoded(scene(), "TIFF", compression="tiff_adobe_deflate")
    (tmp_path / "damaged.tif").write_bytes(data[: len(data) // 2])
    code = "import sys; from xai_core.images.decoding import open_picture; open_picture(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "damaged.tif")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "damaged.tif is" in done.stderr
    assert "Warning" not in done.stderr


FILES = {
    "JPEG": encoded(scene(), "JPEG"),
    "progressive JPEG": encoded(scene(), "JPEG", progressive=True),
    "rotated JPEG": oriented(6, "JPEG"),
    "PNG": encoded(scene(), "PNG"),
    "palette PNG": encoded(palette_image(), "PNG", transparency=bytes([51, 0, 255])),
    "16-bit PNG": encoded(scene()[..., 0].astype(np.uint16) * 257, "PNG"),
    "WebP": encoded(scene(), "WEBP"),
    "lossless WebP": encoded(scene(), "WEBP", lossless=True),
    "TIFF": encoded(scene(), "TIFF"),
    "deflated TIFF": encoded(scene(), "TIFF", compression="tiff_adobe_deflate"),
    "float TIFF": encoded(scene()[..., 0].astype(np.float32), "TIFF"),
    "BMP": encoded(scene(), "BMP"),
    "GIF": encoded(scene(), "GIF"),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_damaged_file_is_a_picture_or_one_sentence_and_nothing_else(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(0, 6), label="flips")):
        # Half of the flips hit the header, where they do most.
        last = data.draw(st.sampled_from([min(64, len(damaged) - 1), len(damaged) - 1]))
        damaged[data.draw(st.integers(0, last))] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans(), label="cut"):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    try:
        picture = open_picture(bytes(damaged))
    except XaiError as error:
        assert "\n" not in str(error)
        assert str(error).endswith(".")
    else:
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape == (*picture.size, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=100, deadline=None)
@example(b"BM")
@example(b"GIF89a")
@example(b"II*\0")
@example(b"RIFF\0\0\0\0WEBP")
@example(b"\xff\xd8\xff")
@given(st.binary(max_size=200))
def test_any_bytes_are_a_picture_or_one_sentence(data: bytes) -> None:
    try:
        open_picture(data)
    except XaiError as error:
        assert "\n" not in str(error)


# -- thumbnails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_thumbnail_is_the_middle_square_of_the_picture(kind: str) -> None:
    small = open_thumbnail(encoded(scene(60, 100), kind), 30)
    assert small.shape == (30, 30, 3)
    expected = Image.fromarray(scene(60, 100)).resize((30, 30), Image.Resampling.LANCZOS, (20, 0, 80, 60))
    assert np.abs(small.astype(int) - np.asarray(expected)).mean() < 4


def test_a_thumbnail_is_converted_and_turned_as_the_picture_is() -> None:
    grey = (np.linspace(0, 65535, 40 * 40).reshape(40, 40)).astype(np.uint16)
    middle = open_thumbnail(encoded(Image.fromarray(grey), "PNG"), 20).astype(int)
    assert middle[0].mean() < 20 and middle[-1].mean() > 235
    turned = Image.fromarray(scene(40, 40))
    exif = turned.getexif()
    exif[274] = 3  # upside down
    small = open_thumbnail(encoded(turned, "PNG", exif=exif), 40)
    np.testing.assert_array_equal(small, scene(40, 40)[::-1, ::-1])


def test_a_thumbnail_keeps_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_MAX_MEGAPIXELS", "1")
    with pytest.raises(XaiError, match="megapixels"):
        open_thumbnail(encoded(np.zeros((1200, 1200), np.uint8), "PNG"), 20)


def test_a_16_bit_negative_is_not_shown_inverted() -> None:
    tifffile = pytest.importorskip("tifffile")
    grey = np.linspace(0, 65535, 30 * 20).reshape(20, 30).astype(np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, 65535 - grey, photometric="miniswhite")
    found = open_picture(buffer.getvalue()).pixels[..., 0].astype(int)
    assert np.abs(found - grey / 257).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
def test_a_file_cut_off_in_its_header_is_called_damaged(kind: str) -> None:
    assert "damaged" in sentence_of(encoded(scene(), kind)[:14])
