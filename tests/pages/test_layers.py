"""The Layers page without a browser: a map at every stage, a picture that is drawn, and the way to the Compare page."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import components
from tests.conftest import ROOT, write_tiny_card
from xai_core.registry import DRAWERS, METHODS


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the strip was given last; choosing goes by `chosen`."""
    kept: dict[str, object] = {}

    def stages(items: list[dict[str, str]], label: str, first: str, key: str) -> str:
        kept.update(items=items, label=label, first=first)
        return str(kept.get("chosen", first))

    monkeypatch.setattr(components, "stages", stages)
    return kept


@pytest.fixture
def page(tmp_path: Path, shown: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with a tiny model of three stages, computing in this process."""
    import streamlit as st

    write_tiny_card(tmp_path / "models", stages=["stem", "stage1", "stage2"])
    monkeypatch.setenv("XAI_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    test.session_state["layers_model"] = "tiny"
    return test.switch_page("pages/layers.py")


def texts(test: AppTest) -> str:
    return "\n".join(str(one.value) for one in [*test.markdown, *test.caption, *test.info])


def test_every_stage_has_a_map_with_its_size_and_seconds(page: AppTest, shown: dict[str, object]) -> None:
    page.run()
    assert not page.exception and not page.error
    items = shown["items"]
    assert isinstance(items, list)
    assert [item["id"] for item in items] == ["stem", "stage1", "stage2"]
    assert [item["size"] for item in items] == ["16 x 16", "16 x 16", "8 x 8"]
    assert all(item["state"] == "done" and item["src"].startswith("data:image/") for item in items)
    assert len({item["src"] for item in items}) == 3
    assert all(item["caption"].endswith(" s") for item in items)
    assert shown["first"] == "stage2" and "12 channels of 8 x 8" in texts(page)


def test_every_method_with_a_layer_can_be_chosen_and_no_other(page: AppTest) -> None:
    page.run()
    titles = {spec.title for spec in METHODS if "layer" in spec.parameters.model_fields}
    assert set(page.selectbox(key="layers_method").options) == titles
    assert page.selectbox(key="layers_method").value == "gradcam"
    page.selectbox(key="layers_method").set_value("layercam").run()
    assert not page.exception and "LayerCAM at every stage" in texts(page)


@pytest.mark.parametrize(
    ("objective", "words"), [("class", "sure of it"), ("channel", "Channel 3 of stage1"), ("layer", "stage1 · mean")]
)
def test_a_picture_is_drawn_for_what_was_chosen(
    page: AppTest, shown: dict[str, object], objective: str, words: str
) -> None:
    shown["chosen"] = "stage1"
    page.run()
    assert "Nothing is drawn yet" in texts(page)
    page.number_input(key="drawing.activation_maximisation.steps.quick").set_value(6).run()
    page.segmented_control(key="objective").set_value(objective).run()
    channel = page.number_input(key="channel.tiny.stage1.gradcam")
    assert channel.disabled == (objective != "channel") and channel.max == 7
    if objective == "channel":
        channel.set_value(3).run()
    page.button(key="draw").click().run()
    assert not page.exception and not page.error
    assert words in texts(page)
    assert len(page.get("plotly_chart")) == 1


def test_every_parameter_of_the_drawer_has_a_widget_beside_what_is_drawn(page: AppTest) -> None:
    page.run()
    keys = {widget.key for kind in (page.selectbox, page.number_input, page.text_input) for widget in kind}
    for option in DRAWERS["activation_maximisation"].options:
        if option.name not in ("objective", "layer", "channel"):
            assert f"drawing.activation_maximisation.{option.name}.quick" in keys


def test_a_layer_goes_to_the_compare_page(page: AppTest, shown: dict[str, object]) -> None:
    shown["chosen"] = "stage1"
    page.run()
    page.selectbox(key="layers_method").set_value("layercam").run()
    page.button(key="take").click().run()
    assert not page.exception and not page.error
    assert page.multiselect(key="models").value == ["tiny"]
    assert page.multiselect(key="methods").value == ["gradcam", "shap", "lime", "smoothgrad", "layercam"]
    assert page.text_input(key="layercam.layer.quick").value == "stage1"
    assert page.text_input(key="gradcam.layer.quick").value == "auto"


def test_without_a_model_that_is_ready_the_page_says_so(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_core.classifiers import weights

    monkeypatch.setattr(weights, "status", lambda card: weights.Status("missing", None, 0, "not here"))
    page.run()
    assert not page.exception
    assert "No model is ready" in texts(page)


def test_a_drawing_that_is_not_finished_ends_when_another_page_is_shown(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.parts import backend

    page.run()
    page.number_input(key="drawing.activation_maximisation.steps.quick").set_value(6).run()
    page.button(key="draw").click().run()
    page.switch_page("app.py").run()
    assert page.session_state["drawing"] is not None, "a finished one is there when the page is shown again"
    monkeypatch.setattr(type(backend.engine()), "known", lambda engine, request: None)
    page.run()
    assert page.session_state["drawing"] is None
    assert not page.exception
