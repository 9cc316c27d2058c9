"""Whose masks and projects: the name that a person goes by, the same on all pages."""

from __future__ import annotations

import unicodedata

import streamlit as st


def name(placeholder: str = "Masks are kept under it") -> str:
    """The name that was written; "" while there is none."""
    st.text_input(
        "Your name",
        key="annotator",
        bind="query-params",
        max_chars=60,
        placeholder=placeholder,
        persist_state="session",
    )
    return known()


def known() -> str:
    """The name that was written on whichever page, as masks are kept under it; "" while there is none."""
    return " ".join(unicodedata.normalize("NFC", str(st.session_state.get("annotator") or "")).split())
