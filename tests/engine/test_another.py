"""Further maps of a method: each is the request that one would have made by hand, and counts as its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xai_core.corruptions import chain
from xai_core.engine.executor import Executor
from xai_core.engine.run import Watch
from xai_core.types import Another, Cost

from .asking import explain

pytestmark = pytest.mark.usefixtures("tiny_card")

NOISE = "gaussian_noise=25"


def steps(*texts: str) -> tuple[Any, ...]:
    return chain.chain([chain.parse(text) for text in texts])


def test_a_change_of_nothing_is_the_same_request() -> None:
    subject = explain("smoothgrad", corruptions=(NOISE,), seed=3)
    assert subject.another(Another()).digest == subject.digest


def test_each_change_is_the_request_that_one_would_have_made_by_hand() -> None:
    subject = explain("smoothgrad", corruptions=(NOISE,), seed=3)
    assert (
        subject.another(Another(target=2)).digest
        == explain("smoothgrad", target=2, seed=3, corruptions=(NOISE,)).digest
    )
    assert subject.another(Another(corruptions=())).digest == explain("smoothgrad", seed=3).digest
    other = explain("smoothgrad", corruptions=("occlusion=0.2",), seed=3)
    assert subject.another(Another(corruptions=steps("occlusion=0.2"))).digest == other.digest
    assert (
        subject.another(Another(seed=5, noise=5)).digest == explain("smoothgrad", corruptions=(NOISE,), seed=5).digest
    )


def test_steps_that_change_nothing_are_left_out() -> None:
    subject = explain("gradient")
    assert subject.another(Another(corruptions=(chain.parse("gaussian_noise=0"),))).digest == subject.digest


def test_the_seed_of_the_method_is_not_that_of_the_noise_on_the_picture() -> None:
    subject = explain("gradient", corruptions=(NOISE,))
    changes = [Another(seed=1), Another(noise=1), Another(seed=1, noise=1)]
    assert len({subject.digest, *(subject.another(change).digest for change in changes)}) == 4


def test_a_frame_takes_the_place_of_picture_and_corruptions() -> None:
    subject = explain("sobel", corruptions=(NOISE,))
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    asked = subject.another(Another(frame=frame))
    assert asked.input.corruptions == ()
    assert asked.digest == subject.another(Another(frame=frame.copy())).digest
    assert asked.digest != subject.another(Another(frame=frame[::-1])).digest
    grey = frame.astype(np.float64).mean(axis=-1)
    assert Executor().compute(asked).values.shape == grey.shape  # type: ignore[union-attr]


def test_another_class_is_not_explained_against_any_and_the_same_one_still_is() -> None:
    subject = replace(explain("gradcam", target=1), against=3)
    assert subject.another(Another(seed=1)).against == 3
    assert subject.another(Another(target=3)).against is None
    assert subject.another(Another(target="top")).against is None


def test_further_maps_come_from_the_cache_and_their_passes_are_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    executor, subject = Executor(), explain("smoothgrad", samples=4)
    model = executor.classifier("tiny")
    another = executor._other_maps(subject)
    run = executor._run(subject.input, 0, 0, Cost(), Watch(), another_map=another)
    first = run.another_map(Another(seed=1))
    assert run.passes == Cost()
    before = model.passes
    again = run.another_map(Another(seed=1))
    assert model.passes == before
    expected = executor.compute(explain("smoothgrad", samples=4).another(Another(seed=1)))
    for found in (first, again):
        assert found is not None
        np.testing.assert_array_equal(found, expected.values)  # type: ignore[union-attr]


def test_a_run_knows_what_its_picture_went_through() -> None:
    executor = Executor()
    for texts in ((), (NOISE, "resolution=4")):
        subject = explain("gradient", corruptions=texts)
        run = executor._run(subject.input, 0, 0, Cost(), Watch())
        assert tuple(one.text for one in run.corruptions) == tuple(one.text for one in subject.input.corruptions)
    assert run.blocks[0] == ("head",)
    assert run.another_map(Another(seed=1)) is None, "nobody has said how the map was made"
