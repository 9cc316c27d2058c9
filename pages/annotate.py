"""Annotate: ground-truth masks, drawn by hand and saved stroke by stroke."""

from __future__ import annotations

import streamlit as st

from pages.parts import backend, components, picture
from pages.parts.studio import Desk, studio
from xai_core.store.versions import Version


def main() -> None:
    components.inside_app()
    backend.engine().want(backend.session(), [])
    if "annotate.begun" not in st.session_state:
        st.session_state["annotate.begun"] = True
        picture.start_at(st.query_params.get("picture", ""))
    with st.sidebar:
        annotator = _annotator()
        chosen = picture.choose()
    st.query_params["picture"] = picture.address()
    if not annotator:
        st.info("Write your name on the left to begin: your masks are kept under it.", icon=":material/person:")
    elif chosen is None:
        st.info("Choose a picture on the left to begin.", icon=":material/image:")
    else:
        studio(Desk(annotator, chosen, submitted=_thank, go=picture.step))


def _annotator() -> str:
    """The name that masks are kept under; "" while there is none."""
    name = st.text_input(
        "Your name",
        key="annotator",
        bind="query-params",
        max_chars=60,
        placeholder="Masks are kept under it",
        persist_state="session",
    )
    return " ".join((name or "").split())


def _thank(version: Version) -> None:
    st.toast(f"Submitted as version {version.number}.", icon=":material/task_alt:")


main()
