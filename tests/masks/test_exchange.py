"""Masks in and out of every format: exact round trips, names, other libraries' readers, and hostile files."""

from __future__ import annotations

import io
import json
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as cocomask
from pycocotools.coco import COCO

from tests.checks import is_sentence
from xai_core.images.galleries import folder
from xai_core.masks.brush import encoded
from xai_core.masks.exchange import FORMATS, NamedMask, export_masks, exporting, import_masks
from xai_core.types import Bools, Picture, XaiError

from .making import MASKS, noise, rings

every_format = pytest.mark.parametrize("kind", FORMATS)


def picture(name: str, size: tuple[int, int], seed: int = 0) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8), name)


def named(pic: Picture, annotator: str | None, mask: Bools) -> NamedMask:
    return NamedMask.of(pic.name, pic.digest, annotator, mask)


def contents(masks: list[NamedMask]) -> dict[tuple[str, str | None], list[list[bool]]]:
    return {(one.digest, one.annotator): one.values.tolist() for one in masks}


OWL = picture("owl.jpg", (5, 7))
MASK = np.zeros((5, 7), dtype=bool)
MASK[1:4, 2:6] = True
MASK[2, 3] = False


def refused(source: Path, pictures: list[Picture] | None = None, **options: Any) -> str:
    """The sentence of a refusal."""
    with pytest.raises(XaiError) as error:
        import_masks(source, pictures or [OWL], **options)
    assert is_sentence(str(error.value)), str(error.value)
    return str(error.value)


# -- round trips ---------------------------------------------------------------------------------------------------


@every_format
@settings(max_examples=40)
@given(data=st.data())
def test_masks_of_several_people_come_back_bit_by_bit(kind: str, data: st.DataObject) -> None:
    masks = data.draw(st.lists(MASKS, min_size=1, max_size=3))
    pictures = [picture(f"photo {number}.png", mask.shape, number) for number, mask in enumerate(masks)]
    people = data.draw(st.lists(st.sampled_from(["anna", "Änne B.", "x@y.org"]), min_size=1, max_size=2, unique=True))
    given = [
        named(pic, who, mask if who != "anna" else ~mask)
        for pic, mask in zip(pictures, masks, strict=True)
        for who in people
    ]
    with tempfile.TemporaryDirectory() as place:
        export_masks(given, kind, Path(place) / "out")
        back = import_masks(Path(place) / "out", pictures)
    assert contents(back) == contents(given)


@every_format
def test_pictures_of_one_stem_keep_their_own_masks(kind: str, tmp_path: Path) -> None:
    size = (6, 9)
    pictures = [picture(name, size, seed) for seed, name in enumerate(["owl.jpg", "owl.png", "OWL.jpg", "owl.jpg"])]
    given = [named(pic, "anna", noise(size, 0.5, seed)) for seed, pic in enumerate(pictures)]
    export_masks(given, kind, tmp_path / "out")
    assert contents(import_masks(tmp_path / "out", pictures)) == contents(given)


@every_format
def test_a_set_is_written_where_it_belongs_and_nothing_else(kind: str, tmp_path: Path) -> None:
    export_masks([named(OWL, "anna", MASK), named(OWL, "bert", ~MASK)], kind, tmp_path / "out")
    files = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    suffix = {"png": "owl.png", "npz": "owl.npz"}.get(kind)
    assert files == ({f"out/anna/{suffix}", f"out/bert/{suffix}"} if suffix else {"out/annotations.json"})


