"""How far the maps of a comparison agree: a matrix of rank correlations, and the pixels at which they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from pages.parts import components
from xai_core.classifiers.cards import Card
from xai_core.engine.comparison import Outcome
from xai_core.render import charts
from xai_core.render.encoding import photo_uri
from xai_core.render.pipeline import map_picture
from xai_core.scores.similarity import Agreement, agreement
from xai_core.types import Pixels, SaliencyMap


def show(outcome: Outcome) -> None:
    """The section of every model that has two maps or more; nothing where no model has."""
    groups = {card.name: _maps(outcome, card) for card in outcome.comparison.cards}
    cards = [card for card in outcome.comparison.cards if len(groups[card.name]) > 1]
    if not cards:
        return
    st.subheader("Agreement between methods")
    st.caption(
        "Rank correlation of every two maps: 1 orders all pixels alike, 0 is unrelated. Methods that agree may be "
        "wrong together; where they disagree, not all of them can be right."
    )
    for card in cards:
        _card(outcome.predictions[card.name].frame, groups[card.name], card.title if len(cards) > 1 else "")


def _maps(outcome: Outcome, card: Card) -> dict[str, SaliencyMap]:
    """The model's maps by title."""
    shown = [one for one in outcome.comparison.variants if (card.name, one.name) in outcome.maps]
    return {one.title: outcome.maps[card.name, one.name] for one in shown}


def _card(frame: Pixels, maps: dict[str, SaliencyMap], title: str) -> None:
    found = _agreement([one.key for one in maps.values()], list(maps.values()))
    titles = list(maps)
    if title:
        st.markdown(f"**{title}**")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.plotly_chart(
            charts.agreement_matrix(titles, found.correlations),
            width="stretch",
            key=f"agreement.{'.'.join(one.key[:8] for one in maps.values())}",
            config={"displayModeBar": False},
        )
        if words := _extremes(titles, found):
            st.caption(words)
    with right:
        values = found.disagreement.astype(np.float32)
        components.large(photo_uri(map_picture(frame, values, signed=False)), "Where the maps disagree")
        st.caption(
            f"Where the maps disagree: the bright pixels have very different ranks in the {len(maps)} maps. Mean "
            f"disagreement {values.mean():.2f} of 1."
        )


@st.cache_data(max_entries=64, show_spinner=False)
def _agreement(keys: Sequence[str], _maps: Sequence[SaliencyMap]) -> Agreement:
    return agreement([one.values for one in _maps])


def _extremes(titles: Sequence[str], found: Agreement) -> str:
    """Which two maps are most alike, and which differ most."""
    rows, columns = np.triu_indices(len(titles), 1)
    values = found.correlations[rows, columns]
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < 2:
        return ""
    most, least = known[values[known].argmax()], known[values[known].argmin()]
    pairs = [f"{titles[rows[one]]} and {titles[columns[one]]} ({values[one]:+.2f})" for one in (most, least)]
    return f"Most alike: {pairs[0]}. Most different: {pairs[1]}."
