"""What one page has handed to another: a model, a method with some of its parameters, and corruptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from xai_core.corruptions.chain import Step


@dataclass(frozen=True)
class Taken:
    """Where a page begins."""

    model: str
    method: str
    values: Mapping[str, Any]
    steps: tuple[Step, ...] = ()


def to_compare(model: str, method: str, **values: Any) -> None:
    """Opens the Compare page with this model, and with this method under these parameters."""
    hand_over("compare", model, method, values)


def hand_over(page: str, model: str, method: str, values: Mapping[str, Any], steps: Sequence[Step] = ()) -> None:
    """Opens "compare" or "inspect" with a model, a method under these parameters, and a corrupted picture."""
    st.session_state[f"taken.{page}"] = Taken(model, method, values, tuple(steps))
    st.switch_page(f"pages/{page}.py")


def _taken(page: str = "compare") -> Taken | None:
    return st.session_state.get(f"taken.{page}")


def model(page: str = "compare") -> str:
    """The model that was handed over, or nothing."""
    found = _taken(page)
    return found.model if found is not None else ""


def methods(page: str = "compare") -> tuple[str, ...]:
    """The method that was handed over."""
    found = _taken(page)
    return (found.method,) if found is not None else ()


def values(method: str, page: str = "compare") -> Mapping[str, Any]:
    """The parameters that were handed over with a method."""
    found = _taken(page)
    return found.values if found is not None and found.method == method else {}


def steps(page: str = "compare") -> tuple[Step, ...]:
    """The corruptions that were handed over."""
    found = _taken(page)
    return found.steps if found is not None else ()
