"""The benchmark of sessions: a real dashboard, real websockets, few of them."""

from __future__ import annotations

import os

import pytest

from tests.conftest import ROOT
from xai_core.bench import sessions


@pytest.fixture
def tiny_dashboard(tiny_card, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """The dashboard's process finds the tiny network's code."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_dashboard")
def test_sessions_are_counted_and_their_maps_compared(capsys: pytest.CaptureFixture[str]) -> None:
    result = sessions.run("tiny", sessions=2, seconds=6, every=1.5)
    assert set(result) == {"sessions", "reruns_per_second", "p50_ms", "p95_ms", "wrong_maps"}
    assert result["sessions"] == 2
    assert result["reruns_per_second"] > 0
    assert result["wrong_maps"] == 0
    assert "maps compared" in capsys.readouterr().err  # there were some


def test_a_map_of_another_choice_is_found_wrong(tiny_card) -> None:  # type: ignore[no-untyped-def]
    from xai_core.registry import MODELS

    shown = {("chelsea.png", 0.0, "gradcam"): {("somebody else's/value", "data:image/png;base64,")}}
    assert sessions.wrong_maps(MODELS["tiny"], shown) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thirty_sessions_are_served_while_a_long_job_runs() -> None:
    result = sessions.run("efficientnet_lite0")
    assert result["reruns_per_second"] >= 10
    assert result["p95_ms"] <= 500
    assert result["wrong_maps"] == 0
