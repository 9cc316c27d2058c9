"""What another page has handed over: a model, methods with their parameters, and what happens to the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from xai_core.corruptions.chain import Step
from xai_core.registry import CORRUPTIONS, METHODS, MODELS

COMPARE, INSPECT = "pages/compare.py", "pages/inspect.py"
CLASSES = {COMPARE: "target", INSPECT: "inspect.target"}
"""The keys of the pages' boxes for the explained class."""
MOST_SEED = 2**53 - 1
"""What a browser can count to: maps of studies have seeds of their own."""


@dataclass(frozen=True)
class Taken:
    """Where a page begins; `alone` leaves the methods out that it would show otherwise, and the class of `target` None
    is the model's own top class."""

    model: str
    methods: Mapping[str, Mapping[str, Any]]
    corruptions: Sequence[Step] = ()
    seed: int = 0
    alone: bool = False
    target: int | None = None


def to_compare(model: str, method: str, **values: Any) -> None:
    """Opens the Compare page with this model, and with this method under these parameters."""
    open_with(COMPARE, Taken(model, {method: values}))


def open_with(page: str, what: Taken) -> None:
    """Opens a page with all of this."""
    st.session_state.taken = what
    named = [one.name for one in what.corruptions if one.name in CORRUPTIONS]
    if named:
        st.session_state.corruptions = list(dict.fromkeys(named))
    if what.target is not None:
        st.session_state[CLASSES[page]] = what.target
    st.switch_page(page)


def _taken() -> Taken:
    return st.session_state.get("taken") or Taken("", {})


def model() -> str:
    """The model that was handed over, or nothing."""
    found = _taken().model
    return found if found in MODELS.entries() else ""


def methods() -> tuple[str, ...]:
    """The methods that were handed over."""
    return tuple(name for name in _taken().methods if name in METHODS.entries())


def alone() -> bool:
    """Whether those are all that is to be shown."""
    return _taken().alone and bool(methods())


def values(method: str) -> Mapping[str, Any]:
    """The parameters that were handed over with a method."""
    return _taken().methods.get(method, {})


def steps() -> tuple[Step, ...]:
    """The corruptions that were handed over."""
    return tuple(_taken().corruptions)


def seed() -> int:
    """The seed that was handed over, or 0."""
    return _taken().seed
