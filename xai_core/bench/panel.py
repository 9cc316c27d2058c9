"""Four maps and their scores, ours and the libraries', in turn; and how far ours is from the network's own speed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from .. import settings
from ..classifiers.evaluator import Classifier
from ..classifiers.loading import load_network
from ..engine.cache import Cache
from ..engine.executor import Executor
from ..engine.requests import Evaluate, Explain, GivenMap, Input, Predict, prepare_input
from ..engine.tuning import measured
from ..images import galleries
from ..images.geometry import picture_frame
from ..registry import METHODS, MODELS, SCORES, Parameters
from ..scores import imputation
from ..scores.road import Road, removed
from ..types import Cost, Floats, Prediction, SaliencyMap
from . import note, samplers
from .libraries import Task, apart, wait_for_device

PICTURE = "coffee.png"
BACKGROUND = 20
SETTINGS: dict[str, dict[str, Any]] = {
    "gradcam": {},
    "shap": {"samples": 200},
    "lime": {"samples": 1000, "segmentation": "quickshift"},
    "smoothgrad": {"samples": 50},
}
PARTS = (*SETTINGS, "occlusion", "road")
BATCHES = (4, 8, 16)


class Ours:
    """Our side: requests to an executor whose caches are off."""

    def __init__(self, model: str):
        self.executor = Executor(Cache(settings.current().cache_dir, 0, 0))
        self.card = MODELS[model]
        picture = next(one for one in galleries.bundled().samples if one.name == PICTURE).open()
        self.given: Input = prepare_input(picture, self.card)
        self.target = cast(Prediction, self.executor.compute(Predict(self.given))).top
        self.passes: dict[str, Cost] = {}
        imputation.compile_solver()

    @property
    def classifier(self) -> Classifier:
        return self.executor.classifier(self.card.name)

    def measure_batch(self) -> None:
        """Finds this model's batch size on this machine, for this run only."""
        self.executor.batches.known[self.classifier.digest] = measured(self.classifier)

    def map(self, method: str, changes: Mapping[str, Any] = {}) -> Floats:
        parameters = METHODS[method].make({**SETTINGS[method], **changes}, "paper")
        found = cast(SaliencyMap, self.executor.compute(Explain(self.given, method, parameters, self.target, 0)))
        self.passes[method] = found.passes
        return found.values

    def score(self, name: str, maps: Sequence[Floats]) -> None:
        parameters: Parameters = SCORES[name].make()
        imputation.forget()
        total = Cost(0, 0)
        for values in maps:
            subject = GivenMap(self.given, values, self.target, 0)
            passes = self.executor.compute(Evaluate(subject, name, parameters, None)).passes
            total = Cost(total.forward + passes.forward, total.backward + passes.backward)
        self.passes[name] = total


