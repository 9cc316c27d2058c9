"""Telling people: problems in their sentence, and their own words as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from xai_core.types import XaiError

Result = TypeVar("Result")
SIGNS = frozenset("\\`*_{}[]()#+-!|<>~$:&")


def attempt(action: Callable[..., Result], *arguments: object, done: str = "") -> Result | None:
    """What an action of a button gives, and the words `done`; where it cannot, its sentence, and None."""
    try:
        result = action(*arguments)
    except XaiError as error:
        st.toast(str(error), icon=":material/error:", duration="long")
        return None
    if done:
        st.toast(done, icon=":material/check_circle:")
    return result


def escaped(text: str) -> str:
    """Somebody's words as Markdown that shows them as they are, in one line."""
    return "".join(f"\\{letter}" if letter in SIGNS else letter for letter in " ".join(text.split()))


def count(number: int, what: str, several: str = "") -> str:
    """So many of something; `several` is its plural where that takes more than an s."""
    return f"{number} {what if number == 1 else several or what + 's'}"
