"""The pictures of a project: ticked in galleries and uploaded, and the known masks of those that are controls."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import streamlit as st

from pages.parts import components
from pages.parts.telling import count
from xai_core import settings
from xai_core.images import galleries
from xai_core.images.decoding import SUFFIXES, open_picture
from xai_core.images.galleries import Gallery, Sample
from xai_core.masks.exchange import import_masks
from xai_core.render.encoding import thumbnail_uri
from xai_core.store import pictures
from xai_core.store.projects import Task
from xai_core.types import Mask, Picture, XaiError

PAGE = 60
"""Thumbnails at a time."""


class File(Protocol):
    """An uploaded file."""

    name: str

    def getvalue(self) -> bytes:
        """Its bytes."""


@dataclass(frozen=True)
class Choice:
    """What was ticked and uploaded; nothing is decoded yet."""

    samples: tuple[Sample, ...]
    files: tuple[File, ...]
    known: tuple[File, ...]

    def __len__(self) -> int:
        return len(self.samples) + len(self.files)


@dataclass(frozen=True)
class Upload:
    """An uploaded picture that is not decoded yet."""

    name: str
    data: bytes

    def open(self) -> Picture:
        """Decodes it; raises `XaiError` as `open_picture` does."""
        return open_picture(self.data, name=self.name)


def choose(key: str) -> Choice:
    """Widgets to choose pictures; `key` tells several of them apart."""
    found = {gallery.name: gallery for gallery in galleries.galleries() if gallery.samples}
    picked: dict[str, set[str]] = st.session_state.setdefault(f"{key}.picked", {})
    if found:
        name = next(iter(found))
        if len(found) > 1:
            name = st.segmented_control(
                "Gallery",
                list(found),
                default=name,
                required=True,
                format_func=lambda one: found[one].title,
                key=f"{key}.gallery",
                label_visibility="collapsed",
            )
        _tick(found[name], picked.setdefault(name, set()), f"{key}.{name}")
    files = st.file_uploader(
        "And pictures from files",
        type=[suffix.lstrip(".") for suffix in SUFFIXES],
        accept_multiple_files=True,
        max_upload_size=settings.current().max_upload_mb,
        key=f"{key}.files",
    )
    known = st.file_uploader(
        "Known masks",
        type=["png", "npz", "json"],
        accept_multiple_files=True,
        max_upload_size=settings.current().max_upload_mb,
        help="Masks that are right beyond doubt, called as their pictures. Those pictures become hidden controls: all "
        "annotators get them among the others, and you see how well they are drawn.",
        key=f"{key}.known",
    )
    samples = [
        sample for name, gallery in found.items() for sample in gallery.samples if sample.name in picked.get(name, ())
    ]
    choice = Choice(tuple(samples), tuple(files or ()), tuple(known or ()))
    controls = f", {count(len(choice.known), 'known mask')}" if choice.known else ""
    st.caption(f"{count(len(choice), 'picture')} chosen{controls}")
    return choice


def clear(key: str) -> None:
    """Forgets what was chosen."""
    for name in [name for name in st.session_state if str(name).startswith(f"{key}.")]:
        del st.session_state[name]


def tasks(choice: Choice, question: str, step: Callable[[float, str], None]) -> tuple[list[Task], list[str]]:
    """The chosen pictures, registered, as tasks with one question; and what is wrong with those left out.

    `step` is told the part that is done, and words. Raises `XaiError` where a known mask cannot be used.
    """
    uploads = [Upload(file.name, file.getvalue()) for file in choice.files]
    known = _known(choice.known, [*choice.samples, *uploads])
    made: dict[str, Task] = {}
    problems = []
    for done, source in enumerate([*choice.samples, *uploads]):
        step(done / len(choice), f"Keeping {source.name}")
        try:
            digest = pictures.register(source.open())
        except XaiError as error:
            problems.append(str(error))
            continue
        except OSError as error:
            problems.append(f"{source.name} cannot be read: {error.strerror or error}.")
            continue
        made[digest] = Task(digest, question, known.get(digest))
    return list(made.values()), problems


def _known(files: Sequence[File], sources: Sequence[Sample | Upload]) -> dict[str, Mask]:
    """Known masks by the digest of their picture."""
    if not files:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        known: dict[str, Mask] = {}
        for at, file in enumerate(files):
            path = Path(folder) / str(at) / Path(file.name).name
            path.parent.mkdir()
            path.write_bytes(file.getvalue())
            for named in import_masks(path, sources):
                if named.digest in known:
                    raise XaiError(f"There are two known masks of {named.picture}: leave one of them out.")
                known[named.digest] = named.mask
        return known


def _tick(gallery: Gallery, picked: set[str], key: str) -> None:
    """A page of a gallery's thumbnails; `picked` are the names that are ticked on all its pages."""
    pages = -(-len(gallery.samples) // PAGE)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        at = 1
        if pages > 1:
            at = int(st.number_input(f"Page of {pages}", 1, pages, key=f"{key}.page", width=140))
        shown = gallery.samples[(at - 1) * PAGE : at * PAGE]
        names = [sample.name for sample in shown]
        place = f"{key}.thumbnails.{at}"
        every = [sample.name for sample in gallery.samples]
        words = f"All {len(every)}"
        st.button(words, icon=":material/select_all:", on_click=_set, args=(picked, every, key), key=f"{key}.all")
        st.button("None", icon=":material/deselect:", on_click=_set, args=(picked, [], key), key=f"{key}.none")
    items = list(_items(shown))
    if items:
        ticked = components.picker(
            items, f"Pictures of {gallery.title}", place, [one for one in names if one in picked]
        )
        picked.difference_update(names)
        picked.update(ticked)


def _items(samples: Sequence[Sample]) -> Iterator[dict[str, str]]:
    for sample in samples:
        try:
            src = thumbnail_uri(sample.path, sample.path.stat().st_mtime_ns)
        except (XaiError, OSError):
            continue  # the Compare page says what is wrong with it
        yield {"id": sample.name, "title": sample.title, "src": src}


def _set(picked: set[str], names: Sequence[str], key: str) -> None:
    picked.clear()
    picked.update(names)
    for place in [place for place in st.session_state if str(place).startswith(f"{key}.thumbnails.")]:
        del st.session_state[place]
