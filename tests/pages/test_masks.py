"""Stored masks on the Compare and Inspect pages: at once, whose they are, and what people say of a map together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.pages.test_compare import texts
from xai_core.images.galleries import bundled
from xai_core.masks.reading import open_mask
from xai_core.masks.starters import FOLDER
from xai_core.masks.strokes import Stroke
from xai_core.store import database, drafts, pictures, projects, versions
from xai_core.types import Mask, Picture

PAGE = str(ROOT / "app.py")


@pytest.fixture
def page(tiny_card: Path, isolated: None, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    import streamlit as st

    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    st.cache_data.clear()
    database.close()
    test = AppTest.from_file(PAGE, default_timeout=120)
    test.session_state["models"] = ["tiny"]
    test.session_state["methods"] = ["gradcam", "gradient"]
    test.session_state["gallery.photos.kept"] = "brick.png"
    return test


@pytest.fixture
def brick() -> Picture:
    return next(sample for sample in bundled().samples if sample.name == "brick.png").open()


def drawn(picture: Picture, who: str, columns: slice) -> None:
    mask = np.zeros(picture.size, dtype=bool)
    mask[100:200, columns] = True
    versions.import_mask(who, pictures.register(picture), Mask(mask, who), who)


def sources(test: AppTest) -> list[str]:
    return [box.key for box in test.selectbox if str(box.key).startswith("mask.source")]


def test_without_a_stored_mask_a_file_can_be_brought_or_one_drawn(page: AppTest) -> None:
    page.run()
    assert not page.exception
    assert sources(page) == []
    assert page.file_uploader(key="mask")
    assert any("Draw the object" in link.label for link in page.get("page_link"))


def test_a_bundled_photo_brings_its_starter_mask(page: AppTest) -> None:
    page.session_state["gallery.photos.kept"] = "chelsea.png"
    page.run()
    (source,) = sources(page)
    assert page.selectbox(key=source).value == "starter"
    kept = open_mask(FOLDER / "34e4a4a3479103e6.png").values
    assert f"Starter mask: {kept.mean():.0%} of the picture is object" in texts(page)
    cat = next(sample for sample in bundled().samples if sample.name == "chelsea.png").open()
    drawn(cat, "Ada", slice(50, 150))
    page.run()
    (source,) = sources(page)
    assert page.selectbox(key=source).value == "person Ada", "people come first"
    page.selectbox(key=source).set_value("starter").run()
    assert "Starter mask: " in texts(page) and not page.exception


def test_a_stored_mask_is_used_at_once(page: AppTest, brick: Picture) -> None:
    page.run()
    assert "is object" not in texts(page)
    drawn(brick, "Ada", slice(50, 150))
    page.run()
    (source,) = sources(page)
    assert page.selectbox(key=source).value == "person Ada"
    assert f"Ada: {100 * 100 / np.prod(brick.size):.0%} of the picture is object" in texts(page)
    assert "Against each person" not in texts(page)
    page.selectbox(key=source).set_value("none").run()
    assert "is object" not in texts(page)
    page.selectbox(key=source).set_value("upload").run()
    assert page.file_uploader(key="mask")
    assert not page.exception


def test_of_several_people_the_consensus_comes_first_and_maps_stand_beside_people(
    page: AppTest, brick: Picture
) -> None:
    for who, start in (("Ada", 50), ("Grace", 70), ("Mary", 60)):
        drawn(brick, who, slice(start, start + 100))
    page.run()
    (source,) = sources(page)
    assert page.selectbox(key=source).value == "consensus majority"
    assert "Against each person" in texts(page)
    table = next(one.body for one in page.get("html") if "People among themselves" in getattr(one, "body", ""))
    for who in ("Ada", "Grace", "Mary", "Majority"):
        assert f"<th>{who}</th>" in table
    for choice in ("consensus staple", "consensus union", "consensus intersection", "person Mary"):
        page.selectbox(key=source).set_value(choice).run()
        assert "is object" in texts(page) and not page.exception and not page.error


def test_people_who_share_no_pixel_have_no_consensus_and_the_page_says_so(page: AppTest, brick: Picture) -> None:
    drawn(brick, "Ada", slice(50, 100))
    drawn(brick, "Grace", slice(200, 250))
    page.run()
    assert "No pixel belongs to this consensus" in texts(page)
    assert not page.exception


def test_inspect_shows_the_overlap_with_a_stored_mask(page: AppTest, brick: Picture) -> None:
    drawn(brick, "Ada", slice(50, 150))
    page.session_state["inspect.model"] = "tiny"
    page.session_state["inspect.view"] = "sweep"
    page.run()
    page.switch_page("pages/inspect.py").run()
    assert not page.exception
    (source,) = sources(page)
    assert page.selectbox(key=source).value == "person Ada"
    strips = " ".join(getattr(one, "body", "") for one in page.get("html"))
    assert "IOU 0." in strips and "SRG" in strips


def test_a_database_that_cannot_be_opened_is_one_sentence_and_the_maps_are_there(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_DATABASE_URL", "mysql://nowhere/none")
    page.run()
    assert not page.exception
    assert "XAI_DATABASE_URL" in texts(page)
    assert "Done: " in texts(page)


def test_masks_of_an_open_project_are_hidden_from_whoever_has_not_drawn_yet(page: AppTest, brick: Picture) -> None:
    photo = pictures.register(brick)
    project = projects.create_project("Bricks", "Boss", [projects.Task(photo)], wanted=2).id
    for who in ("Ada", "Grace"):
        draft = drafts.open_draft(who, photo, f"tab of {who}", project)
        drafts.add_strokes(draft.id, [Stroke(1, "brush", (10, 10, 50, 60), (0, 3000))])
        drafts.submit(draft.id)
    page.run()
    assert sources(page) == [] and "are hidden until you have submitted yours" in texts(page)
    page.session_state["annotator"] = " Ada "  # as it was typed
    page.run()
    (source,) = sources(page)
    assert page.selectbox(key=source).value == "consensus majority" and "are hidden" not in texts(page)
    page.session_state["annotator"] = "Mary"
    page.run()
    assert sources(page) == []
    projects.change_project(project, "Boss", closed=True)
    page.run()
    assert len(sources(page)) == 1 and not page.exception
