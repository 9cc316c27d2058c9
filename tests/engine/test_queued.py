"""Several workers on one queue: none does what another is doing, and workers elsewhere are brought what they need."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xai_core.engine import queued
from xai_core.engine.packing import pack, unpack
from xai_core.engine.queued import Message, QueuedEngine
from xai_core.engine.requests import Request
from xai_core.types import Cost, SaliencyMap, XaiError

from ..checks import is_sentence
from .asking import PROFILE, explain, predict, score
from .following import eventually, poll, settled


def map_of(subject: Request) -> SaliencyMap:
    """Any map under the request's key."""
    values = np.ones((2, 2), np.float32)
    return SaliencyMap(values, None, False, "x", {}, 0, 0, None, (), subject.key(PROFILE), Cost(), 0.0, {})


class Puppet:
    """A worker that does and says only what the test makes it."""

    def __init__(self, shares_files: bool):
        self.shares_files = shares_files
        self.heard: list[Message] = []
        self._news: queue.SimpleQueue[list[Message] | None] = queue.SimpleQueue()

    def send(self, *message: Any) -> None:
        self.heard.append(message)

    def receive(self) -> list[Message]:
        news = self._news.get()
        if news is None:
            raise EOFError
        return news

    def close(self, patience: float) -> str:
        self.die()
        return "died"

    def say(self, *message: Any) -> None:
        self._news.put([message])

    def die(self) -> None:
        self._news.put(None)

    @property
    def runs(self) -> list[Request]:
        """What it was told to compute."""
        return [message[2] for message in self.heard if message[0] == "run"]

    def finish(self) -> bytes:
        """Ends its last run with a map; returns the map, packed."""
        _, number, request, *_ = self.heard[-1]
        data = pack(map_of(request))
        self.say("done", number, data)
        return data


class Theatre(QueuedEngine):
    """An engine of puppets."""

    def __init__(self, count: int, shares_files: bool = True):
        super().__init__()
        self.puppets: list[Puppet] = []
        self._shares_files = shares_files
        self._add_seats(count)

    def _open(self) -> Puppet:
        self.puppets.append(Puppet(self._shares_files))
        return self.puppets[-1]

    def begin(self) -> list[Puppet]:
        """Makes all workers ready."""
        count = len(self._seats)
        assert eventually(lambda: len(self.puppets) == count)
        for puppet in self.puppets:
            puppet.say("ready", PROFILE)
        assert eventually(lambda: all(seat.ready for seat in self._seats))
        return list(self.puppets)

    @property
    def runs(self) -> list[Request]:
        return [request for puppet in self.puppets for request in puppet.runs]


@pytest.fixture
def engines() -> Iterator[list[Theatre]]:
    """Engines that are closed in the end."""
    made: list[Theatre] = []
    yield made
    for engine in made:
        engine.close()


@pytest.fixture
def two(tiny_card: Path, engines: list[Theatre]) -> Theatre:
    """An engine with two workers that are ready."""
    engines.append(Theatre(2))
    engines[0].begin()
    return engines[0]


def states(engine: Theatre, session: str, requests: list[Request]) -> str:
    return " ".join(job.state for job in engine.want(session, requests))


def test_as_many_requests_run_as_there_are_workers(two: Theatre) -> None:
    requests: list[Request] = [explain("random", seed=seed) for seed in range(3)]
    two.want("page", requests)
    assert eventually(lambda: states(two, "page", requests) == "running running waiting")
    assert [len(puppet.runs) for puppet in two.puppets] == [1, 1]
    two.puppets[0].finish()
    assert eventually(lambda: sorted(states(two, "page", requests).split()) == ["done", "running", "running"])
    assert {request.digest for request in two.runs} == {request.digest for request in requests}


def test_a_score_waits_for_the_map_that_another_worker_computes(two: Theatre) -> None:
    subject = explain("gradcam")
    requests: list[Request] = [subject, score("road", subject), predict()]
    two.want("page", requests)
    assert eventually(lambda: states(two, "page", requests) == "running waiting running")
    worker = next(puppet for puppet in two.puppets if puppet.runs[0] is subject)
    worker.finish()
    assert eventually(lambda: states(two, "page", requests) == "done running running")


def test_two_scores_do_not_both_compute_the_map_that_is_missing(two: Theatre) -> None:
    subject = explain("gradcam")
    scores: list[Request] = [score("road", subject), score("occlusion", subject)]
    two.want("page", scores)
    assert eventually(lambda: states(two, "page", scores) == "running waiting")
    two.want("other", [subject])
    assert states(two, "other", [subject]) == "waiting"


def test_two_scores_of_a_map_that_is_there_are_computed_at_once(two: Theatre) -> None:
    subject = explain("gradcam")
    scores: list[Request] = [score("road", subject), score("occlusion", subject)]
    two.cache.put(subject.key(PROFILE), map_of(subject))
    two.want("page", scores)
    assert eventually(lambda: states(two, "page", scores) == "running running")
    assert all(message[3] == [] for puppet in two.puppets for message in puppet.heard), "the worker reads our files"


