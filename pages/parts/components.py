"""Our own browser components: plain scripts and styles from `assets/`, registered once per process.

Their data goes as bytes of JSON: Streamlit would encode a dictionary twice, slowly, and hash it, at every run.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import orjson
import streamlit as st
from PIL import Image
from streamlit.runtime.pages_manager import PagesManager

from xai_core.render.encoding import photo_uri
from xai_core.render.pipeline import map_picture
from xai_core.types import Pixels, SaliencyMap

ASSETS = Path(__file__).parents[2] / "assets"
RARELY = timedelta(days=1)


def page_style() -> None:
    """Streamlit's margins are made for text; the maps need the room. Shows the product's name."""
    st.html(f"<style>{(ASSETS / 'page.css').read_text(encoding='utf-8')}</style>")
    st.logo(str(ASSETS / "logo.svg"), size="large")


def inside_app() -> None:
    """Goes through `app.py` when a page's own address is the first that a new server is asked for.

    Until `app.py` has run once, Streamlit takes every file in `pages/` for a page of its own, and runs it alone,
    without style and navigation. A rerun after that begins with `app.py`, and keeps page and address.
    """
    if not st.session_state.get("inside_app"):
        PagesManager.uses_pages_directory = False  # what st.navigation sets
        st.rerun()


@st.fragment(run_every=RARELY)
def stay_heard() -> None:
    """Lets a page be heard after every restart of the server, by being there.

    A restarted server takes a fragment's messages only once the whole page has run. Streamlit runs that after a lost
    connection where a fragment was the last to run, or where one runs by the clock: without it a second restart in a
    row would leave fragments whose messages nobody hears.
    """


@st.cache_data(max_entries=256, show_spinner=False)
def map_png(key: str, _frame: Pixels, _saliency: SaliencyMap) -> bytes:
    """The map over its grey picture as a PNG; made once for a map's key."""
    buffer = io.BytesIO()
    Image.fromarray(map_picture(_frame, _saliency.values, _saliency.signed)).save(buffer, "PNG")
    return buffer.getvalue()


@st.cache_data(max_entries=512, show_spinner=False)
def map_uri(key: str, _frame: Pixels, _saliency: SaliencyMap) -> str:
    """The map over its grey picture as a data URI; made once for a map's key."""
    return photo_uri(map_picture(_frame, _saliency.values, _saliency.signed))


def strip(
    place: Any, uris: Sequence[str], words: Sequence[str], below: str = "", empty: str | Sequence[str] = ""
) -> None:
    """Pictures in a row, each with words under it, and a line under all.

    `empty` stands where a picture is missing, the same words everywhere or one for each.
    """
    missing = [empty] * len(uris) if isinstance(empty, str) else empty
    figures = []
    for uri, text, message in zip(uris, words, missing, strict=True):
        inside = f'<img src="{uri}" alt="{escape(text)}">' if uri else f'<div class="empty">{escape(message)}</div>'
        figures.append(f'<figure>{inside}<figcaption title="{escape(text)}">{escape(text)}</figcaption></figure>')
    row = f'<div class="strip" style="max-width: {max(27, 9 * len(figures))}rem">{"".join(figures)}</div>'
    place.html(f'{row}<div class="strip-words">{escape(below)}</div>')


@dataclass(frozen=True)
class Tile:
    """A picture of a sheet with words under it, or a message where it is missing."""

    src: str
    words: str
    message: str = ""


def sheet(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[Tile]]]) -> None:
    """Rows of pictures under common heads, the first of which stands over the rows' titles."""
    count = len(heads) - 1
    parts = [f'<div class="head">{escape(head)}</div>' for head in heads]
    for title, tiles in rows:
        parts.append(f'<div class="title">{escape(title)}</div>')
        for tile in tiles:
            words = escape(tile.words)
            inside = f'<div class="empty">{escape(tile.message)}</div>'
            if tile.src:
                inside = f'<img src="{tile.src}" alt="{escape(title)}, {words}">'
            parts.append(f'<figure>{inside}<figcaption title="{words}">{words}</figcaption></figure>')
    width = f"max-width: {8 + 11 * count}rem; grid-template-columns: 6.5rem repeat({count}, minmax(5rem, 1fr))"
    st.html(f'<div class="sheet strip" style="{width}">{"".join(parts)}</div>')


