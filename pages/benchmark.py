"""Benchmark: studies over many pictures, started, followed, stopped and resumed, and what they say."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.parts import backend, components, exhibits, exploring, planning, reporting, studies
from pages.parts.telling import attempt, count, escaped
from xai_core.render.numbers import duration
from xai_core.studies.desk import Kept
from xai_core.studies.running import FLUSH_SECONDS
from xai_core.types import XaiError

NEW = "new"
BOX = "benchmark.study"
"""The key of the box with all studies."""
LIVE_SECONDS = 20.0
"""Results are drawn anew so often while a study runs: that costs seconds of a core, which the study wants too."""
VIEWS = {
    "results": ":material/bar_chart: Results",
    "pictures": ":material/photo_library: Pictures",
    "scatter": ":material/scatter_plot: Scatter",
    "files": ":material/description: Report",
}
BADGES = {
    "waiting": ":blue-badge[waiting]",
    "running": ":blue-badge[running]",
    "stopping": ":orange-badge[stopping]",
    "elsewhere": ":blue-badge[running elsewhere]",
    "stopped": ":gray-badge[stopped]",
    "failed": ":red-badge[failed]",
    "done": ":green-badge[done]",
}


def main() -> None:
    components.inside_app()
    backend.engine().want(backend.session(), [])
    found = {one.name: one for one in studies.desk().studies()}
    with st.sidebar:
        chosen = _choose(found)
    if chosen == NEW:
        if not found:
            st.info(
                "No study yet. A study scores models and methods over many pictures; it runs here in the background, "
                "goes on when this page is closed, and can be stopped and resumed.",
                icon=":material/leaderboard:",
            )
        planning.form(_go_to)
    else:
        _show(found[chosen])


# -- which study -------------------------------------------------------------------------------------------------------


def _choose(found: dict[str, Kept]) -> str:
    """A study's name, or `NEW`; the address leads to it again."""
    options, titles = [*found, NEW], studies.titles(found.values())
    chosen = st.session_state.pop("benchmark.going", None)
    if chosen is None:
        chosen = st.session_state.get(BOX, st.session_state.get("benchmark.chosen"))
    asked = st.query_params.get("study")
    if asked is not None and asked != st.session_state.get("benchmark.address"):
        chosen = asked
    if chosen not in options:
        if chosen:
            st.toast("This study is not there any more.", icon=":material/search_off:")
        chosen = options[0]
    st.session_state[BOX] = chosen  # and no index, which would make it another box after every choice
    chosen = str(st.selectbox("Study", options, format_func={**titles, NEW: "A new study"}.get, key=BOX))
    if chosen != NEW:
        st.button("New study", icon=":material/add:", on_click=_go, args=(NEW,), key="study.new", width="stretch")
    pending = [one for one in found.values() if one.pending and one.name != chosen]
    for one in pending:
        st.caption(f"{BADGES[one.state]} {escaped(titles[one.name])}")
    st.session_state["benchmark.chosen"] = st.session_state["benchmark.address"] = chosen
    st.query_params["study"] = chosen
    return chosen


def _go(chosen: str) -> None:
    """Goes to a study when the page runs again, or to the newest one with ""."""
    st.session_state["benchmark.going"] = chosen


def _go_to(chosen: str) -> None:
    _go(chosen)
    st.session_state["benchmark.view"] = "results"
    st.rerun()


# -- how it stands -----------------------------------------------------------------------------------------------------


def _show(kept: Kept) -> None:
    st.subheader(escaped(studies.study_title(kept.choice)), anchor=False)
    st.caption(escaped(studies.words(kept)))
    _following(kept)
    st.session_state.setdefault("benchmark.view", "results")
    view = st.segmented_control(
        "View",
        list(VIEWS),
        required=True,
        format_func=VIEWS.get,
        key="benchmark.view",
        label_visibility="collapsed",
    )
    show: Callable[[Kept], None] = {
        "results": _results,
        "pictures": _pictures,
        "scatter": _scatter,
        "files": reporting.show,
    }[str(view)]

    empty = not studies.stamp(kept)[0]

    def live() -> None:
        if empty and studies.stamp(kept)[0]:
            st.rerun()  # which slows the asking down
        try:
            show(kept)
        except XaiError as error:
            st.error(str(error), icon=":material/error:")

    pause = None
    if kept.state in ("running", "elsewhere") and view != "files":
        pause = FLUSH_SECONDS if empty else LIVE_SECONDS
    st.fragment(live, run_every=pause, key=f"benchmark_{view}")()


