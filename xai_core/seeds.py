"""Seeds for everything random: derived by name, never the global generators."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *labels: str | int) -> int:
    """A seed in [0, 2^63) for one purpose, named by `labels`, under a request's `seed`.

    Different labels give independent streams, and the same labels the same stream on every machine.
    """
    text = "\x1f".join([str(int(seed)), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *labels: str | int) -> np.random.Generator:
    """A numpy generator for one purpose; see `derive`."""
    return np.random.default_rng(derive(seed, *labels))
