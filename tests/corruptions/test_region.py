"""A chosen region is covered, is told by its digest alone, and is a step like any other."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from xai_core.corruptions import chain
from xai_core.corruptions.region import core, cover
from xai_core.types import Bools, Pixels, XaiError


def frame() -> Pixels:
    return np.random.default_rng(0).integers(1, 256, (30, 40, 3), dtype=np.uint8)


def region(seed: int = 0) -> Bools:
    return np.random.default_rng(seed).random((30, 40)) < 0.3


@pytest.mark.parametrize(("fill", "shown"), [("black", 0), ("white", 255)])
def test_exactly_the_region_is_covered(fill: str, shown: int) -> None:
    found = chain.apply(frame(), [cover(region(), fill)], seed=3)  # type: ignore[arg-type]
    assert found.occluded is not None
    np.testing.assert_array_equal(found.occluded, region())
    np.testing.assert_array_equal(found.pixels[~region()], frame()[~region()])
    assert (found.pixels[region()] == shown).all()


def test_what_is_told_of_it_depends_on_region_and_fill_alone() -> None:
    told = [json.dumps(one.describe()) for one in (cover(region()), cover(region(1)), cover(region(), "mean"))]
    assert len(set(told)) == 3
    assert json.dumps(cover(region()).describe()) == told[0]
    assert len(told[0]) < 300, "the digest, and not the pixels"
    assert cover(region()).text != cover(region(1)).text


def test_it_is_a_step_like_any_other() -> None:
    one = cover(region())
    assert one == cover(region()) and one != cover(region(1))
    assert pickle.loads(pickle.dumps(one)) == one
    assert one.value == pytest.approx(region().mean())
    assert chain.chain([one, chain.step("gaussian_noise", 5), one])[-1] == replace(one, occurrence=1)
    assert chain.chain([cover(np.zeros((30, 40), dtype=bool))]) == ()
    assert chain.label([one]) == f"region={region().mean():.3g}"
    assert not chain.moving([one])


def test_a_frame_of_another_size_is_refused_in_one_sentence() -> None:
    with pytest.raises(XaiError, match="30 x 40 pixels and the frame 20 x 20"):
        chain.apply(frame()[:20, :20], [cover(region())], seed=0)


@pytest.mark.parametrize("part", [0, 0.25, 0.5, 1])
def test_the_core_of_an_object_is_the_stated_part_of_it_and_lies_deepest(part: float) -> None:
    down, right = np.mgrid[:41, :41]
    disc = (down - 20) ** 2 + (right - 20) ** 2 <= 15**2
    found = core(disc, part)
    assert found.sum() == round(part * disc.sum())
    assert not found[~disc].any()
    assert np.hypot(down - 20, right - 20)[found].max(initial=0) <= 15 * part**0.5 + 1.5
    np.testing.assert_array_equal(core(disc, 1), disc)
