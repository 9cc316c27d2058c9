"""What another page has handed to the Compare page: a model, and a method with some of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st


@dataclass(frozen=True)
class Taken:
    """Where the Compare page begins."""

    model: str
    method: str
    values: Mapping[str, Any]


def to_compare(model: str, method: str, **values: Any) -> None:
    """Opens the Compare page with this model, and with this method under these parameters."""
    st.session_state.taken = Taken(model, method, values)
    st.switch_page("pages/compare.py")


def _taken() -> Taken | None:
    return st.session_state.get("taken")


def model() -> str:
    """The model that was handed over, or nothing."""
    found = _taken()
    return found.model if found is not None else ""


def methods() -> tuple[str, ...]:
    """The method that was handed over."""
    found = _taken()
    return (found.method,) if found is not None else ()


def values(method: str) -> Mapping[str, Any]:
    """The parameters that were handed over with a method."""
    found = _taken()
    return found.values if found is not None and found.method == method else {}
