"""Benchmarks: what the engine costs, beside the libraries and beside its limits. One module each, found by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, cast

from ..types import XaiError

BENCHMARKS = {
    "panel": "xai_core.bench.panel",
    "samplers": "xai_core.bench.samplers",
    "cache": "xai_core.bench.cache",
    "sessions": "xai_core.bench.sessions",
    "leak": "xai_core.bench.leak",
    "ray": "xai_core.bench.ray_scaling",
    "scores": "xai_core.bench.scores",
    "agreement": "xai_core.bench.agreement",
}
"""Every benchmark by name, and its module with `run(model) -> dict`; imported only when it is asked for."""


def benchmark(name: str) -> Callable[[str], dict[str, Any]]:
    """The function that runs a benchmark; raises `XaiError` when there is none of this name."""
    if name not in BENCHMARKS:
        raise XaiError(f"There is no benchmark {name!r}; choose from {', '.join(BENCHMARKS)}.")
    return cast(Callable[[str], dict[str, Any]], importlib.import_module(BENCHMARKS[name]).run)


def note(text: str) -> None:
    """A line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)
