"""The command line's part for masks, on a store in memory, and once on the database."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xai_core.cli import Parser, main
from xai_core.cli_masks import Store, add_masks
from xai_core.masks.names import checked_name
from xai_core.types import Bools, Mask, Picture, XaiError

from .checks import is_sentence

Run = Callable[..., None]
SIZE = (6, 8)
PHOTOS = {"owl.png": 0, "cat.png": 1}


class InMemory:
    """A store of a test."""

    def __init__(self) -> None:
        self.pictures: dict[str, Picture] = {}
        self.masks: dict[str, dict[str, Mask]] = {}
        self.who = ""

    def register(self, picture: Picture) -> str:
        self.pictures[picture.digest] = picture
        return picture.digest

    def import_mask(self, annotator: str, picture: str, mask: Mask, who: str) -> None:
        self.who = checked_name(who)
        self.masks.setdefault(picture, {})[annotator] = mask

    def latest_masks(self, picture: str) -> dict[str, Mask]:
        return self.masks[picture]

    def pictures_with_masks(self) -> dict[str, int]:
        return {picture: len(masks) for picture, masks in self.masks.items()}

    def picture_name(self, picture: str) -> str:
        return self.pictures[picture].name

    def contents(self) -> dict[tuple[str, str], list[list[bool]]]:
        return {
            (self.picture_name(picture), annotator): mask.values.tolist()
            for picture, masks in self.masks.items()
            for annotator, mask in masks.items()
        }


@pytest.fixture
def store() -> InMemory:
    return InMemory()


@pytest.fixture
def run(store: InMemory) -> Run:
    """Runs a command of `masks`."""

    def command(*words: object) -> None:
        parser = Parser()
        opened = Store(**{field.name: getattr(store, field.name) for field in fields(Store)})
        add_masks(parser.add_subparsers(parser_class=Parser), lambda: opened)
        options = parser.parse_args(["masks", *map(str, words)])
        options.command(options)

    return command


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two pictures."""
    place = tmp_path / "photos"
    place.mkdir()
    for name, seed in PHOTOS.items():
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(place / name)
    return place


def mask(seed: int) -> Bools:
    return np.random.default_rng(seed).random(SIZE) < 0.5


def drawn(place: Path, **masks: Bools) -> Path:
    """A folder of masks."""
    place.mkdir(parents=True)
    for name, values in masks.items():
        Image.fromarray(values).save(place / f"{name}.png")
    return place


@pytest.mark.parametrize("kind", ["png", "npz", "coco", "coco-polygon", "label-studio"])
def test_masks_come_back_from_an_export(kind: str, run: Run, store: InMemory, photos: Path, tmp_path: Path) -> None:
    run("import", drawn(tmp_path / "a", owl=mask(1), cat=mask(2)), "--pictures", photos, "--annotator", "anna")
    run("import", drawn(tmp_path / "b", owl=mask(3)), "--pictures", photos, "--annotator", "bert")
    before = store.contents()
    assert before["owl.png", "anna"] == mask(1).tolist()
    run("export", "--format", kind, "--out", tmp_path / "out")
    store.masks.clear()
    run("import", tmp_path / "out", "--pictures", photos)
    assert store.contents() == before


def test_the_option_says_whose_masks_they_are(run: Run, store: InMemory, photos: Path, tmp_path: Path) -> None:
    drawn(tmp_path / "sets" / "anna", owl=mask(1))
    run("import", tmp_path / "sets", "--pictures", photos, "--annotator", "bert")
    assert list(store.contents()) == [("owl.png", "bert")]


