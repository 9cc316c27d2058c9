"""A region's effect: closed forms on a network that sees one square, and what can be asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import toys
from tests.checks import is_sentence
from tests.networks import Blind, BrightPatch
from xai_core.engine.executor import Executor
from xai_core.engine.packing import pack, unpack
from xai_core.engine.probing import other_places, probe
from xai_core.engine.requests import Input, Probe, Survey, prepare_input
from xai_core.engine.run import Watch
from xai_core.registry import MODELS
from xai_core.types import Blocks, Cancelled, Cost, Pixels, Probed, Region, XaiError

from .asking import PROFILE, disc

PLANTED = Region(8, 16, 8, 8)
"""What `BrightPatch` looks at."""
WHITE = np.full((32, 32, 3), 255, dtype=np.uint8)


def asked(region: Region = PLANTED, frame: Pixels = WHITE, **changes: Any) -> Probe:
    return Probe(Input("picture", "toy", "card", frame, (), 0), **{"target": 1, "region": region, **changes})


def found(request: Probe, batch: int = 8, watch: Watch | None = None, network: Any = None) -> Probed:
    run = toys.run(
        toys.classifier(network or BrightPatch(), classes=2), request.input.frame, 1, batch=batch, watch=watch
    )
    before, after, elsewhere = probe(run, request)
    assert run.passes == request.cost
    return Probed(before, after, elsewhere, "key", run.passes, 0.0, {})


def overlap(one: Region, other: Region) -> int:
    """Pixels that two regions share."""
    pixels = np.zeros((2, 32, 32), dtype=bool)
    pixels[0][one.slices] = pixels[1][other.slices] = True
    return int(pixels.all(axis=0).sum())


def probability(brightness: np.ndarray | float) -> Any:
    """What `BrightPatch` gives for the mean brightness of its square."""
    return 1 / (1 + np.exp(2 - 8 * np.asarray(brightness)))


def test_hiding_the_planted_square_takes_more_than_every_other_place() -> None:
    result = found(asked())
    assert result.before == pytest.approx(probability(1), abs=1e-6)
    assert result.after == pytest.approx(probability(0), abs=1e-6)
    assert result.above == 1 and result.below == 0


@pytest.mark.parametrize("region", [PLANTED, Region(4, 12, 8, 8), Region(0, 0, 20, 30), Region(31, 31, 1, 1)])
@pytest.mark.parametrize("action", ["hide", "keep"])
def test_what_is_left_of_the_square_decides(region: Region, action: str) -> None:
    request = asked(region, action=action, seed=3)
    result = found(request)
    hidden = np.array([overlap(one, PLANTED) for one in [region, *other_places(request)]]) / 64
    expected = probability(1 - hidden if action == "hide" else hidden)
    np.testing.assert_allclose([result.after, *result.elsewhere], expected, atol=1e-6)


def test_keeping_only_the_planted_square_leaves_all() -> None:
    result = found(asked(action="keep"))
    assert result.after == pytest.approx(result.before)
    assert result.below == 1 and result.above == 0


def test_blurring_an_even_picture_changes_nothing_and_a_spot_becomes_fainter() -> None:
    even = found(asked(action="blur"))
    np.testing.assert_allclose([even.after, *even.elsewhere], even.before, atol=1e-5)
    spot = np.zeros_like(WHITE)
    spot[PLANTED.slices] = 255
    result = found(asked(frame=spot, action="blur"))
    assert probability(0) < result.after < probability(0.5) < result.before
    assert result.above == 1


def test_where_nothing_matters_no_place_is_above_or_below() -> None:
    result = found(asked(), network=Blind())
    assert (result.above, result.below) == (0, 0)


def test_other_places_have_the_size_lie_within_and_differ() -> None:
    request = asked(Region(5, 9, 7, 20), places=300, seed=2)
    regions = other_places(request)
    assert len(regions) == len(set(regions)) == 300 and request.region not in regions
    assert all((one.height, one.width) == (7, 20) for one in regions)
    assert min(one.top for one in regions) == 0 and max(one.top for one in regions) == 32 - 7
    assert min(one.left for one in regions) == 0 and max(one.left for one in regions) == 32 - 20
    assert other_places(request) == regions != other_places(replace(request, seed=3))


def test_where_there_are_few_other_places_each_is_taken_once() -> None:
    request = asked(Region(1, 0, 31, 31))
    assert {(one.top, one.left) for one in other_places(request)} == {(0, 0), (0, 1), (1, 1)}
    assert request.cost == Cost(5) and len(found(request).elsewhere) == 3


def test_the_batch_size_changes_nothing() -> None:
    frame = toys.frame(seed=1)
    results = [found(asked(frame=frame, places=13), batch=batch) for batch in (1, 4, 64)]
    for other in results[1:]:
        assert other.after == pytest.approx(results[0].after, abs=1e-6)
        np.testing.assert_allclose(other.elsewhere, results[0].elsewhere, atol=1e-6)


def test_it_stops_between_two_batches() -> None:
    made: list[int] = []
    watch = Watch(progress=lambda done, total: made.append(done), cancelled=lambda: len(made) == 2)
    with pytest.raises(Cancelled):
        found(asked(), watch=watch)
    assert made == [8, 16]


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (Region(0, 0, 0, 4), "empty"),
        (Region(30, 0, 4, 4), "does not lie within"),
        (Region(0, -1, 4, 4), "does not lie within"),
        (Region(0, 0, 32, 32), "whole picture"),
    ],
)
def test_a_region_that_cannot_be_compared_is_refused_in_one_sentence(region: Region, words: str) -> None:
    with pytest.raises(XaiError, match=words) as error:
        found(asked(region))
    assert is_sentence(str(error.value))


def test_all_that_decides_the_result_is_part_of_the_key() -> None:
    first = asked()
    others = [
        asked(replace(PLANTED, left=17)),
        asked(replace(PLANTED, width=9)),
        asked(action="blur"),
        asked(places=51),
        asked(seed=1),
        asked(target=0),
        replace(first, input=replace(first.input, picture="another")),
    ]
    assert len({one.key(PROFILE) for one in [first, *others]}) == len(others) + 1
    assert asked().key(PROFILE) == first.key(PROFILE)


def test_the_engine_keeps_what_it_found(tiny_card: Path) -> None:
    executor = Executor()
    request = Probe(prepare_input(disc(), MODELS["tiny"]), 2, Region(4, 4, 10, 12), places=9)
    result = executor.compute(request)
    assert isinstance(result, Probed) and executor.compute(request) is result
    assert result.passes == request.cost == Cost(11) and result.key == request.key(executor.profile)
    again = unpack(pack(result))
    assert isinstance(again, Probed) and again.elsewhere.tobytes() == result.elsewhere.tobytes()
    with pytest.raises(XaiError, match="no class 5"):
        executor.compute(replace(request, target=5))


def test_a_survey_names_every_layer_with_weights_once(tiny_card: Path) -> None:
    executor = Executor()
    result = executor.compute(Survey(prepare_input(disc(), MODELS["tiny"])))
    assert isinstance(result, Blocks) and result.layers == executor.classifier("tiny").blocks
    assert result.layers[0] == ("head",) and unpack(pack(result)).layers == result.layers  # type: ignore[union-attr]
    assert Survey(prepare_input(disc(1), MODELS["tiny"])).key(PROFILE) == Survey(
        prepare_input(disc(2), MODELS["tiny"])
    ).key(PROFILE)
