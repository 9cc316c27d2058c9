"""The studies that all browser sessions of this process share, and what is read of them once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from pages.parts import backend
from xai_core import settings
from xai_core.images import galleries
from xai_core.registry import METHODS, MODELS, STUDIES
from xai_core.studies.comparing import summary
from xai_core.studies.desk import Desk, Kept
from xai_core.studies.exhibits import Section
from xai_core.studies.exploring import of_every_map, scores_in
from xai_core.studies.pictures import GALLERY, Entry, open_set
from xai_core.studies.plan import Choice, Plan, Size, plan_of
from xai_core.studies.results import Log
from xai_core.types import XaiError

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Stamp = tuple[int, int]
"""How many files of rows a study has, and how long the newest one is: the rows are the same while it is."""


def desk() -> Desk:
    """The desk of the data folder, started on first use."""
    return _desk(settings.current().data / "studies")


@st.cache_resource(show_spinner=False)
def _desk(folder: Path) -> Desk:
    engine = backend.engine()  # not asked for on the desk's thread, which is no session
    return Desk(folder, lambda: engine, report)


def report(plan: Plan, out: Path) -> None:
    """Writes the report into a study's folder; raises `XaiError`, for one that was deleted too."""
    from xai_core.render.report import write_report

    if not out.is_dir():
        raise XaiError("This study is not there any more.")
    write_report(plan, out)


def plan(choice: Choice) -> Plan:
    """The plan of a choice; raises `XaiError` where it can not be carried out here any more."""
    return _plan(choice.model_dump_json(), _machine())


@st.cache_resource(show_spinner=False, max_entries=16, ttl=60)
def _plan(choice: str, machine: str) -> Plan:
    return plan_of(Choice.read(choice))


def size(choice: Choice) -> Size:
    """What a study would cost; raises `XaiError` where it cannot be carried out."""
    return _size(choice.model_dump_json(), _machine())


@st.cache_resource(show_spinner="Looking at the first picture", max_entries=64, ttl=600)
def _size(choice: str, machine: str) -> Size:
    return plan_of(Choice.read(choice)).size()


def _machine() -> str:
    """The settings that say what there is."""
    return settings.current().model_dump_json()


def entries(choice: Choice) -> dict[str, Entry]:
    """The pictures of a study by name; raises `XaiError` when they are gone."""
    return _entries(choice.pictures, choice.limit, _machine()) if choice.pictures else {}


@st.cache_resource(show_spinner=False, max_entries=8, ttl=60)
def _entries(pictures: str, limit: int | None, machine: str) -> dict[str, Entry]:
    return {entry.name: entry for entry in open_set(pictures, limit).entries}


def stamp(kept: Kept) -> Stamp:
    """What changes when there are more rows."""
    files = Log(kept.out).files()
    return len(files), files[-1].stat().st_size if files else 0


@st.cache_resource(show_spinner=False, max_entries=4)
def _rows(out: str, at: Stamp) -> pd.DataFrame:
    return Log(Path(out)).read()


def maps(kept: Kept, at: Stamp) -> pd.DataFrame:
    """The table of maps of a study, not to be changed."""
    return _maps(str(kept.out), at)


@st.cache_resource(show_spinner=False, max_entries=4)
def _maps(out: str, at: Stamp) -> pd.DataFrame:
    return of_every_map(_rows(out, at))


def sections(kept: Kept, at: Stamp) -> tuple[Sequence[Section], str]:
    """What a study shows so far, and a sentence where that is less than it should be."""
    return _sections(kept.choice.model_dump_json(), _machine(), str(kept.out), at)


@st.cache_resource(show_spinner=False, max_entries=4)
def _sections(choice: str, machine: str, out: str, at: Stamp) -> tuple[Sequence[Section], str]:
    there = _rows(out, at)
    try:
        plan = _plan(choice, machine)
        filled = [section.filled for section in plan.study.sections(plan, there)]
        return [one for one in filled if one.exhibits] or _means(there), ""
    except XaiError as error:
        return _means(there), str(error)
    except Exception as error:  # the page stays, and asks again when there are more rows
        log.exception("%s cannot be shown", out)
        return _means(there), f"Not all can be shown ({type(error).__name__}: {error}); the log has the details."


def _means(there: pd.DataFrame) -> Sequence[Section]:
    """The mean of everything, where a study has nothing to say yet."""
    scores = scores_in(of_every_map(there))
    return [Section("Means", [summary(there, scores, title="All scores so far")])] if scores else []


def pace(choice: Choice) -> float | None:
    """Seconds that a pass of these models took in the newest study with just them, one of the same kind if there is
    one; None where there was none."""
    known = [
        one
        for one in desk().studies()
        if set(one.choice.models) == set(choice.models) and one.standing.passes_done > 0 and one.standing.seconds > 1
    ]
    known.sort(key=lambda one: one.choice.study != choice.study)
    if not known or not (choice.models or known[0].choice.study == choice.study):
        return None  # each study that trains networks has a speed of its own
    return known[0].standing.seconds / known[0].standing.passes_done


def titles(found: Iterable[Kept]) -> dict[str, str]:
    """What lists of studies call each, by its name: no two the same, or nobody could tell them apart."""
    known = {one.name: (f"{one.begun:%d %b %H:%M:%S}", study_title(one.choice)) for one in found}
    plain = {name: " · ".join(words) for name, words in known.items()}
    marked = {name: f"{begun} · {name.rpartition('-')[2]} · {title}" for name, (begun, title) in known.items()}
    for named in (plain, marked):
        if len(set(named.values())) == len(named):
            return named
    return {name: f"{name} · {words}" for name, words in plain.items()}


def study_title(choice: Choice) -> str:
    return STUDIES[choice.study].title if choice.study in STUDIES.entries() else choice.study


def words(kept: Kept) -> str:
    """What was chosen, in a line."""
    choice = kept.choice
    models = [MODELS[name].title if name in MODELS.entries() else name for name in choice.models]
    methods = [method_title(name) for name in choice.methods]
    said = [pictures_title(choice), ", ".join(models), ", ".join(methods), f"{choice.preset} effort"]
    return " · ".join([*(one for one in said if one), f"seed {choice.seed}"])


def method_title(name: str) -> str:
    """The title of NAME or NAME@LABEL."""
    method, _, label = name.partition("@")
    known = METHODS[method].title if method in METHODS.entries() else method
    return f"{known} · {label}" if label else known


def pictures_title(choice: Choice) -> str:
    """The gallery or the folder, and how many of its pictures at most."""
    if not choice.pictures:
        return ""
    name = choice.pictures.removeprefix(GALLERY)
    found = Path(name).name
    if choice.pictures.startswith(GALLERY):
        found = next((one.title for one in galleries.galleries() if one.name == name), name)
    return found if choice.limit is None else f"{found}, the first {choice.limit}"
