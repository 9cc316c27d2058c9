"""What is computed before anybody asks: the gallery's pictures, and what the dashboard shows first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from .. import settings
from ..classifiers.cards import Card
from ..images.galleries import bundled
from ..registry import MODELS
from ..types import XaiError
from .comparison import compute, default_comparison
from .following import follow
from .jobs import Engine

log = logging.getLogger(__name__)

SESSION = "warm-up"
POLL_SECONDS = 1.0


def warm(
    cards: Sequence[Card], engine: Engine, preset: str, progress: Callable[[str, float], None] = lambda what, part: None
) -> int:
    """Computes what the Compare page asks for at its defaults, for every bundled picture and model; returns how many.

    What is in the cache already costs nothing, and what is computed goes there at once: stopping loses nothing but
    the request that was computed. `progress(what, fraction)`. Raises `XaiError`.
    """
    samples = bundled().samples
    total = len(samples) * len(cards)
    for number, (sample, card) in enumerate((sample, card) for card in cards for sample in samples):

        def part(what: str, fraction: float, number: int = number, title: str = sample.title) -> None:
            progress(f"{title}, {what}", (number + fraction) / total)

        compute(default_comparison(sample.open(), [card], preset), engine, part)
    return total


def measure_batches(cards: Sequence[Card]) -> None:
    """Finds and remembers how many pictures a pass takes best, for every model of which this machine does not know.

    Before the engine starts: batch sizes are part of the keys. A GPU's are measured by themselves; on a CPU only here,
    so that nobody waits for it. With `XAI_BATCH`, and on actors elsewhere, nothing is measured.
    """
    from .executor import Executor

    if settings.current().batch or settings.current().engine == "ray":
        return
    executor = Executor()
    for card in cards:
        classifier = executor.classifier(card.name)
        if classifier.digest not in executor.batches.known:
            executor.batches.measure(classifier)


def in_background(engine: Engine, model: str, preset: str) -> threading.Thread:
    """Computes the first picture's default view on a thread, as a session of its own among the others.

    It is computed while nobody else waits, and what a user asks for too is computed once. It ends when all is there,
    or with a line in the log when that cannot be.
    """
    thread = threading.Thread(target=_first_view, args=(engine, model, preset), name="warm-up", daemon=True)
    thread.start()
    return thread


def _first_view(engine: Engine, model: str, preset: str) -> None:
    try:
        comparison = default_comparison(bundled().samples[0].open(), [MODELS[model]], preset)
        while follow(comparison, engine, SESSION, background=True).pending:
            engine.wait(SESSION, POLL_SECONDS)
    except XaiError as error:
        log.warning("the first view is not computed ahead: %s", error)
    finally:
        engine.want(SESSION, [])
