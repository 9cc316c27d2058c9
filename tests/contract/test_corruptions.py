"""Every registered corruption keeps the contract: a new one is covered without a line here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.checks import is_sentence
from xai_core.corruptions import chain
from xai_core.registry import CORRUPTION_FAMILIES, CORRUPTIONS, Option
from xai_core.types import Pixels, XaiError

from .tiny import another_value, check_facts, global_random_state

NAMES = list(CORRUPTIONS.entries())
SIZES = [(8, 8), (33, 47), (96, 64)]
every_corruption = pytest.mark.parametrize("name", NAMES)


def frame(size: tuple[int, int] = (33, 47)) -> Pixels:
    """A photograph-like frame: smooth, with an edge and some grain."""
    down, right = np.mgrid[0 : size[0], 0 : size[1]]
    values = np.stack([down * 3, 200 - right * 2, 90 + 20 * (down > right)], axis=-1)
    return np.clip(values + np.random.default_rng(0).integers(-9, 10, values.shape), 0, 255).astype(np.uint8)


def primary(name: str) -> Option:
    return next(option for option in CORRUPTIONS[name].options if option.name == CORRUPTIONS[name].primary)


def values_of(name: str) -> list[Any]:
    """Lowest, default, a middle and the highest value of the main parameter."""
    option = primary(name)
    assert option.low is not None
    assert option.high is not None
    middle = (option.low + option.high) / 2
    return [option.low, option.default, int(middle) if option.kind == "int" else middle, option.high]


ALL = [(name, value) for name in NAMES for value in values_of(name)]
every_value = pytest.mark.parametrize(("name", "value"), ALL)


@every_corruption
def test_it_says_all_that_must_be_known_of_it(name: str) -> None:
    spec = CORRUPTIONS[name]
    check_facts(spec)
    assert spec.cites
    assert spec.family in CORRUPTION_FAMILIES
    assert spec.neutral is not None
    assert primary(name).low <= spec.neutral <= primary(name).high


@every_corruption
def test_its_severities_are_values_that_it_takes_from_mild_to_worst(name: str) -> None:
    spec = CORRUPTIONS[name]
    distances = [abs(value - (spec.neutral or 0)) for value in spec.severities]
    assert len(distances) >= 3
    assert distances == sorted(set(distances))
    assert distances[0] > 0
    for value in spec.severities:
        assert chain.step(name, value).value == value


@every_value
@pytest.mark.parametrize("size", SIZES)
def test_shape_and_type_stay(name: str, value: Any, size: tuple[int, int]) -> None:
    found = chain.apply(frame(size), [chain.step(name, value)], seed=0)
    assert (found.pixels.dtype, found.pixels.shape) == (np.uint8, (*size, 3))
    if found.occluded is not None:
        assert (found.occluded.dtype, found.occluded.shape) == (bool, size)


@every_corruption
@pytest.mark.parametrize("size", SIZES)
def test_the_neutral_value_changes_nothing_even_when_it_is_applied(name: str, size: tuple[int, int]) -> None:
    step = chain.step(name, CORRUPTIONS[name].neutral)
    assert step.is_neutral
    assert chain.chain([step]) == ()
    found = step.corruption.apply(frame(size), np.random.default_rng(0))
    np.testing.assert_array_equal(found.pixels, frame(size))
    assert found.occluded is None or not found.occluded.any()


@every_corruption
def test_the_default_and_the_highest_value_change_the_picture(name: str) -> None:
    for value in (primary(name).default, primary(name).high):
        step = chain.step(name, value)
        assert chain.chain([step]) == (step,)
        assert (chain.apply(frame(), [step], seed=0).pixels != frame()).mean() > 0.01


@every_value
def test_the_same_seed_gives_the_same_picture_and_the_global_generators_rest(name: str, value: Any) -> None:
    before = global_random_state()
    first, again = (chain.apply(frame(), [chain.step(name, value)], seed=5) for _ in range(2))
    assert global_random_state() == before
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.occluded is None) == (again.occluded is None)
    if first.occluded is not None:
        np.testing.assert_array_equal(first.occluded, again.occluded)


@every_value
def test_the_picture_given_is_not_modified(name: str, value: Any) -> None:
    given = frame()
    given.setflags(write=False)
    found = chain.apply(given, [chain.step(name, value)], seed=0).pixels
    np.testing.assert_array_equal(given, frame())
    writable = frame()
    chain.apply(writable, [chain.step(name, value)], seed=0)
    np.testing.assert_array_equal(writable, frame())
    assert found.base is not given


@every_value
def test_channels_and_places_outside_an_occluded_area_follow_the_rules_of_bytes(name: str, value: Any) -> None:
    """What is covered is told exactly: outside of it, an occluding corruption changes nothing."""
    found = chain.apply(frame(), [chain.step(name, value)], seed=3)
    if found.occluded is not None:
        np.testing.assert_array_equal(found.pixels[~found.occluded], frame()[~found.occluded])


@every_value
def test_it_is_understood_as_it_is_written_on_the_command_line(name: str, value: Any) -> None:
    step = chain.parse(f"{name}={value}")
    assert step == chain.step(name, value)
    assert step.value == value
    assert chain.parse(chain.label([step])) == step
    assert step.describe()["parameters"][CORRUPTIONS[name].primary] == value


@every_corruption
def test_its_other_parameters_are_written_down_and_understood_too(name: str) -> None:
    spec = CORRUPTIONS[name]
    others = {option.name: another_value(option) for option in spec.options if option.name != spec.primary}
    step = chain.step(name, **others)
    assert chain.parse(step.text) == step == chain.parse(chain.label([step]))
    assert (step.text == chain.step(name).text) == (not others)


@every_corruption
def test_it_says_whether_it_moves_pixels_while_it_does_anything(name: str) -> None:
    assert chain.step(name).moves_pixels == CORRUPTIONS[name].moves_pixels
    assert not chain.step(name, CORRUPTIONS[name].neutral).moves_pixels


@every_corruption
def test_its_description_tells_its_values_apart(name: str) -> None:
    values = set(values_of(name))
    assert len({str(chain.step(name, value).describe()) for value in values}) == len(values)


@every_corruption
@pytest.mark.parametrize(
    "text", ["{name}", "{name}=", "{name}=much", "{name}=-1", "{name}=1e9", "{name}=nan", "{name}=inf"]
)
def test_a_value_that_does_not_fit_is_refused_in_one_sentence(name: str, text: str) -> None:
    with pytest.raises(XaiError) as error:
        chain.parse(text.format(name=name))
    assert is_sentence(str(error.value)), str(error.value)
    assert name in str(error.value)


PAIRS = [(name, other) for place, name in enumerate(NAMES) for other in (name, "occlusion", NAMES[place - 1])]


@pytest.mark.parametrize(("name", "other"), sorted(set(PAIRS)))
def test_it_can_be_chained_with_others(name: str, other: str) -> None:
    steps = [chain.step(name), chain.step(other), chain.step(name)]
    found = chain.apply(frame(), steps, seed=0)
    assert (found.pixels.dtype, found.pixels.shape) == (np.uint8, frame().shape)
    alone = chain.apply(frame(), steps[:1], seed=0)
    then = chain.apply(alone.pixels, steps[1:2], seed=0) if other != name else None
    if then is not None:
        np.testing.assert_array_equal(chain.apply(frame(), steps[:2], seed=0).pixels, then.pixels)
