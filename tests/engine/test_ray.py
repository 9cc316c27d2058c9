"""The engine on Ray: the same bits as alone, several requests at once, and no result lost or computed twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xai_core import api, settings
from xai_core.cli import main
from xai_core.engine import cluster
from xai_core.engine.choice import chosen_engine
from xai_core.engine.cluster import Crew, RayEngine
from xai_core.engine.comparison import Comparison, Variant, compute, scores_for
from xai_core.engine.inline import InlineEngine
from xai_core.engine.jobs import Job
from xai_core.engine.requests import Explain, Request, Trial
from xai_core.registry import METHODS, MODELS, Parameters
from xai_core.types import Mask, XaiError

from ..checks import is_sentence
from ..conftest import ROOT, write_tiny_card
from .asking import disc, explain, predict, score, write_observed_card
from .following import (
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
from .trials import Explained


@dataclass
class Bench:
    """One Ray and one engine with two actors for all tests of this file, and the folders that they use."""

    ray: Any
    engine: RayEngine
    folder: Path

    @property
    def address(self) -> str:
        """Where another process finds this Ray."""
        return str(self.ray.get_runtime_context().gcs_address)

    def log(self, name: str) -> Path:
        """Where the network of an observed card notes its batches."""
        return self.folder / f"{name}.calls"

    @property
    def files(self) -> set[str]:
        """Keys of all results on disk."""
        return {path.name for path in (self.folder / "data" / "cache" / "results").glob("??/*")}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    ray = pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("ray")
    models = folder / "models"
    write_tiny_card(models)
    write_observed_card(models, "counted", log=str(folder / "counted.calls"))
    write_observed_card(models, "slow", log=str(folder / "slow.calls"), seconds=0.05)
    write_observed_card(models, "slower", log=str(folder / "slower.calls"), seconds=0.6)
    write_observed_card(models, "broken", breaks="the planted fault\nwith a second line")
    write_observed_card(models, "deadly", log=str(folder / "deadly.calls"), kills=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # what whoever starts Ray has set is nothing to the engine's actors
        patch.setenv("XAI_BATCH", "5")
        patch.setenv("XAI_DATA", str(folder / "wrong"))
        ray.init("local", num_cpus=8, include_dashboard=False, log_to_driver=False, logging_level="error")
        patch.delenv("XAI_BATCH")
        for name, value in settings_of(folder).items():
            patch.setenv(name, value)
        engine = RayEngine(environment=environment_of(folder, XAI_RAY_ACTORS="2"))
        yield Bench(ray, engine, folder)
        engine.close()
        ray.shutdown()


@pytest.fixture(autouse=True)
def settings_of_the_bench(isolated: None, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are made under the same settings as the engine's actors."""
    for name, value in settings_of(bench.folder).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def crew(bench: Bench) -> list[int]:
    """The processes of the two actors, both ready."""
    assert eventually(lambda: len(bench.engine.actor_pids) == 2)
    return bench.engine.actor_pids


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
        Trial("explained", Explained(), 4, None, {"shift": np.zeros(192, dtype=np.float32)}),
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


def test_two_requests_are_computed_at_once_by_two_actors(bench: Bench, crew: list[int]) -> None:
    requests = [slow(seed=seed, samples=40) for seed in (200, 201, 202)]
    jobs = poll(bench.engine, "two", requests, lambda jobs: jobs[0].done > 0 and jobs[1].done > 0)
    assert [job.state for job in jobs] == ["running", "running", "waiting"]
    seen: list[Job] = []

    def look(jobs: list[Job]) -> bool:
        seen.append(jobs[2])
        return settled(jobs)

    assert all(job.state == "done" for job in poll(bench.engine, "two", requests, look))
    assert any(job.partial is not None for job in seen)
    assert len(set(crew)) == 2 and bench.engine.actor_pids == crew


def test_a_map_is_computed_once_for_many_scores_on_two_actors(bench: Bench, crew: list[int]) -> None:
    before = sum(calls(bench.log("counted")))
    subject = explain("lime", model="counted", seed=203, samples=40)
    requests: list[Request] = [
        score("iou", subject, Mask(np.tri(40, 48, dtype=bool))),
        subject,
        score("road", subject, steps=2),
    ]
    assert all(job.state == "done" for job in poll(bench.engine, "once", requests, settled))
    road = requests[2].cost.total
    assert sum(calls(bench.log("counted"))) - before <= 40 + 2 * road + 2


def test_a_comparison_of_the_command_line_keeps_both_actors_busy(bench: Bench, crew: list[int]) -> None:
    variants = [
        Variant("lime", METHODS["lime"].make({"segmentation": "slic", "samples": 20 + seed}), str(seed))
        for seed in range(4)
    ]
    asked = Comparison(disc(), [MODELS["slow"]], variants, scores=scores_for(["road"], "quick"), target=1, seed=9)
    busy: list[int] = []
    seats = bench.engine._seats
    outcome = compute(asked, bench.engine, lambda *_: busy.append(sum(seat.running is not None for seat in seats)))
    assert len(outcome.maps) == 4 and len(outcome.scores) == 4 + len(asked.baselines)
    assert busy.count(2) > len(busy) / 2
    assert eventually(lambda: not any(seat.running for seat in seats)), "nothing is left that nobody waits for"


