"""People's newest masks of a picture, and what is computed of them: once for the versions that they are.

A version never changes, so that its id and the database that it is in say all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import streamlit as st

from xai_core import settings
from xai_core.masks import consensus as ways
from xai_core.masks.agreement import Agreement, disagreement
from xai_core.render.encoding import photo_uri
from xai_core.render.outlines import colours, filled, outlined, shown_mask, shown_picture
from xai_core.render.pipeline import map_picture
from xai_core.store import database, pictures, projects
from xai_core.store.projects import Project
from xai_core.store.versions import Version, mask_of, versions
from xai_core.types import Bools, Mask, Pixels

STRIP = 420
"""Pixels of the longer side of a small picture."""
MORE_COLOUR = "#0072b2"

Key = tuple[tuple[tuple[str, int], ...], str, str]
Newest = dict[str, Version]
"""Each annotator's newest version of a picture, by name."""


def newest(found: Iterable[Version]) -> dict[str, Newest]:
    """The newest of versions, oldest first, by picture and name."""
    latest: dict[str, Newest] = {}
    for version in found:
        latest.setdefault(version.picture, {})[version.annotator] = version
    return {picture: dict(sorted(people.items())) for picture, people in latest.items()}


def of_pictures(name: str, project: int | None, picture: str | None = None) -> dict[str, Newest]:
    """The newest versions by picture, of one project or of all masks, as far as this person may see them.

    Masks of a project that is open are shown to its owner, and to whoever has submitted one of the same picture there:
    the own one, and of others no more than are wanted.
    """
    blind: dict[int | None, int] = {one.id: one.wanted for one in projects.projects() if one.owner != name}
    found = versions(picture, project=project)
    own = {(one.picture, one.project) for one in found if one.annotator == name}
    return newest(
        cut([one for one in found if one.project not in blind or (one.picture, one.project) in own], name, blind)
    )


def cut(found: Sequence[Version], name: str, wanted: Mapping[int | None, int]) -> list[Version]:
    """Of versions, oldest first, those of no more people per picture than a project wants: of this one and the first.

    Everybody draws hidden controls, so that nobody can tell one by the number of its masks.
    """
    people: dict[tuple[str, int | None], set[str]] = {}
    for one in found:
        if one.annotator == name:
            people[one.picture, one.project] = {name}
    kept = []
    for one in found:
        who = people.setdefault((one.picture, one.project), set())
        if one.annotator in who or one.project not in wanted or len(who) < wanted[one.project]:
            who.add(one.annotator)
            kept.append(one)
    return kept


def mask(version: Version) -> Mask:
    """A version's mask."""
    return _mask(version.id, where())


def where() -> str:
    """The database and the folder that all of it is in."""
    return f"{database.address()} {settings.current().data}"


@st.cache_resource(show_spinner=False, max_entries=24)
def _mask(number: int, where: str) -> Mask:
    return mask_of(number)


@st.cache_resource(show_spinner=False, max_entries=24)
def _shrunk(picture: str, where: str) -> Pixels:
    return shown_picture(pictures.open_registered(picture).pixels)


def outlines(picture: str, people: Newest, colour: Mapping[str, str]) -> str:
    """The picture with everybody's outline, as a data URI."""
    ids = {name: version.id for name, version in people.items()}
    return _outlines(picture, tuple(ids.items()), tuple(colour[name] for name in ids), where())


@st.cache_data(show_spinner=False, max_entries=64)
def _outlines(picture: str, ids: Sequence[tuple[str, int]], colour: Sequence[str], where: str) -> str:
    masks = {name: _mask(number, where).values for name, number in ids}
    names = [name for name, _ in ids]
    return photo_uri(_drawn_over(picture, where, masks, dict(zip(names, colour, strict=True))))


def _drawn_over(picture: str, where: str, masks: Mapping[str, Bools], colour: Mapping[str, str]) -> Pixels:
    pixels = _shrunk(picture, where)
    return outlined(pixels, {name: shown_mask(mask) for name, mask in masks.items()}, colour)


def agreement(people: Newest, way: str) -> Agreement:
    """How far the people of one picture agree, each held against the consensus of this name."""
    key = _key(people, way)
    known = _computed()
    if key not in known:
        masks = {name: mask_of(version.id).values for name, version in people.items()}
        known[key] = Agreement.of(masks, ways.consensus(way, list(masks.values())))
    return known[key]


def is_known(people: Newest, way: str) -> bool:
    """Whether the agreement was computed already, in this session or another one."""
    return _key(people, way) in _computed()


def _key(people: Newest, way: str) -> Key:
    return tuple((name, version.id) for name, version in people.items()), way, where()


@st.cache_resource(show_spinner=False)
def _computed() -> dict[Key, Agreement]:
    """A few numbers for each picture, which are kept; its masks are not."""
    return {}


def differences(picture: str, people: Newest) -> str:
    """Where people disagree, over the grey picture, as a data URI."""
    return _differences(picture, tuple(version.id for version in people.values()), where())


@st.cache_data(show_spinner=False, max_entries=64)
def _differences(picture: str, ids: tuple[int, ...], where: str) -> str:
    masks = [shown_mask(_mask(number, where).values) for number in ids]
    return photo_uri(map_picture(_shrunk(picture, where), disagreement(masks), signed=False))


def consensuses(picture: str, people: Newest) -> dict[str, tuple[str, float]]:
    """Every consensus over the picture as a data URI, and the part of the picture that is object in it, by name."""
    return _consensuses(picture, tuple(version.id for version in people.values()), where())


@st.cache_data(show_spinner=False, max_entries=64)
def _consensuses(picture: str, ids: tuple[int, ...], where: str) -> dict[str, tuple[str, float]]:
    masks = [_mask(number, where).values for number in ids]
    pixels = _shrunk(picture, where)
    found = {name: ways.consensus(name, masks) for name in ways.CONSENSUS}
    return {
        name: (photo_uri(filled(pixels, shown_mask(one), MORE_COLOUR, STRIP)), float(one.mean()))
        for name, one in found.items()
    }


def controls(project: Project) -> dict[str, dict[str, float]]:
    """IoU with the known mask of each annotator's mask of each control, by name and picture: for the owner alone."""
    ids = tuple(version.id for version in versions(project=project.id))
    marks = tuple(one.picture for one in projects.entries_of(project.id) if one.control)
    return _controls(project.id, project.owner, ids, marks, where()) if marks else {}


@st.cache_data(show_spinner=False, max_entries=8, ttl=30)
def _controls(
    project: int, owner: str, ids: tuple[int, ...], marks: tuple[str, ...], where: str
) -> dict[str, dict[str, float]]:
    return projects.control_results(project, owner)


def palette(people: Iterable[str]) -> dict[str, str]:
    """A colour for each person, the same wherever the same people are shown."""
    return colours(sorted(people))


def legend(colour: Mapping[str, str]) -> None:
    """Whose outline has which colour."""
    st.html(
        '<div class="legend">'
        + "".join(f'<span><i style="background: {one}"></i>{escape(name)}</span>' for name, one in colour.items())
        + "</div>"
    )


def wide(src: str, alt: str) -> None:
    """A picture as wide as its column, and no higher than the window."""
    st.html(f'<div class="wide"><img src="{src}" alt="{escape(alt)}"></div>')
