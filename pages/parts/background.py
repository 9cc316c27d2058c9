"""Work that takes long and needs no model: a button that starts it, its progress, and a way to stop it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.parts import backend
from xai_core.classifiers import weights
from xai_core.classifiers.cards import Card
from xai_core.render.numbers import duration
from xai_core.settings import MEGABYTE
from xai_core.types import Cancelled, XaiError

log = logging.getLogger(__name__)


class Work:
    """A function on a thread of its own; it gets a callable that tells whether it should stop."""

    def __init__(self, function: Callable[[Callable[[], bool]], Any]):
        self.error = ""
        self.started = time.monotonic()
        self._stop = threading.Event()
        self._function = function
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()

    def _work(self) -> None:
        try:
            self._function(self._stop.is_set)
        except XaiError as error:
            self.error = str(error)
        except Cancelled:
            pass
        except Exception as error:
            log.exception("work in the background failed")
            self.error = f"This failed ({type(error).__name__}: {error}); the log has the details."


@st.cache_resource(show_spinner=False)
def _works() -> dict[str, Work]:
    return {}


def button(label: str, name: str, function: Callable[[Callable[[], bool]], Any]) -> None:
    """A button that starts the work `name`, which is shared by all sessions; below it how it stands."""
    works = _works()
    work = works.get(name)
    if work is None or not work.running:
        if work is not None and work.error:
            st.error(work.error, icon=":material/error:")
        if st.button(label, icon=":material/download:", key=f"start.{name}"):
            works[name] = Work(function)
            st.rerun()
        return

    @st.fragment(run_every=0.5)
    def standing() -> None:
        if not work.running:
            st.rerun()
        st.progress(0.0, text=f"Downloading, {duration(time.monotonic() - work.started)} so far")
        if st.button("Stop", icon=":material/stop:", key=f"stop.{name}"):
            work.stop()

    standing()


def weights_needed(card: Card) -> None:
    """What a chosen model still needs: a download button with its size, then its progress."""
    found = weights.status(card)
    if found.state == "missing":
        st.warning(found.sentence, icon=":material/warning:")
        return
    download = backend.downloads().get(card.name)
    if download is None or not download.running:
        if download is not None and download.error:
            st.error(download.error, icon=":material/error:")
        size = f" ({found.size / MEGABYTE:.0f} MB)" if found.size else ""
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.markdown(f"**{card.title}** is not on this machine yet; its weights are downloaded once{size}.")
        if right.button("Download", icon=":material/download:", key=f"download.{card.name}", width="stretch"):
            backend.downloads().start(card)
            st.rerun()
        return

    @st.fragment(run_every=0.5)
    def standing() -> None:
        if not download.running:
            st.rerun()
        left, right = st.columns([3, 1], vertical_alignment="center")
        rest = download.seconds_left
        text = f"{card.title}: {download.done / MEGABYTE:.0f} of {download.total / MEGABYTE:.0f} MB"
        share = min(download.done / download.total, 1.0) if download.total else 0.0
        left.progress(share, text=text + (f", {duration(rest)} left" if rest is not None else ""))
        if right.button("Stop", icon=":material/stop:", key=f"stop.{card.name}", width="stretch"):
            download.cancel()

    standing()
