"""A new study: what it asks, of which pictures, models and methods, and what it costs before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import streamlit as st

from pages.parts import background, forms, studies
from pages.parts.telling import attempt, count
from xai_core import settings
from xai_core.classifiers import weights
from xai_core.classifiers.cards import Card
from xai_core.images import galleries
from xai_core.masks.consensus import CONSENSUS
from xai_core.registry import FAMILIES, METHODS, MODELS, STUDIES, Parameters, Spec
from xai_core.render.numbers import duration
from xai_core.store.annotators import annotators
from xai_core.studies.base import Study
from xai_core.studies.pictures import GALLERY, open_set
from xai_core.studies.plan import OWN, Choice
from xai_core.types import XaiError

WHOSE = {
    "all": "Everybody's, Majority",
    **{name: f"Everybody's, {title}" for name, (title, _) in CONSENSUS.items() if name != "majority"},
    "starter": "Starter masks",
    "none": "None",
}
FIRST = "imagenet50"
"""The study that is planned until somebody chooses another one."""
LIMIT = 10
FOLDERS = 2000
"""Folders in a folder of pictures that are offered at most."""


def form(started: Callable[[str], None]) -> None:
    """The form of a new study; `started` is called with the name of one that was put into the line."""
    st.subheader("A new study", anchor=False)
    left, right = st.columns([2, 3], gap="large", vertical_alignment="bottom")
    name = str(
        left.selectbox(
            "Study",
            sorted(STUDIES.entries(), key=lambda one: one != FIRST),
            format_func=lambda one: STUDIES[one].title,
            key="study.name",
        )
    )
    spec = STUDIES[name]
    with right:
        st.markdown(spec.summary)
    if spec.cites:
        st.caption("; ".join(spec.cites))
    kind: Any = spec.make()
    values: dict[str, Any] = {"study": name}
    left, right = st.columns(2, gap="large")
    above, below = left.container(), left.container()
    with below:
        preset, seed = st.columns([2, 1], vertical_alignment="bottom")
        with preset:
            values["preset"] = forms.effort("study.preset")
        values["seed"] = int(seed.number_input("Seed", 0, 2**31, 0, key="study.seed", help="All chance follows it."))
    with right:
        values |= _what(kind, name)
        values |= _parameters(spec, values)
    with above:
        if kind.of_pictures:
            values |= _pictures()
        elif OWN in values["set_study"].values():
            values |= _own()
        else:
            st.caption("This study has pictures of its own, and trains networks with them.")
    _start(values, started)


# -- pictures ----------------------------------------------------------------------------------------------------------


def places() -> dict[str, str]:
    """The titles of all that a study may look at, by address: galleries, and the folders that the settings name.

    Nothing else can be named from a browser, so that nobody reads the server's disk.
    """
    found = {f"{GALLERY}{one.name}": one.title for one in galleries.galleries() if not one.name.startswith("folder:")}
    annotated = settings.current().data / "pictures"
    if annotated.is_dir():
        found[str(annotated)] = "Pictures of projects"
    folders = galleries.titles(settings.current().picture_folders, found.values())
    return found | {str(path): title for path, title in folders.items()}


def _pictures() -> dict[str, Any]:
    known = places()
    where = str(
        st.selectbox(
            "Pictures",
            list(known),
            format_func=known.get,
            help="Photos, Imagenet50, and the folders in XAI_PICTURES_DIR: flat, in class folders, or with a "
            "labels.csv (columns file and label). Where classes are known, accuracy is measured too.",
            key="study.pictures",
        )
    )
    if not where.startswith(GALLERY):
        where = _folder(where)
    problem, there = "", 0
    try:
        found = open_set(where)
        there, labelled = len(found.entries), found.labelled
    except XaiError as error:
        problem, labelled = str(error), False
    number, masks = st.columns(2, vertical_alignment="bottom")
    st.session_state.setdefault("study.limit", LIMIT)  # as the widget's own value, an empty field would mean it
    limit = number.number_input(
        "Pictures at most",
        1,
        value=None,
        placeholder="all",
        help="The first so many by name; an empty field takes all.",
        key="study.limit",
    )
    people = {name: name for name in annotators() if name not in {*WHOSE, *CONSENSUS}}
    whose = masks.selectbox(
        "Object masks",
        [*WHOSE, *people],
        format_func={**WHOSE, **people}.get,
        help="The truth for the localisation scores, which are undefined without it. Everybody's is a consensus of "
        "what people have drawn (the pixels of more than half, of anybody, of all, or STAPLE's estimate), and the "
        "starter mask where nobody has.",
        key="study.masks",
    )
    if problem:
        st.warning(problem, icon=":material/folder_off:")
        if where == f"{GALLERY}imagenet50" and settings.current().imagenet50_dir is None:
            from xai_core.images import imagenet50

            background.button("Download Imagenet50", "imagenet50", imagenet50.download)
    else:
        classes = "their classes are known" if labelled else "without class labels"
        st.caption(f"{count(there, 'picture')} there, {classes}.")
    return {"pictures": where, "limit": None if limit is None else int(limit), "masks": whose}


def _own() -> dict[str, Any]:
    """A folder for a study that trains networks."""
    folders = {where: title for where, title in places().items() if not where.startswith(GALLERY)}
    if not folders:
        st.warning("There are no folders to choose from: XAI_PICTURES_DIR names them.", icon=":material/folder_off:")
        return {}
    root = st.selectbox("Pictures", list(folders), format_func=folders.get, key="study.own")
    return {"pictures": _folder(str(root))}


def _folder(root: str) -> str:
    """The folder itself, or one in it."""
    inside = _folders(root)
    if not inside:
        return root
    chosen = st.selectbox(
        "Folder",
        ["", *inside],
        format_func=lambda one: one or "All of it",
        help="Pictures of a folder have its name as their class when all of it is chosen.",
        key=f"study.folder.{root}",
    )
    return str(Path(root) / chosen) if chosen in inside else root


@st.cache_data(show_spinner=False, max_entries=16, ttl=30)
def _folders(root: str) -> list[str]:
    try:
        found = [one.name for one in Path(root).iterdir() if one.is_dir() and not one.name.startswith(".")]
    except OSError:
        return []
    return sorted(found)[:FOLDERS]


# -- models and methods ------------------------------------------------------------------------------------------------


def _what(kind: Study, name: str) -> dict[str, Any]:
    models = _models(kind, name) if kind.of_pictures else ()
    methods: Sequence[str] = ()
    if kind.of_methods:
        methods = st.multiselect(
            "Methods",
            _methods(),
            default=[one for one in kind.default_methods if one in _methods()],
            format_func=studies.method_title,
            help="Random, centre and edge maps stand beside them anyway. Those behind a dot have the settings of a "
            "published study.",
            placeholder="Choose methods",
            key=f"study.methods.{name}",
        )
    return {"models": tuple(models), "methods": tuple(methods)}


def _models(kind: Study, name: str) -> Sequence[str]:
    """The chosen models; those that are not here can be downloaded."""
    cards: Mapping[str, Card] = MODELS.entries()
    ready = {one: weights.status(card).state == "ready" for one, card in cards.items()}
    models: Sequence[str] = st.multiselect(
        "Models",
        sorted(cards, key=lambda one: not ready[one]),
        default=[one for one in kind.default_models if one in cards],
        format_func=lambda one: cards[one].title + ("" if ready[one] else " · ↓"),
        help="↓ marks those whose weights are still to be downloaded.",
        placeholder="Choose models",
        key=f"study.models.{name}",
    )
    for one in models:
        if not ready[one]:
            background.weights_needed(cards[one])
    return models


def _methods() -> list[str]:
    """Every method, family by family, each followed by itself under the settings of published studies."""
    specs = sorted(METHODS, key=lambda spec: list(FAMILIES).index(spec.family))
    return [name for spec in specs for name in (spec.name, *(f"{spec.name}@{one}" for one in spec.studies))]


def _parameters(spec: Spec, values: Mapping[str, Any]) -> dict[str, Any]:
    """What is set otherwise than the effort says."""
    preset, methods = str(values["preset"]), list(values.get("methods", ()))
    found: dict[str, Any] = {"set_study": {}, "set": {}}
    options = [name for name in methods if METHODS[name.partition("@")[0]].options]
    chosen: dict[str, Parameters] = {}
    if not (spec.options or options):
        return found
    with st.expander("Parameters", icon=":material/tune:"):
        if spec.options:
            st.markdown(f"**{spec.title}**")
            found["set_study"] = _changed(spec, preset, forms.parameters(spec, preset, kind="study."))
        for name in options:
            method, _, label = name.partition("@")
            start = label or preset
            one = METHODS[method]
            st.markdown(f"**{studies.method_title(name)}**", help=one.summary)
            given = one.make({}, start).model_dump()
            skip = frozenset({"implementation"})
            chosen[name] = forms.parameters(one, preset, skip, f"study.{name}.", given, published=False)
    for name in sorted(chosen, key=lambda one: "@" in one):
        method, _, label = name.partition("@")
        below = found["set"].get(method, {}) if label else {}  # which those with a label have, too
        changed = _changed(METHODS[method], label or preset, chosen[name], below)
        if changed:
            found["set"][name] = changed
    return found


def _changed(
    spec: Spec, preset: str, chosen: Parameters, below: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """What has to be set to get what is `chosen`, above the preset and what is set `below`."""
    start = {**spec.make({}, preset).model_dump(mode="json"), **below}
    return {name: value for name, value in chosen.model_dump(mode="json").items() if value != start[name]}


# -- what it costs -----------------------------------------------------------------------------------------------------


def _start(values: Mapping[str, Any], started: Callable[[str], None]) -> None:
    st.divider()
    words, button = st.columns([4, 1], vertical_alignment="center")
    choice, sentence = None, ""
    try:
        choice = Choice.model_validate(values)
        sentence = _cost(choice)
    except XaiError as error:
        words.error(str(error), icon=":material/error:")
    missing = _missing(values)
    if sentence:
        words.markdown(sentence)
    if missing:
        words.caption(missing)
    if (
        button.button(
            "Start",
            icon=":material/play_arrow:",
            type="primary",
            key="study.start",
            width="stretch",
            disabled=not sentence or bool(missing),
        )
        and choice is not None
    ):
        name = attempt(studies.desk().start, choice)
        if name is not None:
            started(name)


def _missing(values: Mapping[str, Any]) -> str:
    """What has to be chosen or downloaded first."""
    kind: Any = STUDIES[values["study"]].make()
    if kind.of_pictures and not values["models"]:
        return "Choose a model first."
    if kind.of_methods and not values["methods"]:
        return "Choose a method first."
    late = [MODELS[name].title for name in values["models"] if weights.status(MODELS[name]).state != "ready"]
    return f"{' and '.join(late)} must be downloaded first." if late else ""


def _cost(choice: Choice) -> str:
    """What it takes, in a sentence or two; raises `XaiError` where it cannot be done."""
    if _missing(choice.model_dump()):
        return ""
    found = studies.size(choice)
    each = studies.pace(choice)
    takes = (
        f"about **{duration(each * found.passes)}**, as fast as the last such study"
        if each is not None
        else "how long that takes is told after the first results"
    )
    return f"**{found.units:,}** results, at most **{found.passes:,}** passes through the network; {takes}."
