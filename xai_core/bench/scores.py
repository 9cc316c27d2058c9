"""All scores of one map that need no further maps, beside the time that their passes take at least."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any, cast

import numpy as np

from ..engine.requests import Evaluate, GivenMap
from ..registry import SCORES
from ..scores import imputation
from ..scores.information import mutual_information
from ..types import Floats, Score
from . import note
from .libraries import apart
from .panel import Ours, least_seconds, seconds_of, task_of

LIBRARIES: dict[str, tuple[str, ...]] = {
    "road": ("road",),
    "insertion_deletion": ("insertion", "deletion"),
    "mutual_information": (),
}
"""What grad-cam, torchcam and scikit-learn have too, by our scores; of mutual information the estimate alone."""


def run(model: str, rounds: int = 3) -> dict[str, Any]:
    """{"ours_s", "limit_s", "limit_ratio", "passes", "parts": {...}, "libraries": {...}} of a Grad-CAM map.

    Seconds are medians of `rounds`. The limit is what all passes would take at the least seconds per picture measured
    in the same run. Parts are scores with "ours_s" and "passes"; libraries have "ours_s", "library_s" and "ratio".
    """
    ours = Ours(model)
    note("measuring the network alone")
    least = least_seconds(ours)
    ours.measure_batch()
    saliency = ours.map("gradcam")
    grey = ours.given.frame.mean(axis=2)
    names = [spec.name for spec in SCORES if not spec.extra_maps]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    estimates: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in LIBRARIES}
    passes: dict[str, Any] = {}
    with apart(task_of(ours)) as libraries:
        for number in range(rounds):
            for name in names:
                before = ours.classifier.passes
                seconds[name].append(seconds_of(partial(_score, ours, name, saliency)))
                passes[name] = ours.classifier.passes - before
            estimates.append(seconds_of(partial(mutual_information, grey, saliency, bins=64)))
            for name in LIBRARIES:
                theirs[name].append(libraries.seconds(name, [saliency]))
            note(f"round {number + 1}: {sum(rows[-1] for rows in seconds.values()):.1f} s for {len(names)} scores")
    parts = {name: {"ours_s": median(seconds[name]), "passes": passes[name].total} for name in names}
    total = sum(part["ours_s"] for part in parts.values())
    limit = sum(one.forward * least[0] + one.backward * least[1] for one in passes.values())
    beside = {name: sum(parts[one]["ours_s"] for one in own) or median(estimates) for name, own in LIBRARIES.items()}
    return {
        "ours_s": total,
        "limit_s": limit,
        "limit_ratio": total / limit,
        "passes": sum(one.total for one in passes.values()),
        "parts": parts,
        "libraries": {
            name: {"ours_s": own, "library_s": median(theirs[name]), "ratio": median(theirs[name]) / own}
            for name, own in beside.items()
        },
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
