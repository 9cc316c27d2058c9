"""The `Run` that explainers and scores get: batching, counting, progress, partial maps and cancelling in one place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..classifiers.evaluator import Classifier
from ..types import Cancelled, Cost, Make, Pixels

PARTIAL_SECONDS = 0.4
"""Least time between two partial maps."""


class Watch:
    """How a computation talks to whoever asked for it: `progress(done, total)` in passes, partial maps, cancelling."""

    def __init__(
        self,
        progress: Callable[[int, int], None] = lambda done, total: None,
        partial: Callable[[npt.NDArray[Any], bool], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ):
        self.progress = progress
        self.partial = partial
        self.cancelled = cancelled

    def check(self) -> None:
        """Raises `Cancelled` when nobody wants the result any more."""
        if self.cancelled():
            raise Cancelled


class EngineRun:
    """One explanation or one score on one classifier; implements `xai_core.types.Run`."""

    def __init__(
        self,
        classifier: Classifier,
        frame: Pixels,
        target: int,
        seed: int,
        batch: int,
        expected: Cost,
        pictures: Callable[[str], torch.Tensor],
        watch: Watch,
    ):
        self.frame = frame
        self.target = target
        self.seed = seed
        self._classifier = classifier
        self._batch = batch
        self._expected = expected
        self._pictures = pictures
        self._watch = watch
        self._before = classifier.passes
        self._last_partial = time.monotonic()
        self._x: torch.Tensor | None = None

    @property
    def passes(self) -> Cost:
        """Passes that were made so far."""
        now = self._classifier.passes
        return Cost(now.forward - self._before.forward, now.backward - self._before.backward)

    @property
    def x(self) -> torch.Tensor:
        if self._x is None:
            self._x = self.normalise(self.frame / np.float32(255))[None]
        return self._x

    def normalise(self, pixels: npt.NDArray[Any] | torch.Tensor) -> torch.Tensor:
        return self._classifier.normalise(torch.as_tensor(pixels))

    def pictures(self, name: str) -> torch.Tensor:
        return self._pictures(name)

    def tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.as_tensor(values, device=self._classifier.device)

    def _batches(self, count: int) -> Iterator[slice]:
        for start in range(0, count, self._batch):
            self._watch.check()
            yield slice(start, min(start + self._batch, count))
            self._watch.progress(self.passes.total, self._expected.total)
        self._watch.check()

    def logits(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        for rows in self._batches(count):
            yield rows, self._classifier.logits(make(rows.start, rows.stop))

    def probabilities(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        for rows, logits in self.logits(count, make):
            yield rows, logits.softmax(1)[:, self.target]

    def gradients(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        for rows in self._batches(count):
            yield rows, self._classifier.gradients(make(rows.start, rows.stop), self.target)

    def activations(self, layer: str, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        for rows in self._batches(count):
            yield rows, self._classifier.layer_inputs(layer, make(rows.start, rows.stop))

    def gradients_from(self, layer: str, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        for rows in self._batches(count):
            yield rows, self._classifier.gradients_from(layer, make(rows.start, rows.stop), self.x, self.target)

    def activations_and_gradients(self, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
        self._watch.check()
        activation, gradient = self._classifier.activations_and_gradients(layer, self.x, self.target)
        self._watch.progress(self.passes.total, self._expected.total)
        return activation[0], gradient[0]

    def layer(self, name: str) -> str:
        return self._classifier.layer(name)

    @contextlib.contextmanager
    def network(self) -> Iterator[torch.nn.Module]:
        with self._classifier.lent() as network:

            def watched(module: Any, inputs: Any, output: Any) -> None:
                self._watch.check()
                self._watch.progress(self.passes.total, self._expected.total)

            network.register_forward_hook(watched)
            yield network

    def partial(self, values: Callable[[], npt.NDArray[Any]], signed: bool) -> None:
        if self._watch.partial is None or time.monotonic() - self._last_partial < PARTIAL_SECONDS:
            return
        self._last_partial = time.monotonic()
        self._watch.partial(np.asarray(values(), dtype=np.float32), signed)
