"""How many maps a second one single-threaded Ray actor computes, and how many two."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from statistics import median

from .. import settings
from ..engine.cluster import RayEngine, connect
from ..engine.requests import Explain, prepare_input
from ..images.galleries import bundled
from ..registry import METHODS, MODELS
from ..types import XaiError
from . import note

ROUNDS = 3
MAPS = 8
"""Maps of one round; they differ in their seeds."""
SAMPLES = 32
START_SECONDS = 180.0
"""Longest wait for the actors."""


def run(model: str) -> dict[str, float]:
    """{"one", "two", "speedup"}: maps per second of one actor and of two, and two over one.

    Medians of three rounds, one and two actors in turn, with the same SmoothGrad maps of one picture; caches are off.
    Raises `XaiError` when Ray is not to be had.
    """
    given = prepare_input(bundled().samples[0].open(), MODELS[model])
    parameters = METHODS["smoothgrad"].make({"samples": SAMPLES})
    maps = [Explain(given, "smoothgrad", parameters, target=0, seed=seed) for seed in range(MAPS)]
    rates: dict[int, list[float]] = {1: [], 2: []}
    environment = environment_of(3)
    ray = connect(environment, settings.from_environment(environment))  # room for the actors of both engines
    with ExitStack() as stack:
        engines = {count: stack.enter_context(closing(RayEngine([model], environment_of(count)))) for count in (1, 2)}
        for count, engine in engines.items():
            _wait_for(engine, count)
            seconds(engine, maps[: 2 * count])
        for turn in range(ROUNDS):
            for count in (1, 2) if turn % 2 == 0 else (2, 1):
                rates[count].append(MAPS / seconds(engines[count], maps))
                note(f"round {turn + 1}, actors {count}: {rates[count][-1]:.2f} maps per second")
    ray.shutdown()
    one, two = median(rates[1]), median(rates[2])
    return {"one": one, "two": two, "speedup": two / one}


def environment_of(actors: int) -> dict[str, str]:
    """The variables of an engine with so many single-threaded actors, which keeps no results."""
    changes = {"XAI_DEVICE": "cpu", "XAI_THREADS": "1", "XAI_CACHE_MB": "0", "XAI_DISK_CACHE_MB": "0"}
    return {**os.environ, **changes, "XAI_RAY_ACTORS": str(actors)}


def _wait_for(engine: RayEngine, count: int) -> None:
    until = time.monotonic() + START_SECONDS
    while len(engine.actor_pids) < count:
        if engine.problem or time.monotonic() > until:
            raise XaiError(engine.problem or "The Ray actors do not start; look at the log.")
        time.sleep(0.1)


def seconds(engine: RayEngine, maps: Sequence[Explain]) -> float:
    """How long the engine takes for all of these maps, asked for at once; raises `XaiError` when one fails."""
    started = time.perf_counter()
    jobs = engine.want("bench", maps)
    while any(job.pending for job in jobs):
        engine.wait("bench", 1.0)
        jobs = engine.want("bench", maps)
    taken = time.perf_counter() - started
    engine.want("bench", [])  # so that the next round computes them anew
    for job in jobs:
        if job.result is None:
            raise XaiError(job.error)
    return taken
