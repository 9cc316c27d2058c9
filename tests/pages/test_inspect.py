"""The Inspect page without a browser: the map, a region's effect, seeds, parameter values, and randomised networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.parts import components
from tests.conftest import ROOT, write_tiny_card
from xai_core.registry import METHODS


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the inspector was given last; a class can be clicked by `clicked`, and a region drawn by `drawn`."""
    kept: dict[str, Any] = {}

    def inspector(data: dict[str, Any], key: str, draw: Any) -> int | None:
        kept.update(data)
        if "drawn" in kept:
            draw(kept.pop("drawn"))
            st.rerun()
        return kept.pop("clicked", None)

    monkeypatch.setattr(components, "inspector", inspector)
    return kept


@pytest.fixture
def page(tmp_path: Path, shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with a tiny model of three stages, computing in this process."""
    write_tiny_card(tmp_path / "models", stages=["stem", "stage1", "stage2"])
    monkeypatch.setenv("XAI_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    test.session_state["inspect.model"] = "tiny"
    return test.switch_page("pages/inspect.py")


def texts(test: AppTest) -> str:
    return "\n".join(str(one.value) for one in [*test.markdown, *test.caption, *test.info])


def strips(test: AppTest) -> str:
    return "".join(one.proto.body for one in test.get("html") if 'class="strip"' in one.proto.body)


def test_the_map_stands_beside_its_picture_and_a_region_is_compared(page: AppTest, shown: dict[str, Any]) -> None:
    page.run()
    assert not page.exception and not page.error
    (row,) = shown["rows"]
    (cell,) = row["cells"]
    assert cell["state"] == "done" and cell["map"] and row["frame"] and len(row["predictions"]) == 5
    assert shown["size"] == (32, 32) and shown["region"] == [10, 10, 10, 10] and shown["action"] == "hide"
    assert re.search(r"Hiding this region (takes|raises|leaves) the probability of class \d", texts(page))
    assert "random regions of the same size" in texts(page)
    assert len(page.get("plotly_chart")) == 1
    assert re.search(r"Done: \d+ passes", texts(page))


def test_a_region_that_is_typed_stays_when_the_view_changes(page: AppTest, shown: dict[str, Any]) -> None:
    page.run()
    before = texts(page)
    page.number_input(key="inspect.top.32x32.0").set_value(25).run()
    assert shown["region"] == [25, 10, 7, 10], "what does not fit is cut off"
    page.segmented_control(key="inspect.view").set_value("seeds").run()
    assert shown["region"] is None
    page.segmented_control(key="inspect.view").set_value("region").run()
    assert shown["region"] == [25, 10, 7, 10] and texts(page) != before


def test_a_region_that_is_drawn_is_what_the_fields_say(page: AppTest, shown: dict[str, Any]) -> None:
    page.run()
    shown["drawn"] = [3, 4, 20, 9]
    page.run()
    assert shown["region"] == [3, 4, 20, 9] == [one.value for one in page.number_input if ".32x32." in str(one.key)]
    page.number_input(key="inspect.left.32x32.1").set_value(5).run()
    assert shown["region"] == [3, 5, 20, 9]


def test_a_region_can_be_blurred_or_kept_alone(page: AppTest, shown: dict[str, Any]) -> None:
    page.run()
    page.segmented_control(key="inspect.action").set_value("blur").run()
    assert "Blurring this region" in texts(page)
    page.segmented_control(key="inspect.action").set_value("keep").run()
    assert "With this region alone" in texts(page) and shown["action"] == "keep"


def test_the_whole_picture_is_refused_with_a_sentence(page: AppTest) -> None:
    page.run()
    for side, value in (("top", 0), ("left", 0), ("height", 32), ("width", 32)):
        page.number_input(key=f"inspect.{side}.32x32.0").set_value(value)
    page.run()
    assert not page.exception
    assert any("whole picture" in one.value for one in page.error)


def test_a_click_on_a_class_explains_it(page: AppTest, shown: dict[str, Any]) -> None:
    page.run()
    top = shown["rows"][0]["target"]["index"]
    shown["clicked"] = other = (top + 1) % 5
    page.run()
    assert page.selectbox(key="inspect.target").value == other == shown["rows"][0]["target"]["index"]


def test_layers_are_chosen_from_the_networks_stages(page: AppTest, shown: dict[str, Any]) -> None:
    page.run()
    before = shown["rows"][0]["cells"][0]["map"]["id"]
    layer = page.selectbox(key="inspect.gradcam.layer.tiny")
    assert layer.options == ["auto", "stem", "stage1", "stage2"]
    layer.set_value("stage1").run()
    cell = shown["rows"][0]["cells"][0]
    assert cell["map"]["id"] != before and "stage1" in cell["caption"]


def test_five_seeds_differ_for_a_sampled_method_and_not_for_another(page: AppTest) -> None:
    page.session_state["inspect.view"] = "seeds"
    page.run()
    assert "The 5 maps are equal" in texts(page)
    page.selectbox(key="inspect.method").set_value("smoothgrad").run()
    assert not page.exception and not page.error
    assert strips(page).count("<img") == 6 and "seed 4" in strips(page)
    found = re.search(r"Mean rank correlation of two seeds: (\d\.\d+)", texts(page))
    assert found and 0 < float(found[1]) < 1


def test_a_parameter_takes_several_values_with_a_score_for_each(page: AppTest) -> None:
    page.session_state["inspect.view"] = "sweep"
    page.session_state["inspect.method"] = "smoothgrad"
    page.run()
    assert not page.exception and not page.error
    page.selectbox(key="inspect.sweep.smoothgrad").set_value("samples").run()
    assert page.multiselect[-1].value == ["4", "8", "16", "32"]
    assert strips(page).count("<img") == 4 and len(re.findall(r"<figcaption[^>]*>\d+ · SRG −?[\d.]", strips(page))) == 4
    page.multiselect[-1].set_value(["4", "32"]).run()
    assert strips(page).count("<img") == 2


@pytest.mark.parametrize(
    ("method", "name", "count"), [("gradcam", "layer", 4), ("integrated_gradients", "baseline", 5), ("rise", "keep", 4)]
)
def test_layers_choices_and_fractions_are_swept_too(page: AppTest, method: str, name: str, count: int) -> None:
    page.session_state["inspect.view"] = "sweep"
    page.session_state["inspect.method"] = method
    page.session_state[f"inspect.sweep.{method}"] = name
    page.run()
    assert not page.exception and not page.error
    assert strips(page).count("<img") == count


def test_the_network_is_randomised_down_to_the_chosen_layer(page: AppTest) -> None:
    page.session_state["inspect.view"] = "randomised"
    page.run()
    assert not page.exception and not page.error
    assert strips(page).count("<img") == 2 and "as trained" in strips(page)
    page.select_slider(key="inspect.depth.tiny").set_value(3).run()
    assert strips(page).count("<img") == 3, "what was computed before stays"
    assert len(re.findall(r"title=\"[\w ]+ · (?:−?[\d.]+|–)\"", strips(page))) == 2


def test_every_depth_together_gives_a_verdict(page: AppTest) -> None:
    page.session_state["inspect.view"] = "randomised"
    page.run()
    assert "network forgets" not in texts(page)
    page.toggle(key="inspect.every").set_value(True).run()
    assert not page.exception and not page.error
    assert "network forgets (rank correlation" in texts(page)
    page.selectbox(key="inspect.method").set_value("sobel").run()
    assert "stay the same when the network forgets" in texts(page), "edges need no network"


def test_a_method_without_parameters_has_nothing_to_sweep(page: AppTest) -> None:
    page.session_state["inspect.view"] = "sweep"
    page.session_state["inspect.method"] = next(spec.name for spec in METHODS if not spec.options)
    page.run()
    assert not page.exception and "has no parameters" in texts(page)


def test_without_a_model_that_is_ready_the_page_says_so(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_core.classifiers import weights

    monkeypatch.setattr(weights, "status", lambda card: weights.Status("missing", None, 0, "not here"))
    page.run()
    assert not page.exception
    assert "Choose a picture and a model" in texts(page)
