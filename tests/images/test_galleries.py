"""Galleries: the bundled photos are always there, folders are read as they are, and what is missing says so."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_core.images import galleries, imagenet50
from xai_core.images.galleries import Gallery, background, bundled, folder, imagenet50_gallery
from xai_core.types import Cancelled, XaiError

FAKE_SHAP = """
import numpy as np
from pathlib import Path
def imagenet50():
    Path(__file__).parent.joinpath("cached_data").mkdir()
    rows = np.arange(50, dtype=np.float32)[:, None, None, None]
    return np.broadcast_to(rows + 0.4, (50, 6, 7, 3)), 1000.0 - np.arange(50)
"""


def save(path: Path, colour: str = "red") -> None:
    Image.new("RGB", (6, 5), colour).save(path)


@pytest.fixture
def fake_shap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `shap` for other processes, whose 50 pictures are there without a network."""
    package = tmp_path / "packages" / "shap"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "datasets.py").write_text(FAKE_SHAP)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return package


# -- bundled -------------------------------------------------------------------------------------------------------


def test_sixteen_photos_come_along() -> None:
    gallery = bundled()
    assert (gallery.name, len(gallery.samples), gallery.hint) == ("photos", 16, "")
    assert len({sample.name for sample in gallery.samples}) == 16
    assert len({sample.title for sample in gallery.samples}) == 16


@pytest.mark.parametrize("index", range(16))
def test_every_bundled_photo_opens_with_its_title_licence_and_credit(index: int) -> None:
    sample = bundled().samples[index]
    picture = sample.open()
    assert min(picture.size) >= 224
    assert picture.pixels.std() > 5
    assert picture.name == sample.path.name
    assert picture.title == sample.title != ""
    assert picture.licence == sample.licence != ""
    assert picture.source == sample.credit != ""
    assert "through scikit-" in sample.credit


def test_a_package_that_is_missing_says_what_to_do() -> None:
    with pytest.raises(XaiError, match=r"The package no_such_package is not installed; run make run again\."):
        galleries._package_folder("no_such_package")


# -- folders -------------------------------------------------------------------------------------------------------


def test_a_folder_shows_its_pictures_by_name_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b_owl.png", "a cat.JPG", "c.webp"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    gallery = folder(tmp_path)
    assert [sample.name for sample in gallery.samples] == ["a cat.JPG", "b_owl.png", "c.webp"]
    assert [sample.title for sample in gallery.samples] == ["a cat", "b owl", "c"]
    assert (gallery.name, gallery.title, gallery.hint) == (tmp_path.name, tmp_path.name, "")
    assert all(sample.open().size == (5, 6) for sample in gallery.samples)


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    gallery = folder(tmp_path)
    assert gallery.samples == ()
    assert gallery.hint == f"The folder {tmp_path} holds no pictures; put JPEG or PNG files there."


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    with pytest.raises(XaiError) as caught:
        folder(path)
    assert str(caught.value) == f"The folder {path} cannot be read: No such file or directory."


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    save(tmp_path / "owl.png")
    with pytest.raises(XaiError, match="Not a directory"):
        folder(tmp_path / "owl.png")


def test_folders_of_the_settings_are_galleries_and_a_missing_one_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "birds").mkdir()
    save(tmp_path / "birds" / "owl.png")
    monkeypatch.setenv("XAI_PICTURES_DIR", f"{tmp_path / 'nowhere'}:{tmp_path / 'birds'}")
    found = {gallery.name: gallery for gallery in galleries.galleries()}
    assert list(found)[:2] == ["photos", "imagenet50"]
    assert "cannot be read" in found[f"folder:{tmp_path / 'nowhere'}"].hint
    assert [sample.name for sample in found[f"folder:{tmp_path / 'birds'}"].samples] == ["owl.png"]


# -- Imagenet50 ----------------------------------------------------------------------------------------------------


