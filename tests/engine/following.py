"""How tests follow an engine whose workers are other processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xai_core.engine.inline import InlineEngine
from xai_core.engine.jobs import Engine, Job
from xai_core.engine.packing import Result
from xai_core.engine.requests import Request
from xai_core.types import Prediction, SaliencyMap, Score

from .asking import explain

SECONDS = 60.0
"""Longest wait for anything: a worker starts in about five seconds on an idle machine."""


def settings_of(folder: Path) -> dict[str, str]:
    """The settings under which this file's engines work."""
    return {
        "XAI_DATA": str(folder / "data"),
        "XAI_MODELS_DIR": str(folder / "models"),
        "XAI_DEVICE": "cpu",
        "XAI_THREADS": "1",
        "XAI_BATCH": "2",
        "XAI_LOG_LEVEL": "error",
    }


def environment_of(folder: Path, **changes: str) -> dict[str, str]:
    """A worker's environment."""
    others = {key: value for key, value in os.environ.items() if not key.startswith("XAI_")}
    return {**others, **settings_of(folder), **changes}


def poll(engine: Engine, session: str, requests: list[Request], until: Callable[[list[Job]], bool]) -> list[Job]:
    """Polls as a page does, until it is so."""
    end = time.monotonic() + SECONDS
    while True:
        jobs = engine.want(session, requests)
        if until(jobs):
            return jobs
        assert time.monotonic() < end, [(job.request.title, job.state, job.done, job.error) for job in jobs]
        engine.wait(session, 0.5)


def settled(jobs: list[Job]) -> bool:
    return not any(job.pending for job in jobs)


def underway(jobs: list[Job]) -> bool:
    """Whether the first one is being computed."""
    return jobs[0].state == "running" and jobs[0].done > 0


def slow(seed: int, samples: int = 60, model: str = "slow") -> Request:
    """A map that takes 0.05 s a batch of two, or 0.6 s by the model "slower"."""
    return explain("lime", model=model, seed=seed, samples=samples)


def identical(first: Result, second: Result) -> bool:
    """Whether two maps, or two scores, or two predictions are equal bit by bit."""
    if isinstance(first, SaliencyMap) and isinstance(second, SaliencyMap):
        errors = [None if one.errors is None else one.errors.tobytes() for one in (first, second)]
        return first.values.tobytes() == second.values.tobytes() and errors[0] == errors[1]
    if isinstance(first, Score) and isinstance(second, Score):
        return np.array_equal(list(first.values.values()), list(second.values.values()), equal_nan=True)
    assert isinstance(first, Prediction) and isinstance(second, Prediction)
    return first.probabilities.tobytes() == second.probabilities.tobytes()


def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InlineEngine:
    """An engine in this process, with the same settings and a cache of its own."""
    monkeypatch.setenv("XAI_DATA", str(tmp_path / "alone"))
    return InlineEngine()


def is_running(pid: int) -> bool:
    """Whether a process is alive, and not only waiting for its parent to hear of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(so: Callable[[], bool]) -> bool:
    """Whether it becomes so in a while."""
    end = time.monotonic() + SECONDS
    while not so() and time.monotonic() < end:
        time.sleep(0.05)
    return so()
