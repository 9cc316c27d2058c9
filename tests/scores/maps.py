"""A run that only has maps to give: for scores that compare a map with further ones of its method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from tests import toys
from xai_core.registry import SCORES
from xai_core.types import Another, Floats, Measured, Run


class Maps:
    """Answers `another_map` by a function and remembers what was asked."""

    def __init__(
        self,
        give: Callable[[Another], np.ndarray | None],
        corruptions: tuple[Any, ...] = (),
        blocks: tuple[tuple[str, ...], ...] = (),
        seed: int = 0,
    ):
        self.frame, self.target, self.seed = toys.frame(32), 1, seed
        self.corruptions, self.blocks = corruptions, blocks
        self.asked: list[Another] = []
        self._give = give

    def another_map(self, change: Another) -> Floats | None:
        self.asked.append(change)
        found = self._give(change)
        return None if found is None else found.astype(np.float32)

    def score(self, name: str, saliency: np.ndarray, **parameters: Any) -> Measured:
        method = SCORES[name].make(parameters)
        return method.measure(cast(Run, self), saliency.astype(np.float32), None)  # type: ignore[attr-defined,no-any-return]


def noise(seed: int = 0, size: int = 32) -> np.ndarray:
    """Normal values, float32 (size, size)."""
    return np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)
