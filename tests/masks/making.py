"""Masks for tests: noise of any density, and parts with holes in holes, on odd sizes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from xai_core.types import Bools

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 30))


def noise(size: tuple[int, int], density: float, seed: int) -> Bools:
    """Random pixels: many parts, holes, and corners that touch."""
    return np.asarray(np.random.default_rng(seed).random(size) < density)


def rings(size: tuple[int, int], seed: int) -> Bools:
    """Rings around changing centres: parts within holes within parts."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[: size[0], : size[1]]
    mask = np.zeros(size, dtype=bool)
    for _ in range(3):
        centre, width = rng.random(2) * size, 1 + 3 * rng.random()
        mask ^= (np.hypot(down - centre[0], right - centre[1]) // width) % 2 == 0
    return mask


SEEDS = st.integers(0, 2**32 - 1)
DENSITIES = st.sampled_from([0.0, 0.02, 0.3, 0.5, 0.7, 0.95, 1.0])
MASKS = st.one_of(st.builds(noise, SIZES, DENSITIES, SEEDS), st.builds(rings, SIZES, SEEDS))


def several(count: int, size: tuple[int, int], seed: int) -> list[Bools]:
    """Masks of one size by people of different diligence."""
    rng = np.random.default_rng(seed)
    truth = rings(size, seed)
    return [truth ^ (rng.random(size) < rng.choice([0, 0.05, 0.3])) for _ in range(count)]
