"""Label Studio's brush codes: round trips, codes of its own converter, and codes that are damaged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks import is_sentence
from tests.conftest import ROOT
from xai_core.masks.brush import decoded, encoded
from xai_core.types import Bools, XaiError

from .making import MASKS

CASES = json.loads((ROOT / "tests" / "masks" / "label_studio_codes.json").read_text())["cases"]
"""Codes that label-studio-sdk has written; the file says how."""


def drawn(rows: list[str]) -> Bools:
    return np.array([[letter == "#" for letter in row] for row in rows])


@given(MASKS)
def test_a_mask_comes_back(mask: Bools) -> None:
    assert np.array_equal(decoded(list(encoded(mask)), *mask.shape), mask)


def test_runs_longer_than_any_length_come_back() -> None:
    mask = np.zeros((300, 301), dtype=bool)
    mask[7:200, 3:] = True
    mask[250] = True
    assert np.array_equal(decoded(encoded(mask), *mask.shape), mask)
    assert np.array_equal(decoded(encoded(~mask | mask), *mask.shape), ~mask | mask)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_codes_of_label_studio_are_read(case: dict[str, Any]) -> None:
    mask = drawn(case["rows"])
    assert np.array_equal(decoded(case["rle"], *mask.shape), mask)


@pytest.mark.parametrize("case", [case for case in CASES if "empty" in case["name"]], ids=lambda case: case["name"])
def test_what_is_all_runs_is_written_as_label_studio_writes_it(case: dict[str, Any]) -> None:
    code = list(encoded(drawn(case["rows"])))
    assert code == case["rle"][: len(code)]
    assert not any(case["rle"][len(code) :])


def test_words_and_lengths_of_other_sizes_are_read() -> None:
    """3 words of 2 bits one by one, and a run of 5, of lengths of 1, 2, 3 and 4 bits."""
    bits = f"{8:032b}{2 - 1:05b}" + "0000" + "0001" + "0010" + "0011" + "001" + "10" + "00" + "11" + "01"
    bits += "110" + "100" + "10"
    code = [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)]
    assert np.array_equal(decoded(code, 1, 2), [[True, True]])


@given(MASKS, st.data())
def test_damaged_codes_are_read_or_refused_with_a_sentence(mask: Bools, data: st.DataObject) -> None:
    code = bytearray(encoded(mask))
    for _ in range(data.draw(st.integers(0, 3))):
        code[data.draw(st.integers(0, len(code) - 1))] = data.draw(st.integers(0, 255))
    code = code[: data.draw(st.integers(0, len(code)))]
    try:
        assert decoded(list(code), *mask.shape).shape == mask.shape
    except XaiError as error:
        assert is_sentence(str(error))


@pytest.mark.parametrize("code", [[], [0], [0, 0, 0, 24, 57, 0, 0], [300], [-1], ["a"], [[1]], [None], [1.5]])
def test_what_is_no_code_is_refused(code: Any) -> None:
    with pytest.raises(XaiError):
        decoded(code, 2, 3)
