"""The engine with a real worker process: the same bits as alone, and no job lost to cancels, kills and failures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from xai_core.engine.inline import InlineEngine
from xai_core.engine.jobs import Job
from xai_core.engine.local import LocalEngine
from xai_core.engine.packing import Result
from xai_core.engine.requests import Explain, Request
from xai_core.registry import Parameters
from xai_core.types import Cancelled, Mask, Prediction, SaliencyMap, XaiError

from ..checks import is_sentence
from ..conftest import ROOT, write_tiny_card
from .asking import explain, predict, score, write_observed_card
from .following import (
    SECONDS,
    alone,
    environment_of,
    eventually,
    identical,
    is_running,
    poll,
    settings_of,
    settled,
    slow,
    underway,
)
from .networks import calls


@dataclass
class Bench:
    """One engine for all tests of this file, and the folders that it uses."""

    engine: LocalEngine
    folder: Path

    def log(self, name: str) -> Path:
        """Where the network of an observed card notes its batches."""
        return self.folder / f"{name}.calls"

    @property
    def files(self) -> set[str]:
        """Keys of all results on disk."""
        return {path.name for path in (self.folder / "data" / "cache" / "results").glob("??/*")}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("engine")
    models = folder / "models"
    write_tiny_card(models)
    write_observed_card(models, "counted", log=str(folder / "counted.calls"))
    write_observed_card(models, "slow", log=str(folder / "slow.calls"), seconds=0.05)
    write_observed_card(models, "slower", log=str(folder / "slower.calls"), seconds=0.6)
    write_observed_card(models, "broken", breaks="the planted fault\nwith a second line")
    write_observed_card(models, "deadly", log=str(folder / "deadly.calls"), kills=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings_of(folder).items():
            patch.setenv(name, value)
        engine = LocalEngine(environment=environment_of(folder))
        yield Bench(engine, folder)
        engine.close()


@pytest.fixture(autouse=True)
def settings_of_the_bench(isolated: None, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are made under the same settings as the engine's worker."""
    for name, value in settings_of(bench.folder).items():
        monkeypatch.setenv(name, value)


def interrupted(engine: LocalEngine, session: str, request: Request) -> None:
    """Cancels a request that is computed by the model "slower" and takes it up again before the worker has answered.

    Returns when it is computed once more, from its beginning.
    """
    poll(engine, session, [request], lambda jobs: jobs[0].state == "running" and jobs[0].done >= 4)
    engine.cancel(session)
    time.sleep(0.1)  # the cancel is on its way; the batch takes longer
    engine.retry(session)
    poll(engine, session, [request], lambda jobs: jobs[0].state == "running" and 0 < jobs[0].done < 4)


