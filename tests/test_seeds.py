"""Seeds by name: the same everywhere, independent of each other and of the global generators."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xai_core.seeds import derive, generator

LABELS = st.lists(st.one_of(st.integers(-100, 100), st.text("abc_", max_size=4)), max_size=3)


@given(st.integers(0, 2**40), LABELS)
def test_a_seed_is_63_bits_and_the_same_every_time(seed: int, labels: list[str | int]) -> None:
    assert 0 <= derive(seed, *labels) < 2**63
    assert derive(seed, *labels) == derive(seed, *labels)


@given(st.tuples(st.integers(0, 9), LABELS), st.tuples(st.integers(0, 9), LABELS))
def test_different_purposes_have_different_seeds(
    one: tuple[int, list[str | int]], other: tuple[int, list[str | int]]
) -> None:
    purposes = [(seed, *map(str, labels)) for seed, labels in (one, other)]
    assert (derive(one[0], *one[1]) == derive(other[0], *other[1])) == (purposes[0] == purposes[1])


def test_labels_do_not_run_into_each_other() -> None:
    assert derive(1, "2") != derive(12)
    assert derive(0, "noise", 12) != derive(0, "noise", 1, 2)


def test_seeds_are_the_same_on_every_machine() -> None:
    sha256_of_0 = bytes.fromhex("5feceb66ffc86f38")  # its first eight bytes
    assert derive(0) == int.from_bytes(sha256_of_0, "little") // 2


def test_numpys_integers_are_integers() -> None:
    assert derive(np.int64(7), "a") == derive(7, "a")  # type: ignore[arg-type]


def test_a_generator_repeats_its_stream() -> None:
    np.testing.assert_array_equal(generator(3, "x").random(50), generator(3, "x").random(50))


def test_streams_of_different_purposes_are_uncorrelated() -> None:
    streams = np.stack([generator(seed, "x").standard_normal(10_000) for seed in range(5)])
    correlations = np.corrcoef(streams)[~np.eye(5, dtype=bool)]
    assert np.abs(correlations).max() < 0.05


def test_the_global_generators_are_neither_used_nor_moved() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    first = generator(3, "x").random()
    state, numpy_state = random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    random.seed(1)
    random.setstate(state)
    assert generator(3, "x").random() == first
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]  # noqa: NPY002
