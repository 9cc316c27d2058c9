"""What becomes of a class when one region of the picture is hidden, blurred or kept alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..scores.insertion import substrate
from ..seeds import generator
from ..types import Floats, Region, Run, XaiError
from .requests import Probe


def checked(probe: Probe) -> None:
    """Raises `XaiError` unless the region is a part of the frame that could be elsewhere."""
    height, width = probe.input.frame.shape[:2]
    one = probe.region
    if min(one.height, one.width) < 1:
        raise XaiError("The region is empty; draw a larger one.")
    if min(one.top, one.left) < 0 or one.top + one.height > height or one.left + one.width > width:
        raise XaiError(f"The region does not lie within the {width} x {height} pixels that the model sees; move it.")
    if probe.others < 1:
        raise XaiError("The region is the whole picture, so that nothing can be compared with it; draw a smaller one.")


def other_places(probe: Probe) -> list[Region]:
    """Rectangles of the region's size at random places, each at most once, and never the region itself."""
    one, columns = probe.region, probe.input.frame.shape[1] - probe.region.width + 1
    own = one.top * columns + one.left
    drawn = generator(probe.seed, "places").choice(probe.others, min(probe.places, probe.others), replace=False)
    numbers = drawn + (drawn >= own)
    return [Region(int(number) // columns, int(number) % columns, one.height, one.width) for number in numbers]


def probe(run: Run, request: Probe) -> tuple[float, float, Floats]:
    """The probability of the target before and after the change, and float32 (N,) after it at the other places."""
    checked(request)
    regions = [request.region, *other_places(request)]
    x, instead = run.x, substrate(run, "wide_blur" if request.action == "blur" else "mean")

    def changed(start: int, stop: int) -> Any:
        keep = request.action == "keep"
        copies = (instead if keep else x).repeat(stop - start, 1, 1, 1)
        for copy, number in zip(copies, range(start - 1, stop - 1), strict=True):
            if number < 0:  # the first one is the picture itself
                copy[:] = x[0]
                continue
            rows, columns = regions[number].slices
            copy[:, rows, columns] = (x if keep else instead)[0, :, rows, columns]
        return copies

    found = np.empty(1 + len(regions), dtype=np.float32)
    for rows, probabilities in run.probabilities(len(found), changed):
        found[rows] = probabilities.float().cpu().numpy()
    return float(found[0]), float(found[1]), found[2:]