def test_results_are_the_bits_that_the_engine_in_this_process_computes(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = ("occlusion=0.2", "gaussian_noise=20")
    mask = Mask(np.arange(40 * 48).reshape(40, 48) % 48 < 24)
    smooth = explain("smoothgrad", samples=7, seed=3, target=2, corruptions=noisy)
    requests: list[Request] = [
        predict(corruptions=noisy, seed=3),
        explain("gradcam"),
        smooth,
        explain("lime", samples=9, seed=1),
        explain("shap", samples=5, seed=2),
        explain("random", seed=5),
        score("road", smooth, steps=3),
        score("occlusion", smooth),
        score("iou", smooth, mask),
    ]
    jobs = poll(bench.engine, "bits", requests, settled)
    other = alone(tmp_path, monkeypatch)
    assert bench.engine.profile == other.profile
    for request, job in zip(requests, jobs, strict=True):
        assert job.state == "done" and job.result is not None, job.error
        expected = other.result(request)
        assert identical(job.result, expected), request.title
        assert job.result.key == expected.key == request.key(other.profile)
        assert job.result.passes == expected.passes


def test_sessions_that_ask_at_once_get_what_each_would_get_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requests_of(number: int) -> list[Request]:
        target, noise = number % 5, (f"gaussian_noise={10 + number}",)
        smooth = explain("smoothgrad", samples=9, seed=number, target=target, corruptions=noise)
        return [
            smooth,
            explain("lime", samples=12, seed=number, target=target),
            explain("gradcam", target=target, corruptions=noise, seed=number),
            score("road", smooth, steps=2),
        ]

    found: dict[int, list[Result]] = {}
    failed: list[Exception] = []
    start = threading.Barrier(8)

    def ask(number: int) -> None:
        try:
            start.wait(SECONDS)
            jobs = poll(bench.engine, f"session {number}", requests_of(number), settled)
            found[number] = [job.result for job in jobs if job.result is not None]
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert failed == []
    other = alone(tmp_path, monkeypatch)
    for number in range(8):
        requests = requests_of(number)
        assert len(found[number]) == len(requests)
        for request, result in zip(requests, found[number], strict=True):
            assert identical(result, other.result(request)), (number, request.title)


def test_progress_and_partial_maps_are_seen_while_a_map_is_computed(bench: Bench) -> None:
    seen: list[Job] = []

    def look(jobs: list[Job]) -> bool:
        seen.append(jobs[0])
        return settled(jobs)

    request = slow(seed=100, samples=50)
    assert poll(bench.engine, "progress", [request], look)[0].state == "done"
    running = [job for job in seen if job.state == "running"]
    done = [job.done for job in running]
    assert done == sorted(done) and len(set(done)) > 5
    assert {job.total for job in seen} == {50}
    left = [job.seconds_left for job in running if job.seconds_left is not None]
    assert left and all(0 <= seconds < 60 for seconds in left)
    partial = [job.partial for job in running if job.partial is not None]
    assert partial and partial[0].signed
    assert partial[0].values.shape == (32, 32) and partial[0].values.dtype == np.float32
    result = seen[-1].result
    assert isinstance(result, SaliencyMap) and seen[-1].partial is None
    last = np.corrcoef(partial[-1].values.ravel(), result.values.ravel())[0, 1]
    assert last > 0.3, "the partial map is on the way to the map"


def test_result_reports_progress_until_it_is_there(bench: Bench) -> None:
    seen: list[tuple[int, int]] = []
    result = bench.engine.result(slow(seed=101, samples=20), lambda done, total: seen.append((done, total)))
    assert isinstance(result, SaliencyMap)
    assert seen == sorted(seen) and {total for _, total in seen} == {20}


def test_equal_requests_of_many_sessions_are_computed_once(bench: Bench) -> None:
    before, known = sum(calls(bench.log("counted"))), bench.files
    found: list[Result | Exception] = []

    def ask() -> None:
        try:
            found.append(bench.engine.result(explain("lime", model="counted", seed=7, samples=11)))
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(found) == 6
    assert all(one is found[0] for one in found), found
    assert sum(calls(bench.log("counted"))) - before == 11
    assert len(bench.files - known) == 1
    assert bench.engine.result(explain("lime", model="counted", seed=7, samples=11)) is found[0]
    assert sum(calls(bench.log("counted"))) - before == 11


def test_equal_requests_of_one_session_have_an_answer_each(bench: Bench) -> None:
    requests: list[Request] = [predict(), explain("gradcam"), predict(seed=9)]  # clean: the seed does not count
    assert requests[0].digest == requests[2].digest
    jobs = poll(bench.engine, "twice", requests, settled)
    assert len(jobs) == 3
    assert isinstance(jobs[0].result, Prediction) and jobs[0].result is jobs[2].result
    assert isinstance(jobs[1].result, SaliencyMap)


def test_what_is_known_is_given_without_computing(bench: Bench) -> None:
    request = explain("gradcam", target=4, seed=12)
    assert bench.engine.known(request) is None
    result = bench.engine.result(request)
    assert bench.engine.known(request) is result
    assert bench.engine.want("again", [request])[0].state == "done"


def test_a_damaged_cache_file_is_computed_again(bench: Bench) -> None:
    request = explain("lime", model="counted", seed=8, samples=4)
    first = bench.engine.result(request)
    (path,) = (bench.folder / "data" / "cache" / "results").glob(f"??/{first.key}")
    path.write_bytes(path.read_bytes()[:-20])
    bench.engine.cache._memory.clear()
    # the worker has it in memory still: a third process, with nothing but the files, has to compute it
    other = InlineEngine()
    before = sum(calls(bench.log("counted")))
    assert identical(other.result(request), first)
    assert sum(calls(bench.log("counted"))) - before == 4
    assert identical(bench.engine.result(request), first)


def test_a_request_that_waits_can_be_cancelled_and_is_never_computed(bench: Bench) -> None:
    before = calls(bench.log("counted"))
    blocker, waiting = slow(seed=110, samples=30), explain("lime", model="counted", seed=110, samples=4)
    poll(bench.engine, "first", [blocker], underway)
    assert bench.engine.want("second", [waiting])[0].state == "waiting"
    bench.engine.cancel("second")
    assert bench.engine.want("second", [waiting])[0].state == "cancelled"
    assert poll(bench.engine, "first", [blocker], settled)[0].state == "done"
    assert bench.engine.want("second", [waiting])[0].state == "cancelled"
    assert calls(bench.log("counted")) == before
    bench.engine.retry("second")
    assert poll(bench.engine, "second", [waiting], settled)[0].state == "done"


def test_a_running_request_ends_within_two_batches_of_its_cancel(bench: Bench) -> None:
    request = slow(seed=111, samples=2000)
    poll(bench.engine, "running", [request], underway)
    before = len(calls(bench.log("slow")))
    bench.engine.cancel("running")
    assert bench.engine.want("running", [request])[0].state == "cancelled"
    bench.engine.result(predict(corruptions=("occlusion=0.11",)))  # computed after it, so it has ended
    assert len(calls(bench.log("slow"))) - before <= 2
    assert request.key(bench.engine.profile or {}) not in bench.files


def test_a_newer_request_supersedes_the_running_one(bench: Bench) -> None:
    old, new = slow(seed=112, samples=2000), explain("gradcam", target=1, seed=112)
    poll(bench.engine, "moving", [old], underway)
    before = len(calls(bench.log("slow")))
    assert poll(bench.engine, "moving", [new], settled)[0].state == "done"
    assert len(calls(bench.log("slow"))) - before <= 2


def test_a_running_request_goes_on_while_another_session_waits_for_it(bench: Bench) -> None:
    request = slow(seed=113, samples=40)
    poll(bench.engine, "one", [request], underway)
    bench.engine.want("other", [request])
    bench.engine.cancel("one")
    assert bench.engine.want("one", [request])[0].state == "cancelled"
    before = len(calls(bench.log("slow")))
    assert poll(bench.engine, "other", [request], settled)[0].state == "done"
    assert len(calls(bench.log("slow"))) - before <= 20, "it was not begun anew"


def test_a_request_that_was_taken_up_again_can_be_cancelled_again(bench: Bench) -> None:
    request = slow(seed=114, samples=2000, model="slower")
    interrupted(bench.engine, "hesitant", request)
    before = len(calls(bench.log("slower")))
    bench.engine.cancel("hesitant")
    bench.engine.result(predict(corruptions=("occlusion=0.12",)))
    assert len(calls(bench.log("slower"))) - before <= 2


def test_result_of_a_session_does_not_end_with_another_sessions_cancel(bench: Bench) -> None:
    request = slow(seed=115, samples=20)
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(bench.engine.result(request)))
    thread.start()
    poll(bench.engine, "canceller", [request], underway)
    bench.engine.cancel("canceller")
    thread.join(SECONDS)
    assert len(found) == 1 and isinstance(found[0], SaliencyMap)


