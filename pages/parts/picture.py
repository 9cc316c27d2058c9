"""Choosing a picture: galleries with thumbnails, and uploads."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts import background, components
from xai_core import settings
from xai_core.images import galleries, imagenet50
from xai_core.images.decoding import SUFFIXES, open_picture
from xai_core.images.galleries import Gallery, Sample
from xai_core.render.encoding import thumbnail_uri
from xai_core.types import Picture, XaiError

UPLOAD = "upload"


def choose() -> Picture | None:
    """The chosen picture, or None while there is none; says what is missing."""
    found = {gallery.name: gallery for gallery in galleries.galleries()}
    source = st.segmented_control(
        "Picture",
        [*found, UPLOAD],
        default=st.session_state.get("source.kept", "photos"),
        required=True,
        format_func=lambda name: "Upload" if name == UPLOAD else found[name].title,
        key="source",
        label_visibility="collapsed",
        width="stretch",
    )
    st.session_state["source.kept"] = source  # for the other pages
    if source == UPLOAD:
        return _uploaded()
    gallery = found[str(source)]
    if not gallery.samples:
        st.info(gallery.hint, icon=":material/info:")
        if gallery.name == "imagenet50" and settings.current().imagenet50_dir is None:
            background.button("Download Imagenet50", "imagenet50", imagenet50.download)
        return None
    return _from_gallery(gallery)


def step(by: int) -> None:
    """Goes to the next picture of the gallery when its page runs again, or with -1 to the one before it."""
    st.session_state["picture.step"] = by


def address() -> str:
    """What leads to the chosen picture again, the gallery's title and the file's name; "" for an upload."""
    source = st.session_state.get("source.kept")
    name = st.session_state.get(f"gallery.{source}.kept")
    title = next((gallery.title for gallery in galleries.galleries() if gallery.name == source), "")
    return f"{title}/{name}" if title and name else ""


def start_at(address: str) -> None:
    """Chooses the picture that an address leads to; one that is not there is left alone."""
    title, _, name = address.rpartition("/")
    for gallery in galleries.galleries():
        if gallery.title == title and any(sample.name == name for sample in gallery.samples):
            _start_in(gallery, name)


def _start_in(gallery: Gallery, name: str) -> None:
    st.session_state["source.kept"] = gallery.name
    st.session_state[f"gallery.{gallery.name}.kept"] = name


def start_with(path: Path, name: str) -> None:
    """Chooses the picture in a file: in its gallery where it is in one, and else as if it had been uploaded.

    Raises `XaiError` when it cannot be read.
    """
    for gallery in galleries.galleries():
        if any(sample.path == path for sample in gallery.samples):
            _start_in(gallery, path.name)
            return
    st.session_state.uploaded = (str(path), open_picture(path, name=name), "")
    st.session_state["source.kept"] = UPLOAD


def _from_gallery(gallery: Gallery) -> Picture | None:
    items, problems = [], []
    for sample in gallery.samples:
        try:
            src = thumbnail_uri(sample.path, sample.path.stat().st_mtime_ns)
        except XaiError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{sample.path.name} cannot be read: {error.strerror or error}.")
        else:
            items.append({"id": sample.name, "title": sample.title, "src": src})
    if problems:
        others = f" {len(problems) - 1} more files of {gallery.title} cannot be read." if len(problems) > 1 else ""
        st.warning(problems[0] + others, icon=":material/broken_image:")
    if not items:
        return None
    name = components.gallery(items, f"Pictures of {gallery.title}", key=f"gallery.{gallery.name}", step=_stepped())
    sample = next(sample for sample in gallery.samples if sample.name == name)
    try:
        picture = _opened(str(sample.path), sample.path.stat().st_mtime_ns, sample)
    except (XaiError, OSError) as error:
        st.error(str(error), icon=":material/error:")
        return None
    about = [picture.title, picture.licence, picture.source]
    st.caption(" · ".join(part for part in about if part))
    return picture


def _stepped() -> int:
    return int(st.session_state.pop("picture.step", 0))


@st.cache_resource(show_spinner=False, max_entries=32)
def _opened(path: str, changed: int, _sample: Sample) -> Picture:
    return _sample.open()


def _uploaded() -> Picture | None:
    file = st.file_uploader(
        "A picture",
        type=[suffix.lstrip(".") for suffix in SUFFIXES],
        max_upload_size=settings.current().max_upload_mb,
        key="upload",
        label_visibility="collapsed",
        on_change=lambda: st.session_state.pop("uploaded", None),
    )
    kept = st.session_state.get("uploaded")  # another page's file is still the picture, though its name is not shown
    if file is None and kept is None:
        st.caption("Choose a picture. It goes to this server and nowhere else; results stay in its cache.")
        return None
    if file is not None and (kept is None or kept[0] != file.file_id):
        try:
            kept = (file.file_id, open_picture(file.getvalue(), name=file.name), "")
        except XaiError as error:
            kept = (file.file_id, None, str(error))
        st.session_state.uploaded = kept
    _, picture, sentence = kept
    if sentence:
        st.error(sentence, icon=":material/error:")
    elif picture is not None:
        st.caption(f"{picture.name} · {picture.size[1]} x {picture.size[0]} pixels")
    return picture
