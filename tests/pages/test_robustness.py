"""The Robustness page without a browser: pictures, maps, drift beside noise, covered regions, and what leads on."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT, write_tiny_card
from xai_core.registry import CORRUPTION_FAMILIES, CORRUPTIONS


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with a tiny model, computing in this process."""
    write_tiny_card(tmp_path / "models", stages=["stem", "stage1", "stage2"])
    monkeypatch.setenv("XAI_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    test.session_state["robustness.models"] = ["tiny"]
    return test.switch_page("pages/robustness.py")


def texts(test: AppTest) -> str:
    return "\n".join(str(one.value) for one in [*test.markdown, *test.caption, *test.info, *test.warning])


def choose(test: AppTest, family: str, name: str) -> None:
    test.selectbox(key="robustness.family").set_value(family).run()
    test.pills(key=f"robustness.corruption.{family}").set_value(name).run()


def sheet(test: AppTest) -> str:
    return "".join(one.proto.body for one in test.get("html") if 'class="sheet' in one.proto.body)


def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the buttons would download, by name."""
    found: dict[str, Any] = {}
    delta = st.delta_generator.DeltaGenerator

    def download(self: Any, label: str, data: Any, *args: Any, **kwargs: Any) -> bool:
        found[label] = data
        return False

    monkeypatch.setattr(delta, "download_button", download)
    return found


def test_pictures_and_maps_stand_from_clean_to_worst_with_curves_and_a_verdict(page: AppTest) -> None:
    page.run()
    assert not page.exception and not page.error and not page.warning
    heads = re.findall(r'class="head">([^<]*)<', sheet(page))
    assert heads == ["sigma (of 255)", "clean", "10", "25", "50"]
    assert re.findall(r'class="title">([^<]*)<', sheet(page)) == ["Picture", "Grad-CAM", "SmoothGrad"]
    assert sheet(page).count("<img") == 12
    assert len(re.findall(r">class \d \d+(?:\.\d)? %</figcaption>", sheet(page))) == 4
    assert len(re.findall(r">(?:−?[\d.]+|–)</figcaption>", sheet(page))) == 6
    assert len(page.get("plotly_chart")) == 1
    said = next(one.value for one in page.markdown if "noise" in str(one.value))
    assert re.search(r"\*\*Grad-CAM\*\* (drifts beyond its own noise|does not drift)", said)
    assert "nothing is left to chance" in said
    assert re.search(r"\*\*SmoothGrad\*\* .*two seeds agree by [\d.]+ at least", said)
    assert "Done: " in texts(page)


def test_every_corruption_can_be_chosen_and_those_that_move_pixels_are_marked(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = kept(monkeypatch)
    page.session_state["robustness.methods"] = ["gradcam"]
    page.run()
    families = page.selectbox(key="robustness.family")
    assert len(families.options) == len(CORRUPTION_FAMILIES) + 1
    for name, moves in (("imagenetc_zoom_blur", True), ("pixel_dropping", False)):
        choose(page, CORRUPTIONS[name].family, name)
        assert not page.exception and not page.error
        assert sheet(page).count("<img") == 2 * (1 + len(CORRUPTIONS[name].severities))
        assert ("moves pixels" in texts(page)) == ("are shown, and hold the motion" in texts(page)) == moves
        assert {row["moves_pixels"] for row in csv.DictReader(io.StringIO(found["Numbers"]()))} == {str(moves)}
        assert ("not judged where pixels move" in texts(page)) == moves


def test_severities_are_typed_and_sorted_and_what_does_not_fit_is_said(page: AppTest) -> None:
    page.session_state["robustness.methods"] = ["gradcam"]
    page.run()
    page.multiselect(key="robustness.severities.gaussian_noise").set_value(["50", "5", "many", "0"]).run()
    assert not page.exception
    assert re.findall(r'class="head">([^<]*)<', sheet(page))[1:] == ["clean", "5", "50"]
    assert any("many does not fit" in one.value for one in page.warning)
    page.multiselect(key="robustness.severities.gaussian_noise").set_value([]).run()
    assert "Choose a severity" in texts(page)


def test_what_a_map_ranks_highest_or_lowest_is_covered(page: AppTest) -> None:
    page.run()
    choose(page, "region", "region.most")
    assert not page.exception and not page.error
    assert sheet(page).count("<img") == 12
    most = sheet(page)
    page.selectbox(key="robustness.whose.gradcam-smoothgrad").set_value("smoothgrad").run()
    assert sheet(page).count("<img") == 12 and sheet(page) != most, "SmoothGrad chooses other pixels"
    choose(page, "region", "region.least")
    assert not page.exception and sheet(page).count("<img") == 12


def test_the_object_is_covered_and_maps_are_held_against_it(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    found = kept(monkeypatch)
    page.session_state["robustness.methods"] = ["gradient"]
    page.session_state["gallery.photos.kept"] = "chelsea.png"
    page.run()
    choose(page, "region", "region.object")
    assert not page.exception and not page.error
    if "Choose the object's mask" in texts(page):
        pytest.fail("the bundled cat has a mask")
    assert sheet(page).count("<img") == 10
    rows = list(csv.DictReader(io.StringIO(found["Numbers"]())))
    objects = [float(row["value"]) for row in rows if row["measure"] == "object"]
    assert len(objects) == 5 and all(0 <= value <= 1 for value in objects)


def test_the_numbers_and_the_figure_can_be_taken_along(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    found = kept(monkeypatch)
    page.run()
    assert found["Figure"]().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(found["Numbers"]())))
    alike = {row["severity"]: row for row in rows if (row["measure"], row["method"]) == ("spearman", "SmoothGrad")}
    assert list(alike) == ["clean", "10", "25", "50"]
    assert float(alike["clean"]["value"]) == 1
    assert float(alike["clean"]["noise_low"]) <= float(alike["clean"]["noise_high"]) < 1
    assert sum(row["measure"] == "probability" for row in rows) == 4


def test_the_corrupted_picture_is_opened_in_compare(page: AppTest) -> None:
    page.session_state["models"] = ["tiny"]
    page.run()
    choose(page, "imagenetc_weather", "imagenetc_fog")
    page.selectbox(key="robustness.level.1-2-3-4-5").set_value("2").run()
    page.button(key="robustness.compare").click().run()
    assert not page.exception
    assert page.slider(key="corruption.imagenetc_fog").value == 2
    assert "gradcam" in page.multiselect(key="methods").value


def test_what_is_handed_over_is_the_picture_that_is_shown(page: AppTest) -> None:
    page.session_state["models"] = ["tiny"]
    page.session_state["robustness.methods"] = ["gradient"]
    page.session_state["robustness.seed"] = 7
    page.session_state["robustness.target"] = 3
    page.run()
    page.button(key="robustness.compare").click().run()
    assert not page.exception and not page.error
    assert page.number_input(key="seed").value == 7 and page.selectbox(key="target").value == 3
    page.switch_page("pages/robustness.py").run()
    page.session_state["robustness.seed"] = 8
    page.session_state["robustness.target"] = 2
    page.run()
    page.button(key="robustness.inspect").click().run()
    assert not page.exception and not page.error
    assert page.number_input(key="inspect.seed").value == 8 and page.selectbox(key="inspect.target").value == 2


def test_a_model_that_fails_leaves_the_others_to_be_judged(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = kept(monkeypatch)
    write_tiny_card(tmp_path / "models", "other", seed=1, stages=["stem", "stage1", "stage2"])
    (tmp_path / "models" / "other.safetensors").write_bytes(b"damaged")
    page.session_state["robustness.models"] = ["other", "tiny"]
    page.session_state["robustness.methods"] = ["gradcam"]
    page.run()
    assert not page.exception and len(page.error) == 1
    assert sheet(page).count("<img") == 8
    assert "drifts beyond its own noise" in texts(page) or "does not drift" in texts(page)
    rows = list(csv.DictReader(io.StringIO(found["Numbers"]())))
    assert {row["model"] for row in rows} == {"Tiny"}
    page.session_state["robustness.models"] = ["other"]
    page.run()
    assert not page.exception and len(page.error) == 1


def test_parts_of_a_region_are_named_as_they_were_typed(page: AppTest) -> None:
    page.session_state["robustness.methods"] = ["gradcam"]
    page.run()
    choose(page, "region", "region.most")
    page.multiselect(key="robustness.severities.region.most").set_value(["0.101", "0.104", "0.5"]).run()
    assert not page.exception
    assert re.findall(r'class="head">([^<]*)<', sheet(page))[1:] == ["clean", "10.1%", "10.4%", "50%"]


def test_without_methods_the_page_says_what_to_do(page: AppTest) -> None:
    page.session_state["robustness.methods"] = []
    page.run()
    assert not page.exception and "Choose a method" in texts(page)


def test_a_covered_region_is_opened_in_inspect_and_can_be_taken_away_there(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.parts import components

    shown: dict[str, Any] = {}
    monkeypatch.setattr(components, "inspector", lambda data, key, draw: shown.update(data))
    page.run()
    choose(page, "region", "region.most")
    assert page.button(key="robustness.compare").disabled, "no slider covers a region"
    page.button(key="robustness.inspect").click().run()
    assert not page.exception and not page.error
    toggle = page.toggle(key="inspect.corrupted")
    assert toggle.label == "Corrupted by region=0.5" and toggle.value
    assert page.selectbox(key="inspect.model").value == "tiny"
    before = shown["rows"][0]["cells"][0]["map"]["id"]
    page.switch_page("pages/inspect.py")  # AppTest does not follow a page that switches by itself
    page.toggle(key="inspect.corrupted").set_value(False).run()
    assert not page.exception and not page.error
    assert shown["rows"][0]["cells"][0]["map"]["id"] != before