def test_a_sentence_of_the_executor_reaches_the_caller(bench: Bench) -> None:
    with pytest.raises(XaiError, match=r"There is no class 5; the classes of tiny are 0 to 4\."):
        bench.engine.result(explain("gradcam", target=5))
    (job,) = poll(bench.engine, "wrong", [explain("gradcam", target=5)], settled)
    assert (job.state, job.error) == ("failed", "There is no class 5; the classes of tiny are 0 to 4.")


def test_an_unexpected_fault_is_one_sentence_with_the_title_and_harms_nobody_else(bench: Bench) -> None:
    pid = bench.engine.worker_pid
    jobs = poll(bench.engine, "fault", [explain("gradcam", model="broken"), explain("gradcam", seed=120)], settled)
    assert jobs[0].state == "failed" and is_sentence(jobs[0].error)
    assert "Grad-CAM" in jobs[0].error and "the planted fault" in jobs[0].error
    assert jobs[1].state == "done"
    assert bench.engine.worker_pid == pid


def test_a_worker_that_is_killed_is_started_again_and_its_job_is_computed(bench: Bench) -> None:
    request, other = slow(seed=130, samples=40), explain("gradcam", seed=130)
    poll(bench.engine, "killed", [request], underway)
    queued = bench.engine.want("bystander", [other])[0]
    assert queued.state == "waiting"
    pid = bench.engine.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    jobs = poll(bench.engine, "killed", [request], settled)
    assert jobs[0].state == "done" and jobs[0].error == ""
    assert poll(bench.engine, "bystander", [other], settled)[0].state == "done"
    assert bench.engine.worker_pid != pid and not is_running(pid)


