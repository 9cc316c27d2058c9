"""Many people on the Compare page at once, while one of them waits for something long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from ..classifiers.cards import Card
from ..corruptions.chain import step
from ..engine.cache import Cache
from ..engine.comparison import DEFAULT_METHODS, Comparison, Variant
from ..engine.executor import Executor
from ..images.galleries import Sample, bundled
from ..registry import METHODS, MODELS
from ..render.colours import shades
from ..render.encoding import indices_uri
from ..types import Prediction, SaliencyMap, XaiError
from . import note
from .dashboard import dashboard
from .measuring import own_data, quantiles
from .visitor import Visitor

NOISE = (0.0, 10.0, 20.0, 30.0)
"""Standard deviations of the noise that the sessions switch between, 0 to 255."""
PICTURES = 8
"""Bundled pictures that the sessions look at: several share one, so that results repeat and new ones come too."""
LONG_SAMPLES = 5_000
START_SECONDS = 600.0


@dataclass
class Seen:
    """What one session was shown."""

    sample: Sample
    noise: float = 0.0
    cells: dict[tuple[str, float, str], set[tuple[str, str]]] = field(default_factory=dict)
    """Picture, noise and method -> id and source of every finished map that was shown for them."""
    known: set[int] = field(default_factory=set)
    begun: bool = False
    """Whether it looks at its own picture already."""

    @property
    def complete(self) -> bool:
        """Whether every map of the present choice was shown."""
        return all((self.sample.name, self.noise, method) in self.cells for method in DEFAULT_METHODS)

    def take(self, name: str, data: bytes) -> None:
        """Notes the finished maps of the grid."""
        mark = hash((self.noise, data))
        if name != "grid" or not self.begun or mark in self.known:
            return
        self.known.add(mark)
        for row in orjson.loads(data)["rows"]:
            for cell in row["cells"]:
                if cell["state"] == "done" and cell["map"]:
                    place = (self.sample.name, self.noise, cell["name"])
                    self.cells.setdefault(place, set()).add((cell["map"]["id"], cell["map"]["src"]))


def run(model: str, sessions: int = 30, seconds: float = 60.0, every: float = 2.0) -> dict[str, Any]:
    """{"sessions", "reruns_per_second", "p50_ms", "p95_ms", "wrong_maps"} of the Compare page under load.

    Every session changes the noise every so many seconds, after its first view is there; latency is the time from the
    change to the end of its script run. One more session waits for LIME with many samples all the while. Every
    finished map that a session got is then computed alone, in another process with no cache, and compared bit by bit.
    """
    card: Card = MODELS[model]
    with own_data() as folder:
        log = folder / "dashboard.log"
        with dashboard(log) as address:
            latencies, taken, seen = asyncio.run(_load(address, card, sessions, seconds, every))
        if "Traceback" in (text := log.read_text()):
            raise XaiError(f"The dashboard failed: {text.strip().splitlines()[-1]}")
        note(f"{len(latencies) / taken:.1f} reruns a second, {quantiles(latencies)}")
        shown: dict[tuple[str, float, str], set[tuple[str, str]]] = {}
        for one in seen:
            for place, maps in one.cells.items():
                shown.setdefault(place, set()).update(maps)
        wrong = wrong_maps(card, shown)
    return {
        "sessions": sessions,
        "reruns_per_second": round(len(latencies) / taken, 2),
        **quantiles(latencies),
        "wrong_maps": wrong,
    }


async def _load(
    address: str, card: Card, sessions: int, seconds: float, every: float
) -> tuple[list[float], float, list[Seen]]:
    """Latencies, the seconds that were measured, and what was seen."""
    samples = bundled().samples[:PICTURES]
    seen = [Seen(samples[number % len(samples)]) for number in range(sessions)]
    visitors = [Visitor(address, one.take) for one in seen]
    long = Visitor(address, lambda name, data: None)
    everyone = [asyncio.create_task(one.run()) for one in (long, *visitors)]
    latencies: list[float] = []
    try:
        async with _patience():
            for visitor, one in zip(visitors, seen, strict=True):
                await _begin(visitor, one, card)
            note(f"{sessions} sessions are there; waiting for their first views")
            while not all(one.complete for one in seen):
                await asyncio.sleep(0.2)
            await _ask_for_long(long, card)
        note(f"measuring for {seconds:.0f} s")
        before = sum(one.fragment_runs for one in visitors)
        started = time.perf_counter()
        acting = [
            _act(visitor, one, number, sessions, started + seconds, every, latencies)
            for number, (visitor, one) in enumerate(zip(visitors, seen, strict=True))
        ]
        await asyncio.gather(*acting)
        taken = time.perf_counter() - started
        polls = sum(one.fragment_runs for one in visitors) - before
        megabytes = sum(one.received for one in visitors) / 1e6
        note(f"{polls / taken:.1f} polls a second beside the reruns, {megabytes:.0f} MB received")
    finally:
        for task in everyone:
            task.cancel()
        await asyncio.gather(*everyone, return_exceptions=True)
    problems = [problem for one in (long, *visitors) for problem in one.problems]
    if problems:
        raise XaiError(f"The page failed: {problems[0]}")
    return latencies, taken, seen


@contextlib.asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(START_SECONDS):
            yield
    except TimeoutError:
        raise XaiError(f"The first views were not there after {START_SECONDS:.0f} s; is the machine busy?") from None


async def _ask_for_long(visitor: Visitor, card: Card) -> None:
    await visitor.settled()
    if card.name != "efficientnet_lite0":
        await visitor.change("models", string_array_value=[card.name])
    await visitor.change("methods", string_array_value=["lime"])
    await visitor.change("lime.samples.quick", int_value=LONG_SAMPLES)


async def _begin(visitor: Visitor, seen: Seen, card: Card) -> None:
    await visitor.settled()
    await visitor.change("gallery.photos", json_value=json.dumps({"selected": seen.sample.name}))
    if card.name != "efficientnet_lite0":
        await visitor.change("models", string_array_value=[card.name])
    seen.begun = True


async def _act(
    visitor: Visitor, seen: Seen, number: int, sessions: int, until: float, every: float, latencies: list[float]
) -> None:
    """Changes the noise again and again, at times that are spread over the sessions, and never two changes at once."""
    due = time.perf_counter() + every * number / sessions
    turn = number
    while (now := time.perf_counter()) < until:
        if now < due:
            await asyncio.sleep(due - now)
        turn += 1
        due += every
        seen.noise = NOISE[turn % len(NOISE)]
        latencies.append(await visitor.change("corruption.gaussian_noise", double_array_value=[seen.noise]))
        due = max(due, time.perf_counter())


def wrong_maps(card: Card, shown: dict[tuple[str, float, str], set[tuple[str, str]]]) -> int:
    """How many of the maps that were shown are not those that are computed alone, by id and by every pixel."""
    executor = Executor(Cache(Path(), memory_bytes=0, disk_bytes=0))
    samples = {sample.name: sample for sample in bundled().samples}
    targets: dict[str, int] = {}
    wrong = 0
    for number, ((name, noise, method), maps) in enumerate(sorted(shown.items())):
        if number % 20 == 0 or number + 1 == len(shown):
            note(f"{number + 1} of {len(shown)} maps compared")
        variant = Variant(method, METHODS[method].make({}, "quick"))
        comparison = Comparison(samples[name].open(), [card], [variant], (step("gaussian_noise", noise),))
        if name not in targets:
            targets[name] = cast(Prediction, executor.compute(comparison.clean_prediction(card))).top
        target = targets[name]
        alone = cast(SaliencyMap, executor.compute(comparison.explanation(card, variant, target)))
        expected = (f"{alone.key}/value", indices_uri(shades(alone.values, alone.signed)[0]))
        wrong += sum(one != expected for one in maps)
    return wrong
