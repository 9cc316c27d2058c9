"""How far a computation is, in one line above its results."""

from __future__ import annotations

import streamlit as st

from pages.parts import backend
from xai_core.engine.following import Standing
from xai_core.render.numbers import duration


def line(standing: Standing) -> None:
    """A line that always has the same height: what is computed, how far it is, and a way to stop or go on."""
    box = st.container(height=56, border=False, key="progress")
    left, right = box.columns([5, 1], vertical_alignment="center")
    engine, session = backend.engine(), backend.session()
    done, total = standing.passes
    if standing.pending:
        running = standing.running
        starting = "Starting the engine" if engine.profile is None else "Waiting for the engine"
        what = running.request.title if running is not None else starting
        left.progress(min(done / max(total, 1), 1.0), text=f"{what} · {done} of {total} passes{_left(standing)}")
        if right.button("Stop", icon=":material/stop:", key="stop", width="stretch"):
            engine.cancel(session)
            st.rerun()
    elif standing.cancelled or standing.failures:
        if standing.failures:
            left.error(standing.failures[0], icon=":material/error:")
        else:
            left.progress(min(done / max(total, 1), 1.0), text=f"Stopped at {done} of {total} passes")
        if right.button("Go on", icon=":material/play_arrow:", key="go_on", width="stretch"):
            engine.retry(session)
            st.rerun()
    else:
        left.caption(f"Done: {total} passes, {duration(standing.seconds)} of computing")
        right.button("Stop", icon=":material/stop:", key="stop", width="stretch", disabled=True)


def _left(standing: Standing) -> str:
    """An estimate of the time left from the running request's speed."""
    running = standing.running
    if running is None or running.seconds_left is None or running.total <= running.done:
        return ""
    done, total = standing.passes
    each = running.seconds_left / (running.total - running.done)
    return f" · about {duration(each * (total - done))} left"
