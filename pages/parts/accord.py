"""How far people agree, on all pictures and on one, where they do not, and what a consensus makes of their masks."""

from __future__ import annotations

import math

import streamlit as st

from pages.parts import components, drawn, review
from pages.parts.telling import count
from xai_core.masks.agreement import Agreement
from xai_core.masks.consensus import CONSENSUS
from xai_core.render.numbers import number
from xai_core.store import projects
from xai_core.store.projects import Project

NUMBERS = {
    "IoU": st.column_config.NumberColumn(format="%.3f", help="Common pixels of all that either has marked, 0 to 1."),
    "Dice": st.column_config.NumberColumn(format="%.3f", help="Twice the common pixels of both areas' sum, 0 to 1."),
    "Boundary, px": st.column_config.NumberColumn(format="%.2f", help="Mean distance of the outlines in pixels."),
    "95 %, px": st.column_config.NumberColumn(format="%.2f", help="95 % of the outlines are no farther apart."),
    "Sensitivity": st.column_config.NumberColumn(format="%.3f", help="The part of the consensus that is marked."),
    "Specificity": st.column_config.NumberColumn(format="%.3f", help="The part of what is outside that is left out."),
}


AT_ONCE = 3
"""Pictures that are compared without being asked."""


def show(project: Project | None, name: str) -> None:
    """The set above, one picture below."""
    found = drawn.of_pictures(name, project.id if project else None)
    if project is not None:
        found = {one.picture: found[one.picture] for one in projects.entries_of(project.id) if one.picture in found}
    several = {one: people for one, people in found.items() if len(people) > 1}
    if not several:
        hidden = project is not None and project.owner != name
        words = " among those that you have drawn yourself" if hidden else ""
        st.info(f"No picture{words} has masks by two people yet.", icon=":material/hourglass_empty:")
        return
    way = str(
        st.segmented_control(
            "Consensus",
            list(CONSENSUS),
            default="majority",
            required=True,
            format_func=lambda one: CONSENSUS[one][0],
            help="What each person is held against; the person's own mask is part of it.",
            key="accord.way",
        )
    )
    _set(several, way)
    st.divider()
    picture = review.picker(project, list(several), lambda one: count(len(several[one]), "mask"))
    _one(picture, several[picture], way)


def _set(several: dict[str, drawn.Newest], way: str) -> None:
    """All pictures together: computed when it is asked for, and then only for what is new."""
    st.markdown(f"**{count(len(several), 'picture')} with several masks**")
    new = [one for one, people in several.items() if not drawn.is_known(people, way)]
    if len(new) > AT_ONCE:
        st.caption(f"{len(new)} of them are not compared yet; what is computed is kept.")
        if not st.button("Compare all", icon=":material/calculate:", type="primary", key="accord.compute"):
            return
        bar = st.progress(0.0)
        for done, one in enumerate(new):
            bar.progress(done / len(new), f"{done} of {len(new)} pictures")
            drawn.agreement(several[one], way)
        st.rerun()
    found = Agreement.over(drawn.agreement(people, way) for people in several.values())
    _figures(found)
    st.dataframe(_people(found, several), hide_index=True, column_config=NUMBERS)


def _figures(found: Agreement) -> None:
    """The means over pairs, and kappa; what is undefined has its reason."""
    names = {"iou": "IoU", "dice": "Dice", "boundary_mean": "Boundary, px", "boundary_95": "95 %, px"}
    values = {title: (found.mean(name), found.reasons.get(name)) for name, title in names.items()}
    values = {"Fleiss' kappa": (found.kappa, found.reasons.get("kappa")), **values}
    helps = {title: column["help"] for title, column in NUMBERS.items()}
    helps["Fleiss' kappa"] = "Over all pixels: 1 is full agreement, 0 is what chance would give."
    for place, (title, (value, reason)) in zip(st.columns(len(values)), values.items(), strict=True):
        shown = "undefined" if math.isnan(value) else number(value)
        place.metric(title, shown, help=f"{helps[title]} Undefined: {reason}." if reason else helps[title])


def _people(found: Agreement, several: dict[str, drawn.Newest]) -> list[dict[str, object]]:
    return [
        {
            "Annotator": name,
            "Pictures": sum(name in people for people in several.values()),
            "Sensitivity": _known(one.sensitivity),
            "Specificity": _known(one.specificity),
        }
        for name, one in sorted(found.people.items())
    ]


def _one(picture: str, people: drawn.Newest, way: str) -> None:
    found = drawn.agreement(people, way)
    colour = drawn.palette(people)
    left, right = st.columns(2, gap="large")
    with left:
        drawn.wide(drawn.outlines(picture, people, colour), "Everybody's outline over the picture")
        drawn.legend(colour)
    with right:
        drawn.wide(drawn.differences(picture, people), "Where people disagree")
        st.caption("Where people disagree: bright pixels are those that half of them have marked.")
    _figures(found)
    left, right = st.columns(2, gap="large")
    with left:
        rows = [
            {
                "Pair": " and ".join(pair.people),
                "IoU": _known(pair.iou),
                "Dice": _known(pair.dice),
                "Boundary, px": _known(pair.boundary_mean),
                "95 %, px": _known(pair.boundary_95),
            }
            for pair in found.pairs
        ]
        st.dataframe(rows, hide_index=True, column_config=NUMBERS)
    with right:
        st.dataframe(
            [
                {key: value for key, value in row.items() if key != "Pictures"}
                for row in _people(found, {picture: people})
            ],
            hide_index=True,
            column_config=NUMBERS,
        )
    made = drawn.consensuses(picture, people)
    components.strip(
        st,
        [uri for uri, _ in made.values()],
        [f"{CONSENSUS[name][0]}, {part:.1%}" for name, (_, part) in made.items()],
        "Each consensus, and the part of the picture that is object in it. Compare and Inspect offer them as masks.",
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
