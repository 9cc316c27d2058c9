"""The `Lab` that trials get: networks of their own explained like all others, counting, progress and cancelling."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..classifiers.cards import Card
from ..classifiers.evaluator import Classifier
from ..classifiers.loading import load_network
from ..corruptions import chain
from ..explainers.base import Explainer
from ..registry import MODELS, Parameters
from ..seeds import derive
from ..trials.base import Earlier
from ..types import Cost, Floats, Pixels, Score, XaiError, array_digest
from .requests import Input, Trial
from .run import EngineRun, Watch

if TYPE_CHECKING:
    from .executor import Executor

FRAME = 224 * 224
"""Pixels of the frames that the batch size is measured with."""
LARGEST_BATCH = 512


class EngineLab:
    """Implements `xai_core.trials.base.Lab` for one request."""

    def __init__(self, executor: Executor, request: Trial, watch: Watch):
        self.seed = request.seed
        self.data: Mapping[str, npt.NDArray[Any]] = request.data
        self.device = executor.device
        self._executor, self._request, self._watch = executor, request, watch
        self._own = Cost()
        self._classifiers: list[tuple[Classifier, Cost]] = []
        """Those that this trial works with, and the passes that each had made before."""
        self._before = 0
        """Passes of earlier trials that were not there."""

    @property
    def passes(self) -> Cost:
        """All passes of the trial so far; those of earlier trials are their own."""
        return sum((one.passes - before for one, before in self._classifiers), self._own)

    def check(self) -> None:
        self._watch.check()

    def took(self, passes: Cost) -> None:
        self._own = self._own + passes
        self._report()
        self.check()

    def _report(self) -> None:
        self._watch.progress(self._before + self.passes.total, self._before + self._request.cost.total)

    @contextlib.contextmanager
    def seeded(self, *labels: str | int) -> Iterator[None]:
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(derive(self.seed, *labels))
            yield

    def result(self, earlier: Earlier) -> Score:
        last = 0

        def progress(done: int, total: int) -> None:
            nonlocal last
            self._before, last = self._before + done - last, done
            self._report()

        request = self._request.at(earlier)
        return cast(Score, self._executor.compute(request, Watch(progress, None, self._watch.cancelled)))

    def classifier(self, network: nn.Module, card: Card) -> Classifier:
        frozen = network.cpu().eval().requires_grad_(False)
        return self._counted(Classifier(card, frozen, "", self.device, len(card.labels)))

    def _counted(self, classifier: Classifier) -> Classifier:
        self._classifiers.append((classifier, classifier.passes))
        return classifier

    def run(
        self,
        classifier: Classifier,
        frame: Pixels,
        target: int = 0,
        seed: int = 0,
        pictures: Callable[[str], torch.Tensor] | None = None,
    ) -> EngineRun:
        """`pictures` gives the backgrounds; by default they are made anew for this run."""
        batch = self._executor.batch_for(classifier)
        if not classifier.batch:  # memory was never short
            batch = max(batch, min(batch * FRAME // max(frame.shape[0] * frame.shape[1], 1), LARGEST_BATCH))
        pictures = pictures or self._pictures(classifier)
        watch = Watch(lambda done, total: self._report(), None, self._watch.cancelled)
        return EngineRun(classifier, frame, target, seed, batch, Cost(), pictures, watch)

    def _pictures(self, classifier: Classifier) -> Callable[[str], torch.Tensor]:
        made: dict[str, torch.Tensor] = {}

        def pictures(name: str) -> torch.Tensor:
            if name not in made:
                made[name] = self._executor.background(name, classifier)
            return made[name]

        return pictures

    def explain(
        self,
        classifier: Classifier,
        frames: Pixels,
        targets: npt.NDArray[np.integer],
        method: str,
        parameters: Parameters,
    ) -> Floats:
        found = np.empty(frames.shape[:3], dtype=np.float32)
        pictures = self._pictures(classifier)
        for place, (frame, target) in enumerate(zip(frames, targets, strict=True)):
            seed = derive(self.seed, "map", place, array_digest(frame))
            run = self.run(classifier, frame, int(target), seed, pictures)
            values = np.asarray(cast(Explainer, parameters).explain(run).values, dtype=np.float32)
            if values.shape != frame.shape[:2]:
                raise ValueError(f"{method} made a map of {values.shape}, not {frame.shape[:2]}")
            found[place] = values
        return found

    @property
    def _input(self) -> Input:
        if self._request.input is None:
            raise XaiError(f"The {self._request.title} works with a model: name one.")
        return self._request.input

    @property
    def card(self) -> Card:
        card: Card = MODELS[self._input.model]
        return card

    @property
    def frame(self) -> Pixels:
        given = self._input
        return chain.apply(given.frame, given.corruptions, given.seed).pixels

    def model(self) -> Classifier:
        classifier = self._executor.classifier_for(self._input)
        known = next((one for one, _ in self._classifiers if one is classifier), None)
        return known or self._counted(classifier)

    def copy(self) -> nn.Module:
        card = self._executor.classifier_for(self._input).card
        return load_network(card).to(self.device).requires_grad_(True)
