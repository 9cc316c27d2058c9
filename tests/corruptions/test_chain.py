"""Chains: the order counts, every step has its own randomness, and what is typed wrongly is one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_core.corruptions.chain import Corrupted, Corruption, Step, apply, chain, label, parse, step
from xai_core.corruptions.noise import GaussianNoise
from xai_core.registry import CORRUPTIONS
from xai_core.types import Bools, Pixels, XaiError

STEPS = st.lists(
    st.one_of(
        st.builds(step, st.just("gaussian_noise"), st.floats(0, 100)),
        st.builds(step, st.just("occlusion"), st.floats(0, 1)),
        st.builds(step, st.just("resolution"), st.integers(1, 64)),
    ),
    max_size=4,
)


def frame(side: int = 32) -> Pixels:
    return np.random.default_rng(0).integers(60, 190, (side, side, 3), dtype=np.uint8)


def covered(result: Corrupted) -> Bools:
    assert result.occluded is not None
    return result.occluded


def test_an_empty_chain_changes_nothing() -> None:
    result = apply(frame(), (), seed=0)
    np.testing.assert_array_equal(result.pixels, frame())
    assert result.occluded is None


@given(STEPS, st.integers(0, 2**40))
def test_a_chain_repeats_itself_and_keeps_shape_and_type(steps: list[Step], seed: int) -> None:
    pixels = frame(16)
    first, second = apply(pixels, steps, seed), apply(pixels, steps, seed)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(pixels, frame(16))
    assert (first.pixels.shape, first.pixels.dtype) == ((16, 16, 3), np.uint8)
    assert (first.occluded is None) == all(one.name != "occlusion" for one in steps)


@given(STEPS, st.integers(0, 2**40))
def test_neutral_steps_can_be_left_out(steps: list[Step], seed: int) -> None:
    kept = chain(steps)
    assert [(one.name, one.value) for one in kept] == [(one.name, one.value) for one in steps if not one.is_neutral]
    if len({one.name for one in steps}) == len(steps):
        np.testing.assert_array_equal(apply(frame(16), kept, seed).pixels, apply(frame(16), steps, seed).pixels)


@pytest.mark.parametrize("name", ["gaussian_noise", "occlusion", "resolution"])
def test_the_neutral_value_of_a_corruption_changes_nothing(name: str) -> None:
    one = step(name, CORRUPTIONS[name].neutral)
    assert one.is_neutral
    np.testing.assert_array_equal(apply(frame(), (one,), seed=3).pixels, frame())
    assert not step(name).is_neutral


def test_the_order_matters() -> None:
    noise, blocks = step("gaussian_noise", 40), step("resolution", 8)
    coarse_last = apply(frame(), (noise, blocks), seed=0).pixels
    noise_last = apply(frame(), (blocks, noise), seed=0).pixels
    assert len(np.unique(coarse_last[:8, :8, 0])) == 1
    assert len(np.unique(noise_last[:8, :8, 0])) > 20


def test_the_seed_matters() -> None:
    steps = (step("gaussian_noise", 25),)
    assert (apply(frame(), steps, seed=0).pixels != apply(frame(), steps, seed=1).pixels).any()


def noise_of(steps: tuple[Step, ...], seed: int = 0) -> tuple[np.ndarray, Bools]:
    """What a chain with noise adds to a grey picture, and where it is covered."""
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    result = apply(grey, chain(steps), seed)
    occluded = result.occluded if result.occluded is not None else np.zeros((64, 64), dtype=bool)
    return result.pixels.astype(int) - 128, occluded


@pytest.mark.parametrize("noise_first", [False, True])
def test_moving_the_slider_of_one_step_leaves_the_others_noise(noise_first: bool) -> None:
    alone, _ = noise_of((step("gaussian_noise", 20),))
    for area in (0.0, 0.1, 0.5):
        steps = [step("occlusion", area), step("gaussian_noise", 20)]
        noise, hidden = noise_of(tuple(reversed(steps)) if noise_first else tuple(steps))
        np.testing.assert_array_equal(noise[~hidden], alone[~hidden])


def test_moving_the_slider_of_the_noise_leaves_the_occlusions_place() -> None:
    places = [covered(apply(frame(), (step("gaussian_noise", s), step("occlusion", 0.2)), 0)) for s in (0, 10, 100)]
    np.testing.assert_array_equal(places[0], places[1])
    np.testing.assert_array_equal(places[0], places[2])


def test_the_same_corruption_twice_has_two_noises() -> None:
    once, _ = noise_of((step("gaussian_noise", 20),))
    twice, _ = noise_of((step("gaussian_noise", 20), step("gaussian_noise", 20)))
    assert twice.std() == pytest.approx(20 * 2**0.5, rel=0.05)
    assert np.corrcoef(once.ravel(), (twice - once).ravel())[0, 1] == pytest.approx(0, abs=0.05)


@given(first=st.sampled_from([0.0, 5.0, 60.0]))
def test_moving_the_first_of_two_equal_corruptions_leaves_the_seconds_noise(first: float) -> None:
    kept = chain((step("gaussian_noise", first), step("gaussian_noise", 20)))[-1]
    assert kept == chain((step("gaussian_noise", 30), step("gaussian_noise", 20)))[-1]


class Draw(Corruption):
    """Fills the picture with one random colour."""

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        return Corrupted(np.full_like(pixels, random.integers(0, 256, 3, dtype=np.uint8)))


def test_every_corruption_draws_from_its_own_stream() -> None:
    colours = {tuple(apply(frame(), (Step(spec.name, Draw()),), seed=0).pixels[0, 0]) for spec in CORRUPTIONS}
    assert len(colours) == len(CORRUPTIONS)


def test_the_areas_of_two_occlusions_are_joined() -> None:
    steps = (step("occlusion", 0.1), step("gaussian_noise", 5), step("occlusion", 0.1))
    one, other = (covered(apply(frame(), chain(part), 0)) for part in (steps[:1], steps))
    assert other[one].all()
    assert other.sum() > one.sum()


def test_values_come_as_numbers_or_as_text() -> None:
    expected = Step("gaussian_noise", GaussianNoise(sigma=25))
    assert step("gaussian_noise", "25") == step("gaussian_noise", 25.0) == expected
    assert step("resolution", "10").corruption == step("resolution", block=10).corruption
    assert step("occlusion").value == CORRUPTIONS["occlusion"].make().area  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("gaussian_noise=25", "gaussian_noise", 25),
        (" occlusion = 0.1 ", "occlusion", 0.1),
        ("resolution=5", "resolution", 5),
    ],
)
def test_a_step_is_read_from_the_command_line(text: str, name: str, value: float) -> None:
    assert parse(text) == step(name, value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rain=3", f"There is no corruption 'rain'; choose from {', '.join(CORRUPTIONS.entries())}."),
        ("", f"There is no corruption ''; choose from {', '.join(CORRUPTIONS.entries())}."),
        ("occlusion=0.3,fill", "'fill' after occlusion=0.3 is no setting: write occlusion=0.3,PARAMETER=VALUE."),
        (
            "occlusion=0.3,colour=red",
            "Occlusion (occlusion) has no parameter 'colour'; it has: area, patches, fill, measure.",
        ),
        ("region=0123", "A covered region cannot be read back from its name: give the step that covers it."),
        ("occlusion", "The corruption 'occlusion' needs a value: write occlusion=AREA."),
        ("gaussian_noise=", "The corruption 'gaussian_noise' needs a value: write gaussian_noise=SIGMA."),
        ("gaussian_noise=200", "gaussian_noise.sigma=200 does not fit: Input should be less than or equal to 100."),
        ("gaussian_noise=-1", "gaussian_noise.sigma=-1 does not fit: Input should be greater than or equal to 0."),
        ("occlusion=1.5", "occlusion.area=1.5 does not fit: Input should be less than or equal to 1."),
    ],
)
def test_what_is_typed_wrongly_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(XaiError) as caught:
        parse(text)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "text", ["gaussian_noise=much", "resolution=2.5", "resolution=0", "occlusion=nan", "occlusion==1"]
)
def test_a_value_that_does_not_fit_is_one_sentence_that_names_it(text: str) -> None:
    name, _, value = text.partition("=")
    with pytest.raises(XaiError, match=rf"^{name}\.{CORRUPTIONS[name].primary}={value} does not fit: .*\.$"):
        parse(text)


def test_a_parameter_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(XaiError, match="has no parameter 'severity'; it has: sigma"):
        step("gaussian_noise", severity=3)


def test_labels_tell_the_steps_and_their_values_in_order() -> None:
    assert label(()) == "clean"
    assert label((step("gaussian_noise", 25),)) == "gaussian_noise=25"
    steps = (step("occlusion", 0.1), step("gaussian_noise", 12.5), step("resolution", 8))
    assert label(steps) == "occlusion=0.1+gaussian_noise=12.5+resolution=8"


@given(STEPS)
def test_a_label_reads_back_as_its_chain(steps: list[Step]) -> None:
    parts = label(steps).split("+") if steps else []
    for part, one in zip(parts, steps, strict=True):
        assert parse(part).name == one.name
        assert parse(part).value == pytest.approx(one.value, rel=1e-5)


def test_a_description_holds_all_that_decides_the_result() -> None:
    version = CORRUPTIONS["occlusion"].version
    assert step("occlusion", 0.25).describe() == {
        "name": "occlusion",
        "version": version,
        "parameters": {"area": 0.25, "patches": 1, "fill": "black", "measure": "area"},
        "occurrence": 0,
    }
