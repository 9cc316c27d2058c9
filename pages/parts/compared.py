"""An annotator's mask beside those of others, once it is submitted: before that nobody is shown any."""

from __future__ import annotations

import streamlit as st

from pages.parts import drawn, telling
from xai_core.render.numbers import number
from xai_core.types import Picture


def with_others(annotator: str, picture: Picture, project: int | None) -> None:
    """A switch, and behind it everybody's outline and how far the own mask agrees with each; nothing for nobody."""
    people = drawn.of_pictures(annotator, project, picture.digest).get(picture.digest, {})
    others = [name for name in people if name != annotator]
    if not others or annotator not in people:
        return
    words = f"Compare with {telling.count(len(others), 'other')}"
    if not st.toggle(words, key=f"compared.{picture.digest[:16]}.{project or ''}"):
        return
    colour = drawn.palette(people)
    left, right = st.columns([3, 2], gap="large")
    with left:
        drawn.wide(drawn.outlines(picture.digest, people, colour), "Everybody's outline over the picture")
        drawn.legend(colour)
    with right:
        found = drawn.agreement(people, "majority")
        rows = []
        for pair in found.pairs:
            if annotator in pair.people:
                other = next(name for name in pair.people if name != annotator)
                rows.append({"With": other, "IoU": pair.iou, "Dice": pair.dice, "Boundary, px": pair.boundary_mean})
        st.dataframe(rows, hide_index=True, column_config=NUMBERS)
        st.caption(f"Fleiss' kappa of all {len(people)}: {number(found.kappa)}. 1 is full agreement, 0 is chance.")


NUMBERS = {
    "IoU": st.column_config.NumberColumn(format="%.3f", help="Common pixels of all that either has marked, 0 to 1."),
    "Dice": st.column_config.NumberColumn(format="%.3f", help="Twice the common pixels of both areas' sum, 0 to 1."),
    "Boundary, px": st.column_config.NumberColumn(format="%.1f", help="Mean distance of the outlines in pixels."),
}
