"""Projects: who draws what, how far everybody is, review, agreement, and masks in and out."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.parts import accord, backend, components, exchanging, owning, person, review, standing
from pages.parts.telling import escaped
from xai_core.store import projects
from xai_core.store.projects import Project
from xai_core.types import XaiError

NEW, ALL = "new", "all"
VIEWS = {
    "progress": ":material/checklist: Progress",
    "review": ":material/rate_review: Review",
    "agreement": ":material/join_inner: Agreement",
    "exchange": ":material/swap_vert: Files",
    "settings": ":material/settings: Settings",
}


def main() -> None:
    components.inside_app()
    backend.engine().want(backend.session(), [])
    try:
        _show()
    except XaiError as error:
        st.error(str(error), icon=":material/error:")


def _show() -> None:
    with st.sidebar:
        name = person.name("Projects are made under it")
        chosen = _choose(name)
    owning.tell_problems()
    if not name:
        st.info("Write your name on the left to begin.", icon=":material/person:")
    elif chosen == NEW:
        owning.make(name, _go_to)
    elif chosen == ALL:
        st.subheader("All masks", anchor=False)
        st.caption("Every submitted mask: of all projects, of free drawing, and imported ones.")
        _view(None, name, ["review", "agreement", "exchange"])
    else:
        project = projects.project_of(int(chosen))
        _head(project)
        mine = project.owner == name
        _view(project, name, list(VIEWS) if mine else ["progress", "review", "agreement"])


def _choose(name: str) -> str:
    """A project's id, `NEW` or `ALL`; the address leads to it again."""
    closed = st.session_state.get("projects.closed", False)
    found = {str(one.id): one for one in projects.projects(closed=True)}
    open_ones = [one for one, project in found.items() if closed or project.closed is None]
    asked = st.query_params.get("project")
    if asked is not None and asked != st.session_state.get("projects.address"):
        st.session_state["projects.chosen"] = asked
    chosen = st.session_state.get("projects.chosen")
    if chosen in found and chosen not in open_ones:
        open_ones.append(str(chosen))
    options = [*open_ones, ALL, NEW]
    if chosen not in options:
        mine = [one for one in open_ones if found[one].owner == name]
        chosen = [*mine, *open_ones, NEW][0]
    chosen = str(
        st.selectbox(
            "Project",
            options,
            index=options.index(str(chosen)),
            format_func=lambda one: {ALL: "All masks", NEW: "A new project"}.get(one) or _title(found[one]),
        )
    )
    if any(one.closed for one in found.values()):
        st.toggle("Closed projects too", key="projects.closed", persist_state="session")
    if chosen != NEW:
        st.button("New project", icon=":material/add:", on_click=_go, args=(NEW,), key="projects.new", width="stretch")
    st.session_state["projects.chosen"] = st.session_state["projects.address"] = chosen
    st.query_params["project"] = chosen
    return chosen


def _title(project: Project) -> str:
    return f"{project.name} (closed)" if project.closed else project.name


def _go(chosen: str) -> None:
    st.session_state["projects.chosen"] = chosen


def _go_to(project: Project) -> None:
    _go(str(project.id))
    st.session_state["projects.view"] = "progress"
    st.rerun()


def _head(project: Project) -> None:
    closed = " :gray-badge[closed]" if project.closed else ""
    st.subheader(f"{escaped(project.name)}{closed}", anchor=False)
    st.caption(f"{escaped(project.owner)}'s project")


def _view(project: Project | None, name: str, names: list[str]) -> None:
    if st.session_state.get("projects.view") not in names:
        st.session_state["projects.view"] = names[0]
    chosen = st.segmented_control(
        "View",
        names,
        required=True,
        format_func=lambda one: VIEWS[one] if project or one != "review" else ":material/visibility: Masks",
        key="projects.view",
        label_visibility="collapsed",
    )
    if project is None:
        views: dict[str, Callable[[], None]] = {
            "review": lambda: review.show(None, name),
            "agreement": lambda: accord.show(None, name),
            "exchange": lambda: exchanging.show(None, name),
        }
    else:
        views = {
            "progress": lambda: standing.show(project, name),
            "review": lambda: review.show(project, name),
            "agreement": lambda: accord.show(project, name),
            "exchange": lambda: exchanging.show(project, name),
            "settings": lambda: owning.change(project, name),
        }
    views[str(chosen)]()


main()
