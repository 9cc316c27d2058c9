"""A data set in which a few known pixels carry the label and all others are noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xai_core.trials.datasets import split

SIDE, CARRIERS = 8, 6
"""6 of 64 pixels are 10 %, as masks are counted."""
CLASSES = 4


def planted(count: int = 320) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of a "given" data set; `maps` are 1 at the pixels that carry the label, and 0 elsewhere."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % CLASSES
    patterns = np.array([[1, 1, 0, 0, 1, 0], [0, 1, 1, 1, 0, 0], [1, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1]]) * 255
    frames = random.integers(100, 156, (count, SIDE, SIDE), dtype=np.uint8)
    frames[:, 3:5, 2:5] = patterns[labels].reshape(-1, 2, 3)
    maps = np.zeros((count, SIDE, SIDE), dtype=np.float32)
    maps[:, 3:5, 2:5] = 1
    return {
        "frames": np.repeat(frames[..., None], 3, axis=-1),
        "labels": labels,
        "tested": split(labels, "planted"),
        "maps": maps,
    }
