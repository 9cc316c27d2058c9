"""A part of a page that runs again while something is computed, and only then."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.parts import backend


def while_pending(show: Callable[[], bool], key: str) -> None:
    """Shows a part that tells whether anything is still computed, and asks for news as long as it says so."""
    asking = bool(st.session_state.get(f"{key}.asking", True))

    def part() -> None:
        pending = show()
        if pending != asking:
            st.session_state[f"{key}.asking"] = pending
            st.rerun()  # which starts or ends the asking

    pause = backend.pace().pause(backend.session()) if asking else None
    st.fragment(part, run_every=pause, key=f"{key}_live")()
