"""All scores of one map that need no further maps, beside the time that their passes take at least."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any, cast

import numpy as np

from ..engine.requests import Evaluate, GivenMap
from ..registry import SCORES
from ..scores import imputation
from ..types import Floats, Score
from . import note
from .libraries import apart
from .panel import Ours, least_seconds, seconds_of, task_of

AGAINST_LIBRARIES = ("road", "mutual_information")
"""Scores that an installed library has too: grad-cam and scikit-learn."""


def run(model: str, rounds: int = 3) -> dict[str, Any]:
    """{"ours_s", "limit_s", "limit_ratio", "passes", "parts": {score: ...}}, medians of `rounds` on a Grad-CAM.

    The limit is what all passes would take at the least seconds per picture measured in the same run. A part has
    "ours_s" and "passes", and "library_s" and "ratio" where a library has the score.
    """
    ours = Ours(model)
    note("measuring the network alone")
    least = least_seconds(ours)
    ours.measure_batch()
    saliency = ours.map("gradcam")
    names = [spec.name for spec in SCORES if not spec.extra_maps]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    theirs: dict[str, list[float]] = {name: [] for name in AGAINST_LIBRARIES}
    passes: dict[str, Any] = {}
    with apart(task_of(ours)) as libraries:
        for number in range(rounds):
            for name in names:
                before = ours.classifier.passes
                seconds[name].append(seconds_of(partial(_score, ours, name, saliency)))
                passes[name] = ours.classifier.passes - before
            for name in AGAINST_LIBRARIES:
                theirs[name].append(libraries.seconds(name, [saliency]))
            note(f"round {number + 1}: {sum(rows[-1] for rows in seconds.values()):.1f} s for {len(names)} scores")
    parts: dict[str, dict[str, float]] = {
        name: {"ours_s": median(seconds[name]), "passes": passes[name].total} for name in names
    }
    for name, rows in theirs.items():
        parts[name] |= {"library_s": median(rows), "ratio": median(rows) / parts[name]["ours_s"]}
    total = sum(part["ours_s"] for part in parts.values())
    limit = sum(one.forward * least[0] + one.backward * least[1] for one in passes.values())
    return {
        "ours_s": total,
        "limit_s": limit,
        "limit_ratio": total / limit,
        "passes": sum(one.total for one in passes.values()),
        "parts": parts,
    }


def _score(ours: Ours, name: str, saliency: Floats) -> Score:
    """One score with the defaults of the literature; the object is the middle of the picture."""
    imputation.forget()
    height, width = saliency.shape
    mask = np.zeros(saliency.shape, dtype=bool)
    mask[height // 4 : -height // 4, width // 4 : -width // 4] = True
    subject = GivenMap(ours.given, saliency, ours.target, 0)
    asked = Evaluate(subject, name, SCORES[name].make(), mask if SCORES[name].needs_mask else None, "middle")
    return cast(Score, ours.executor.compute(asked))