BEFORE = {
    "gallery": ["radiogroup", "thumbnails"],
    "picker": ["thumbnails"],
    "stages": ["radiogroup"],
    "grid": ["tiles"],
    "inspect": ["tiles"],
}
"""Scripts and styles that several components share: they stand before a component's own."""


def _texts(parts: Sequence[str], suffix: str) -> list[str]:
    paths = [ASSETS / f"{part}.{suffix}" for part in parts]
    return [path.read_text(encoding="utf-8") for path in paths if path.exists()]


@cache
def _component(name: str) -> Any:
    parts = [*BEFORE.get(name, []), name]
    return st.components.v2.component(
        f"saliency_{name}",
        html=f'<div class="{name}"{" role=radiogroup" if "radiogroup" in parts else ""}></div>',
        css="\n".join(_texts(parts, "css")),
        js="\n".join(_texts(parts, "js")),
    )


def gallery(items: list[dict[str, str]], label: str, key: str, step: int = 0) -> str:
    """Thumbnails to choose from; `items` have `id`, `title` and `src`. Returns the chosen id, which pages keep.

    With `step` it is the one so many places after it.
    """
    return _chosen("gallery", items, label, key, items[0]["id"], step)


def stages(items: list[dict[str, Any]], label: str, first: str, key: str) -> str:
    """A strip of maps to choose from, beginning at `first`; returns the chosen id.

    `items` have `id`, `size`, `caption`, `state`, and a `src` or a `message` where there is none.
    """
    return _chosen("stages", items, label, key, first)


def picker(items: list[dict[str, str]], label: str, key: str, ticked: Sequence[str]) -> list[str]:
    """Thumbnails to tick, those of `ticked` at first; returns the ids that are ticked now, in their order.

    `items` are as in `gallery`.
    """
    chosen = (st.session_state.get(key) or {}).get("selected", list(ticked))
    result = _component("picker")(
        data=orjson.dumps({"items": items, "label": label, "selected": chosen}),
        default={"selected": chosen},
        key=key,
        on_selected_change=lambda: None,
    )
    return [item["id"] for item in items if item["id"] in set(result.selected or ())]


def _chosen(name: str, items: list[dict[str, Any]], label: str, key: str, first: str, step: int = 0) -> str:
    ids = [item["id"] for item in items]
    kept = f"{key}.kept"  # what belongs to a component is gone when another page is shown
    chosen = (st.session_state.get(key) or {}).get("selected") or st.session_state.get(kept)
    if chosen not in ids:
        chosen = first
    if step:
        chosen = ids[(ids.index(chosen) + step) % len(ids)]
        st.session_state[key] = {"selected": chosen}
    result = _component(name)(
        data=orjson.dumps({"items": items, "label": label, "selected": chosen}),
        default={"selected": chosen},
        key=key,
        on_selected_change=lambda: None,
    )
    st.session_state[kept] = result.selected if result.selected in ids else chosen
    return str(st.session_state[kept])


def large(src: str, alt: str, message: str = "") -> None:
    """A square picture as wide as its column, or a square of the same size with a message."""
    inside = f'<img src="{src}" alt="{escape(alt)}">' if src else f"<p>{escape(message)}</p>"
    st.html(f'<div class="large">{inside}</div>')


def grid(data: dict[str, Any], key: str) -> int | None:
    """The grid of maps; returns the index of a class that was clicked to be explained, once."""
    result = _component("grid")(data=orjson.dumps(data), key=key, on_target_change=lambda: None)
    return None if result.target is None else int(result.target)


def inspector(data: dict[str, Any], key: str, draw: Callable[[Sequence[int]], None]) -> int | None:
    """One map beside its picture; returns the index of a class that was clicked to be explained, once.

    `data` is the grid's with `size`, `region`, `action` and `hidden`, the colour of what is hidden. `draw` is called
    with a region that was drawn, [top, left, height, width], before the page runs again.
    """

    def drawn() -> None:
        region = (st.session_state.get(key) or {}).get("region")
        if region is not None:
            draw([int(one) for one in region])

    result = _component("inspect")(
        data=orjson.dumps(data), key=key, on_target_change=lambda: None, on_region_change=drawn
    )
    return None if result.target is None else int(result.target)


def studio(data: bytes, key: str, heard: Callable[[], None]) -> None:
    """The canvas of the annotation studio; `heard` is called when its `message` is there, before the page runs again.

    The component itself only loads the modules that `data` names (`parts/studio.py`).
    """
    _component("studio")(data=data, key=key, on_message_change=heard)
