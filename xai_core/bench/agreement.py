"""How far our maps are from those of the reference libraries.

The Methods page shows what this measured last: `bench agreement --model resnet50_v1 --json assets/agreement.json`.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np

from .. import settings
from ..engine.cache import Cache
from ..engine.executor import Executor
from ..engine.requests import Explain, Predict, prepare_input
from ..images.galleries import bundled
from ..registry import METHODS, MODELS
from ..types import Floats, Prediction, SaliencyMap
from . import note

PRESET = "balanced"


def run(model: str, preset: str = PRESET) -> dict[str, dict[str, Any]]:
    """{method: {"version", "library", "correlation", "expected", "largest_difference", "notes"}} of the first photo.

    `largest_difference` is of our map and the library's, scaled to fit it best, as a part of the largest value.
    `expected` is the correlation of two maps of ours with other seeds, by their standard errors: 1 for a method without
    chance. `notes` are what our map and the library's say of themselves.
    """
    executor = Executor(Cache(settings.current().cache_dir, 0, 0))
    given = prepare_input(bundled().samples[0].open(), MODELS[model])
    prediction = executor.compute(Predict(given))
    assert isinstance(prediction, Prediction)
    found = {}
    for spec in METHODS:
        if not spec.reference:
            continue
        note(f"{spec.title}: ours and {spec.reference}'s")
        maps = []
        for implementation in ("own", "reference"):
            parameters = spec.make({"implementation": implementation}, preset)
            maps.append(executor.compute(Explain(given, spec.name, parameters, prediction.top)))
        own, library = maps
        assert isinstance(own, SaliencyMap) and isinstance(library, SaliencyMap)
        noise = 0.0 if own.errors is None else float(np.mean(np.square(own.errors)) / np.var(own.values))
        found[spec.name] = {
            "version": spec.version,
            "library": f"{spec.reference} {importlib.metadata.version(spec.reference)}",
            "correlation": round(float(np.corrcoef(own.values.ravel(), library.values.ravel())[0, 1]), 4),
            "expected": round(max(1 - noise, 0.0), 4),
            "largest_difference": float(f"{difference(own.values, library.values):.2g}"),
            "notes": [*dict.fromkeys((*own.notes, *library.notes))],
        }
    return found


def difference(own: Floats, library: Floats) -> float:
    """The largest difference after the library's map was scaled and shifted to fit ours best, as a part of our largest
    absolute value: libraries scale their maps as they like."""
    flat = library.ravel().astype(np.float64)
    x = np.column_stack([flat, np.ones_like(flat)])
    fitted = x @ np.linalg.lstsq(x, own.ravel().astype(np.float64), rcond=None)[0]
    return float(np.abs(own.ravel() - fitted).max() / np.abs(own).max())
