"""Noisy linear imputation: removed pixels are filled from their neighbours, so that their shape tells nothing.

Every missing pixel is the weighted mean of its eight neighbours (1/6 beside, 1/12 diagonal, made to add up to one at
the border), solved for all missing pixels together; Rong et al. 2022, spec E-02.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .. import settings
from ..types import Bools, Floats, Pixels, XaiError, array_digest

Doubles = npt.NDArray[np.float64]
A = TypeVar("A")
B = TypeVar("B")

TOLERANCE = 2e-5
"""So that the exact solution is less than 1e-4 away, a hundredth of the noise that ROAD adds."""
KEPT = 128
"""Filled pictures that are kept: baselines and repeated maps ask for the same masks again. About 600 kB each."""


def impute(pixels: npt.NDArray[np.floating], missing: Bools, tolerance: float = TOLERANCE) -> Doubles:
    """Pixels (H, W, 3) in [0, 1] with the `missing` ones, bool (H, W), filled in; without noise, float64.

    Known pixels stay as they are, bit by bit. A solver's cycle that changes no pixel by more than `tolerance` is the
    last one. Raises `XaiError` when no pixel is known.
    """
    from .compiled.multigrid import fill

    if missing.all():
        raise XaiError("Nothing is left to impute from: at least one pixel must stay; remove a smaller fraction.")
    values = np.array(pixels, dtype=np.float64, order="C")
    if not missing.any():
        return values
    filled, _ = fill(values, np.ascontiguousarray(missing), tolerance)
    return np.asarray(filled)


def compile_solver() -> None:
    """Compiles the solver, or loads what set-up compiled: 10 s, or 0.5 s."""
    impute(np.zeros((2, 2, 3)), np.eye(2, dtype=bool))


def impute_frames(frame: Pixels, masks: Sequence[Bools]) -> list[Floats]:
    """A frame, uint8 (H, W, 3), imputed for every mask of missing pixels: float32 (H, W, 3) in [0, 1], read-only.

    Masks are solved side by side, each by one thread, so that results do not depend on the number of threads; what
    was solved before is remembered.
    """
    digest = array_digest(frame)
    order = sorted(range(len(masks)), key=lambda number: -int(masks[number].sum()))  # long ones first
    found = in_threads(lambda number: _solved.get(digest, frame, masks[number]), order)
    return [one for _, one in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]


def in_threads(function: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """The function of every item, by as many threads as the settings allow."""
    with ThreadPoolExecutor(settings.current().cpu_threads) as threads:
        return list(threads.map(function, items))


class _Solved:
    """The last filled frames by the digests of frame and mask; for several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Floats] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str, frame: Pixels, missing: Bools) -> Floats:
        key = (digest, array_digest(missing))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        filled = impute(frame / 255.0, missing).astype(np.float32)
        filled.setflags(write=False)
        with self._lock:
            self._kept[key] = filled
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return filled

    def forget(self) -> None:
        """Drops all that is kept: for benchmarks and tests."""
        with self._lock:
            self._kept.clear()


_solved = _Solved()
forget = _solved.forget
