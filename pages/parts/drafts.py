"""Drafts of masks as files of JSON lines: what the database will do, behind the same three functions.

A draft is a file of its own: a line that says whose it is and of which picture, one line a stroke, and one for each
time that it was submitted. Every line is on the disk before it counts as saved.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from xai_core import settings
from xai_core.masks.runs import encoded
from xai_core.masks.strokes import Stroke, drawn
from xai_core.types import Bools, Picture, XaiError, digest_of

_writing = threading.Lock()


@dataclass(frozen=True)
class Draft:
    """A mask that somebody is drawing: bool (H, W), after stroke `number`."""

    id: str
    mask: Bools
    number: int


@dataclass(frozen=True)
class Version:
    """A submitted mask: the annotator's n-th of the picture, from 1 on."""

    number: int
    mask: Bools


def open_draft(annotator: str, picture: Picture, client: str, project: str | None = None) -> Draft:
    """The draft of this annotator's picture in this browser tab, `client`.

    A tab that has none begins with a copy of the annotator's newest one, which stays as it is.
    """
    folder = _folder(annotator, picture.digest, project)
    files = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    heads = [next(_lines(path)) for path in files]
    own = [path for path, head in zip(files, heads, strict=True) if head["client"] == client]
    if own:
        return _read(own[-1])
    start = _read(files[-1]).mask if files else np.zeros(picture.size, dtype=bool)
    draft = Draft(f"{folder.parent.name}-{folder.name}-{uuid.uuid4().hex}", start, 0)
    _append(draft.id, [{"client": client, "size": list(start.shape), "mask": encoded(start), "when": time.time()}])
    return draft


def add_strokes(draft: str, strokes: Sequence[Stroke]) -> int:
    """Saves strokes; returns the number up to which all are saved. Those that are saved already are left out."""
    with _writing:
        head, *lines = _lines(_file(draft))
        height, width = head["size"]
        number = sum("counts" in line for line in lines)
        fresh: list[Any] = []
        for stroke in sorted(strokes, key=lambda one: one.number):
            top, left, tall, wide = stroke.box
            if top + tall > height or left + wide > width:
                raise XaiError(
                    f"Stroke {stroke.number} lies outside of the picture: reload the page and draw it again."
                )
            if stroke.number == number + len(fresh) + 1:
                fresh.append(vars(stroke))
        if fresh:
            _append(draft, fresh)
        return number + len(fresh)


def submit(draft: str, seconds: float) -> Version:
    """Submits the mask as it is; `seconds` were spent on it."""
    with _writing:
        path = _file(draft)
        versions = sum("submitted" in line for other in path.parent.glob("*.jsonl") for line in _lines(other))
        _append(draft, [{"submitted": versions + 1, "seconds": seconds, "when": time.time()}])
        return Version(versions + 1, _read(path).mask)


def saved_draft(draft: str) -> Draft:
    """A draft as it is saved."""
    return _read(_file(draft))


def _folder(annotator: str, picture_digest: str, project: str | None) -> Path:
    return settings.current().data / "drafts" / picture_digest[:32] / digest_of(annotator, project or "")[:16]


def _file(draft: str) -> Path:
    parts = draft.split("-")
    if len(parts) != 3 or not all(part.isalnum() for part in parts):
        raise XaiError("The browser named a draft that does not exist: reload the page.")
    path = settings.current().data / "drafts" / parts[0] / parts[1] / f"{parts[2]}.jsonl"
    if not path.exists():
        raise XaiError("This draft is not in the database: reload the page; your strokes stay in the browser.")
    return path


def _lines(path: Path) -> Iterator[Any]:
    """The whole lines; the last one may have been cut off when the server was killed."""
    yield from map(orjson.loads, path.read_bytes().split(b"\n")[:-1])


def _read(path: Path) -> Draft:
    head, *others = _lines(path)
    height, width = head["size"]
    whole = Stroke(1, "start", (0, 0, height, width), tuple(head["mask"]))
    strokes = [Stroke.read(line) for line in others if "counts" in line]
    mask = drawn(np.zeros((height, width), dtype=bool), [whole, *strokes])
    folder = path.parent
    return Draft(f"{folder.parent.name}-{folder.name}-{path.stem}", mask, len(strokes))


def _append(draft: str, lines: Sequence[Any]) -> None:
    folder, annotator, name = draft.split("-")
    path = settings.current().data / "drafts" / folder / annotator / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        whole = path.read_bytes()
        if not whole.endswith(b"\n"):  # a line that was cut off
            with path.open("r+b") as file:
                file.truncate(whole.rfind(b"\n") + 1)
    with path.open("ab") as file:
        file.write(b"".join(orjson.dumps(line) + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
