"""The object of a picture: a mask that people have drawn in the studio, their consensus, or an uploaded file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

from pages.parts import drawn, person
from xai_core import settings
from xai_core.masks.consensus import CONSENSUS, consensus
from xai_core.masks.reading import open_mask
from xai_core.masks.starters import starter
from xai_core.store.versions import versions
from xai_core.types import Mask, Picture, XaiError

NONE, UPLOAD, STARTER = "none", "upload", "starter"


@dataclass(frozen=True)
class Chosen:
    """The mask that scores use, if any, and every person's mask of the picture by name."""

    mask: Mask | None = None
    people: Mapping[str, Mask] = field(default_factory=dict)


def choose(picture: Picture) -> Chosen:
    """The chosen mask of this picture; says what is wrong with a file, and where a mask can be drawn."""
    try:
        people = _drawn(picture.digest)
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        people = {}
    kinds = _kinds(picture, people)
    source = UPLOAD
    if kinds:
        source = st.selectbox(
            "Object mask",
            [*kinds, UPLOAD, NONE],
            format_func=lambda name: kinds.get(name) or {UPLOAD: "Upload a file", NONE: "No mask"}[name],
            help="Which pixels belong to the object, for the localisation scores.",
            key=f"mask.source.{picture.digest[:12]}.{len(people)}",
        )
    mask = _uploaded(picture) if source == UPLOAD else _mask(source, picture, people)
    if mask is not None:
        st.caption(f"{mask.name}: {mask.values.mean():.0%} of the picture is object")
    label = "Draw one more in the studio" if people else "Draw the object in the studio"
    st.page_link("pages/annotate.py", label=label, icon=":material/draw:", query_params={"project": "free"})
    return Chosen(mask, people)


def _kinds(picture: Picture, people: Mapping[str, Mask]) -> dict[str, str]:
    """What there is to choose from and its titles, the best first: the consensus of several, then each person."""
    several = CONSENSUS if len(people) > 1 else {}
    kinds = {f"consensus {name}": f"{title} of {len(people)} people" for name, (title, _) in several.items()}
    kinds |= {f"person {name}": f"Drawn by {name}" for name in people}
    if starter(picture) is not None:
        kinds[STARTER] = "Starter mask"
    return kinds


def _mask(source: str, picture: Picture, people: Mapping[str, Mask]) -> Mask | None:
    kind, _, name = source.partition(" ")
    if kind == "consensus":
        values = _agreed(name, tuple(mask.digest for mask in people.values()), list(people.values()))
        if not values.values.any():
            st.caption("No pixel belongs to this consensus: choose another one.")
            return None
        return values
    if kind == "person":
        return people[name]
    return starter(picture) if kind == STARTER else None


@st.cache_resource(show_spinner=False, max_entries=64)
def _agreed(name: str, digests: tuple[str, ...], _masks: list[Mask]) -> Mask:
    title, _ = CONSENSUS[name]
    return Mask(consensus(name, [one.values for one in _masks]), f"{title} of {len(_masks)} people")


def _drawn(digest: str) -> dict[str, Mask]:
    """Each person's newest mask of a picture, by name, as far as whoever looks may see it; says what is hidden."""
    name = person.known()
    found = drawn.of_pictures(name, None, digest).get(digest, {})
    there = versions(digest)
    mine = {one.project for one in there if one.annotator == name}
    if {one.annotator for one in there if one.project not in mine} - set(found):
        st.caption("Masks of an open project are hidden until you have submitted yours.")
    return {name: drawn.mask(version) for name, version in found.items()}


def _uploaded(picture: Picture) -> Mask | None:
    from xai_core.engine.requests import check_mask

    file = st.file_uploader(
        "Object mask (for IoU)",
        type=["png", "bmp", "gif", "tif", "tiff", "webp"],
        max_upload_size=settings.current().max_upload_mb,
        help="A picture of the same size in which the object is white and everything else black.",
        key="mask",
    )
    if file is None:
        return None
    try:
        mask = open_mask(file.getvalue(), name=file.name)
        check_mask(mask, picture)
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return None
    return mask
