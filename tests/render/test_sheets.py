"""Text that a spreadsheet would run."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_core.render.sheets import as_text


@pytest.mark.parametrize(
    "text", ["=1+1", "+a", "-a", "@sum", "\t=1", "\r=1", "\n=1", "=", "-1+cmd|' /C calc'!A0", "\t1"]
)
def test_what_may_be_a_formula_is_text(text: str) -> None:
    assert as_text(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.5", "+2", "-inf", "-1e-05", "", "plain", "a=b", " =1", -1.5, None, True])
def test_numbers_and_other_text_stay_as_they_are(value: object) -> None:
    assert as_text(value) is value


@given(st.floats())
def test_every_number_stays_in_words_too(value: float) -> None:
    assert math.isnan(value) or float(as_text(repr(value))) == value


@given(st.text())
def test_nothing_that_is_written_begins_as_a_formula_unless_it_is_a_number(text: str) -> None:
    written = as_text(text)
    assert written.removeprefix("'") == text.removeprefix("'") or written == text
    if written[:1] in tuple("=+-@\t\r\n"):
        float(written)
