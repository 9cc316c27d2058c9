"""The `Run` that explainers and scores get: batching, counting, progress, partial maps and cancelling in one place."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..classifiers.evaluator import Classifier
from ..types import Another, Cancelled, Cost, Make, Pixels, XaiError

log = logging.getLogger(__name__)

PARTIAL_SECONDS = 0.4
"""Least time between two partial maps where somebody looks at them."""


class Watch:
    """How a computation talks to whoever asked for it: `progress(done, total)` in passes, partial maps, cancelling."""

    def __init__(
        self,
        progress: Callable[[int, int], None] = lambda done, total: None,
        partial: Callable[[npt.NDArray[Any], bool], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        partial_seconds: float = PARTIAL_SECONDS,
    ):
        self.progress = progress
        self.partial = partial
        self.cancelled = cancelled
        self.partial_seconds = partial_seconds
        """Least time between two partial maps."""

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
        against: int | None = None,
        another_map: Callable[[Another, Watch], npt.NDArray[np.float32]] | None = None,
        reference_map: Callable[[str, Mapping[str, Any], Watch], npt.NDArray[np.float32]] | None = None,
        corruptions: tuple[Any, ...] = (),
    ):
        """`against` is the class that the classifier's logit is contrasted with; `another_map` makes further maps for
        a score, `reference_map` those of other methods; `corruptions` are those that the frame has gone through."""
        self.frame = frame
        self.target = target
        self._against = against
        self._another_map = another_map
        self._reference_map = reference_map
        self.seed = seed
        self.corruptions = corruptions
        self._classifier = classifier
        self.batch = batch
        """Pictures per pass; smaller after memory was short."""
        self._expected = expected
        self._pictures = pictures
        self._watch = watch
        self._before = classifier.passes
        self._apart = Cost()
        self._silent = False
        self.sizes: dict[str, tuple[int, ...]] = {}
        """(C, h, w) of every layer that was looked at, as it was seen first."""
        self._last_partial = time.monotonic()
        self._x: torch.Tensor | None = None

    @property
    def passes(self) -> Cost:
        """Passes that were made so far, without those apart."""
        return self._classifier.passes - self._before - self._apart

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

    def batches(self, count: int, compute: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        start = 0
        while start < count:
            self._watch.check()
            rows = slice(start, min(start + self.batch, count))
            values = None
            try:
                values = compute(rows.start, rows.stop)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if values is None:  # only here is the memory of what failed free again
                self._halve(rows.stop - rows.start)
                continue
            self._report()
            yield rows, values
            start = rows.stop
        self._watch.check()

    def _halve(self, tried: int) -> None:
        if tried == 1:
            raise XaiError(
                f"There is not enough memory for one picture in {self._classifier.card.title}; "
                "choose a smaller model, or give the engine more memory."
            )
        self.batch = self._classifier.batch = tried // 2
        log.warning("a batch of %d does not fit into memory: going on with %d", tried, self.batch)
        if self._classifier.device.type == "cuda":
            torch.cuda.empty_cache()

    def logits(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        return self.batches(count, lambda start, stop: self._classifier.logits(make(start, stop)))

    def probabilities(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        for rows, logits in self.logits(count, make):
            if self._against is None:
                yield rows, logits.softmax(1)[:, self.target]
                continue
            plain = logits.clone()
            plain[:, self.target] += logits[:, self._against]
            found = plain.softmax(1)
            yield rows, found[:, self.target] - found[:, self._against]

    def gradients(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        return self.batches(count, lambda start, stop: self._classifier.gradients(make(start, stop), self.target))

    def activations(self, layer: str, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        return self.batches(count, lambda start, stop: self._classifier.layer_inputs(layer, make(start, stop)))

    def features(self, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        return self.batches(count, lambda start, stop: self._classifier.features(make(start, stop)))

    def gradients_from(self, layer: str, count: int, make: Make) -> Iterator[tuple[slice, torch.Tensor]]:
        def compute(start: int, stop: int) -> torch.Tensor:
            return self._classifier.gradients_from(layer, make(start, stop), self.x, self.target)

        return self.batches(count, compute)

    def output_of(self, layer: str) -> torch.Tensor:
        self._watch.check()
        output = self._classifier.layer_outputs(layer, self.x)[0]
        self._seen(layer, output)
        return output

    def expect(self, cost: Cost) -> None:
        self._expected = cost

    def activations_and_gradients(self, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
        self._watch.check()
        activation, gradient = self._classifier.activations_and_gradients(layer, self.x, self.target)
        self._seen(layer, activation[0])
        return activation[0], gradient[0]

    def answer(
        self, x: torch.Tensor, score: Callable[[torch.Tensor], torch.Tensor], layer: str = ""
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self._watch.check()
        found = self._classifier.answer(x, score, layer)
        self._report()
        return found

    def layer(self, name: str) -> str:
        return self._classifier.layer(name)

    @contextlib.contextmanager
    def network(self, folded: bool = False) -> Iterator[torch.nn.Module]:
        with self._classifier.lent(folded) as network:

            def watched(module: Any, inputs: Any, output: Any) -> None:
                self._watch.check()
                self._report()

            network.register_forward_hook(watched)
            yield network
        self._report()

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        before, self._silent = self._classifier.passes, True
        try:
            yield
        finally:
            self._silent = False
            self._apart = self._apart + (self._classifier.passes - before)

    @property
    def blocks(self) -> tuple[tuple[str, ...], ...]:
        return self._classifier.blocks

    def another_map(self, change: Another) -> npt.NDArray[np.float32] | None:
        if self._another_map is None:
            return None
        with self.apart():
            return self._another_map(change, Watch(cancelled=self._watch.cancelled))

    def reference_map(self, method: str, **values: Any) -> npt.NDArray[np.float32] | None:
        if self._reference_map is None:
            return None
        with self.apart():
            return self._reference_map(method, values, Watch(cancelled=self._watch.cancelled))

    def _seen(self, layer: str, output: torch.Tensor) -> None:
        self.sizes.setdefault(layer, tuple(output.shape))
        self._report()

    def _report(self) -> None:
        if not self._silent:
            self._watch.progress(self.passes.total, self._expected.total)

    def partial(self, values: Callable[[], npt.NDArray[Any]], signed: bool = False) -> None:
        if self._watch.partial is None or time.monotonic() - self._last_partial < self._watch.partial_seconds:
            return
        self._last_partial = time.monotonic()
        made = values()
        self._watch.partial(made if made.dtype == np.uint8 else np.asarray(made, dtype=np.float32), signed)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device or the system had no memory; on a CPU torch says so in words only."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