@pytest.mark.parametrize(
    ("login", "who"),
    [("anna", "anna"), ("CORP\\anna", "CORP-anna"), ("a/b", "a-b"), (".a", "a"), ("x" * 90, "x" * 80), (".", None)],
)
def test_whoever_is_logged_in_can_import(
    login: str,
    who: str | None,
    run: Run,
    store: InMemory,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGNAME", login)
    run("import", drawn(tmp_path / "a", owl=mask(1)), "--pictures", photos, "--annotator", "anna")
    assert store.who == (who or "command line")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["import", "one", "--pictures", "photos"], "--annotator"),
        (["import", "one", "--pictures", "photos", "--annotator", "../x"], "annotator's name"),
        (["import", "one", "--pictures", "nowhere", "--annotator", "anna"], "cannot be read"),
        (["import", "one", "--pictures", "empty", "--annotator", "anna"], "no pictures"),
        (["import", "nowhere", "--pictures", "photos", "--annotator", "anna"], "no file or folder"),
        (["import", "two", "--pictures", "photos", "--annotator", "cleo"], "several people"),
        (["import", "blank", "--pictures", "photos", "--annotator", "anna"], "empty"),
        (["import", "half", "--pictures", "photos", "--annotator", "anna"], "no picture"),
        (["export", "--format", "png", "--out", "out"], "no masks"),
        (["export", "--format", "png", "--out", " "], "--out"),
        (["export", "--format", "bmp", "--out", "out"], "choose from"),
        (["agreement"], "two people"),
        (["agreement", "--consensus", "mean"], "choose from"),
        (["nothing"], "choose from"),
    ],
)
def test_mistakes_are_a_sentence_and_change_nothing(
    words: list[str],
    part: str,
    run: Run,
    store: InMemory,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn(tmp_path / "one", owl=mask(1))
    drawn(tmp_path / "two" / "anna", owl=mask(1))
    drawn(tmp_path / "two" / "bert", owl=mask(2))
    drawn(tmp_path / "blank", owl=mask(1), cat=np.zeros(SIZE, dtype=bool))
    drawn(tmp_path / "half", cat=mask(1), wolf=mask(2))
    drawn(tmp_path / "empty")
    with pytest.raises(XaiError, match=part) as error:
        run(*words)
    assert is_sentence(str(error.value))
    assert not store.masks
    assert not store.pictures
    assert not (tmp_path / "out").exists()


@pytest.fixture
def agreed(run: Run, photos: Path, tmp_path: Path) -> None:
    """Two people who agree on the owl, and two who share no pixel of the cat."""
    drawn(tmp_path / "sets" / "anna", owl=mask(1), cat=mask(2))
    drawn(tmp_path / "sets" / "bert", owl=mask(1), cat=~mask(2))
    run("import", tmp_path / "sets", "--pictures", photos)


@pytest.mark.usefixtures("agreed")
def test_agreement_as_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    run("agreement", "--json", "--consensus", "union")
    found = json.loads(capsys.readouterr().out)
    pictures: dict[str, Any] = {one["picture"]: one for one in found["pictures"]}
    owl, cat = pictures["owl.png"], pictures["cat.png"]
    assert (owl["iou"], owl["dice"], owl["kappa"], owl["boundary_mean"]) == (1, 1, pytest.approx(1), 0)
    assert (cat["iou"], cat["dice"], cat["kappa"]) == (0, 0, pytest.approx(-1, abs=0.01))
    assert owl["pairs"][0]["annotators"] == ["anna", "bert"]
    assert found["set"]["iou"] == 0.5
    assert cat["annotators"]["anna"]["specificity"] is None
    assert "whole picture" in cat["annotators"]["anna"]["reasons"]["specificity"]
    inside = int(mask(1).sum())
    expected = (inside + int(mask(2).sum())) / (inside + math.prod(SIZE))
    assert found["set"]["annotators"]["anna"]["sensitivity"] == pytest.approx(expected)


@pytest.mark.usefixtures("agreed")
def test_agreement_as_a_table(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    run("agreement")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["picture", "people", "IoU", "Dice", "kappa", "boundary", "px", "95", "%", "px"]
    rows = {line.split("  ")[0]: line.split() for line in lines}
    assert rows["owl.png"][1:] == ["2", "1.000", "1.000", "1.000", "0.000", "0.000"]
    assert rows["all pictures"][3] == "0.500"
    assert {"anna", "bert"} <= rows.keys()


def test_the_database_keeps_what_is_imported(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XAI_DATA", str(tmp_path / "data"))
    for name, owl in (("anna", mask(1)), ("bert", mask(2))):
        place = str(drawn(tmp_path / name, owl=owl))
        assert main(["masks", "import", place, "--pictures", str(photos), "--annotator", name]) == 0
    assert main(["masks", "export", "--format", "png", "--out", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "bert" / "owl.png") as image:
        assert np.array_equal(np.asarray(image), mask(2) * 255)
    capsys.readouterr()
    assert main(["masks", "agreement", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"][0]["picture"] == "owl.png"
    assert main(["masks", "import", str(tmp_path / "nowhere"), "--pictures", str(photos), "--annotator", "x"]) == 2
    assert is_sentence(capsys.readouterr().err.strip())
