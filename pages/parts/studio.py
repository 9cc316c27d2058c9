"""The annotation studio: a canvas on which an annotator draws a picture's mask, and the server's half of it.

The browser sends one message at a time: strokes by draft, and requests to open this tab's draft, to help a tool, to
submit, and to go to another picture. Every run answers with what is saved; strokes travel once, pictures by address.
"""

from __future__ import annotations

import contextlib
import io
import logging
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import orjson
import streamlit as st
from PIL import Image

from pages.parts import components, modules
from xai_core.masks import segment_anything, tools
from xai_core.masks.runs import decoded, encoded
from xai_core.masks.strokes import Stroke
from xai_core.store import drafts, pictures
from xai_core.store.database import Unanswered
from xai_core.store.versions import Version
from xai_core.types import Picture, XaiError

log = logging.getLogger(__name__)

FOLDER = components.ASSETS / "studio"
UNREADABLE = "The browser sent something that cannot be read: reload the page; your saved strokes stay."
FAILED = "The tool failed on this picture: try again, or draw with another tool."


@dataclass(frozen=True)
class Origin:
    """What a tab goes on from, once, instead of its own draft: the id of a draft or version; `turn` is its own."""

    kind: Literal["draft", "version"]
    id: int
    turn: int


@dataclass(frozen=True)
class Desk:
    """Who draws on what; `submitted` is called with each version, `go` with -1 or 1 for another picture."""

    annotator: str
    picture: Picture
    submitted: Callable[[Version], None]
    go: Callable[[int], None]
    project: int | None = None
    origin: Origin | None = None

    @property
    def key(self) -> str:
        """The canvas's own: another picture or annotator, or another origin, gets another canvas."""
        turn = f".{self.origin.turn}" if self.origin else ""
        return f"studio.{self.picture.digest[:16]}.{self.annotator}.{self.project or ''}{turn}"

    def going_on(self, origin: Origin | None) -> Desk:
        """The same desk, with an origin."""
        return replace(self, origin=origin)


def move() -> None:
    """Lets the whole page run again after the message that is being answered: another picture is to be shown."""
    st.session_state["studio.moved"] = True


def studio(desk: Desk, below: Callable[[int | None], None]) -> None:
    """The canvas, which alone runs again when something is drawn, with what stands under it.

    `below` is given the id of this tab's draft, or None while there is none.
    """
    st.fragment(lambda: _canvas(desk, below), key="studio_live")()


def _canvas(desk: Desk, below: Callable[[int | None], None]) -> None:
    key = desk.key

    def heard() -> None:
        message = (st.session_state.get(key) or {}).get("message")
        if isinstance(message, dict):
            st.session_state["studio.answer"] = {"key": key, **_answer(desk, message)}

    answer = st.session_state.get("studio.answer")
    if answer is None or answer["key"] != key:
        answer = {}
    data = {"script": modules.script(FOLDER, "studio.js"), **{name: answer[name] for name in answer if name != "key"}}
    components.studio(orjson.dumps(data), key, heard)
    if st.session_state.pop("studio.moved", False):
        st.rerun()
    place, draft = st.session_state.get("studio.draft", ("", None))
    with contextlib.suppress(Unanswered):  # the canvas goes on, and its strokes wait
        below(draft if place == key else None)


def _answer(desk: Desk, message: Mapping[str, Any]) -> dict[str, Any]:
    """What is told the browser after its message: first its strokes are saved, then its requests are answered."""
    try:
        saved, refused = _saved(message.get("strokes"))
    except Unanswered as error:  # not heard: the browser sends it all again
        return {"saved": {}, "refused": {}, "said": {"id": message.get("id"), "words": str(error), "kind": "problem"}}
    answer: dict[str, Any] = {"heard": message.get("id"), "saved": saved, "refused": refused}
    try:
        if "ask" in message:
            answer["answer"] = _helped(desk.picture, message["ask"])
        if "submit" in message:
            version = _submitted(message["submit"], refused)
            words = f"Submitted as version {version.number}"
            answer["said"] = {"id": message["id"], "words": words, "kind": "submitted"}
            desk.submitted(version)
        if "open" in message:
            answer["opened"] = _opened(desk, message["open"])
        if "go" in message:
            desk.go(1 if message["go"] > 0 else -1)
            move()
    except XaiError as error:
        if isinstance(error, Unanswered):
            del answer["heard"]
        answer["said"] = {"id": message.get("id"), "words": str(error), "kind": "problem"}
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        answer["said"] = {"id": message.get("id"), "words": UNREADABLE, "kind": "problem"}
    return answer


