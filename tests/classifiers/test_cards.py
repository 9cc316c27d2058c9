"""Model cards: the built-in ones, folders of one's own, broken cards, and what belongs to a digest."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from xai_core.classifiers.cards import STAGES, Card, cards, problems, read_card
from xai_core.classifiers.weights import status
from xai_core.registry import MODELS

BUILT_IN = ["vgg16", "resnet50", "densenet121", "efficientnet_lite0", "alexnet", "resnet50_v2weights"]

FIELDS: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "architecture": "tests.networks:tiny",
    "weights": {"file": "mine.safetensors"},
    "cam_layer": "stage2",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of `XAI_MODELS_DIR`."""
    path = tmp_path / "models"
    path.mkdir()
    monkeypatch.setenv("XAI_MODELS_DIR", str(path))
    return path


def write(folder: Path, file: str = "mine.yaml", **changes: Any) -> Path:
    """A card that is right but for `changes`; a field that is changed to None is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {key: value for key, value in {**FIELDS, **changes}.items() if value is not None}
    path = folder / file
    path.write_text(yaml.safe_dump(fields))
    return path


def made(**changes: Any) -> Card:
    return Card.model_validate({**FIELDS, **changes})


def is_one_sentence(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Z].*[^.]\.", text)) and "\n" not in text and "Traceback" not in text


def test_the_built_in_cards_are_these_six_without_a_problem() -> None:
    assert sorted(cards()) == sorted(BUILT_IN)
    assert problems() == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_card_names_its_layer_its_licence_and_a_224_pixel_frame(name: str) -> None:
    card = cards()[name]
    assert card.name == name
    assert card.cam_layer and card.licence and card.title
    assert card.preprocess.size == (224, 224)


def test_the_published_preprocessing_is_stated() -> None:
    found = cards()
    for name in ("vgg16", "resnet50", "densenet121", "alexnet"):
        assert (found[name].preprocess.resize, found[name].weights) == (256, "IMAGENET1K_V1")
        assert found[name].preprocess.mean == (0.485, 0.456, 0.406)
        assert found[name].preprocess.std == (0.229, 0.224, 0.225)
    assert (found["resnet50_v2weights"].preprocess.resize, found["resnet50_v2weights"].weights) == (
        232,
        "IMAGENET1K_V2",
    )
    lite = found["efficientnet_lite0"].preprocess
    assert lite.mean == (127 / 255,) * 3
    assert lite.std == (128 / 255,) * 3


@pytest.mark.parametrize("name", BUILT_IN)
def test_labels_are_the_1000_imagenet_names(name: str) -> None:
    labels = cards()[name].labels
    assert len(labels) == 1000
    assert (labels[0], labels[1], labels[162], labels[999]) == ("tench", "goldfish", "beagle", "toilet tissue")


def test_a_card_may_list_its_own_categories() -> None:
    assert made(categories=["cat", "dog"]).labels == ("cat", "dog")


def test_a_card_of_ones_own_stands_beside_the_built_in_ones(folder: Path) -> None:
    write(folder)
    assert sorted(cards()) == sorted([*BUILT_IN, "mine"])
    assert cards()["mine"].folder == folder
    assert "mine" in MODELS


def test_a_card_is_named_by_its_field_and_not_by_its_file(folder: Path) -> None:
    write(folder, "other.yml")
    assert "mine" in cards()
    assert "other" not in cards()


def test_a_card_that_appears_or_changes_is_read_anew(folder: Path) -> None:
    assert "mine" not in cards()
    path = write(folder)
    assert cards()["mine"].title == "Mine"
    write(folder, title="Mine, renamed")
    os.utime(path, ns=(1, 1))
    assert cards()["mine"].title == "Mine, renamed"


BROKEN = {
    "bad YAML": "name: [unclosed",
    "a tab": "name:\n\t- mine",
    "nothing": "",
    "a list": "- name: mine",
    "code": "!!python/object/apply:os.getcwd []",
    "an impossible date": "name: 2024-13-45",
    "another encoding": b"name: \xff\xfe",
    "too deep": "[" * 5000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_card_is_one_problem_and_hides_no_other(folder: Path, content: str | bytes) -> None:
    write(folder)
    (folder / "broken.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "mine" in cards()
    assert len(problems()) == 1
    assert str(folder / "broken.yaml") in problems()[0]
    assert is_one_sentence(problems()[0])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"colour": "red"}, "colour"),
    "missing field": ({"cam_layer": None}, "cam_layer"),
    "weights without a file": ({"weights": {"sha256": "0" * 64}}, "weights"),
    "weights with an unknown field": ({"weights": {"file": "a.pth", "md5": "0"}}, "weights"),
    "half a hash": ({"weights": {"file": "a.pth", "sha256": "abc"}}, "weights"),
    "weights of the wrong type": ({"weights": 3}, "weights"),
    "title of the wrong type": ({"title": ["a"]}, "title"),
    "overrides of the wrong type": ({"overrides": ["a"]}, "overrides"),
    "categories of the wrong type": ({"categories": {"cat": 0}}, "categories"),
    "preprocess with an unknown field": ({"preprocess": {"zoom": 2}}, "preprocess.zoom"),
    "crop larger than resize": ({"preprocess": {"resize": 100, "crop": 200}}, "preprocess"),
    "a name that is no name": ({"name": "../mine"}, "name"),
    "an architecture of nowhere": ({"architecture": "keras/vgg16"}, "architecture"),
}


@pytest.mark.parametrize(("changes", "where"), WRONG.values(), ids=WRONG)
def test_a_wrong_field_is_one_problem_that_names_it_and_hides_no_other(
    folder: Path, changes: dict[str, Any], where: str
) -> None:
    write(folder)
    path = write(folder, "wrong.yaml", **{"name": "wrong", **changes})
    assert "mine" in cards()
    assert "wrong" not in cards()
    assert len(problems()) == 1
    assert str(path) in problems()[0]
    assert f"wrong at {where}" in problems()[0]
    assert is_one_sentence(problems()[0])


def test_a_link_to_nothing_is_one_problem_and_hides_no_other(folder: Path) -> None:
    write(folder)
    (folder / "gone.yaml").symlink_to(folder / "nothing.yaml")
    assert "mine" in cards()
    assert len(problems()) == 1
    assert "gone.yaml" in problems()[0]
    assert is_one_sentence(problems()[0])


def test_a_folder_with_the_name_of_a_card_is_one_problem(folder: Path) -> None:
    write(folder)
    (folder / "folder.yaml").mkdir()
    assert "mine" in cards()
    assert len(problems()) == 1
    assert "folder.yaml" in problems()[0]


def test_a_card_without_its_weights_file_stays_and_says_what_is_missing(folder: Path) -> None:
    write(folder)
    found = status(cards()["mine"])
    assert found.state == "missing"
    assert str(folder / "mine.safetensors") in found.sentence
    assert is_one_sentence(found.sentence)
    assert problems() == []


def test_a_name_twice_in_a_folder_is_one_problem_and_the_first_stays(folder: Path) -> None:
    write(folder, "a.yaml", title="First")
    write(folder, "b.yaml", title="Second")
    assert cards()["mine"].title == "First"
    assert len(problems()) == 1
    assert "b.yaml" in problems()[0] and "'mine'" in problems()[0]
    assert is_one_sentence(problems()[0])


def test_a_built_in_name_cannot_be_taken(folder: Path) -> None:
    write(folder, name="vgg16")
    write(folder, "other.yaml", name="other")
    assert cards()["vgg16"].architecture == "torchvision/vgg16"
    assert "other" in cards()
    assert len(problems()) == 1
    assert "'vgg16'" in problems()[0] and str(folder) in problems()[0]
    assert is_one_sentence(problems()[0])


def test_models_dir_is_a_path_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", name="first")
    write(tmp_path / "b", name="second")
    monkeypatch.setenv("XAI_MODELS_DIR", os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "b")]))
    assert {"first", "second"} <= set(cards())
    assert problems() == []


def test_a_name_in_two_folders_is_one_problem_and_the_first_folder_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", title="First")
    write(tmp_path / "b", title="Second")
    monkeypatch.setenv("XAI_MODELS_DIR", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert cards()["mine"].title == "First"
    assert len(problems()) == 1
    assert str(tmp_path / "b") in problems()[0]


def test_a_folder_that_does_not_exist_is_one_problem_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "here")
    monkeypatch.setenv("XAI_MODELS_DIR", os.pathsep.join([str(tmp_path / "gone"), str(tmp_path / "here")]))
    assert set(cards()) == {*BUILT_IN, "mine"}
    assert problems() == [f"XAI_MODELS_DIR names {tmp_path / 'gone'}, which is not a folder."]


def test_an_unknown_model_is_answered_with_the_possible_ones() -> None:
    with pytest.raises(Exception, match=r"no model 'vgg17'; choose from .*resnet50"):
        MODELS["vgg17"]


def test_a_card_is_read_from_a_file_of_its_own(tmp_path: Path) -> None:
    card = read_card(write(tmp_path, overrides={"stem.stride": [1, 1]}))
    assert (card.folder, card.overrides) == (tmp_path, {"stem.stride": [1, 1]})


CHANGES: dict[str, Any] = {
    "architecture": "tests.networks:other",
    "overrides": {"stem.stride": [1, 1]},
    "cam_layer": "stage1",
    "preprocess": {"resize": 300, "crop": 224},
}


@pytest.mark.parametrize("field", CHANGES)
def test_the_digest_changes_with_what_the_network_computes(field: str) -> None:
    assert made().digest("w") != made(**{field: CHANGES[field]}).digest("w")


def test_every_part_of_the_preprocessing_is_in_the_digest() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"crop": 200},
        {"interpolation": "bicubic"},
        {"mean": [0, 0, 0]},
        {"std": [1, 1, 1]},
    ]
    digests = {made(preprocess=change).digest("w") for change in changes}
    assert len(digests) == len(changes)


def test_the_digest_changes_with_the_weights() -> None:
    assert made().digest("w") != made().digest("v")


@pytest.mark.parametrize("changes", [{"title": "Another"}, {"licence": "MIT"}, {"name": "renamed"}], ids=str)
def test_the_digest_does_not_change_with_what_is_for_people(changes: dict[str, Any]) -> None:
    assert made().digest("w") == made(**changes).digest("w")


def test_stages_are_the_cards_own_or_the_architectures_or_the_cam_layer() -> None:
    assert made(stages=["a", "b"]).layers == ("a", "b")
    assert made(architecture="torchvision/resnet18").layers == ("relu", "layer1", "layer2", "layer3", "layer4")
    assert made(architecture="timm/unheard_of").layers == (made().cam_layer,)
    assert made(stages=["a"]).digest("w") == made().digest("w"), "where one looks changes no result"


def test_a_built_in_cards_stages_are_those_of_its_architecture() -> None:
    for card in cards().values():
        assert card.stages == STAGES.get(card.architecture, card.stages)


def test_the_order_of_overrides_is_not_in_the_digest() -> None:
    one = made(overrides={"a.b": 1, "c.d": 2})
    other = made(overrides={"c.d": 2, "a.b": 1})
    assert one.digest("w") == other.digest("w")
