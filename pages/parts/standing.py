"""How far a project is, by picture and by person, and the link for annotators."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from statistics import fmean, median
from urllib.parse import urlsplit

import streamlit as st

from pages.parts import drawn
from pages.parts.review import choose_picture
from xai_core.render.numbers import duration
from xai_core.store import drafts, projects, queue
from xai_core.store.projects import Project
from xai_core.store.versions import Version, versions


def show(project: Project, name: str) -> None:
    """The whole project; what controls tell is for its owner alone."""
    mine = project.owner == name
    found = versions(project=project.id)
    progress = queue.progress(project.id)
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        part = progress.submitted / progress.wanted if progress.wanted else 0.0
        st.markdown(
            f"**{progress.submitted}** of {progress.wanted} masks submitted, **{progress.complete}** of "
            f"{progress.pictures} pictures complete"
        )
        st.progress(part)
    with right:
        st.caption("Link for annotators")
        st.code(link(project), language=None)
    _people(project, progress, found, mine)
    _pictures(project, found, name)


def link(project: Project) -> str:
    """The address at which annotators draw for a project."""
    here = urlsplit(st.context.url or "http://localhost:8501/projects")
    return f"{here.scheme}://{here.netloc}{here.path.rpartition('/')[0]}/annotate?project={project.id}"


def _people(project: Project, progress: queue.ProjectProgress, found: tuple[Version, ...], mine: bool) -> None:
    st.markdown("**Annotators**")
    if not progress.annotators:
        st.caption("Nobody has begun yet: hand the link out.")
        return
    controls = drawn.controls(project) if mine else {}
    rows = []
    for one in progress.annotators:
        own = [version for version in found if version.annotator == one.annotator]
        times = [version.seconds for version in own if version.seconds is not None]
        row: dict[str, object] = {
            "Annotator": one.annotator,
            "Done": one.done,
            "In work": one.begun,
            "Returned": one.returned,
            "Left": one.left,
            "Median time": duration(median(times)) if times else None,
            "Smart tools": fmean(version.smart for version in own) if own else None,
        }
        if mine and any(controls.values()):
            results = controls.get(one.annotator, {}).values()
            row["Controls"] = len(results)
            row["IoU on controls"] = fmean(results) if results else None
        rows.append(row)
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "Smart tools": st.column_config.NumberColumn(
                format="percent", help="The part of the masks for which superpixels, GrabCut, fill or SAM were used."
            ),
            "IoU on controls": st.column_config.NumberColumn(
                format="%.3f",
                help="Mean overlap of first versions with the controls' known masks; only you see it.",
            ),
            "Median time": st.column_config.TextColumn(help="Of drawing, per mask."),
        },
    )


def _pictures(project: Project, found: tuple[Version, ...], name: str) -> None:
    """The table of pictures; to all but the owner a control looks as any other picture."""
    entries = projects.entries_of(project.id)
    mine = project.owner == name
    people = drawn.newest(found if mine else drawn.cut(found, name, {project.id: project.wanted}))
    done = {(version.picture, version.annotator) for version in found}
    working = Counter(
        picture
        for picture, annotator in {
            (one.picture, one.annotator) for one in drafts.drafts(project=project.id) if one.number
        }
        if (picture, annotator) not in done
    )
    rows = []
    for entry in entries:
        drawers, at_work = people.get(entry.picture, {}), working[entry.picture]
        if not mine:
            most = project.wanted - (entry.control and name not in drawers)  # else a full picture that comes is one
            drawers = dict(islice(drawers.items(), most))
            at_work = min(at_work, most - len(drawers))
        reviews = [version.review for version in drawers.values() if version.review is not None]
        row: dict[str, object] = {
            "Picture": entry.name,
            "Question": entry.question,
            "Masks": f"{len(drawers)} of {project.wanted}",
            "In work": at_work,
            "Accepted": sum(one.accepted for one in reviews),
            "Returned": sum(not one.accepted for one in reviews),
        }
        rows.append(row | ({"Control": entry.control} if mine else {}))

    def go() -> None:
        selected = st.session_state["standing.pictures"]["selection"]["rows"]
        if selected:
            choose_picture(project, entries[selected[0]].picture)
            st.session_state["projects.view"] = "review"

    st.markdown("**Pictures**")
    st.caption("Tick a row to see its masks.")
    st.dataframe(
        rows,
        hide_index=True,
        height=min(560, 38 + 35 * len(rows)),
        on_select=go,
        selection_mode="single-row",
        key="standing.pictures",
    )