def test_a_worker_elsewhere_is_brought_the_map_and_its_results_are_kept_here(
    tiny_card: Path, tmp_path: Path, engines: list[Theatre]
) -> None:
    engine = Theatre(1, shares_files=False)
    engines.append(engine)
    (puppet,) = engine.begin()
    subject = explain("gradcam")
    engine.cache.put(subject.key(PROFILE), map_of(subject))
    request = score("road", subject)
    engine.want("page", [request])
    assert eventually(lambda: len(puppet.runs) == 1)
    (brought,) = puppet.heard[-1][3]
    assert unpack(brought).key == subject.key(PROFILE)
    data = puppet.finish()
    poll(engine, "page", [request], settled)
    key = request.key(PROFILE)
    assert (tmp_path / "data" / "cache" / "results" / key[:2] / key).read_bytes() == data


def test_a_worker_with_another_profile_is_left_out(
    tiny_card: Path, engines: list[Theatre], caplog: pytest.LogCaptureFixture
) -> None:
    engine = Theatre(2)
    engines.append(engine)
    assert eventually(lambda: len(engine.puppets) == 2)
    engine.puppets[0].say("ready", PROFILE)
    assert eventually(lambda: engine.profile is not None)
    with caplog.at_level(logging.WARNING):
        engine.puppets[1].say("ready", {**PROFILE, "device": "another"})
        assert eventually(lambda: len(engine._seats) == 1)
    assert "another" in caplog.text
    requests: list[Request] = [explain("random", seed=seed) for seed in range(2)]
    engine.want("page", requests)
    assert eventually(lambda: states(engine, "page", requests) == "running waiting")
    assert engine.profile == PROFILE and len(engine.puppets) == 2


def test_the_request_of_a_worker_that_dies_is_computed_by_another(two: Theatre) -> None:
    request = explain("random")
    two.want("page", [request])
    assert eventually(lambda: len(two.runs) == 1)
    busy, idle = sorted(two.puppets, key=lambda puppet: -len(puppet.runs))
    busy.die()
    assert eventually(lambda: len(idle.runs) == 1)
    assert two.profile == PROFILE, "one is still there"
    idle.finish()
    assert poll(two, "page", [request], settled)[0].state == "done"
    assert eventually(lambda: len(two.puppets) == 3), "a new one is started"


def test_a_request_that_two_workers_die_of_fails(two: Theatre) -> None:
    request = explain("random")
    two.want("page", [request])
    assert eventually(lambda: len(two.runs) == 1)
    first, second = sorted(two.puppets, key=lambda puppet: -len(puppet.runs))
    first.die()
    assert eventually(lambda: len(second.runs) == 1)
    second.die()
    (job,) = poll(two, "page", [request], settled)
    assert job.state == "failed" and "ended twice" in job.error


def test_while_one_worker_is_unfit_the_others_compute(two: Theatre) -> None:
    two.puppets[0].die()
    assert eventually(lambda: len(two.puppets) == 3)
    two.puppets[2].say("unfit", "There is no device.")
    request = explain("random")
    two.want("page", [request])
    assert eventually(lambda: len(two.puppets[1].runs) == 1)
    assert two.problem == ""


def test_when_every_worker_is_unfit_the_reason_is_what_everybody_hears(tiny_card: Path, engines: list[Theatre]) -> None:
    engine = Theatre(2)
    engines.append(engine)
    assert eventually(lambda: len(engine.puppets) == 2)
    for puppet in engine.puppets:
        puppet.say("unfit", "There is no device.")
    with pytest.raises(XaiError, match=r"^There is no device\.$"):
        engine.result(explain("random"))


def test_a_worker_that_never_gets_ready_counts_as_dead(
    tiny_card: Path, engines: list[Theatre], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued, "START_SECONDS", 0.1)
    engines.append(Theatre(1))
    with pytest.raises(XaiError) as error:
        engines[0].result(explain("random"))
    assert is_sentence(str(error.value))


def test_what_a_worker_logs_is_logged_here(two: Theatre, caplog: pytest.LogCaptureFixture) -> None:
    two.puppets[0].say("log", "some.module", logging.ERROR, "100 % went wrong")
    assert eventually(lambda: ("some.module", logging.ERROR, "100 % went wrong") in caplog.record_tuples)


def test_a_batch_size_that_one_worker_has_measured_is_that_of_all(two: Theatre) -> None:
    first, second = two.puppets
    first.say("profile", {**PROFILE, "batches": {"card": 32}})
    assert eventually(lambda: bool(two.profile and two.profile.get("batches") == {"card": 32}))
    two.want("page", [explain("random", seed=seed) for seed in range(2)])
    assert eventually(lambda: len(first.runs) == len(second.runs) == 1)
    assert first.heard[-1][4] == second.heard[-1][4] == {"card": 32}
    second.say("profile", {**PROFILE, "batches": {"card": 16, "other": 8}})  # memory was short
    assert eventually(lambda: bool(two.profile and two.profile["batches"] == {"card": 16, "other": 8}))
    assert len(two.puppets) == 2, "both go on"
