"""The engine and the downloads that all browser sessions of this process share."""

from __future__ import annotations

import gc
import uuid

import streamlit as st

from pages.parts.pace import Pace
from xai_core import settings
from xai_core.classifiers import weights
from xai_core.engine import warming
from xai_core.engine.choice import chosen_engine
from xai_core.engine.jobs import Engine
from xai_core.images import galleries

DEFAULT_MODEL = "efficientnet_lite0"
"""The model that every machine has: its weights come with a package."""
DEFAULT_PRESET = "quick"


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine that `XAI_ENGINE` names, started on first use."""
    return chosen_engine(warm=[DEFAULT_MODEL])


@st.cache_resource(show_spinner=False)
def downloads() -> weights.Downloads:
    """The downloads of weights, at most one per model."""
    return weights.Downloads()


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Starts the engine and the computing of what is shown first, decodes the background pictures, and takes
    everything imported so far off the collector."""
    if settings.current().engine != "inline":  # which would compute before the page is shown
        warming.in_background(engine(), DEFAULT_MODEL, DEFAULT_PRESET)
    for picture in galleries.background("photos"):
        _ = picture.digest
    gc.collect()
    gc.freeze()


@st.cache_resource(show_spinner=False)
def pace() -> Pace:
    """How often the sessions of this process ask for news."""
    return Pace()


def session() -> str:
    """The name of this browser session for the engine."""
    if "session" not in st.session_state:
        st.session_state.session = uuid.uuid4().hex
    return str(st.session_state.session)


def drawing_session() -> str:
    """The name under which this browser session asks for a drawing, beside its maps."""
    return f"{session()} drawing"


def leave_drawing() -> None:
    """Stops a drawing that is not finished, because another page is shown: what runs keeps others waiting."""
    wanted = st.session_state.get("drawing")
    if wanted is not None and engine().known(wanted) is None:
        engine().want(drawing_session(), [])
        st.session_state.drawing = None
