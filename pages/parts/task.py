"""A project's task before an annotator: which picture, what is asked, how far it is, and the way to the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from pages.parts import owning, studio
from pages.parts.telling import attempt, escaped
from xai_core.store import pictures, projects, queue
from xai_core.store.database import Unanswered
from xai_core.store.projects import Project
from xai_core.store.queue import Assignment, OwnProgress
from xai_core.store.versions import Version
from xai_core.types import Picture, XaiError

FREE = "free"
"""The project's address while there is none."""


def choose() -> Project | None:
    """The project that is drawn for, or None for free drawing; the address leads to it again."""
    wanted = str(st.session_state.get("annotate.project", FREE))
    asked = st.query_params.get("project")
    if asked is not None and asked != st.session_state.get("annotate.address"):
        wanted = asked
    try:
        found = {str(one.id): one for one in projects.projects()}
    except Unanswered as error:
        if wanted != FREE:
            raise
        st.error(str(error), icon=":material/error:")  # free drawing goes on, and strokes wait in the browser
        found = {}
    if wanted != FREE and wanted not in found:
        st.warning("This project is closed or not there any more: choose another one.", icon=":material/lock:")
        wanted = FREE
    st.session_state["annotate.project"] = st.selectbox(
        "Draw",
        [FREE, *found],
        index=[FREE, *found].index(wanted),
        format_func=lambda one: "Free drawing" if one == FREE else found[one].name,
        help="A project gives out its pictures one after the other; in free drawing you choose them yourself.",
    )
    chosen = found.get(st.session_state["annotate.project"])
    st.session_state["annotate.address"] = str(chosen.id) if chosen else FREE
    if chosen is not None:
        st.query_params["project"] = str(chosen.id)
    elif "project" in st.query_params:
        del st.query_params["project"]
    return chosen


def current(project: Project, annotator: str) -> Assignment | None:
    """The picture before this annotator: the one that was gone to, else what the queue gives; None for none."""
    place = _place(project, annotator)
    kept = st.session_state.get(place)
    if kept:
        try:
            return queue.assignment_of(project.id, annotator, kept)
        except XaiError:  # it was taken out of the project
            pass
    found = queue.next_picture(project.id, annotator)
    st.session_state[place] = found.picture if found else None
    return found


def start_at(project: Project, annotator: str, address: str) -> None:
    """Goes to the picture that an address names by its digest; one that is not in the project is left alone."""
    if address and "/" not in address and _place(project, annotator) not in st.session_state:
        known = [one.picture for one in projects.entries_of(project.id) if one.picture.startswith(address)]
        allowed = {one.picture for one in queue.worked_on(project.id, annotator)}
        st.session_state[_place(project, annotator)] = next((one for one in known if one in allowed), None)


def address(task: Assignment) -> str:
    """What leads to the picture again."""
    return task.picture[:16]


def go(project: Project, annotator: str, by: int) -> None:
    """From the picture that is shown to the one before it, or after it, or to one that is not annotated yet."""
    place = _place(project, annotator)
    here = st.session_state.get(place)
    walk = [one.picture for one in queue.worked_on(project.id, annotator)]
    at = walk.index(here) if here in walk else len(walk)
    if by < 0:
        st.session_state[place] = walk[max(0, at - 1)] if walk else here
    elif at + 1 < len(walk):
        st.session_state[place] = walk[at + 1]
    else:
        found = queue.next_picture(project.id, annotator, after=here)
        st.session_state[place] = found.picture if found else None


def submitted(project: Project, annotator: str, version: Version) -> None:
    """Goes on to what the queue gives next."""
    st.session_state[_place(project, annotator)] = None
    st.session_state["annotate.done"] = version
    studio.move()


@st.cache_resource(show_spinner=False, max_entries=8)
def opened(digest: str, where: str) -> Picture:
    """A registered picture of the data folder `where`."""
    return pictures.open_registered(digest)


def panel(project: Project, annotator: str, task: Assignment) -> None:
    """What is asked, how far it is, and what a reviewer has said."""
    progress = queue.own_progress(project.id, annotator)
    with st.container(key="task", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", key="task_head"):
            st.markdown(f"#### {escaped(task.question) or 'Draw the object'}", width="stretch")
            _standing(progress, task)
            _arrow("Previous picture", ":material/arrow_back:", partial(go, project, annotator, -1), "task.previous")
            _arrow("Next picture", ":material/arrow_forward:", partial(go, project, annotator, 1), "task.next")
        done = st.session_state.pop("annotate.done", None)
        if done is not None and done.picture != task.picture:
            st.toast(
                f"Submitted as version {done.number}; here is the next picture. The left arrow leads back.",
                icon=":material/task_alt:",
            )
        if task.state == "returned":
            said = escaped(task.comment)
            st.warning(f"**Returned by the reviewer:** {said}", icon=":material/assignment_return:")
        _instructions(project, first=not (progress.done or progress.returned))


def finished(project: Project, annotator: str) -> None:
    """What stands where nothing is left to draw."""
    progress = queue.own_progress(project.id, annotator)
    st.session_state.pop("annotate.done", None)
    with st.container(key="finished", horizontal_alignment="center"):
        st.markdown(f"### :material/celebration: Nothing is left to draw in {escaped(project.name)}")
        if progress.done:
            count = "1 picture" if progress.done == 1 else f"{progress.done} pictures"
            st.markdown(f"You have submitted {count}. Thank you! What a reviewer returns appears here again.")
        else:
            st.markdown("All its pictures have as many annotators as are wanted, or others are drawing them now.")
        if progress.done:
            st.button(
                "Look at what you have drawn",
                icon=":material/arrow_back:",
                on_click=partial(attempt, go, project, annotator, -1),
                key="task.back",
            )
        st.button("Look for more", icon=":material/refresh:", key="task.again")


def _place(project: Project, annotator: str) -> str:
    return f"annotate.at.{project.id}.{annotator}"


def _standing(progress: OwnProgress, task: Assignment) -> None:
    whole = progress.done + progress.left
    words = {"returned": "returned", "done": "submitted", "draft": "begun", "new": "new"}[task.state]
    colour = {"returned": "orange", "done": "green", "draft": "blue", "new": "gray"}[task.state]
    st.markdown(f":{colour}-badge[{words}] &nbsp; **{progress.done}** of {whole} done", width="content")


def _arrow(label: str, icon: str, action: Callable[[], None], key: str) -> None:
    st.button("", icon=icon, help=label, on_click=attempt, args=(action,), key=key, type="tertiary")


def _instructions(project: Project, first: bool) -> None:
    """What the project's owner has written, with examples; open while an annotator has submitted nothing."""
    examples = projects.examples_of(project.id)
    if not (project.instructions.strip() or examples):
        return
    with st.expander("Instructions", icon=":material/menu_book:", expanded=first):
        if project.instructions.strip():
            st.markdown(project.instructions)
        if examples:
            figures = st.columns(max(3, len(examples)))
            for place, example in zip(figures, examples, strict=False):
                uri = owning.example_uri(example.picture, example.mask.digest, example)
                place.image(uri, caption=example.caption or None, width="stretch")
