"""Whose masks and projects: the name that a person goes by, the same on all pages."""

from __future__ import annotations

import unicodedata

import streamlit as st


def name(placeholder: str = "Masks are kept under it") -> str:
    """The name that was written; "" while there is none."""
    written = st.text_input(
        "Your name",
        key="annotator",
        bind="query-params",
        max_chars=60,
        placeholder=placeholder,
        persist_state="session",
    )
    return " ".join(unicodedata.normalize("NFC", written or "").split())
