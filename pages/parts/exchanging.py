"""Masks in and out: a ZIP for other tools, and files of theirs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from pages.parts import drawn
from pages.parts.choosing import File
from pages.parts.telling import count
from xai_core import settings
from xai_core.images import galleries
from xai_core.images.galleries import Sample
from xai_core.masks.exchange import FORMATS, NamedMask, export_masks, import_masks
from xai_core.masks.exchange.archive import archived, unpack
from xai_core.masks.exchange.named import plain_name
from xai_core.store import pictures, projects, versions
from xai_core.store.projects import Project
from xai_core.types import Picture, XaiError

TITLES = {
    "png": "PNG, white on black",
    "npz": "NPZ of numpy",
    "coco": "COCO, run lengths",
    "coco-polygon": "COCO, polygons",
    "label-studio": "Label Studio, brush",
}
SUFFIXES = (".png", ".npz", ".json")


def show(project: Project | None, name: str) -> None:
    """Export of a project's masks or of all, and import, which belongs to no project."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Export")
        _export(project, name)
    with right:
        st.subheader("Import")
        if project is None:
            _import(name)
        else:
            st.caption("Imported masks count as submitted and need no project: choose All masks on the left.")


# -- out ---------------------------------------------------------------------------------------------------------------


def _export(project: Project | None, name: str) -> None:
    newest = drawn.of_pictures(name, project.id if project else None)
    if project is not None:
        there = {one.picture for one in projects.entries_of(project.id)}
        newest = {picture: people for picture, people in newest.items() if picture in there}
    if not newest:
        st.caption("There are no masks to export yet.")
        return
    ids = tuple(version.id for people in newest.values() for version in people.values())
    people = {name for found in newest.values() for name in found}
    st.caption(f"The newest {count(len(ids), 'mask')} of {count(len(people), 'annotator')}.")
    format_ = str(
        st.selectbox("Format", list(FORMATS), format_func=lambda one: TITLES.get(one, one), key="export.format")
    )
    wanted = (ids, format_)
    if st.button("Prepare the ZIP", icon=":material/folder_zip:", key="export.prepare"):
        st.session_state["export.ready"] = wanted
    if st.session_state.get("export.ready") == wanted:
        with st.spinner("Writing the masks"):
            data = _archive(ids, format_, drawn.where())
        st.download_button(
            f"Download {len(data) / 1e6:.1f} MB",
            data,
            f"masks-{format_}.zip",
            "application/zip",
            icon=":material/download:",
            type="primary",
            on_click="ignore",
            key="export.download",
        )


@st.cache_data(show_spinner=False, max_entries=2)
def _archive(ids: tuple[int, ...], format_: str, where: str) -> bytes:
    """What `masks export` writes, as a ZIP."""
    known = {one.digest: one.name for one in pictures.registered()}
    masks = []
    for number in ids:
        version = versions.version(number)
        values = versions.mask_of(number).values
        masks.append(NamedMask.of(known[version.picture], version.picture, version.annotator, values))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "masks"
        export_masks(masks, format_, out)
        return archived(out)


# -- in ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """A registered picture that is opened when a mask is named after it."""

    name: str
    digest: str

    def open(self) -> Picture:
        """Decodes it; raises `XaiError` where its file is gone."""
        return pictures.open_registered(self.digest)


@dataclass(frozen=True)
class Taken:
    """What became of an import: how many masks were kept, of whom, and a sentence for each that was not."""

    masks: int
    people: tuple[str, ...]
    problems: tuple[str, ...]