def test_png_and_npz_are_what_they_say(tmp_path: Path) -> None:
    for kind in ("png", "npz"):
        export_masks([named(OWL, "anna", MASK)], kind, tmp_path / kind)
    with Image.open(tmp_path / "png" / "anna" / "owl.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), MASK * 255)
    with np.load(tmp_path / "npz" / "anna" / "owl.npz") as arrays:
        assert np.array_equal(arrays["mask"], MASK)


@pytest.mark.parametrize("kind", ["coco", "coco-polygon"])
@settings(max_examples=40)
@given(mask=MASKS)
def test_pycocotools_reads_the_same_mask(kind: str, mask: Bools) -> None:
    pic = picture("a.png", mask.shape)
    with tempfile.TemporaryDirectory() as place:
        export_masks([named(pic, "anna", mask)], kind, Path(place) / "out")
        content = json.loads((Path(place) / "out" / "annotations.json").read_text())
    reader = COCO()
    reader.dataset = content
    reader.createIndex()
    (annotation,) = reader.loadAnns(reader.getAnnIds(imgIds=1))
    assert np.array_equal(reader.annToMask(annotation).astype(bool), mask)
    code = cocomask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert annotation["area"] == cocomask.area(code)
    assert annotation["bbox"] == cocomask.toBbox(code).tolist()
    assert reader.loadImgs(1)[0]["file_name"] == "a.png"


@given(MASKS)
@settings(max_examples=60)
def test_run_lengths_in_letters_are_read(mask: Bools) -> None:
    letters = cocomask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    found = imported(
        coco_file(mask.shape, {"size": list(mask.shape), "counts": letters}), [picture("owl.jpg", mask.shape)]
    )
    assert np.array_equal(found, mask)


def imported(content: Any, pictures: list[Picture]) -> Bools:
    """The one mask in a JSON file of this content."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "some.json"
        file.write_text(json.dumps(content))
        (found,) = import_masks(file, pictures)
    return found.values


def coco_file(size: tuple[int, int], *segmentations: Any, **annotation: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 3, "file_name": "owl.jpg", "height": size[0], "width": size[1]}],
        "annotations": [{"image_id": 3, "segmentation": one, **annotation} for one in segmentations],
    }


def task(size: tuple[int, int], *codes: list[int], image: Any = "owl.jpg", **annotation: Any) -> dict[str, Any]:
    results = [
        {
            "type": "brushlabels",
            "original_height": size[0],
            "original_width": size[1],
            "value": {"format": "rle", "rle": code},
        }
        for code in codes
    ]
    return {"data": {"image": image}, "annotations": [{"result": results, **annotation}]}


# -- what the formats mean -----------------------------------------------------------------------------------------


def test_several_objects_of_a_picture_are_united(tmp_path: Path) -> None:
    polygon, runs = [1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0], {"size": [5, 7], "counts": [34, 1]}
    expected = np.zeros((5, 7), dtype=bool)
    expected[1:3, 1:3] = expected[4, 6] = True
    assert np.array_equal(imported(coco_file((5, 7), [polygon], runs), [OWL]), expected)
    np.savez(tmp_path / "owl.npz", first=np.eye(5, 7, dtype=np.uint8), second=MASK)
    (found,) = import_masks(tmp_path / "owl.npz", [OWL])
    assert np.array_equal(found.values, MASK | np.eye(5, 7, dtype=bool))


def indexed(values: Any, colours: list[int]) -> bytes:
    image = Image.fromarray(np.array(values, dtype=np.uint8))
    image.putpalette(colours)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


COLOURS = [0, 0, 0, 90, 0, 0, 0, 90, 0]


@pytest.mark.parametrize(
    ("values", "colours", "index", "expected"),
    [
        ([[0, 1, 2]], COLOURS, None, [[False, True, True]]),
        ([[0, 1, 2]], COLOURS, 1, [[False, True, False]]),
        ([[0, 1, 2]], COLOURS, 0, [[True, False, False]]),
        ([[0, 1, 1]], [255] * 3 + [0] * 3, None, [[True, False, False]]),  # black and white: brightness
    ],
)
def test_palettes_number_objects(
    tmp_path: Path, values: Any, colours: list[int], index: int | None, expected: Any
) -> None:
    (tmp_path / "owl.png").write_bytes(indexed(values, colours))
    (found,) = import_masks(tmp_path, [picture("owl.jpg", (1, 3))], index)
    assert found.values.tolist() == expected


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([[0, 1, 127]], np.uint8, [[False, True, True]]),
        ([[0, 100, 200]], np.uint8, [[False, False, True]]),
        ([[0, 1, 300]], np.uint16, [[False, True, True]]),
        ([[0, 1, 65535]], np.uint16, [[False, False, True]]),
    ],
)
def test_grey_numbers_objects_where_nothing_is_bright(tmp_path: Path, values: Any, kind: Any, expected: Any) -> None:
    Image.fromarray(np.array(values, dtype=kind)).save(tmp_path / "owl.png")
    (found,) = import_masks(tmp_path, [picture("owl.jpg", (1, 3))])
    assert found.values.tolist() == expected


def test_folders_are_annotators_and_files_may_say_nothing(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "anna", tmp_path / "bert"):
        place.mkdir(exist_ok=True)
        Image.fromarray(MASK).save(place / "owl.png")
    (tmp_path / "README.md").write_text("How these came about")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "__MACOSX").mkdir()
    assert [one.annotator for one in import_masks(tmp_path, [OWL])] == ["anna", "bert", None]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_with_marks_match_however_a_system_writes_them(form: Literal["NFC", "NFD"], tmp_path: Path) -> None:
    Image.fromarray(MASK).save(tmp_path / unicodedata.normalize(form, "Käse.png"))
    pic = picture("Käse.jpg", (5, 7))
    assert contents(import_masks(tmp_path, [pic])) == contents([named(pic, None, MASK)])


def test_pictures_of_a_folder_are_opened_by_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(OWL.pixels).save(tmp_path / "in" / "owl.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"nothing")  # nobody asks for it
    Image.fromarray(MASK).save(tmp_path / "owl.png")
    (found,) = import_masks(tmp_path / "owl.png", folder(tmp_path / "in").samples)
    assert (found.picture, found.digest, found.size) == ("owl.png", OWL.digest, (5, 7))


@pytest.mark.parametrize(
    "image",
    [
        "owl.jpg",
        "/data/upload/3/0a1b2c3d-owl.jpg",
        "https://host/x/owl.jpg?token=1",
        "/data/local-files/?d=sets/owl.jpg",
        "C:\\sets\\owl.png",
        "../../owl.jpg",
    ],
)
def test_label_studio_names_pictures_in_many_ways(image: str) -> None:
    content = [task((5, 7), list(encoded(MASK)), list(encoded(np.eye(5, 7, dtype=bool))), image=image)]
    assert np.array_equal(imported(content, [OWL]), MASK | np.eye(5, 7, dtype=bool))


def test_label_studio_says_who_drew(tmp_path: Path) -> None:
    code = list(encoded(MASK))
    people: list[Any] = [{"id": 3, "email": "anna@x.org"}, 7, None]
    annotations = [task((5, 7), code, completed_by=who)["annotations"][0] for who in people]
    annotations.append(task((5, 7), code, was_cancelled=True)["annotations"][0])
    (tmp_path / "a.json").write_text(json.dumps([{"data": {"image": "owl.jpg"}, "annotations": annotations}]))
    assert [one.annotator for one in import_masks(tmp_path, [OWL])] == ["anna@x.org", "7", None]


# -- what is refused -----------------------------------------------------------------------------------------------

RUNS = {"size": [5, 7], "counts": [35]}
GOOD = coco_file((5, 7), RUNS)


def image_with(**change: Any) -> dict[str, Any]:
    return {**GOOD, "images": [GOOD["images"][0] | change]}


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        [1],
        "text",
        None,
        {"images": [], "annotations": [{}]},
        {"images": 3, "annotations": []},
        {"images": GOOD["images"] * 2, "annotations": GOOD["annotations"]},
        {"images": [], "annotations": GOOD["annotations"]},
        image_with(height=10**9, width=10**9),
        image_with(height=-5),
        image_with(height="5"),
        image_with(height=5.0),
        image_with(height=True),
        image_with(file_name="cat.jpg"),
        image_with(file_name="../../../etc/passwd"),
        image_with(file_name="x" * 10_000),
        image_with(file_name="\0"),
        image_with(file_name=""),
        coco_file((5, 7), RUNS, annotator="../evil"),
        coco_file((5, 7), RUNS, annotator=5),
        coco_file((5, 7), {"size": [7, 5], "counts": [35]}),
        coco_file((5, 7), {"size": [5, 7], "counts": [34]}),
        coco_file((5, 7), {"size": [5, 7], "counts": [-1, 36]}),
        coco_file((5, 7), {"size": [5, 7], "counts": [35.0]}),
        coco_file((5, 7), {"size": [5, 7], "counts": ["35"]}),
        coco_file((5, 7), {"size": [5, 7], "counts": [10**30]}),
        coco_file((5, 7), {"size": [5, 7], "counts": [2**62, 2**62]}),
        coco_file((5, 7), {"size": [5, 7], "counts": ""}),
        coco_file((5, 7), {"size": [5, 7], "counts": "o"}),
        coco_file((5, 7), {"size": [5, 7], "counts": "oooooooooooooooooo0"}),
        coco_file((5, 7), {"size": [5, 7], "counts": "é \0"}),
        coco_file((5, 7), {"size": [5], "counts": [35]}),
        coco_file((5, 7), {"counts": [35]}),
        coco_file((5, 7), "nothing"),
        coco_file((5, 7), [[1, 2]]),
        coco_file((5, 7), [["1"] * 6]),
        coco_file((5, 7), [[1e9] * 6]),
        coco_file((5, 7), [1.0] * 6),
        [task((5, 7), [1, 2, 3])],
        [task((7, 5), [1])],
        [task((10**9, 10**9), [1])],
        [task((5, 7), [256])],
        [task((5, 7), ["1"])],  # type: ignore[list-item]
        [task((5, 7), [1], image=None)],
        [task((5, 7), [1], image="cat.jpg")],
        [{"data": {"image": "owl.jpg"}, "annotations": 3}],
        [{"data": {}, "annotations": [{"result": [{"type": 3}]}]}],
    ],
)
def test_hostile_json_gets_a_sentence(content: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    refused(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, '{"a":' * 5000, "[NaN]", "[1e999]", "\ud800", "\0", "nul", '{"images": [' + "9" * 9999],
)
def test_what_is_no_json_gets_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(tmp_path / "a.json")


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**70),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(0, 9), max_size=5),
)


@given(where=st.lists(st.integers(0, 30), max_size=8), value=LEAVES, studio=st.booleans())
def test_changed_records_are_read_or_refused_with_a_sentence(where: list[int], value: Any, studio: bool) -> None:
    content: Any = (
        [task((5, 7), list(encoded(MASK)), completed_by=1)] if studio else coco_file((5, 7), RUNS, [[0.0] * 6])
    )
    content, place = json.loads(json.dumps(content)), None
    node = content
    for step in where:
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        if not keys:
            break
        place = node, keys[step % len(keys)]
        node = node[place[1]]
    if place:
        place[0][place[1]] = value
    try:
        assert imported(content, [OWL]).shape == (5, 7)
    except XaiError as error:
        assert is_sentence(str(error))


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, data in members.items():
            made.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def array(values: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(values), **options)
    return buffer.getvalue()


def claiming(shape: str, kind: str = "|b1") -> bytes:
    """An array's file whose header says what is not there."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\1" * 35


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\3\4 broken",
        archive(),
        archive(mask=b""),
        archive(mask=b"\x93NUMPY\x09\x00"),
        archive(mask=array(MASK)[:-1]),
        archive(mask=array(MASK))[:-30],
        archive(mask=array(MASK.T)),
        archive(mask=array(MASK[None])),
        archive(mask=array(MASK.astype(float))),
        archive(mask=array(np.array([{}]), allow_pickle=True)),
        archive(mask=array(np.full((5, 7), None), allow_pickle=True)),
        archive(mask=claiming("(1000000, 1000000)")),
        archive(mask=claiming("(5, 7)", "<u8")),
        archive(mask=claiming("(-5, -7)")),
        archive(mask=claiming("__import__('os')")),
        archive(**{f"a{number}": array(MASK) for number in range(300)}),
    ],
)
def test_broken_archives_get_a_sentence(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "owl.npz").write_bytes(data)
    refused(tmp_path)