def test_imagenet50_comes_from_the_folder_that_is_set(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_IMAGENET50_DIR", str(shared / "data" / "imagenet50"))
    gallery = imagenet50_gallery()
    assert (len(gallery.samples), gallery.hint) == (50, "")
    for sample in gallery.samples:
        picture = sample.open()
        assert picture.size[0] == picture.size[1] >= 224
        assert picture.licence


def test_the_background_imagenet50_is_all_of_it(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_IMAGENET50_DIR", str(shared / "data" / "imagenet50"))
    pictures = background("imagenet50")
    assert len({picture.digest for picture in pictures}) == 50


def test_imagenet50_shows_no_class_as_its_title(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "sim_n01549053_4208.jpg")
    monkeypatch.setenv("XAI_IMAGENET50_DIR", str(tmp_path))
    (sample,) = imagenet50_gallery().samples
    assert sample.title == "Imagenet50, sim_n01549053_4208"


def assert_empty_with_hint(gallery: Gallery) -> None:
    assert gallery.samples == ()
    assert "XAI_IMAGENET50_DIR" in gallery.hint
    assert gallery.hint.endswith(".")


def test_without_imagenet50_the_hint_names_the_setting() -> None:
    assert_empty_with_hint(imagenet50_gallery())


def test_a_wrong_folder_of_imagenet50_is_a_hint_that_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_IMAGENET50_DIR", str(tmp_path / "nowhere"))
    assert_empty_with_hint(imagenet50_gallery())
    assert str(tmp_path / "nowhere") in imagenet50_gallery().hint


def test_a_missing_background_says_how_to_get_it() -> None:
    with pytest.raises(XaiError, match=r"background pictures 'imagenet50' are missing.*XAI_IMAGENET50_DIR"):
        background("imagenet50")


def test_a_download_without_network_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(XaiError) as caught:
        imagenet50.download()
    text = str(caught.value)
    assert text.startswith("Imagenet50 could not be downloaded (")
    assert "Connection refused" in text
    assert "XAI_IMAGENET50_DIR" in text
    assert text == " ".join(text.split())
    assert list((tmp_path / "data").iterdir()) == []
    assert_empty_with_hint(imagenet50_gallery())


def test_a_download_is_kept_in_the_arrays_order_under_the_labels_numbers(tmp_path: Path, fake_shap: Path) -> None:
    files = imagenet50.download()
    assert [file.name for file in files] == [f"{row:02d}_{1000 - row}.png" for row in range(50)]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["imagenet50"]
    samples = imagenet50_gallery().samples
    assert [int(sample.open().pixels.max()) for sample in samples] == list(range(50))
    assert sorted(path.name for path in fake_shap.iterdir() if path.is_dir()) in ([], ["__pycache__"])


def test_a_second_download_changes_nothing(tmp_path: Path, fake_shap: Path) -> None:
    first = imagenet50.download()
    np.testing.assert_array_equal(imagenet50.download(), first)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["imagenet50"]


def test_a_download_works_with_a_relative_data_folder(
    tmp_path: Path, fake_shap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XAI_DATA", "here")
    assert len(imagenet50.download()) == 50
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["imagenet50"]


def test_a_stopped_download_ends_at_once_and_leaves_nothing(tmp_path: Path, fake_shap: Path) -> None:
    (fake_shap / "datasets.py").write_text("import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(Cancelled):
        imagenet50.download(stopped=lambda: time.monotonic() > started + 0.3)
    assert time.monotonic() < started + 20
    assert list((tmp_path / "data").iterdir()) == []


# -- backgrounds ---------------------------------------------------------------------------------------------------


def test_the_background_photos_are_the_bundled_ones_every_time() -> None:
    first = [picture.digest for picture in background("photos")]
    galleries._decoded.cache_clear()
    assert [picture.digest for picture in background("photos")] == first
    assert first == [sample.open().digest for sample in bundled().samples]
    assert len(set(first)) == 16


def test_every_named_background_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "only.png")
    monkeypatch.setenv("XAI_IMAGENET50_DIR", str(tmp_path))
    assert {name: len(background(name)) for name in galleries.BACKGROUNDS} == {"photos": 16, "imagenet50": 1}
