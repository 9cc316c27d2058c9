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
from xai_core.corruptions.chain import Step, moving, step
from xai_core.registry import CORRUPTION_FAMILIES, CORRUPTIONS, MODELS, PRESETS, Option, Parameters, Spec
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
    given = {one.name: one for one in taken.steps()}
    chosen: list[str] = st.session_state.setdefault("corruptions", list(dict.fromkeys([*FIRST_CORRUPTIONS, *given])))
    sliders = st.container()
    with st.popover("More corruptions, and their order", icon=":material/blur_on:", width="stretch"):
        for family, title in CORRUPTION_FAMILIES.items():
            key = f"corruptions.{family}"
            members = _family(family)
            st.session_state[key] = [name for name in members if name in chosen]
            st.pills(
                title, members, selection_mode="multi", format_func=short, on_change=_pick, args=(family,), key=key
            )
        names = st.multiselect(
            "Applied in this order",
            [name for family in CORRUPTION_FAMILIES for name in _family(family)],
            format_func=lambda name: CORRUPTIONS[name].title,
            help="Take one out and add it again to move it to the end.",
            placeholder="None",
            key="corruptions",
        )
        others = {name: corruption_settings(CORRUPTIONS[name], "corruption.", given.get(name)) for name in names}
    with sliders:
        steps = tuple(step(name, _slider(CORRUPTIONS[name], given.get(name)), **others[name]) for name in names)
        if titles := moving(steps):
            st.caption(f":material/open_with: {titles} moves pixels: {MOVED}")
    return steps


FIRST_CORRUPTIONS = ("gaussian_noise", "occlusion", "resolution")
"""Those that have a slider until somebody chooses others."""
MOVED = "scores that compare maps pixel by pixel are left out."


def _family(family: str) -> list[str]:
    return [spec.name for spec in CORRUPTIONS if spec.family == family]


def short(name: str) -> str:
    """A corruption's title under its family's, marked where it moves pixels."""
    spec = CORRUPTIONS[name]
    title = spec.title.removeprefix("ImageNet-C ")
    return f"{title[0].upper()}{title[1:]}{' :material/open_with:' if spec.moves_pixels else ''}"


def _pick(family: str) -> None:
    """Takes what is ticked in a family behind what was chosen before, and the rest of the family out."""
    ticked = st.session_state[f"corruptions.{family}"]
    kept = [name for name in st.session_state.corruptions if name in ticked or CORRUPTIONS[name].family != family]
    st.session_state.corruptions = kept + [name for name in ticked if name not in kept]


def corruption_settings(spec: Spec, kind: str, given: Step | None = None) -> dict[str, Any]:
    """Widgets of what a corruption has beside its main parameter, starting at a `given` step's; `kind` begins their
    keys."""
    options = [option for option in spec.options if option.name != spec.primary]
    start = given.corruption if given is not None else spec.make()
    if options:
        st.markdown(f"**{spec.title}**", help=spec.summary)
    return {one.name: widget(one, getattr(start, one.name), f"{kind}{spec.name}.{one.name}") for one in options}


def _slider(spec: Spec, given: Step | None = None) -> Any:
    option = next(option for option in spec.options if option.name == spec.primary)
    number = int if option.kind == "int" else float
    assert option.low is not None and option.high is not None and spec.neutral is not None
    unit = f", {option.unit}" if option.unit else ""
    start = spec.neutral if given is None else min(max(given.value, option.low), option.high)
    return st.slider(
        f"{spec.title} ({option.name}{unit})",
        number(option.low),
        number(option.high),
        number(start),
        None if option.step is None else number(option.step),
        format="%.2f" if option.step is not None and option.step < 1 else "%.0f",
        help=spec.summary,
        key=f"corruption.{spec.name}",
    )