@pytest.mark.parametrize("make", [lambda: archive(mask=array(MASK)), lambda: indexed(MASK * 1, COLOURS)])
@given(data=st.data())
@settings(max_examples=60)
def test_damaged_files_are_read_or_refused_with_a_sentence(make: Callable[[], bytes], data: st.DataObject) -> None:
    content = bytearray(make())
    name = "owl.npz" if content.startswith(b"PK") else "owl.png"
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / name).write_bytes(content)
        try:
            assert import_masks(place, [OWL])[0].size == (5, 7)
        except XaiError as error:
            assert is_sentence(str(error))


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.fromarray(MASK.T).save(tmp_path / "owl.png")
    assert "5 x 7" in refused(tmp_path)


def test_files_that_would_be_left_out_are_refused(tmp_path: Path) -> None:
    assert "no masks" in refused(tmp_path)
    assert "no file or folder" in refused(tmp_path / "nowhere")
    Image.fromarray(MASK).save(tmp_path / "cat.png")
    assert "no picture" in refused(tmp_path)
    assert "PNG" in refused(_saved(tmp_path / "x" / "owl.jpg"))
    assert "too deep" in refused(_saved(tmp_path / "y" / "set" / "anna" / "owl.png").parents[2])


def _saved(file: Path) -> Path:
    file.parent.mkdir(parents=True)
    Image.fromarray(MASK).save(file)
    return file