def test_a_running_request_ends_within_two_batches_of_its_cancel(bench: Bench, crew: list[int]) -> None:
    request = slow(seed=204, samples=2000)
    poll(bench.engine, "running", [request], underway)
    before = len(calls(bench.log("slow")))
    bench.engine.cancel("running")
    assert bench.engine.want("running", [request])[0].state == "cancelled"
    # one for each actor: when both are computed, it has ended
    others = [slow(seed=205, samples=4, model="slower"), slow(seed=206, samples=4, model="slower")]
    poll(bench.engine, "after", others, settled)
    assert len(calls(bench.log("slow"))) - before <= 3
    assert request.key(bench.engine.profile or {}) not in bench.files


@pytest.mark.slow
def test_an_actor_that_is_killed_is_started_again_and_its_result_is_there_exactly_once(
    bench: Bench, crew: list[int]
) -> None:
    known = bench.files
    requests = [slow(seed=210, samples=40), slow(seed=211, samples=60)]
    poll(bench.engine, "killed", requests, lambda jobs: jobs[0].done > 0 and jobs[1].done > 0)
    os.kill(crew[0], signal.SIGKILL)
    jobs = poll(bench.engine, "killed", requests, settled)
    assert [job.state for job in jobs] == ["done", "done"], [job.error for job in jobs]
    assert bench.files - known == {job.result.key for job in jobs if job.result is not None}
    assert eventually(lambda: len(bench.engine.actor_pids) == 2)
    assert not is_running(crew[0]) and crew[0] not in bench.engine.actor_pids
    assert crew[1] in bench.engine.actor_pids, "the other one went on"


def test_a_request_that_kills_its_actor_twice_fails_and_the_others_are_computed(bench: Bench) -> None:
    deadly, other = explain("gradcam", model="deadly"), explain("gradcam", seed=212)
    jobs = poll(bench.engine, "deadly", [deadly, other], settled)
    assert jobs[0].state == "failed" and is_sentence(jobs[0].error)
    assert "ended twice" in jobs[0].error and "Grad-CAM" in jobs[0].error
    assert jobs[1].state == "done"
    assert len(calls(bench.log("deadly"))) == 2


