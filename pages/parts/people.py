"""Where several people have drawn the object: each map against each of them, and how well they agree themselves."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from xai_core.classifiers.cards import Card
from xai_core.engine.comparison import Outcome
from xai_core.images.geometry import mask_frame
from xai_core.registry import SCORES, Value
from xai_core.render.numbers import number
from xai_core.scores.localisation import Localisation
from xai_core.scores.several import Several, against_several
from xai_core.types import Mask, SaliencyMap


def show(outcome: Outcome, drawn: Mapping[str, Mask]) -> None:
    """A table of one localisation score for every model; nothing for fewer than two people, or without a score."""
    chosen = outcome.comparison.scores
    names = [name for name, parameters in chosen.items() if isinstance(parameters, Localisation)]
    if len(drawn) < 2 or not names or not outcome.maps:
        return
    st.subheader("Against each person")
    name = names[0]
    if len(names) > 1:
        name = st.segmented_control(
            "Score",
            names,
            default=name,
            required=True,
            format_func=lambda one: SCORES[one].title,
            label_visibility="collapsed",
            key="people.score",
        )
    part, value = next((part, value) for part, value in SCORES[name].values.items() if value.headline)
    st.caption(
        f"{value.title} of every map for each person's mask and their majority. The last row is each person against "
        "the majority of the others: no map can be expected to do better than people do among themselves."
    )
    for card in outcome.comparison.cards:
        maps = {
            one.title: outcome.maps[card.name, one.name]
            for one in outcome.comparison.variants
            if (card.name, one.name) in outcome.maps
        }
        if len(outcome.comparison.cards) > 1:
            st.markdown(f"**{card.title}**")
        st.html(_table(name, part, value, card, maps, drawn, chosen[name].model_dump()))


def _table(
    name: str,
    part: str,
    value: Value,
    card: Card,
    maps: Mapping[str, SaliencyMap],
    drawn: Mapping[str, Mask],
    parameters: Mapping[str, object],
) -> str:
    digests = tuple(mask.digest for mask in drawn.values())
    rows, people = [], None
    for title, saliency in maps.items():
        people = _several(name, saliency.key, tuple(drawn), digests, tuple(parameters.items()), card, saliency, drawn)
        cells = [*(people.each[person].values[part] for person in drawn), people.consensus.values[part]]
        rows.append(_row("", title, cells))
    if people is not None:
        cells = [*(people.people[person].values[part] for person in drawn), people.ceiling.values[part]]
        rows.append(_row("baseline", "People among themselves", cells))
    heads = "".join(f"<th>{escape(person)}</th>" for person in drawn)
    return (
        f'<div class="scores"><table><thead><tr><th>{escape(value.title)}</th>{heads}<th>Majority</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(kind: str, title: str, cells: list[float]) -> str:
    inside = "".join(f"<td>{number(cell)}</td>" for cell in cells)
    return f'<tr class="{kind}"><th>{escape(title)}</th>{inside}</tr>'


@st.cache_data(max_entries=256, show_spinner=False)
def _several(
    name: str,
    key: str,
    names: tuple[str, ...],
    digests: tuple[str, ...],
    parameters: tuple[tuple[str, object], ...],
    _card: Card,
    _saliency: SaliencyMap,
    _drawn: Mapping[str, Mask],
) -> Several:
    frames = {person: mask_frame(mask.values, _card.preprocess) for person, mask in _drawn.items()}
    return against_several(name, _saliency.values, frames, 0, dict(parameters))