def _import(name: str) -> None:
    st.caption(
        "PNG, NPZ, or JSON of COCO or Label Studio, called as their pictures; or a ZIP of them, with a folder for each "
        "annotator. Pictures are known when they are in a gallery or were opened in the studio."
    )
    files = st.file_uploader(
        "Masks",
        type=["zip", *(suffix.lstrip(".") for suffix in SUFFIXES)],
        accept_multiple_files=True,
        max_upload_size=max(200, settings.current().max_upload_mb),
        key="import.files",
        label_visibility="collapsed",
    )
    whose = st.text_input(
        "Whose masks they are",
        key="import.annotator",
        max_chars=80,
        placeholder="As the folders or files say",
        help="Needed where neither a folder of the ZIP nor the file itself names the annotator.",
    )
    if st.button("Import", icon=":material/upload:", type="primary", disabled=not files, key="import.start"):
        bar = st.progress(0.0)
        taken = take(files or (), " ".join(whose.split()) or None, name, bar.progress)
        bar.empty()
        if taken.masks:
            st.success(
                f"Took {count(taken.masks, 'mask')} by {', '.join(taken.people)}.", icon=":material/check_circle:"
            )
        if taken.problems:
            title = f"{count(len(taken.problems), 'file or mask', 'files or masks')} not taken"
            with st.expander(title, expanded=True, icon=":material/error:"):
                for problem in taken.problems:
                    st.text(problem)


def take(files: Sequence[File], annotator: str | None, who: str, step: Callable[[float, str], object]) -> Taken:
    """Keeps the masks of uploaded files; each file by itself, so that one that is wrong leaves the others alone."""
    kept, problems = 0, []
    once: set[tuple[str | None, str]] = set()
    people: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        sources, found = _sources(), []
        for at, file in enumerate(files):
            try:
                found += list(_unpacked(file, Path(folder) / str(at)))
            except XaiError as error:
                problems.append(str(error))
        for done, (path, person) in enumerate(found):
            step(done / len(found), f"Reading {path.name}")
            try:
                masks = import_masks(path, sources)
            except XaiError as error:
                problems.append(str(error))
                continue
            for named in masks:
                whose = annotator or named.annotator or person
                if (whose, named.digest) in once:
                    problems.append(f"{path.name}: there is another mask of {named.picture} by {whose}.")
                    continue
                once.add((whose, named.digest))
                try:
                    kept += _keep(named, whose, who, sources)
                    people.add(str(whose))
                except XaiError as error:
                    problems.append(str(error))
    return Taken(kept, tuple(sorted(people)), tuple(dict.fromkeys(problems)))


def _keep(named: NamedMask, whose: str | None, who: str, sources: Sequence[Known | Sample]) -> int:
    if whose is None:
        raise XaiError(f"Nothing says whose mask of {named.picture} it is: write a name above.")
    known = any(isinstance(one, Known) and one.digest == named.digest for one in sources)
    if not known:
        pictures.register(next(one for one in sources if plain_name(one.name) == named.picture).open())
    versions.import_mask(whose, named.digest, named.mask, who)
    return 1


def _sources() -> list[Known | Sample]:
    """All pictures that a mask may belong to: the registered ones, and those of galleries."""
    known = [Known(one.name, one.digest) for one in pictures.registered()]
    registered: dict[str, set[str]] = {}
    for one in known:
        registered.setdefault(one.name, set()).add(one.digest)
    samples = [sample for gallery in galleries.galleries() for sample in gallery.samples]
    return [*known, *(one for one in samples if not (one.name in registered and _digest(one) in registered[one.name]))]


def _digest(sample: Sample) -> str:
    try:
        return sample.open().digest
    except (XaiError, OSError):
        return ""


def _unpacked(file: File, folder: Path) -> Iterator[tuple[Path, str | None]]:
    """The files of masks in an upload, each with the name of the folder that it lies in."""
    folder.mkdir()
    name = Path(file.name).name
    if not name.lower().endswith(".zip"):
        (folder / name).write_bytes(file.getvalue())
        yield folder / name, None
        return
    unpack(file.getvalue(), folder, name)
    inside = [one for one in sorted(folder.rglob("*")) if one.is_file() and not _is_junk(one.relative_to(folder))]
    if not inside:
        raise XaiError(f"{name} holds no files: pack the masks into it.")
    for one in inside:
        yield one, one.parent.name if one.parent != folder else None


def _is_junk(path: Path) -> bool:
    """What systems put into archives by themselves."""
    return "__MACOSX" in path.parts or path.name.startswith(".") or path.name.lower() in {"thumbs.db", "desktop.ini"}