def _following(kept: Kept) -> None:
    """A line of one height: how far the study is, and what can be done with it."""

    def line() -> None:
        now = studies.desk().study(kept.name)
        if now is None or now.state != kept.state:
            st.rerun()
        box = st.container(height=56, border=False, key="study_progress")
        left, right, last = box.columns([6, 1, 1], vertical_alignment="center")
        with left:
            _standing(now)
        with right:
            _main_button(now)
        with last:
            _delete(now)

    pause = backend.pace().pause(backend.session()) if kept.pending else None
    st.fragment(line, run_every=pause, key="benchmark_line")()


def _standing(now: Kept) -> None:
    standing = now.standing
    done = f"{standing.done:,} of {standing.units:,} results"
    if now.state == "waiting":
        ahead = studies.desk().ahead_of(now.name)
        st.progress(
            standing.fraction if standing.units else 0.0,
            text=f"Waits for {count(ahead, 'other study', 'other studies')}",
        )
    elif now.state == "failed":
        st.error(now.problem, icon=":material/error:")
    elif now.state == "done":
        failed = f", {count(standing.failed, 'result')} could not be computed" if standing.failed else ""
        words = (
            f"Done: {standing.done:,} results, at most {standing.passes_done:,} passes, "
            f"{duration(standing.seconds)}{failed}"
        )
        st.progress(1.0, text=words)
    elif now.state == "stopped":
        if not standing.units:  # nobody has told how many there are
            done = count(standing.done, "result")
        words = f"Stopped at {done}" if standing.done or standing.units else "Not begun"
        st.progress(standing.fraction if standing.units else 0.0, text=words)
    else:
        starting = "Starting the engine" if backend.engine().profile is None else "Looking at what is there"
        if now.state == "stopping":
            starting = "Stopping"
        elif standing.units:
            left = "" if standing.seconds_left is None else f" · about {duration(standing.seconds_left)} left"
            starting = " · ".join(one for one in (standing.what, done) if one) + left
        st.progress(standing.fraction if standing.units else 0.0, text=starting)


def _main_button(now: Kept) -> None:
    """The one thing that is most likely wanted: stop it, or go on with it."""
    desk = studies.desk()
    if now.pending:
        idle = now.state in ("stopping", "elsewhere")
        help_ = "It runs in another process, which alone can stop it." if now.state == "elsewhere" else None
        if st.button("Stop", icon=":material/stop:", key="study.stop", width="stretch", disabled=idle, help=help_):
            desk.stop(now.name)
            st.rerun()
    elif st.button(
        "Resume",
        icon=":material/play_arrow:",
        key="study.resume",
        width="stretch",
        disabled=now.state == "done" and not now.standing.failed,
        help="Goes on where it was stopped, and tries again what could not be computed.",
    ):
        desk.resume(now.name)
        st.rerun()


def _delete(now: Kept) -> None:
    with st.popover(
        "",
        icon=":material/delete:",
        help="Delete this study",
        key=f"study.delete.{now.name}",  # one that is open stays with its study
        disabled=now.pending or reporting.at_work(now.name),
        width="stretch",
    ):
        which = f"**{escaped(studies.study_title(now.choice))}** of {now.begun:%d %b %H:%M:%S}"
        st.markdown(f"All results of {which} are deleted, and cannot be had back without computing them again.")
        sure = st.button("Delete it", icon=":material/delete:", type="primary", key=f"study.delete.sure.{now.name}")
        if sure and attempt(_deleted, now.name, done="The study is deleted."):
            _go("")
            st.rerun()


def _deleted(name: str) -> bool:
    if reporting.at_work(name):
        raise XaiError("The report of this study is being written; delete it when that is done.")
    studies.desk().delete(name)
    return True


# -- what it says ------------------------------------------------------------------------------------------------------


def _some(kept: Kept) -> bool:
    """Whether there are rows; says what to wait for where there are none."""
    if studies.stamp(kept)[0]:
        return True
    words = {
        "waiting": "Results appear here when its turn has come.",
        "running": "The first results appear in a few seconds.",
        "elsewhere": "The first results appear in a few seconds.",
    }
    st.caption(words.get(kept.state, "There are no results yet: Resume goes on."))
    return False


def _results(kept: Kept) -> None:
    if _some(kept):
        found, problem = studies.sections(kept, studies.stamp(kept))
        if problem:
            st.warning(problem, icon=":material/warning:")
        elif not found:
            st.caption("Tables appear when there is more to compare.")
        exhibits.show(found)


def _pictures(kept: Kept) -> None:
    if _some(kept):
        exploring.pictures(kept, studies.maps(kept, studies.stamp(kept)))


def _scatter(kept: Kept) -> None:
    if _some(kept):
        exploring.scatter(kept, studies.maps(kept, studies.stamp(kept)))


main()
