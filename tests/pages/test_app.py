"""What all pages share."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.testing.v1 import AppTest

from pages.parts import components

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["methods", "projects"])
def test_every_page_runs_by_the_clock(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a browser that finds a new server does not always run the page, and its fragments' messages reach nobody."""
    sent = []
    enqueue = ScriptRunContext.enqueue

    def record(context: ScriptRunContext, message: ForwardMsg) -> None:
        sent.append(message)
        enqueue(context, message)

    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).switch_page(f"pages/{page}.py")
    monkeypatch.setattr(ScriptRunContext, "enqueue", record)
    test.run()
    intervals = [message.auto_rerun.interval for message in sent if message.WhichOneof("type") == "auto_rerun"]
    assert components.RARELY.total_seconds() in intervals
