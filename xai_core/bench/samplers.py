"""How many passes plain sampling and ours need for a map of the same quality.

A map is good enough when its Spearman correlation with a reference reaches 0.95 and stays there for another 30 % of
passes. The reference is made by plain sampling with a seed of its own; every map is watched while it converges.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .. import settings
from ..engine.cache import Cache
from ..engine.executor import Executor
from ..engine.requests import Explain, Input, Predict, prepare_input
from ..engine.run import Watch
from ..images.galleries import bundled
from ..registry import METHODS, MODELS
from ..scores.ranking import rank_correlation
from ..types import Cancelled, Floats, Prediction, SaliencyMap
from . import note

PICTURES = ("chelsea.png", "coffee.png", "flower.jpg")
QUALITY = 0.95
REFERENCE_SEED = 1_000_003
KEPT = 1.3
LIMIT = 1536
"""Passes at most: sampling that is not good enough by then counts as if it were."""


def sampled_methods() -> list[str]:
    """The methods that have a better sampler than plain sampling."""
    return [
        spec.name
        for spec in METHODS
        if any(option.name == "sampling" and "plain" in option.choices for option in spec.options)
    ]


def run(
    model: str, pictures: Sequence[str] = PICTURES, seeds: int = 5, reference: int = 3000, limit: int | None = None
) -> dict[str, dict[str, float]]:
    """{method: {"plain_passes", "our_passes", "saving"}}; medians over pictures and seeds, saving of those medians.

    Passes are forward passes, each with its backward pass where the method takes gradients.
    """
    found = {}
    with_caches_off = Cache(settings.current().cache_dir, 0, 0)
    executor = Executor(with_caches_off)
    for method in sampled_methods():
        counts: dict[str, list[int]] = {"plain": [], "ours": []}
        for name in pictures:
            picture = next(sample for sample in bundled().samples if sample.name == name).open()
            given = prepare_input(picture, MODELS[model])
            prediction = executor.compute(Predict(given))
            assert isinstance(prediction, Prediction)
            note(f"{method}, {name}: a reference of {reference} passes")
            exact = explained(executor, given, method, prediction.top, REFERENCE_SEED, {"samples": reference} | PLAIN)
            for seed in range(seeds):
                for kind, changes in (("plain", PLAIN), ("ours", {})):
                    most = limit or LIMIT
                    parameters = {"samples": most} | changes
                    counts[kind].append(
                        passes_until(executor, given, method, prediction.top, seed, parameters, exact.values)
                    )
                note(f"{method}, {name}, seed {seed}: {counts['plain'][-1]} plain, {counts['ours'][-1]} ours")
        plain, ours = median(counts["plain"]), median(counts["ours"])
        found[method] = {"plain_passes": plain, "our_passes": ours, "saving": plain / ours}
    remember(found)
    return found


PLAIN = {"sampling": "plain"}


def explained(
    executor: Executor,
    given: Input,
    method: str,
    target: int,
    seed: int,
    parameters: Mapping[str, Any],
    watch: Watch | None = None,
) -> SaliencyMap:
    """A map with the quick preset's settings and these parameters."""
    made = METHODS[method].make(dict(parameters), "quick")
    result = executor.compute(Explain(given, method, made, target, seed), watch)
    assert isinstance(result, SaliencyMap)
    return result


def passes_until(
    executor: Executor,
    given: Input,
    method: str,
    target: int,
    seed: int,
    parameters: Mapping[str, Any],
    reference: Floats,
) -> int:
    """Forward passes after which the correlation with the reference reaches `QUALITY` and stays there.

    It has stayed when it was never below until `KEPT` times as many passes.
    """
    samples = int(parameters["samples"])
    made = METHODS[method].make(dict(parameters), "quick").cost()
    each = made.total // made.forward  # a gradient takes a forward and a backward pass
    since: int | None = None
    done = 0

    def progress(passes: int, total: int) -> None:
        nonlocal done
        done = passes // each

    def partial(values: Floats, signed: bool) -> None:
        nonlocal since
        if not rank_correlation(np.asarray(values, dtype=np.float32), reference) >= QUALITY:
            since = None
        elif since is None:
            since = done

    def kept() -> bool:
        return since is not None and done >= KEPT * since

    with contextlib.suppress(Cancelled):
        explained(executor, given, method, target, seed, parameters, Watch(progress, partial, kept, 0.0))
    return samples if since is None else since


def memory() -> Path:
    """Where the last savings are kept for `bench panel`, which compares at equal quality."""
    return settings.current().data / "bench" / "samplers.json"


def remember(found: Mapping[str, Any]) -> None:
    path = memory()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
