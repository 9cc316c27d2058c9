"""Trials: their keys, what they may ask for, and the same bits from every engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xai_core.engine.inline import InlineEngine
from xai_core.engine.local import LocalEngine
from xai_core.engine.packing import pack, unpack
from xai_core.engine.requests import Trial
from xai_core.engine.run import Watch
from xai_core.types import Cancelled, Cost, Score, XaiError

from .asking import PROFILE, explain
from .following import environment_of, eventually, settings_of
from .trials import Changed, Explained, Fitted

DATA = {"shift": np.zeros(192, dtype=np.float32)}


def explained(seed: int = 0) -> Trial:
    return Trial("explained", Explained(), seed, None, DATA)


def score_of(result: object) -> Score:
    assert isinstance(result, Score)
    return result


@pytest.fixture
def inline() -> InlineEngine:
    return InlineEngine()


def test_the_key_holds_all_that_decides_the_result() -> None:
    first = Trial("fitted", Fitted(), 0, None, DATA)
    others = [
        replace(first, seed=1),
        replace(first, parameters=Fitted(steps=21)),
        replace(first, trial="explained"),
        replace(first, data={"shift": np.ones(192, dtype=np.float32)}),
        replace(first, data={"other": DATA["shift"]}),
    ]
    profiles = [PROFILE, {**PROFILE, "batch": 16}]
    keys = {one.key(profile) for one in (first, *others) for profile in profiles}
    assert len(keys) == 12
    assert replace(first, data={"shift": DATA["shift"].copy()}).key(PROFILE) == first.key(PROFILE)
    assert first.key({**PROFILE, "batches": {"some card": 4}}) == first.key(PROFILE)


def test_a_trial_goes_on_from_an_earlier_one_that_is_computed_once(inline: InlineEngine) -> None:
    needed = explained().needs[0]
    assert inline.known(needed) is None
    seen: list[tuple[int, int]] = []
    found = score_of(inline.result(explained(), lambda done, total: seen.append((done, total))))
    fitted = score_of(inline.known(needed))
    assert fitted.passes == Cost(20, 20) and found.passes == Cost(2, 2)
    assert found.values["loss"] == fitted.values["loss"]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and seen[-1] == (44, 44)
    assert unpack(pack(found)).key == explained().key(inline.profile)


def test_maps_of_an_own_network_are_the_gradient_of_each_pictures_class(inline: InlineEngine) -> None:
    found = score_of(inline.result(explained()))
    weight = score_of(inline.result(explained().needs[0])).details["weight"].reshape(2, 3, 8, 8)
    assert found.details["maps"].shape == (2, 8, 8)
    for values, row in zip(found.details["maps"], weight[::-1], strict=True):
        assert np.allclose(values, np.abs(row).max(0), atol=1e-6)
    first, second = found.details["random"]
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.5


def test_a_seed_gives_the_same_bits_and_the_global_stream_stays(inline: InlineEngine) -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    found = [score_of(InlineEngine().executor._computed(explained().needs[0], "key", Watch())) for _ in range(2)]
    assert torch.equal(torch.rand(3), expected)
    assert found[0].details["weight"].tobytes() == found[1].details["weight"].tobytes()
    other = score_of(inline.result(explained(seed=1).needs[0]))
    assert not np.array_equal(other.details["weight"], found[0].details["weight"])


def test_the_users_model_stays_as_it_is(tiny_card: Path, inline: InlineEngine) -> None:
    base = explain("gradient")
    before = inline.result(base).values
    found = score_of(inline.result(Trial("changed", Changed(), 0, base.input)))
    assert np.allclose(found.details["before"][0], before, rtol=1e-4, atol=1e-7)
    assert not np.allclose(found.details["after"][0], before, rtol=1e-2)
    again = InlineEngine(inline.executor)
    assert np.array_equal(again.executor._explain(base, "key", Watch()).values, before)


def test_a_trial_that_needs_a_model_and_has_none_says_so(inline: InlineEngine) -> None:
    with pytest.raises(XaiError, match="changed model works with a model"):
        inline.result(Trial("changed", Changed()))


def test_a_trial_stops_between_two_steps(inline: InlineEngine) -> None:
    done: list[int] = []
    watch = Watch(lambda passes, total: done.append(passes), cancelled=lambda: len(done) >= 3)
    with pytest.raises(Cancelled):
        inline.executor.compute(Trial("fitted", Fitted(steps=1000), 0, None, DATA), watch)
    assert len(done) == 3


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    folder = tmp_path_factory.mktemp("trials")
    (folder / "models").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings_of(folder).items():
            patch.setenv(name, value)
        engine = LocalEngine(environment=environment_of(folder))
        yield engine
        engine.close()


def test_a_worker_process_computes_the_same_bits(local: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_BATCH", "2")
    theirs, ours = score_of(local.result(explained())), score_of(InlineEngine().result(explained()))
    assert theirs.key == ours.key and theirs.values == ours.values
    for name, values in ours.details.items():
        assert theirs.details[name].tobytes() == values.tobytes()


def test_a_trial_in_a_worker_is_cancelled_between_two_steps(local: LocalEngine) -> None:
    request = Trial("fitted", Fitted(steps=2000, pause=0.01), 3, None, DATA)
    job = local.want("test", [request])[0]
    assert eventually(lambda: local.want("test", [request])[0].done > 0)
    local.cancel("test")
    assert eventually(lambda: local.want("test", [request])[0].state == "cancelled")
    assert job.pending
