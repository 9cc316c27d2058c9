"""The lab: every stage of every pipeline is shown, can be changed, and ends in a score."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from xai_core.explainers.pipeline import RECIPES
from xai_core.registry import METHODS


@pytest.fixture
def page(tiny_card: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with the tiny model, computing in this process."""
    import streamlit as st

    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    test.session_state["lab.model"] = "tiny"
    return test.switch_page("pages/lab.py")


def pictures(test: AppTest) -> str:
    return "".join(one.proto.body for one in test.get("html"))


def scores(test: AppTest) -> dict[str, str]:
    table = test.dataframe[0].value
    return dict(zip(table["map"], table["SRG ↑"], strict=True))


def test_two_pipelines_are_compared_at_once(page: AppTest) -> None:
    page.run()
    assert not page.exception and not page.error
    shown = pictures(page)
    assert shown.count("<img") == 2 * (1 + 1 + 4 + 4 + 1 + 1)
    assert "The whole picture: " in shown and "257 passes" in shown
    found = scores(page)
    assert list(found) == ["Pipeline A", "Pipeline B", "Random", "Centre", "Edges"]
    assert all(found.values())


def test_a_stage_can_be_changed_by_itself(page: AppTest) -> None:
    page.run()
    before = scores(page)
    page.selectbox(key="lab.B.LIME.segmentation.5").set_value("grid").run()
    after = scores(page)
    assert after["Pipeline B"] != before["Pipeline B"]
    assert after["Pipeline A"] == before["Pipeline A"]


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_every_recipe_can_be_started_from(page: AppTest, recipe: str) -> None:
    page.session_state["lab.A.recipe"] = recipe
    page.run()
    assert not page.exception and not page.error
    assert scores(page)["Pipeline A"]


def test_ciu_is_offered_where_it_can_be_had(page: AppTest) -> None:
    page.run()
    assert "ciu" not in page.selectbox(key="lab.A.RISE.attribution.4").options
    page.selectbox(key="lab.A.RISE.sampling.7").set_value("only_one").run()
    page.selectbox(key="lab.A.RISE.attribution.5").set_value("ciu").run()
    assert not page.exception and not page.error
    page.selectbox(key="lab.A.RISE.sampling.7").set_value("random").run()
    assert not page.exception and not page.error


def test_pipelines_can_be_added_and_removed(page: AppTest) -> None:
    page.run()
    page.button(key="lab.add.B").click().run()
    assert list(scores(page))[:3] == ["Pipeline A", "Pipeline B", "Pipeline C"]
    page.button(key="lab.remove.A").click().run()
    assert list(scores(page))[:2] == ["Pipeline B", "Pipeline C"]


def test_recipes_are_settings_of_the_method() -> None:
    for name, values in RECIPES.items():
        assert METHODS["pipeline"].make(values, "quick"), name