def test_two_masks_of_one_picture_are_refused(tmp_path: Path) -> None:
    Image.fromarray(MASK).save(tmp_path / "owl.png")
    np.savez(tmp_path / "owl.npz", MASK)
    assert "second mask" in refused(tmp_path)


def test_one_picture_of_two_names_has_one_mask(tmp_path: Path) -> None:
    Image.fromarray(MASK).save(tmp_path / "owl.png")
    Image.fromarray(MASK).save(tmp_path / "copy.png")
    twins = [OWL, Picture(OWL.pixels, "copy.jpg")]
    assert len(import_masks(tmp_path, twins)) == 1
    Image.fromarray(~MASK).save(tmp_path / "copy.png")
    assert "the pixels of" in refused(tmp_path, twins)


def test_a_name_that_means_two_pictures_is_refused(tmp_path: Path) -> None:
    Image.fromarray(MASK).save(tmp_path / "owl.png")
    assert "2 pictures" in refused(tmp_path, [OWL, picture("owl.png", (5, 7), 1)])


# -- export's own refusals -----------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(XaiError, match="not empty"):
        export_masks([named(OWL, "anna", MASK)], "png", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    export_masks([named(OWL, "anna", MASK)], "png", tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.png")] == ["anna/owl.png"]


@pytest.mark.parametrize(
    ("masks", "kind"),
    [
        ([], "png"),
        ([named(OWL, None, MASK)], "png"),
        ([named(OWL, "anna", MASK)], "bmp"),
        ([named(OWL, "anna", MASK), named(OWL, "anna", ~MASK)], "npz"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing(masks: list[NamedMask], kind: str, tmp_path: Path) -> None:
    with pytest.raises(XaiError) as error:
        export_masks(masks, kind, tmp_path / "a" / "b")
    assert is_sentence(str(error.value))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_export_that_breaks_off_leaves_nothing(
    kind: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(masks: object, names: object, out: Path) -> None:
        (out / "anna").mkdir()
        (out / "anna" / "half.png").write_bytes(b"half")
        raise kind

    monkeypatch.setitem(exporting.FORMATS, "png", broken)
    with pytest.raises(XaiError if isinstance(kind, OSError) else KeyboardInterrupt):
        export_masks([named(OWL, "anna", MASK)], "png", tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", " ", "x" * 81, ".ann", "Thumbs.db", "__MACOSX"])
def test_names_that_no_folder_may_have_are_refused(name: str) -> None:
    with pytest.raises(XaiError) as error:
        named(OWL, name, MASK)
    assert is_sentence(str(error.value))


@pytest.mark.parametrize("name", ["../../owl.jpg", "/etc/owl.jpg", "a\\owl.jpg", "..", "", ".hidden", "o:w*l?.jpg"])
def test_a_picture_of_any_name_stays_in_the_annotators_folder(name: str, tmp_path: Path) -> None:
    pic = picture(name, (5, 7))
    export_masks([named(pic, "anna", MASK)], "png", tmp_path / "out")
    assert len(list((tmp_path / "out" / "anna").iterdir())) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert contents(import_masks(tmp_path / "out", [pic])) == contents([named(pic, "anna", MASK)])


def test_large_masks_are_kept_small() -> None:
    mask = np.zeros((1024, 1500), dtype=bool)
    mask[100:900, 200:800] = rings((800, 600), 1)
    kept = NamedMask.of("a.png", "0" * 64, None, mask)
    assert len(kept.packed) < mask.size / 8
    assert np.array_equal(kept.values, mask)
