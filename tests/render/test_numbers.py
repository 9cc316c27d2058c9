"""Numbers as people read them: three significant digits and real minus signs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xai_core.registry import Value
from xai_core.render.numbers import directed, duration, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1, "1.00"),
        (0.5, "0.500"),
        (12.345, "12.3"),
        (123.4, "123"),
        (99.94, "99.9"),
        (99.95, "100"),
        (9.999, "10.0"),
        (0.0123456, "0.0123"),
        (0.001, "0.00100"),
        (0.0009996, "0.00100"),
        (0.000999, "9.99e−04"),
        (0.00012345, "1.23e−04"),
        (999.7, "1000"),
        (1234.5, "1234"),
        (123456, "123456"),
        (1234567, "1.23e+06"),
        (3e38, "3.00e+38"),
        (5e-324, "4.94e−324"),
        (-2.5, "−2.50"),
        (-0.00012345, "−1.23e−04"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_a_number_is_written_like_this(value: float, text: str) -> None:
    assert number(value) == text


SIZES = st.floats(1e-300, 1e300)


@given(SIZES, st.sampled_from([-1, 1]))
@example(0.00099950, 1)
@example(999999.6, 1)
def test_a_number_reads_back_to_three_digits(size: float, sign: int) -> None:
    text = number(sign * size)
    assert "-" not in text
    assert float(text.replace("−", "-")) == pytest.approx(sign * size, rel=0.005)


@given(st.one_of(st.floats(1e-300, 99), st.floats(1e6, 1e300)))
@example(0.1)
@example(10.0)
def test_a_number_has_three_significant_digits(size: float) -> None:
    mantissa = number(size).partition("e")[0]
    assert len(mantissa.replace(".", "").lstrip("0")) == 3


@given(SIZES)
def test_the_sign_only_puts_a_minus_before_the_number(size: float) -> None:
    assert number(-size) == f"−{number(size)}"


@given(st.floats(1e-30, 1e30), st.floats(1e-30, 1e30))
def test_larger_numbers_never_look_smaller(one: float, other: float) -> None:
    small, large = sorted([one, other])
    assert float(number(small).replace("−", "-")) <= float(number(large).replace("−", "-"))


def test_numpys_numbers_are_numbers() -> None:
    assert number(np.float32(0.25)) == "0.250"  # type: ignore[arg-type]
    assert number(np.float64("nan")) == "–"


def test_an_arrow_says_which_way_is_better() -> None:
    assert directed(Value("IoU", "higher", 0, 1)) == "IoU ↑"
    assert directed(Value("Drop", "lower", 0, 100)) == "Drop ↓"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (3.14, "3.1 s"),
        (9.96, "10 s"),
        (10, "10 s"),
        (59.6, "60 s"),
        (120, "2 min"),
        (3000, "50 min"),
        (5400, "1.5 h"),
        (36000, "10.0 h"),
    ],
)
def test_a_duration_is_written_like_this(seconds: float, text: str) -> None:
    assert duration(seconds) == text
