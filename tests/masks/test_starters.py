"""The starter masks of the bundled photos: each belongs to a photo, fits it, and says where it is from."""

from __future__ import annotations

import datetime

import numpy as np
import orjson
import pytest
from PIL import Image

from tests.browser.starters import DRAWINGS
from tests.conftest import ROOT
from xai_core.images.galleries import bundled
from xai_core.masks.reading import open_mask
from xai_core.types import Picture

FOLDER = ROOT / "assets" / "masks"
WITHOUT_AN_OBJECT = {"moon.png", "brick.png", "grass.png", "gravel.png", "hubble_deep_field.jpg"}


@pytest.fixture(scope="module")
def photos() -> dict[str, Picture]:
    """The bundled photos by the names of their masks."""
    pictures = [sample.open() for sample in bundled().samples]
    return {f"{picture.digest[:16]}.png": picture for picture in pictures}


@pytest.fixture(scope="module")
def origin() -> dict[str, dict[str, object]]:
    return dict(orjson.loads((FOLDER / "origin.json").read_bytes()))


def test_every_photo_with_an_object_has_a_mask_and_nothing_else_lies_there(photos: dict[str, Picture]) -> None:
    wanted = {name for name, picture in photos.items() if picture.name not in WITHOUT_AN_OBJECT}
    assert {file.name for file in FOLDER.iterdir()} == {*wanted, "origin.json"}
    assert {drawing.photo for drawing in DRAWINGS} == {photos[name].name for name in wanted}


def test_every_mask_is_black_and_white_at_its_photos_size(photos: dict[str, Picture]) -> None:
    for file in FOLDER.glob("*.png"):
        with Image.open(file) as image:
            assert image.mode == "L"
            values = np.asarray(image)
        assert values.shape == photos[file.name].size
        assert set(np.unique(values)) == {0, 255}, "neither empty nor full"
        np.testing.assert_array_equal(open_mask(file).values, values == 255)


def test_every_mask_says_where_it_is_from(photos: dict[str, Picture], origin: dict[str, dict[str, object]]) -> None:
    assert set(origin) == {file.name for file in FOLDER.glob("*.png")}
    drawings = {drawing.photo: drawing for drawing in DRAWINGS}
    for name, facts in origin.items():
        drawing = drawings[photos[name].name]
        assert facts["photo"] == drawing.photo
        assert facts["title"] == photos[name].title
        assert facts["object"] == drawing.object
        assert facts["tools"] == drawing.tools
        assert "studio" in str(facts["origin"])
        assert str(facts["licence"]).startswith("CC0")
        assert datetime.date.fromisoformat(str(facts["date"])) <= datetime.date.today()
