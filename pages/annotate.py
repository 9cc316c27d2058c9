"""Annotate: ground-truth masks, drawn by hand and saved stroke by stroke; freely, or for a project."""

from __future__ import annotations

from functools import partial

import streamlit as st

from pages.parts import backend, compared, components, earlier, person, picture, studio, task
from xai_core import settings
from xai_core.store.projects import Project
from xai_core.store.versions import Version
from xai_core.types import Picture, XaiError


def main() -> None:
    components.inside_app()
    backend.engine().want(backend.session(), [])
    try:
        _show()
    except XaiError as error:
        st.error(str(error), icon=":material/error:")


def _show() -> None:
    address = st.query_params.get("picture", "")
    if "annotate.begun" not in st.session_state:
        st.session_state["annotate.begun"] = True
        picture.start_at(address)
    with st.sidebar:
        annotator = person.name()
        project = task.choose()
        chosen = picture.choose() if project is None else None
    if project is None:
        st.query_params["picture"] = picture.address()
    if not annotator:
        st.info("Write your name on the left to begin: your masks are kept under it.", icon=":material/person:")
    elif project is not None:
        _draw_for(project, annotator, address)
    elif chosen is None:
        st.info("Choose a picture on the left to begin.", icon=":material/image:")
    else:
        _draw(annotator, chosen, studio.Desk(annotator, chosen, submitted=_thank, go=picture.step))


def _draw_for(project: Project, annotator: str, address: str) -> None:
    task.start_at(project, annotator, address)
    before = task.current(project, annotator)
    if before is None:
        st.query_params.pop("picture", None)
        task.finished(project, annotator)
        return
    st.query_params["picture"] = task.address(before)
    task.panel(project, annotator, before)
    chosen = task.opened(before.picture, str(settings.current().data))
    desk = studio.Desk(
        annotator,
        chosen,
        submitted=partial(task.submitted, project, annotator),
        go=partial(task.go, project, annotator),
        project=project.id,
    )
    _draw(annotator, chosen, desk)


def _draw(annotator: str, chosen: Picture, desk: studio.Desk) -> None:
    """The canvas, and under it what the annotator has drawn before, and what others have, once that may be seen."""
    desk = desk.going_on(earlier.origin(annotator, chosen, desk.project))
    studio.studio(desk, partial(earlier.show, annotator, chosen, desk.project))
    compared.with_others(annotator, chosen, desk.project)


def _thank(version: Version) -> None:
    st.toast(f"Submitted as version {version.number}.", icon=":material/task_alt:")
    studio.move()


main()
