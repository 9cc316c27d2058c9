"""How long a request takes whose result is known already: from memory, and from the disk."""

from __future__ import annotations

import time
from typing import Any, cast

from ..engine.cache import Cache
from ..engine.comparison import DEFAULT_SCORES, Comparison, Variant, scores_for
from ..engine.local import LocalEngine
from ..engine.requests import Request
from ..images.galleries import bundled
from ..registry import METHODS, MODELS
from ..types import Prediction
from . import note
from .measuring import own_data, quantiles

METHOD = "shap"
"""Its result is the largest: the map and its standard errors."""


def run(model: str, repetitions: int = 200, preset: str = "quick") -> dict[str, Any]:
    """{"memory": {"p50_ms", "p95_ms"}, "disk": {...}} of a map and its three scores, asked together as a page does.

    Every ask is of a new session and makes its requests anew, from the decoded picture to the last score. For `disk`
    the memory is empty before each ask; the files are in the system's own cache, as they are on a server in use.
    """
    card = MODELS[model]
    picture = bundled().samples[0].open()
    variant = Variant(METHOD, METHODS[METHOD].make({}, preset))
    scores = scores_for(DEFAULT_SCORES, preset)

    def requests(target: int) -> list[Request]:
        comparison = Comparison(picture, [card], [variant], scores=scores, target=target)
        return [
            comparison.explanation(card, variant, target),
            *comparison.evaluations(card, variant, target).values(),
        ]

    with own_data():
        engine = LocalEngine(warm=[model])
        try:
            clean = cast(Prediction, engine.result(Comparison(picture, [card], []).clean_prediction(card)))
            for request in requests(clean.top):
                note(f"computing {request.title}")
                engine.result(request)
            seconds: dict[str, list[float]] = {"memory": [], "disk": []}
            for number in range(repetitions):
                for kind in ("memory", "disk"):
                    if kind == "disk":
                        engine.cache = Cache.from_settings()
                    seconds[kind].append(_ask(engine, f"{kind} {number}", requests, clean.top))
            return {kind: quantiles(values) for kind, values in seconds.items()}
        finally:
            engine.close()


def _ask(engine: LocalEngine, session: str, requests: Any, target: int) -> float:
    """Seconds until everything is there, from the choice to the results."""
    started = time.perf_counter()
    asked = requests(target)
    jobs = engine.want(session, asked)
    while any(job.pending for job in jobs):
        engine.wait(session, 1.0)
        jobs = engine.want(session, asked)
    taken = time.perf_counter() - started
    for job in jobs:
        assert job.result is not None, job.error
    engine.want(session, [])
    return taken