def run(model: str, rounds: int = 3) -> dict[str, Any]:
    """The panel's times, medians of `rounds`; see the issue's words for every key in docs/performance.md."""
    savings = _savings()
    fewer = {method: round(int(SETTINGS[method]["samples"]) / savings[method]) for method in ("shap", "lime")}
    ours = Ours(model)
    note("measuring the network alone")
    least = least_seconds(ours)
    ours.measure_batch()
    maps = [ours.map(method) for method in SETTINGS]
    masks = [mask for order in removed(maps[0], Road().fractions, 0) for mask in order]
    own: dict[str, Callable[[], Any]] = {method: partial(ours.map, method) for method in SETTINGS}
    own |= {name: partial(ours.score, name, maps) for name in ("occlusion", "road")}
    own["imputation"] = lambda: _impute(ours, masks)
    given: dict[str, tuple[Any, ...]] = {"occlusion": (maps,), "road": (maps,), "imputation": (masks,)}
    equal = {method: partial(ours.map, method, {"samples": count}) for method, count in fewer.items()}
    seconds: dict[str, list[tuple[float, float]]] = {part: [] for part in own}
    at_equal: dict[str, list[float]] = {method: [] for method in fewer}
    with apart(task_of(ours)) as libraries:
        for number in range(rounds):
            for part, function in own.items():
                mine, theirs = seconds_of(function), libraries.seconds(part, *given.get(part, ()))
                seconds[part].append((mine, theirs))
                note(f"round {number + 1}, {part}: ours {mine:.2f} s, libraries {theirs:.2f} s")
            passes = dict(ours.passes)
            for method, function in equal.items():
                at_equal[method].append(seconds_of(function))
            ours.passes = passes
    middle = {part: (median(a for a, _ in rows), median(b for _, b in rows)) for part, rows in seconds.items()}
    parts = {part: _part(*middle[part], ours.passes[part], least) for part in PARTS}
    passes_in_all = Cost(
        sum(ours.passes[part].forward for part in PARTS), sum(ours.passes[part].backward for part in PARTS)
    )
    own_total, library_total = (sum(middle[part][side] for part in PARTS) for side in (0, 1))
    total = _part(own_total, library_total, passes_in_all, least)
    saved = sum(middle[method][0] - median(at_equal[method]) for method in fewer)
    total["equal_quality_ratio"] = library_total / (own_total - saved)
    own_imputation, library_imputation = middle["imputation"]
    return {
        "total": total,
        "parts": parts,
        "imputation": {
            "ours_s": own_imputation,
            "library_s": library_imputation,
            "ratio": library_imputation / own_imputation,
        },
        "equal_quality_samples": fewer,
    }


def _part(own: float, library: float, passes: Cost, least: tuple[float, float]) -> dict[str, float]:
    limit = passes.forward * least[0] + passes.backward * least[1]
    return {
        "ours_s": own,
        "library_s": library,
        "ratio": library / own,
        "passes": passes.total,
        "limit_s": limit,
        "limit_ratio": own / limit,
    }


def _savings() -> dict[str, float]:
    """How many times fewer samples our samplers need: from the last `bench samplers`, or from a short one now."""
    path = samplers.memory()
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        note("bench samplers has not run here yet: a short one with one picture and one seed takes its place")
        found = samplers.run("efficientnet_lite0", samplers.PICTURES[:1], seeds=1)
    return {method: max(float(one["saving"]), 1.0) for method, one in found.items()}


def seconds_of(function: Callable[[], Any]) -> float:
    wait_for_device()
    started = time.perf_counter()
    function()
    wait_for_device()
    return time.perf_counter() - started


def _impute(ours: Ours, masks: list[Any]) -> None:
    imputation.forget()
    imputation.impute_frames(ours.given.frame, masks)


def task_of(ours: Ours) -> Task:
    frames = [picture_frame(one.pixels, ours.card.preprocess) for one in galleries.background("photos")]
    frames = (frames + [frame[:, ::-1] for frame in frames])[:BACKGROUND]
    samples = {method: int(changes["samples"]) for method, changes in SETTINGS.items() if "samples" in changes}
    return Task(ours.card.name, ours.given.frame, np.stack(frames), ours.target, samples)


def least_seconds(ours: Ours, repeats: int = 3) -> tuple[float, float]:
    """Least seconds per image of a forward and of a backward pass, over batch sizes, memory formats and folding."""
    classifier = ours.classifier
    forward = both = math.inf
    size = ours.card.preprocess.crop
    networks: list[Any] = [load_network(ours.card).to(classifier.device), classifier.fastest]
    for network in networks:
        for memory_format in (torch.contiguous_format, torch.channels_last):
            network = network.to(memory_format=memory_format)
            for batch in BATCHES:
                x = torch.randn(batch, 3, size, size, device=classifier.device).to(memory_format=memory_format)
                for _ in range(repeats):
                    forward = min(forward, seconds_of(lambda: _forward(network, x)) / batch)  # noqa: B023
                    both = min(both, seconds_of(lambda: _gradient(network, x)) / batch)  # noqa: B023
    return forward, both - forward


def _forward(network: nn.Module, x: torch.Tensor) -> None:
    with torch.inference_mode():
        network(x)


def _gradient(network: nn.Module, x: torch.Tensor) -> None:
    x = x.detach().requires_grad_()
    torch.autograd.grad(network(x)[:, 0].sum(), x)
