"""The masks of one picture after the other: everybody's outline, and what the project's owner says of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from pages.parts import drawn, owning
from pages.parts.moments import moment
from pages.parts.telling import attempt, count, escaped
from xai_core.render.numbers import duration
from xai_core.store import pictures, projects, reviews
from xai_core.store.projects import Example, Project
from xai_core.store.versions import Version, pictures_with_masks
from xai_core.types import XaiError


def show(project: Project | None, name: str) -> None:
    """The pictures that have masks, one at a time."""
    found = drawn.of_pictures(name, project.id if project else None)
    questions: dict[str, str] = {}
    if project is not None:
        entries = projects.entries_of(project.id)
        questions = {one.picture: one.question for one in entries}
        found = {one.picture: found[one.picture] for one in entries if one.picture in found}
        hidden = len(pictures_with_masks(project.id)) - len(found)
        if hidden and project.owner != name:
            st.caption(
                f":material/visibility_off: The masks of {count(hidden, 'picture')} are hidden from you until you have "
                "submitted your own: nobody shall be led by others'."
            )
    if not found:
        st.info("There are no masks to see yet.", icon=":material/hourglass_empty:")
        return
    waiting = {one for one, people in found.items() if any(version.review is None for version in people.values())}
    mine = project is not None and project.owner == name
    shown = list(found)
    if mine:
        words = f"Only pictures with masks to review ({len(waiting)} of {len(found)})"
        if st.toggle(words, key=f"review.only.{project.id}") and waiting:
            shown = [one for one in found if one in waiting]
    picture = picker(project, shown, lambda one: f"{count(len(found[one]), 'mask')}{', to review' * (one in waiting)}")
    people = found[picture]
    known = pictures.picture_of(picture)
    st.markdown(f"**{escaped(questions.get(picture) or known.title or known.name)}**")
    _picture(project, name, picture, people, mine)


def choose_picture(project: Project | None, picture: str) -> None:
    """Shows this picture's masks next."""
    st.session_state[_place(project)] = picture


def picker(project: Project | None, shown: Sequence[str], words: Callable[[str], str]) -> str:
    """The chosen of pictures, by its digest, with buttons for the one before and the one after."""
    place = _place(project)
    if st.session_state.get(place) not in shown:
        st.session_state[place] = shown[0]
    names = {one.digest: one.name for one in pictures.registered()}
    numbers = {one: at for at, one in enumerate(shown, 1)}
    at = numbers[st.session_state[place]] - 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        back, on = shown[(at - 1) % len(shown)], shown[(at + 1) % len(shown)]
        arrow = {"on_click": choose_picture, "type": "tertiary", "disabled": len(shown) < 2}
        st.button("", icon=":material/arrow_back:", help="Previous", key="review.back", args=(project, back), **arrow)
        chosen = st.selectbox(
            "Picture",
            shown,
            index=at,
            format_func=lambda one: f"{numbers[one]} of {len(shown)}: {names.get(one, one[:8])}, {words(one)}",
            label_visibility="collapsed",
            width=420,
        )
        st.button("", icon=":material/arrow_forward:", help="Next", key="review.on", args=(project, on), **arrow)
    st.session_state[place] = chosen
    return str(chosen)


def _place(project: Project | None) -> str:
    return f"review.at.{project.id if project else ''}"


def _picture(project: Project | None, name: str, picture: str, people: drawn.Newest, mine: bool) -> None:
    colour = drawn.palette(people)
    controls = drawn.controls(project) if project is not None and mine else {}
    left, right = st.columns([3, 2], gap="large")
    with right:
        visible = {
            person: version
            for person, version in people.items()
            if _person(project, name, person, version, colour[person], mine, controls.get(person, {}).get(picture))
        }
    with left:
        try:
            drawn.wide(drawn.outlines(picture, visible, colour), "The picture with everybody's outline")
        except XaiError as error:
            st.error(str(error), icon=":material/error:")


def _person(
    project: Project | None,
    name: str,
    person: str,
    version: Version,
    colour: str,
    mine: bool,
    control: float | None,
) -> bool:
    """What one person has drawn, and what is said of it; whether the outline is to be shown."""
    with st.container(border=True, key=f"person.{version.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(f'<div class="legend"><span><i style="background: {colour}"></i></span></div>', width="content")
            shown = st.checkbox(f"**{escaped(person)}**", value=True, key=f"review.shown.{version.id}", width="stretch")
            st.markdown(_state(version), width="content")
        st.caption(_facts(version, control))
        if version.review is not None and version.review.comment:
            said = f"{escaped(version.review.who)}, {moment(version.review.at)}: {escaped(version.review.comment)}"
            st.markdown(f":material/comment: {said}")
        if mine and project is not None:
            _judge(project, name, person, version)
    return bool(shown)


def _state(version: Version) -> str:
    if version.review is None:
        return ":gray-badge[new]"
    return ":green-badge[accepted]" if version.review.accepted else ":orange-badge[returned]"


def _facts(version: Version, control: float | None) -> str:
    facts = [f"version {version.number} of {moment(version.submitted)}"]
    if version.seconds is not None:
        facts.append(duration(version.seconds))
    if version.tools:
        facts.append(count(sum(version.tools.values()), "stroke"))
    facts.append(f"{_share(version.id, drawn.where(), version):.1%} of the picture")
    facts.append("imported" if version.origin == "import" else "smart tools" if version.smart else "by hand alone")
    if control is not None:
        facts.append(f"control picture: IoU of version 1 {control:.3f}")
    return " · ".join(facts)


@st.cache_data(show_spinner=False, max_entries=4096)
def _share(number: int, where: str, _version: Version) -> float:
    return float(drawn.mask(_version).values.mean())


def _judge(project: Project, name: str, person: str, version: Version) -> None:
    with st.container(horizontal=True, key=f"judge.{version.id}"):
        accepted = version.review is not None and version.review.accepted
        st.button(
            "Accept",
            icon=":material/check:",
            key=f"accept.{version.id}",
            disabled=accepted,
            on_click=attempt,
            args=(reviews.accept, version.id, name),
            kwargs={"done": f"{escaped(person)}'s mask is accepted."},
        )
        with (
            st.popover("Return", icon=":material/assignment_return:", key=f"return.{version.id}"),
            st.form(f"comment.{version.id}", clear_on_submit=True, border=False),
        ):
            comment = st.text_area(
                "What should be drawn otherwise?", key=f"words.{version.id}", max_chars=1000, placeholder="The left ear"
            )
            if st.form_submit_button("Return it", icon=":material/send:"):
                try:
                    reviews.return_version(version.id, name, comment)
                except XaiError as error:
                    st.error(str(error), icon=":material/error:")
                else:
                    st.rerun()
        st.button(
            "",
            icon=":material/school:",
            type="tertiary",
            help="Use it as an example: annotators see it with the instructions",
            key=f"teach.{version.id}",
            on_click=attempt,
            args=(_teach, project, name, version),
            kwargs={"done": "Annotators see this mask with the instructions now."},
        )


def _teach(project: Project, name: str, version: Version) -> None:
    example = Example(version.picture, drawn.mask(version))
    owning.set_examples(project, name, [*projects.examples_of(project.id), example])
