"""ROAR and KAR: what is removed is what was asked for, and a planted signal is lost and kept with its pixels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_core.engine.inline import InlineEngine
from xai_core.engine.requests import Trial
from xai_core.engine.run import Watch
from xai_core.registry import METHODS
from xai_core.scores.ranking import most_relevant_first, top_fraction
from xai_core.trials.retraining import Ranking, Retraining, levels, removed
from xai_core.trials.training import Training, permuted
from xai_core.types import Score

from .planted import CARRIERS, CLASSES, planted

TAUGHT = {"dataset": "given", "count": 320, "epochs": 15}
CHANCE = 1 / CLASSES


@lru_cache
def data() -> dict[str, np.ndarray]:
    return planted()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> InlineEngine:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAI_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XAI_THREADS", "1")
        return InlineEngine()


def retrained(engine: InlineEngine, seed: int = 0, **parameters: object) -> float:
    result = engine.result(Trial("retraining", Retraining(**TAUGHT, **parameters), seed, None, data()))
    assert isinstance(result, Score)
    return result.values["accuracy"]


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 15), st.integers(1, 15)), elements=st.integers(0, 4).map(float)),
    st.integers(1, 99),
)
def test_the_top_percent_are_exactly_those_that_every_other_score_removes(values: np.ndarray, percent: int) -> None:
    level = levels(values, 3)
    assert np.array_equal(removed(level, percent, "roar"), top_fraction(values, percent / 100, 3))
    assert np.array_equal(removed(level, percent, "kar"), ~removed(level, percent, "roar"))
    order = most_relevant_first(values, 3)
    assert (np.diff(level.ravel()[order].astype(int)) >= 0).all()


def test_an_oracle_falls_to_chance_where_random_pixels_do_not(engine: InlineEngine) -> None:
    assert round(0.1 * 64) == CARRIERS
    assert retrained(engine, method="given", percent=5) > 0.9
    for percent in (10, 50):
        assert retrained(engine, method="given", percent=percent) < CHANCE + 0.15
    assert retrained(engine, method="random", percent=10) > 0.85
    assert retrained(engine, method="random", percent=50) > CHANCE + 0.25


def test_an_oracle_keeps_all_accuracy_with_a_tenth_of_the_pixels(engine: InlineEngine) -> None:
    assert retrained(engine, method="given", percent=10, order="kar") > 0.95
    assert retrained(engine, method="random", percent=10, order="kar") < 0.7


def test_maps_are_of_the_true_class_and_of_the_network_that_saw_whole_pictures(engine: InlineEngine) -> None:
    request = Trial("ranking", Ranking(**TAUGHT, method="gradient", squared=False), 0, None, data())
    clean = engine.result(Trial("training", Training(**TAUGHT), 0, None, data()))
    assert isinstance(clean, Score) and clean.values["accuracy"] > 0.95
    found = engine.result(request)
    assert isinstance(found, Score) and engine.known(request.needs[0]) is not None
    assert found.passes.backward == METHODS["gradient"].make().cost().backward * 320
    level = found.details["levels"]
    assert level.shape == (320, 8, 8) and level.dtype == np.uint8
    inside = level[:, 3:5, 2:5].mean()
    assert inside < level.mean() - 15  # the gradient of the true class finds the carriers


def test_a_map_of_either_sign_ranks_by_size_where_it_is_squared(engine: InlineEngine) -> None:
    signed = {**data(), "maps": -data()["maps"]}
    plain, squared, sure = (
        engine.result(Trial("ranking", Ranking(**TAUGHT, method="given", squared=how), 0, None, maps))
        for how, maps in ((False, signed), (True, signed), (True, data()))
    )
    assert isinstance(plain, Score) and isinstance(squared, Score) and isinstance(sure, Score)
    assert np.array_equal(squared.details["levels"], sure.details["levels"])
    assert plain.details["levels"][:, 3:5, 2:5].min() > 85 > squared.details["levels"][:, 3:5, 2:5].max()


def test_runs_differ_by_their_seed_and_a_seed_repeats_itself(engine: InlineEngine) -> None:
    def trained(seed: int) -> bytes:
        request = Trial("training", Training(**{**TAUGHT, "epochs": 2}), seed, None, data())
        result = engine.executor._computed(request, "key", Watch())
        assert isinstance(result, Score)
        return b"".join(values.tobytes() for values in result.details.values())

    first = trained(0)
    assert trained(0) == first and trained(1) != first


def test_permuted_labels_are_the_same_ones_at_other_pictures_and_those_for_testing_stay() -> None:
    labels, tested = data()["labels"], data()["tested"]
    mixed = permuted(labels, tested, 0)
    assert np.array_equal(np.bincount(mixed), np.bincount(labels)) and np.array_equal(mixed[tested], labels[tested])
    assert (mixed[~tested] != labels[~tested]).mean() > 0.5
