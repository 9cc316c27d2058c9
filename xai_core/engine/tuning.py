"""How many pictures a pass takes: measured per model and device, remembered, and lowered when memory is short."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from .. import settings
from ..classifiers.evaluator import Classifier
from ..types import digest_of
from .run import is_out_of_memory

log = logging.getLogger(__name__)

CPU_BATCH = 8
GPU_BATCHES = (16, 32, 64, 128, 256)
CPU_BATCHES = (4, 8, 16)
WORTH = 0.95
"""A larger batch must take less than this part of the time per picture: small ones answer and stop sooner."""


class Batches:
    """Batch sizes by the digest of card and weights, in a file per device, threads and version of torch."""

    def __init__(self, device: torch.device, profile: Mapping[str, Any]):
        self._device = device
        place = digest_of(json.dumps(dict(profile), sort_keys=True))[:16]
        self._path = settings.current().cache_dir / "batches" / f"{place}.json"
        self.default = CPU_BATCH if device.type == "cpu" else GPU_BATCHES[0]
        self.known = self._read()

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text())
            return {str(name): int(size) for name, size in found.items() if int(size) > 0}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def of(self, classifier: Classifier) -> int:
        """Pictures per pass of this classifier.

        On a GPU they are measured when the model is used for the first time. On a CPU a size that nobody measured is
        8, so that an empty data folder always gives the same results.
        """
        if classifier.digest not in self.known and self._device.type != "cpu":
            self.measure(classifier)
        return self.known.get(classifier.digest, self.default)

    def measure(self, classifier: Classifier) -> int:
        """The batch size with the fastest gradients, remembered."""
        best = measured(classifier)
        self.remember(classifier, best)
        log.info("%s takes batches of %d on %s", classifier.card.title, best, self._device)
        return best

    def remember(self, classifier: Classifier, size: int) -> None:
        """Takes note of a batch size for this and for later processes."""
        self.known = {**self._read(), **self.known, classifier.digest: size}
        draft = self._path.with_suffix(f".{time.time_ns()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(self.known, sort_keys=True))
            draft.replace(self._path)
        except OSError as error:
            log.warning("batch sizes are not kept: %s", error)
            with contextlib.suppress(OSError):
                draft.unlink()


def measured(classifier: Classifier) -> int:
    """The batch size with the fastest gradients on the classifier's device."""
    sizes = CPU_BATCHES if classifier.device.type == "cpu" else GPU_BATCHES
    return fastest(sizes, lambda size: seconds_per_picture(classifier, size))


def fastest(sizes: Sequence[int], seconds: Callable[[int], float]) -> int:
    """The size from which on larger ones are not worth it; ends at the first that does not fit into memory."""
    best, least = sizes[0], float("inf")
    for size in sizes:
        try:
            taken = seconds(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            break
        if taken < WORTH * least:
            best, least = size, taken
    return best


def seconds_per_picture(classifier: Classifier, size: int, repeats: int = 3) -> float:
    """Least seconds per picture of a forward and backward pass with batches of `size`."""
    side = classifier.card.preprocess.crop
    x = torch.zeros(size, 3, side, side, device=classifier.device)
    least = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        classifier.gradients(x, 0).sum().item()  # waits for the device
        least = min(least, time.perf_counter() - started)
    return least / size