def test_sentences_and_faults_of_an_actor_reach_the_caller_and_the_log(
    bench: Bench, crew: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(XaiError, match=r"^There is no class 5; the classes of tiny are 0 to 4\.$"):
        bench.engine.result(explain("gradcam", target=5))
    with pytest.raises(XaiError, match="the planted fault") as error:
        bench.engine.result(explain("gradcam", model="broken"))
    assert is_sentence(str(error.value))
    assert eventually(lambda: "with a second line" in caplog.text)
    assert bench.engine.actor_pids == crew


@pytest.mark.slow
def test_a_request_that_cannot_be_sent_fails_and_the_others_are_computed(bench: Bench) -> None:
    class Unsendable(Parameters):
        """Nothing outside this function can find this class."""

    request = Explain(explain("gradcam").input, "gradcam", Unsendable(), 0, seed=213)
    jobs = poll(bench.engine, "unsendable", [request, explain("gradcam", seed=213)], settled)
    assert jobs[0].state == "failed" and is_sentence(jobs[0].error)
    assert jobs[1].state == "done"


DRIVER = """
from tests.engine.asking import explain
from tests.engine.following import poll, settled
from xai_core.engine.choice import chosen_engine
engine = chosen_engine()
requests = [explain("lime", model="resumed", seed=seed, samples=20) for seed in range(8)]
jobs = poll(engine, "study", requests, settled)
print(*engine.actor_pids, *(job.state for job in jobs))
"""


@pytest.mark.slow
def test_a_driver_that_was_killed_and_started_again_resumes_where_it_was(bench: Bench) -> None:
    log = bench.log("resumed")
    write_observed_card(bench.folder / "models", "resumed", log=str(log), seconds=0.2)
    data = bench.folder / "resumed"
    environment = environment_of(
        bench.folder, XAI_DATA=str(data), XAI_ENGINE="ray", XAI_RAY_ACTORS="2", RAY_ADDRESS=bench.address
    )
    command = [sys.executable, "-c", DRIVER]

    def done() -> int:
        return len([path for path in data.rglob("results/??/*") if not path.name.endswith(".part")])

    first = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        assert eventually(lambda: done() >= 3)
    finally:
        first.kill()
        first.wait()
    assert eventually(lambda: quiet(log)), "the actors end with their driver"
    kept, before = done(), sum(calls(log))
    assert 3 <= kept < 8
    second = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert second.stdout.split()[2:] == ["done"] * 8, second.stderr
    assert sum(calls(log)) - before == (8 - kept) * 20
    assert done() == 8


def quiet(log: Path) -> bool:
    """Whether nothing has been computed for a second."""
    before = len(calls(log))
    time.sleep(1)
    return len(calls(log)) == before


def refused(environment: dict[str, str]) -> str:
    """What an engine says that can compute nothing."""
    engine = RayEngine(environment=environment)
    try:
        with pytest.raises(XaiError) as error:
            engine.result(predict())
        assert is_sentence(str(error.value))
        return str(error.value)
    finally:
        engine.close()


def test_without_the_package_there_is_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert 'pip install "ray' in refused(environment_of(bench.folder))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_a_wrong_address_is_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(bench.ray, "is_initialized", lambda: False)
    assert f"RAY_ADDRESS={address}" in refused(environment_of(bench.folder, RAY_ADDRESS=address))


def test_too_many_actors_are_one_sentence(bench: Bench) -> None:
    assert "XAI_RAY_ACTORS=99" in refused(environment_of(bench.folder, XAI_RAY_ACTORS="99"))


def test_an_actor_that_cannot_use_its_device_is_one_sentence(bench: Bench) -> None:
    assert "XAI_DEVICE=cuda" in refused(environment_of(bench.folder, XAI_DEVICE="cuda"))


def crew_of(*machines: dict[str, float], **changes: str) -> Crew:
    given = {f"XAI_{name.upper()}": value for name, value in changes.items()}
    return Crew.of(machines, settings.from_environment(given))


def test_there_is_one_actor_for_each_device() -> None:
    assert crew_of({"CPU": 2.0, "memory": 1e9}) == Crew(count=2, cpus=1, gpus=0)
    assert crew_of({"CPU": 16.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 4.0}) == Crew(count=5, cpus=0, gpus=1)
    assert crew_of({"CPU": 16.0, "GPU": 1.0}, device="cpu") == Crew(count=16, cpus=1, gpus=0)
    assert crew_of({"CPU": 7.0}, {"CPU": 9.0}, threads="4") == Crew(count=3, cpus=4, gpus=0)
    assert crew_of({"CPU": 7.0}, ray_actors="3") == Crew(count=3, cpus=1, gpus=0)


@pytest.mark.parametrize(
    "changes", [{"ray_actors": "3"}, {"device": "cuda"}, {"device": "cuda:1"}, {"threads": "3"}], ids=str
)
def test_what_the_machines_do_not_have_is_refused_with_a_sentence(changes: dict[str, str]) -> None:
    with pytest.raises(XaiError) as error:
        crew_of({"CPU": 2.0}, **changes)
    assert is_sentence(str(error.value))


def test_an_actor_has_the_settings_of_the_engine_and_no_others() -> None:
    given = {"XAI_DATA": "/srv/xai", "XAI_BATCH": "4", "TORCH_HOME": "/srv/torch", "HOME": "/home/me", "PATH": "/bin"}
    found = Crew(2, 1, 0).environment(given)
    assert {"XAI_DATA": "/srv/xai", "XAI_BATCH": "4", "TORCH_HOME": "/srv/torch"}.items() <= found.items()
    assert (found["XAI_DEVICE"], found["XAI_THREADS"], found["XAI_MODELS_DIR"]) == ("cpu", "1", "")
    assert str(ROOT) in found["PYTHONPATH"].split(os.pathsep)
    assert not {"HOME", "PATH"} & found.keys()
    assert {settings.variable(name) for name in settings.Settings.model_fields} <= found.keys()
    assert Crew(2, 0, 1).environment({"XAI_DEVICE": "cuda:1"})["XAI_DEVICE"] == "cuda", "Ray hides the other ones"


def test_the_setting_names_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_ENGINE", "inline")
    assert isinstance(chosen_engine(), InlineEngine)
    monkeypatch.setattr(cluster, "RayEngine", lambda warm: ("ray", warm))
    monkeypatch.setenv("XAI_ENGINE", "ray")
    assert chosen_engine(["tiny"]) == ("ray", ["tiny"])


def test_the_command_line_computes_on_ray_where_the_setting_says_so(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_ENGINE", "ray")
    monkeypatch.setattr(cluster, "RayEngine", lambda warm: bench.engine)
    Image.fromarray(disc().pixels).save(tmp_path / "disc.png")
    known, out = bench.files, tmp_path / "out"
    arguments = [str(tmp_path / "disc.png"), "--model", "tiny", "--method", "random", "--seed", "77", "--out", str(out)]
    assert main(["explain", *arguments]) == 0
    assert (out / "maps.npz").exists() and len(bench.files - known) >= 1
    assert api.engine.cache_info().currsize == 0, "nothing was computed in this process"


@pytest.mark.slow
def test_ray_is_started_inside_a_process_that_never_loads_torch_and_ends_with_it(bench: Bench) -> None:
    code = """
import sys
from tests.engine.asking import explain
from xai_core.engine.choice import chosen_engine
engine = chosen_engine()
engine.result(explain("lime", samples=4))
print(*engine.actor_pids)
assert not {"torch", "scipy"} & set(sys.modules)
"""
    environment = environment_of(bench.folder, XAI_ENGINE="ray", XAI_RAY_ACTORS="1")
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not any(is_running(int(pid)) for pid in done.stdout.split())
