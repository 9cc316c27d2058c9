"""What an annotator has of a picture beside the draft on the canvas: drafts of other tabs, and submitted versions."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from pages.parts.moments import moment
from pages.parts.studio import Origin
from pages.parts.telling import attempt, count
from xai_core.store import drafts, versions
from xai_core.types import Picture


def origin(annotator: str, picture: Picture, project: int | None) -> Origin | None:
    """What was chosen to go on from, if anything."""
    return st.session_state.get(_place(annotator, picture.digest, project))


def show(annotator: str, picture: Picture, project: int | None, own: int | None) -> None:
    """A line for each draft and version, with what can be done with it; `own` is the draft on the canvas.

    Until that is known no draft is shown, as it could be one of them.
    """
    found = drafts.drafts(annotator, picture.digest, discarded=True) if own is not None else ()
    copied = next((one.began for one in found if one.id == own and not one.number), None)  # what is on the canvas too
    begun = [
        one
        for one in found
        if one.project == project
        and one.number
        and one.id != own
        and not one.continued
        and (one.id, one.number) != copied
    ]
    submitted = [one for one in versions.versions(picture.digest, annotator, deleted=True) if one.project == project]
    if not begun and not submitted:
        return
    said = [count(len(found), what) for found, what in ((begun, "draft"), (submitted, "version")) if found]
    with st.expander(f"Earlier work: {', '.join(said)}", icon=":material/history:", key="earlier"):
        for draft in begun:
            words = f"A draft of {moment(draft.changed)} with {count(draft.number, 'stroke')}"
            if draft.discarded is not None:
                line = _line(f"{words}, discarded {moment(draft.discarded)}", f"draft.{draft.id}")
                action = drafts.restore_draft
                _button(line, "Restore", ":material/undo:", f"restore.draft.{draft.id}", action, draft.id, annotator)
                continue
            line = _line(words, f"draft.{draft.id}")
            _open(line, annotator, picture, project, "draft", draft.id)
            action = drafts.discard_draft
            _button(line, "Discard", ":material/delete:", f"discard.{draft.id}", action, draft.id, annotator)
        for version in reversed(submitted):
            words = f"Version {version.number} of {moment(version.submitted)}"
            if version.deleted is not None:
                line = _line(f"{words}, deleted {moment(version.deleted)}", f"version.{version.id}")
                action = versions.restore_version
                _button(line, "Restore", ":material/undo:", f"restore.{version.id}", action, version.id, annotator)
                continue
            if version.review is not None:
                words += ", accepted" if version.review.accepted else ", returned"
            line = _line(words, f"version.{version.id}")
            _open(line, annotator, picture, project, "version", version.id)
            action = versions.delete_version
            _button(line, "Delete", ":material/delete:", f"delete.{version.id}", action, version.id, annotator)


def _line(words: str, key: str) -> st.delta_generator.DeltaGenerator:
    line = st.container(horizontal=True, vertical_alignment="center", key=f"line.{key}")
    line.markdown(words, width="stretch")
    return line


def _open(
    line: st.delta_generator.DeltaGenerator,
    annotator: str,
    picture: Picture,
    project: int | None,
    kind: Literal["draft", "version"],
    number: int,
) -> None:
    if line.button("Open", icon=":material/edit:", key=f"open.{kind}.{number}", type="tertiary"):
        turn = st.session_state["studio.turn"] = st.session_state.get("studio.turn", 0) + 1
        st.session_state[_place(annotator, picture.digest, project)] = Origin(kind, number, turn)
        st.rerun()


def _button(
    line: st.delta_generator.DeltaGenerator, label: str, icon: str, key: str, action: object, *arguments: object
) -> None:
    line.button(label, icon=icon, key=key, on_click=attempt, args=(action, *arguments), type="tertiary")


def _place(annotator: str, digest: str, project: int | None) -> str:
    return f"studio.origin.{annotator}.{digest[:16]}.{project or ''}"