def _saved(strokes: Any) -> tuple[dict[str, int], dict[str, str]]:
    """The number up to which the strokes of each draft are saved, and why those of others are not."""
    saved, refused = {}, {}
    for draft, data in strokes.items() if isinstance(strokes, dict) else ():
        try:
            fresh = [Stroke.read(one) for one in data]
            seconds = max((float(one.get("seconds", 0)) for one in data), default=None)
            saved[draft] = drafts.add_strokes(int(draft), fresh, seconds)
        except Unanswered:
            raise
        except XaiError as error:
            refused[draft] = str(error)
        except (TypeError, ValueError, AttributeError, OverflowError):
            refused[draft] = UNREADABLE
    return saved, refused


def _submitted(wish: Mapping[str, Any], refused: Mapping[str, str]) -> Version:
    """The version of a draft all of whose strokes are saved; raises `XaiError` where some are not."""
    if str(wish["draft"]) in refused:
        raise XaiError(f"The mask was not submitted: {refused[str(wish['draft'])]}")
    return drafts.submit(int(wish["draft"]), float(wish["seconds"]), int(wish["number"]))


def _opened(desk: Desk, wish: Mapping[str, Any]) -> dict[str, Any]:
    """This tab's draft, and the addresses of its picture and mask."""
    digest = pictures.register(desk.picture)
    key, client = desk.key, str(wish["client"])
    used = st.session_state.setdefault("studio.used", set())
    fresh = desk.origin if desk.origin is not None and desk.origin.turn not in used else None
    origin = {fresh.kind: fresh.id} if fresh else {}
    draft = drafts.open_draft(desk.annotator, digest, client, desk.project, **origin)
    if fresh:
        used.add(fresh.turn)
    st.session_state["studio.draft"] = key, draft.id
    mask = ""
    if draft.mask.values.any():
        runs = orjson.dumps(encoded(draft.mask.values))
        mask = modules.address(runs, "application/json", "studio mask", f"{draft.id} {draft.number}")
    return {
        "nonce": wish["nonce"],
        "draft": str(draft.id),
        "number": draft.number,
        "seconds": draft.seconds,
        "size": desk.picture.size,
        "picture": modules.address(_png(digest, desk.picture), "image/png", "studio picture", digest),
        "mask": mask,
        "tools": ["grabcut", *(["sam"] if segment_anything.available() else [])],
    }


@st.cache_resource(show_spinner=False, max_entries=8)
def _png(digest: str, _picture: Picture) -> bytes:
    """The picture's exact pixels."""
    buffer = io.BytesIO()
    Image.fromarray(_picture.pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _helped(picture: Picture, question: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a tool: superpixels, or an object within a box; or the problem, in words."""
    answer = {"id": question["id"], "kind": question["kind"]}
    try:
        if question["kind"] == "superpixels":
            level = question["level"]
            packed, size = _superpixels(picture.digest, level, picture)
            name = f"{picture.digest} {level}"
            labels = modules.address(packed, "application/octet-stream", f"studio {level}", name)
            return {**answer, "level": level, "size": size, "labels": labels}
        hints = _hints(picture, question)
        segment = {"grabcut": tools.grabcut, "sam": segment_anything.segment}[question["kind"]]
        return {**answer, "counts": encoded(segment(picture.pixels, hints))}
    except XaiError as error:
        return {**answer, "problem": str(error)}
    except Exception:  # of a library: without an answer the browser would ask for ever
        log.exception("The tool %s failed", question["kind"])
        return {**answer, "problem": FAILED}


def _hints(picture: Picture, question: Mapping[str, Any]) -> tools.Hints:
    """Hints from run lengths of the box."""
    top, left, height, width = (int(one) for one in question["box"])
    if min(top, left) < 0 or top + height > picture.size[0] or left + width > picture.size[1]:
        raise XaiError("The box is not within the picture: draw it again.")
    whole = []
    for name in ("mask", "foreground", "background"):
        mask = np.zeros(picture.size, dtype=bool)
        mask[top : top + height, left : left + width] = decoded(question[name], height, width)
        whole.append(mask)
    return tools.Hints((top, left, height, width), *whole)


@st.cache_resource(show_spinner=False, max_entries=64)
def _superpixels(digest: str, level: str, _picture: Picture) -> tuple[bytes, tuple[int, ...]]:
    """Labels as deflated 16-bit numbers, lowest byte first, and their height and width."""
    labels = tools.superpixels(_picture.pixels, level)
    return zlib.compress(labels.astype("<u2").tobytes(), 3), labels.shape
