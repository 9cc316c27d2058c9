"""The Methods page: nothing that is registered is missing from it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from xai_core.registry import FAMILIES, METHODS, MODELS


@pytest.fixture
def page(tiny_card: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with the tiny model, computing in this process."""
    import streamlit as st

    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    test.session_state["methods_model"] = "tiny"
    return test.switch_page("pages/methods.py")


def texts(test: AppTest) -> str:
    return "\n".join(str(one.value).replace("\\", "") for one in [*test.markdown, *test.caption, *test.subheader])


def test_every_method_parameter_and_citation_is_there_with_an_example(page: AppTest) -> None:
    page.run()
    assert not page.exception and not page.error and not page.warning
    shown = texts(page)
    assert [one.value for one in page.subheader] == [
        spec.title for spec in sorted(METHODS, key=lambda spec: list(FAMILIES).index(spec.family))
    ]
    for spec in METHODS:
        assert spec.summary in shown
        assert f"`{spec.name}`" in shown
        assert all(cite in shown for cite in spec.cites), spec.name
        assert not spec.reference or re.search(rf"{spec.reference} [\d.]+, which can be chosen", shown), spec.name
        for option in spec.options:
            assert f"| `{option.name}` |" in shown and option.help in shown, (spec.name, option.name)
    assert len(page.get("image")) == len(METHODS)
    assert "Waiting for the map" not in shown


def test_the_difference_from_every_library_was_measured_on_the_method_as_it_is() -> None:
    """`bench agreement --model resnet50_v1 --json assets/agreement.json` measures it anew."""
    measured = json.loads((ROOT / "assets" / "agreement.json").read_text())
    for spec in METHODS:
        if spec.reference:
            assert measured[spec.name]["version"] == spec.version, spec.name
            assert measured[spec.name]["library"].startswith(spec.reference)
            assert measured[spec.name]["correlation"] > 0.5 * measured[spec.name]["expected"], spec.name


def test_families_can_be_chosen(page: AppTest) -> None:
    page.run()
    page.get("button_group")[0].set_value(["cam"]).run()
    assert {one.value for one in page.subheader} == {spec.title for spec in METHODS if spec.family == "cam"}


def test_without_a_model_that_is_ready_the_cards_are_there_all_the_same(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_core.classifiers import weights

    monkeypatch.setattr(weights, "status", lambda card: weights.Status("missing", None, 0, "not here"))
    page.run()
    assert not page.exception
    assert len(page.subheader) == len(METHODS)
    assert "No model is ready" in texts(page)


def test_every_family_has_a_method_and_every_model_a_card() -> None:
    assert {spec.family for spec in METHODS} == set(FAMILIES)
    assert len(MODELS) > 0
