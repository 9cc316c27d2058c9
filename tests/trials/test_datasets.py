"""Data sets: known before they are there, split once and for all, and refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_core.trials import datasets
from xai_core.trials.training import Training
from xai_core.types import XaiError

from ..checks import is_sentence


def write_classes(folder: Path, classes: int = 2, pictures: int = 5) -> Path:
    for kind in range(classes):
        (folder / f"kind{kind}").mkdir(parents=True)
        for number in range(pictures):
            pixels = np.full((30, 40, 3), 90 * kind + number, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"kind{kind}" / f"{number}.png")
    return folder


def test_digits_are_as_many_as_was_said_and_every_class_is_in_both_parts() -> None:
    found, facts = datasets.load("digits"), datasets.facts("digits")
    assert ((~found.tested).sum(), found.tested.sum(), found.side) == (facts.trained, facts.tested, facts.side)
    assert found.frames.dtype == np.uint8 and found.frames.max() == 255
    for label in range(10):
        mine = found.labels == label
        assert found.tested[mine].sum() == round(datasets.TESTED * mine.sum())
    mean, std = found.moments()
    trained = found.frames[~found.tested] / 255
    assert np.allclose(mean, trained.mean((0, 1, 2))) and np.allclose(std, trained.std((0, 1, 2)))


def test_fewer_pictures_keep_the_classes_and_another_size_keeps_the_labels() -> None:
    whole, few, large = datasets.load("digits"), datasets.load("digits", pictures=100), datasets.load("digits", side=16)
    assert 90 <= len(few.labels) <= 110 and set(few.labels) == set(range(10)) and 0.15 < few.tested.mean() < 0.25
    assert large.frames.shape == (1797, 16, 16, 3) and np.array_equal(large.labels, whole.labels)


def test_a_folder_is_cut_into_squares_and_named_by_its_content(tmp_path: Path) -> None:
    folder = write_classes(tmp_path, 3, 6)
    found = datasets.load("folder", str(folder), side=24)
    assert found.frames.shape == (18, 24, 24, 3) and found.classes == ("kind0", "kind1", "kind2")
    assert (found.frames[found.labels == 2] >= 180).all()
    trial = Training(dataset="folder", folder=str(folder))
    before = trial.dependencies()
    assert Training(dataset="folder", folder=str(folder)).dependencies() == before
    Image.fromarray(np.full((30, 40, 3), 77, dtype=np.uint8)).save(folder / "kind0" / "0.png")
    assert trial.dependencies() != before


@pytest.mark.parametrize(("classes", "pictures"), [(0, 0), (1, 9), (2, 3)])
def test_a_folder_that_is_no_data_set_is_refused_with_a_sentence(tmp_path: Path, classes: int, pictures: int) -> None:
    write_classes(tmp_path, classes, pictures)
    for folder in (str(tmp_path), str(tmp_path / "gone"), ""):
        with pytest.raises(XaiError) as error:
            datasets.facts("folder", folder)
        assert is_sentence(str(error.value))


def test_what_is_hidden_is_no_picture(tmp_path: Path) -> None:
    folder = write_classes(tmp_path)
    before = datasets.folder_digest(str(folder))
    (folder / "kind0" / "._0.png").write_bytes(b"beside 0.png, of another system")
    (folder / ".thumbnails").mkdir()
    (folder / ".thumbnails" / "0.png").write_bytes(b"small")
    assert datasets.folder_digest(str(folder)) == before
    assert len(datasets.load("folder", str(folder)).frames) == 10


@pytest.mark.parametrize("refused", ["iterdir", "is_dir", "stat", "read_bytes"])
def test_a_folder_that_may_not_be_read_is_one_sentence(
    tmp_path: Path, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_classes(tmp_path)

    def no(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, refused, no)
    with pytest.raises(XaiError) as error:
        datasets.folder_digest(str(folder))
    assert is_sentence(str(error.value)) and f"{folder} cannot be read (Permission denied)" in str(error.value)


@pytest.mark.parametrize("name", ["mnist", "food101"])
def test_a_data_set_that_cannot_be_downloaded_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    def refused(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    with pytest.raises(XaiError) as error:
        datasets.load(name)
    assert is_sentence(str(error.value)) and "datasets" in str(error.value)


def test_mnist_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of torchvision's own form, so that nothing is downloaded."""
    from xai_core import settings

    raw = settings.current().data / "datasets" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 30), ("t10k", 10)):
        images = np.full((count, 28, 28), 17, dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            head = (0x800 + values.ndim).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in values.shape)
            (raw / name).write_bytes(head + values.tobytes())
    found = datasets.load("mnist")
    assert found.frames.shape == (40, 28, 28, 3) and (found.frames == 17).all()
    assert found.tested.sum() == 10 and found.tested[30:].all()
