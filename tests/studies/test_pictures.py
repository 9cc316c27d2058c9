"""Which pictures a study takes, and what it believes of their classes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.studies.small import write_pictures
from xai_core.images import galleries
from xai_core.registry import MODELS
from xai_core.studies.pictures import _index, located, open_set
from xai_core.types import XaiError


def names(folder: Path | str, limit: int | None = None) -> list[str]:
    return [entry.name for entry in open_set(folder, limit).entries]


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    found = open_set(tmp_path)
    assert [entry.name for entry in found.entries] == ["0.png", "1.png", "2.png"]
    assert not found.labelled
    assert names(tmp_path, 2) == ["0.png", "1.png"]
    assert found.entries[0].open().name == "0.png"


def test_class_folders_name_the_class(tmp_path: Path, tiny_card: Path) -> None:
    write_pictures(tmp_path / "class 3", 1)
    write_pictures(tmp_path / "Class_1", 1)
    write_pictures(tmp_path / "no such class", 1)
    write_pictures(tmp_path / ".thumbnails", 1)
    found = open_set(tmp_path)
    truths = {entry.name: entry.truth(MODELS["tiny"]) for entry in found.entries}
    assert truths == {"Class_1/0.png": 1, "class 3/0.png": 3, "no such class/0.png": -1}
    assert found.labelled


def test_a_list_names_pictures_and_classes_in_its_own_order(tmp_path: Path, tiny_card: Path) -> None:
    write_pictures(tmp_path)
    write_pictures(tmp_path / "more", 1)
    (tmp_path / "labels.csv").write_text(
        "\ufefffile,note,label\n2.png,x,4\n./more/0.png,y,class 2\nmore/../1.png,,\n0.png\n", encoding="utf-8"
    )
    found = [(entry.name, entry.truth(MODELS["tiny"])) for entry in open_set(tmp_path).entries]
    assert found == [("2.png", 4), ("more/0.png", 2), ("1.png", -1), ("0.png", -1)]


def test_wordnet_ids_name_imagenet_s_classes() -> None:
    card = MODELS["efficientnet_lite0"]
    assert _index("n02124075", card.labels) == 285
    assert "egyptian cat" in card.labels[285].lower()
    assert _index("n00000000", card.labels) == -1


HOSTILE = {
    "above": "file,label\n../secret.png,1\n",
    "absolute": "file,label\n{root}/secret.png,1\n",
    "around": "file,label\ninner/../../secret.png,1\n",
    "missing": "file,label\nnone.png,1\n",
    "no picture": "file,label\nlabels.csv,1\n",
    "a folder": "file,label\n.,1\n",
    "nothing": "file,label\n,1\n",
    "twice": "file,label\n0.png,1\n./0.png,2\n",
    "a null byte": "file,label\n0\x00.png,1\n",
    "too long": f"file,label\n{'x' * 5000}.png,1\n",
    "a huge field": f"file,label\n0.png,{'x' * 200_000}\n",
    "no heading": "0.png,1\n",
    "other columns": "name,class\n0.png,1\n",
    "empty": "",
    "not text": b"\xff\xfe\x00\x80",
}


@pytest.mark.parametrize("which", HOSTILE)
def test_a_hostile_list_is_refused_with_a_sentence(tmp_path: Path, which: str) -> None:
    folder = write_pictures(tmp_path / "pictures")
    write_pictures(tmp_path, 1)
    (tmp_path / "0.png").rename(tmp_path / "secret.png")
    text = HOSTILE[which]
    if isinstance(text, bytes):
        (folder / "labels.csv").write_bytes(text)
    else:
        (folder / "labels.csv").write_text(text.replace("{root}", str(tmp_path)))
    with pytest.raises(XaiError, match=r"(?s)^[^\n]+\.$"):
        open_set(folder)


def test_a_name_that_no_table_can_hold_is_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", 1)
    (folder / "0.png").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    with pytest.raises(XaiError, match=r"^The name of the picture 'caf\?\.png' is not UTF-8; rename it\.$"):
        open_set(folder)
    with pytest.raises(XaiError, match=r"^The name of the folder of pictures 'caf\?' is not UTF-8; rename it\.$"):
        located("caf\udce9")


@given(st.text(max_size=20) | st.from_regex(r"\d{1,30}", fullmatch=True) | st.just("9" * 10_000))
def test_any_label_is_a_class_or_none(label: str) -> None:
    labels = ("cat", "dog", "dog", "two words")
    found = _index(label, labels)
    assert -1 <= found < len(labels)
    if label.isascii() and label.isdecimal():
        assert found == (int(label[-1]) if label.lstrip("0") in ("", "1", "2", "3") else -1)


def test_names_that_two_classes_have_name_none() -> None:
    labels = ("cat", "dog", "dog", "Two_Words")
    assert [_index(one, labels) for one in ("CAT", "dog", "two  words", "3")] == [0, -1, 3, 3]


def test_missing_and_empty_folders_are_told(tmp_path: Path) -> None:
    for where in (tmp_path / "none", tmp_path, "x" * 5000):
        with pytest.raises(XaiError, match=r"(?s)^[^\n]+\.$"):
            open_set(where)
    with pytest.raises(XaiError, match="leaves none"):
        open_set(write_pictures(tmp_path), 0)


def test_a_gallery_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = open_set("gallery:photos", 2)
    assert [entry.name for entry in found.entries] == ["chelsea.png", "coffee.png"]
    samples = galleries.bundled().samples
    assert [entry.open().digest for entry in found.entries] == [one.open().digest for one in samples[:2]]
    assert found.folder is None and not found.labelled
    with pytest.raises(XaiError, match="choose from photos, imagenet50"):
        open_set("gallery:etc")
    with pytest.raises(XaiError, match="not here yet"):
        open_set("gallery:imagenet50")
    monkeypatch.setenv("XAI_IMAGENET50_DIR", str(write_pictures(tmp_path)))
    assert names("gallery:imagenet50") == ["0.png", "1.png", "2.png"]


def test_an_address_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located("gallery:photos") == "gallery:photos"
    assert located("some") == str(tmp_path.resolve() / "some")
    assert located("~") == str(Path("~").expanduser().resolve())
    assert located("") == ""