@pytest.mark.slow
def test_a_job_that_was_taken_up_again_after_a_cancel_survives_a_kill_too(bench: Bench) -> None:
    request = slow(seed=131, samples=8, model="slower")
    interrupted(bench.engine, "both", request)
    pid = bench.engine.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    (job,) = poll(bench.engine, "both", [request], settled)
    assert job.state == "done", job.error


@pytest.mark.slow
def test_a_job_that_kills_its_worker_twice_fails_and_the_others_are_computed(bench: Bench) -> None:
    deadly, other = explain("gradcam", model="deadly"), explain("gradcam", seed=132)
    jobs = poll(bench.engine, "deadly", [deadly, other], settled)
    assert jobs[0].state == "failed" and is_sentence(jobs[0].error)
    assert "ended twice" in jobs[0].error and "Grad-CAM" in jobs[0].error
    assert jobs[1].state == "done"
    assert len(calls(bench.log("deadly"))) == 2
    jobs = poll(bench.engine, "deadly", [deadly, other], settled)
    assert [job.state for job in jobs] == ["failed", "done"], "it is not tried for ever"


def test_a_caller_that_gives_up_leaves_nothing_running(bench: Bench) -> None:
    def give_up(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.engine.result(slow(seed=134, samples=2000), give_up)
    before = len(calls(bench.log("slow")))
    bench.engine.result(predict(corruptions=("occlusion=0.13",)))
    assert len(calls(bench.log("slow"))) - before <= 2


@pytest.mark.slow
def test_a_request_that_cannot_be_sent_fails_and_the_others_are_computed(bench: Bench) -> None:
    class Unsendable(Parameters):
        """Nothing outside this function can find this class."""

    request = Explain(explain("gradcam").input, "gradcam", Unsendable(), 0, seed=135)
    jobs = poll(bench.engine, "unsendable", [request, explain("gradcam", seed=135)], settled)
    assert jobs[0].state == "failed" and is_sentence(jobs[0].error)
    assert jobs[1].state == "done"


@pytest.mark.slow
def test_a_request_that_the_worker_cannot_read_fails_and_the_others_are_computed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("only_here")
    monkeypatch.setitem(sys.modules, "only_here", module)
    exec("from xai_core.registry import Parameters\nclass Unreadable(Parameters): pass", module.__dict__)
    request = Explain(explain("gradcam").input, "gradcam", module.Unreadable(), 0, seed=136)
    jobs = poll(bench.engine, "unreadable", [request, explain("gradcam", seed=136)], settled)
    assert jobs[0].state == "failed" and is_sentence(jobs[0].error)
    assert jobs[1].state == "done"


@pytest.mark.slow
def test_a_worker_that_is_killed_while_idle_is_started_again(bench: Bench) -> None:
    pid = bench.engine.worker_pid
    assert pid is not None
    bench.engine.result(predict())
    os.kill(pid, signal.SIGKILL)
    assert isinstance(bench.engine.result(explain("gradcam", seed=133)), SaliencyMap)


def test_a_worker_that_cannot_start_fails_every_request_with_one_sentence(bench: Bench) -> None:
    engine = LocalEngine(environment=environment_of(bench.folder, XAI_DEVICE="cuda:77"))
    try:
        for seed in (140, 141):  # the second when the reason is known already
            with pytest.raises(XaiError) as error:
                engine.result(explain("gradcam", seed=seed))
            assert is_sentence(str(error.value)) and "XAI_DEVICE=cuda:77" in str(error.value)
        assert engine.problem == str(error.value)
        assert engine.profile is None
    finally:
        engine.close()


def test_a_worker_that_dies_at_its_start_fails_every_request_with_one_sentence(bench: Bench) -> None:
    engine = LocalEngine(environment=environment_of(bench.folder, XAI_THREADS="many"))
    try:
        with pytest.raises(XaiError) as error:
            engine.result(explain("gradcam", seed=142))
        assert is_sentence(str(error.value))
    finally:
        engine.close()


def test_models_are_warmed_up_and_close_ends_the_worker(bench: Bench) -> None:
    models = bench.folder / "warm models"
    log = bench.folder / "warm.calls"
    write_observed_card(models, "warm", log=str(log))
    engine = LocalEngine(warm=["nothing", "warm"], environment=environment_of(bench.folder, XAI_MODELS_DIR=str(models)))
    try:
        assert eventually(lambda: engine.profile is not None)
        assert calls(log) == [2, 2]  # logits and gradients, a batch each
        pid = engine.worker_pid
        assert pid is not None and is_running(pid)
        os.environ["XAI_MODELS_DIR"] = str(models)  # undone by monkeypatch, which has set it before
        blocked = explain("lime", model="warm", samples=5000)
        ended: list[str] = []

        def wait_for_it() -> None:
            try:
                engine.result(blocked)
            except (XaiError, Cancelled) as error:
                ended.append(str(error))

        thread = threading.Thread(target=wait_for_it, daemon=True)
        thread.start()
        assert eventually(lambda: len(calls(log)) > 4)
        engine.close()
        assert not is_running(pid)
        thread.join(10)
        assert len(ended) == 1 and is_sentence(ended[0]), "nobody waits for an engine that was closed"
        with pytest.raises(XaiError):
            engine.result(predict(model="warm"))
        engine.close()  # twice is allowed
    finally:
        engine.close()


def test_the_worker_ends_with_its_parent(bench: Bench) -> None:
    code = """
import os, sys, time
from tests.engine.asking import explain
from xai_core.engine.local import LocalEngine
engine = LocalEngine()
while not engine.want("page", [explain("lime", model="slow", seed=150, samples=5000)])[0].done:
    time.sleep(0.05)
print(engine.worker_pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment_of(bench.folder), stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
    finally:
        parent.kill()
        parent.communicate()
    assert eventually(lambda: not is_running(pid))


@pytest.mark.slow
def test_a_parent_that_ends_by_itself_leaves_no_worker(bench: Bench) -> None:
    code = """
from xai_core.engine.local import LocalEngine
engine = LocalEngine()
while engine.worker_pid is None:
    pass
print(engine.worker_pid)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment_of(bench.folder), capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == ""
    pid = int(done.stdout)
    assert eventually(lambda: not is_running(pid))


@pytest.mark.slow
def test_the_process_that_asks_never_loads_torch(bench: Bench) -> None:
    code = """
import sys
from xai_core.engine.local import LocalEngine
from xai_core.engine.requests import Explain, prepare_input
from xai_core.images.galleries import bundled
from xai_core.registry import METHODS, MODELS
engine = LocalEngine()
given = prepare_input(bundled().samples[0].open(), MODELS["tiny"])
result = engine.result(Explain(given, "smoothgrad", METHODS["smoothgrad"].make({"samples": 2}), 0))
assert result.values.shape == (32, 32)
print("torch" in sys.modules, "scipy" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment_of(bench.folder), capture_output=True, text=True
    )
    assert done.stdout == "False False\n", done.stderr
