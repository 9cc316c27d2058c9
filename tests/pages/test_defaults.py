"""What is computed ahead is what the page asks for at its defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.pace import PER_SECOND, SHORTEST, Pace
from tests.pages.test_compare import PAGE
from tests.test_cli_bench import all_known
from xai_core.engine.comparison import default_comparison
from xai_core.images.galleries import bundled
from xai_core.registry import MODELS


def test_the_default_view_is_the_one_that_is_computed_ahead(tiny_card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    test = AppTest.from_file(PAGE, default_timeout=120)
    test.session_state["models"] = ["tiny"]
    test.run()
    assert not test.exception
    assert all_known(default_comparison(bundled().samples[0].open(), [MODELS["tiny"]]))


def test_a_session_alone_asks_often_and_many_ask_less_often() -> None:
    pace = Pace()
    assert pace.pause("first") == SHORTEST
    pauses = [pace.pause(f"session {number}") for number in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 100 / PER_SECOND - 0.1


def test_sessions_that_are_gone_do_not_slow_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    pace = Pace()
    for number in range(100):
        pace.pause(f"session {number}")
    now = 1000.0
    assert pace.pause("late") == SHORTEST
