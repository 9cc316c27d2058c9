"""The engine and the downloads that all browser sessions of this process share."""

from __future__ import annotations

import gc
import uuid

import streamlit as st

from xai_core import settings
from xai_core.classifiers import weights
from xai_core.engine.jobs import Engine
from xai_core.images import galleries

DEFAULT_MODEL = "efficientnet_lite0"
"""The model that every machine has: its weights come with a package."""


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine that `XAI_ENGINE` names, started on first use."""
    if settings.current().engine == "inline":
        from xai_core.engine.inline import InlineEngine

        return InlineEngine()
    from xai_core.engine.local import LocalEngine

    return LocalEngine(warm=[DEFAULT_MODEL])


@st.cache_resource(show_spinner=False)
def downloads() -> weights.Downloads:
    """The downloads of weights, at most one per model."""
    return weights.Downloads()


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Starts the engine, decodes the background pictures, and takes everything imported so far off the collector."""
    engine()
    for picture in galleries.background("photos"):
        _ = picture.digest
    gc.collect()
    gc.freeze()


def session() -> str:
    """The name of this browser session for the engine."""
    if "session" not in st.session_state:
        st.session_state.session = uuid.uuid4().hex
    return str(st.session_state.session)
