"""Widgets made from Specs: a new method or corruption needs nothing here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import streamlit as st

from pages.parts import backend, taken
from xai_core.classifiers import weights
from xai_core.classifiers.cards import Card
from xai_core.corruptions.chain import Step, step
from xai_core.registry import CORRUPTIONS, MODELS, PRESETS, Option, Parameters, Spec
from xai_core.types import XaiError

SAMPLES = "How many samples the sampled methods take: quick ones for a look, or the numbers of the literature."


def parameters(
    spec: Spec,
    preset: str,
    skip: frozenset[str] = frozenset(),
    kind: str = "",
    given: Mapping[str, Any] = MappingProxyType({}),
    published: bool = True,
) -> Parameters:
    """Widgets for every parameter of a Spec, starting at the preset and at what is `given`; changing the preset starts
    them anew.

    Where a Spec has studies, they can be started from instead, unless `published` is off. `kind` begins the widgets'
    keys where names of two kinds may be the same.
    """
    if spec.studies and published:
        preset = st.selectbox(
            "Start from",
            [preset, *spec.studies],
            format_func=lambda name: spec.studies[name].title if name in spec.studies else "The effort above",
            help="The effort chosen above, or what a published study set.",
            key=f"{kind}{spec.name}.start.{preset}",
        )
    start = spec.make(given, preset)
    values = {
        option.name: widget(option, getattr(start, option.name), f"{kind}{spec.name}.{option.name}.{preset}")
        for option in spec.options
        if option.name not in skip
    }
    try:
        return spec.make(values, preset)
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return start


def effort(key: str, words: str = SAMPLES) -> str:
    """The chosen preset: how much work the methods take upon them."""
    chosen = st.segmented_control(
        "Effort",
        PRESETS,
        default=backend.DEFAULT_PRESET,
        required=True,
        format_func=str.capitalize,
        help=words,
        key=key,
        width="stretch",
    )
    return str(chosen)


def widget(option: Option, value: Any, key: str, disabled: bool = False) -> Any:
    """The widget of one option, starting at `value`; returns what was chosen."""
    label = option.name.replace("_", " ").capitalize()
    if option.unit and option.unit != option.name:
        label = f"{label} ({option.unit})"
    common: dict[str, Any] = {"help": option.help, "key": key, "disabled": disabled}
    if option.kind == "choice":
        return st.selectbox(label, option.choices, index=option.choices.index(value), **common)
    if option.kind == "bool":
        return st.toggle(label, value=value, **common)
    if option.kind == "text":
        return st.text_input(label, value=value, **common).strip() or value
    number = int if option.kind == "int" else float
    low, high = (None if bound is None else number(bound) for bound in (option.low, option.high))
    step_ = None if option.step is None else number(option.step)
    return st.number_input(label, low, high, number(value), step_, **common)


def ready_model(label: str, key: str) -> Card | None:
    """A box to choose one of the models whose weights are here; None where there is none.

    It begins with the model that another page has handed over.
    """
    ready = {card.name: card for card in MODELS if weights.status(card).state == "ready"}
    name = st.selectbox(
        label,
        sorted(ready, key=lambda name: name != (taken.model() or backend.DEFAULT_MODEL)),
        format_func=lambda name: ready[name].title,
        placeholder="No model is ready",
        key=key,
    )
    return None if name is None else ready[name]


def class_choice(label: str, labels: tuple[str, ...], nothing: str, help_: str, key: str) -> int | None:
    """A box to choose one of the classes by name, or None, which is called `nothing`."""
    words = _class_words(labels)
    return st.selectbox(
        label,
        [None, *words],
        format_func=lambda index: nothing if index is None else words[index],
        help=help_,
        key=key,
    )


@lru_cache(maxsize=16)
def _class_words(labels: tuple[str, ...]) -> dict[int, str]:
    """Classes by what they are called; a thousand of them are not worded anew at every click."""
    return {index: f"{label} ({index})" for index, label in enumerate(labels)}


def corruptions() -> tuple[Step, ...]:
    """A slider for every chosen corruption, in the order in which they were chosen; each starts at no effect."""
    available = [spec.name for spec in CORRUPTIONS]
    st.session_state.setdefault("corruptions", available[:3])
    sliders = st.container()
    with st.popover("Order of corruptions", icon=":material/swap_vert:", width="stretch"):
        names = st.multiselect(
            "Applied in this order",
            available,
            format_func=lambda name: CORRUPTIONS[name].title,
            help="Take one out and add it again to move it to the end.",
            placeholder="None",
            key="corruptions",
        )
    with sliders:
        return tuple(step(name, _slider(CORRUPTIONS[name])) for name in names)


def _slider(spec: Spec) -> Any:
    option = next(option for option in spec.options if option.name == spec.primary)
    number = int if option.kind == "int" else float
    assert option.low is not None and option.high is not None and spec.neutral is not None
    unit = f", {option.unit}" if option.unit else ""
    start = taken.severity(spec.name)
    return st.slider(
        f"{spec.title} ({option.name}{unit})",
        number(option.low),
        number(option.high),
        number(spec.neutral if start is None else min(max(start, option.low), option.high)),
        None if option.step is None else number(option.step),
        format="%.2f" if option.step is not None and option.step < 1 else "%.0f",
        help=spec.summary,
        key=f"corruption.{spec.name}",
    )
