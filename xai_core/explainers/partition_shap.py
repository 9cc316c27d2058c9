"""Partition SHAP: Owen values over a picture that is halved again and again."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..registry import METHODS, parameter
from ..types import Attribution, Bools, Cost, Floats, Make, Pixels, Run
from .base import CheckedExplainer
from .superpixels import filled

Box = tuple[int, int, int, int]
"""Top, bottom, left, right: rows top to bottom - 1, columns left to right - 1."""

NO_SEGMENTS = np.zeros((1, 1), dtype=int)
"""The fills that are offered here need no superpixels."""

HALVED_TOGETHER = 8
"""Boxes that are halved between two looks at which ones matter most."""


def halves(box: Box) -> tuple[Box, Box]:
    """A box of at least two pixels cut across its longer side, the upper or left part first, which is the smaller."""
    top, bottom, left, right = box
    if bottom - top >= right - left:
        middle = (top + bottom) // 2
        return (top, middle, left, right), (middle, bottom, left, right)
    middle = (left + right) // 2
    return (top, bottom, left, middle), (top, bottom, middle, right)


def area(box: Box) -> int:
    return (box[1] - box[0]) * (box[3] - box[2])


@dataclass(frozen=True)
class Credit:
    """What showing a box adds while the boxes `shown` show, and nothing else does: `after` - `before`."""

    box: Box
    shown: tuple[Box, ...]
    before: float
    after: float
    weight: float
    """The part of all orders of the tree's halves in which just these show before the box."""

    @property
    def value(self) -> float:
        return self.weight * (self.after - self.before)

    def halved(self, first: float, second: float) -> list[Credit]:
        """The credits of both halves, each before and after the other; `first` and `second` are what each gives."""
        one, other = halves(self.box)
        weight = self.weight / 2
        return [
            Credit(one, self.shown, self.before, first, weight),
            Credit(other, self.shown, self.before, second, weight),
            Credit(one, (*self.shown, other), second, self.after, weight),
            Credit(other, (*self.shown, one), first, self.after, weight),
        ]


class Frontier:
    """All credits so far, those that matter most first."""

    def __init__(self, whole: Credit):
        self._heap: list[tuple[float, int, Credit]] = []
        self._pixels: list[Credit] = []
        self._number = 0
        self.add(whole)

    def add(self, credit: Credit) -> None:
        if area(credit.box) == 1:
            self._pixels.append(credit)
        else:  # numbers settle ties
            heapq.heappush(self._heap, (-abs(credit.value), self._number, credit))
            self._number += 1

    def take(self, count: int) -> list[Credit]:
        """Up to `count` credits that matter most, taken out, to be halved."""
        return [heapq.heappop(self._heap)[2] for _ in range(min(count, len(self._heap)))]

    def values(self, size: tuple[int, int]) -> npt.NDArray[np.float64]:
        """Every credit spread evenly over its box, (H, W)."""
        values = np.zeros(size)
        for credit in [*self._pixels, *(entry[2] for entry in self._heap)]:
            top, bottom, left, right = credit.box
            values[top:bottom, left:right] += credit.value / area(credit.box)
        return values


@METHODS.register(
    "partition_shap",
    title="Partition SHAP",
    summary="Halves the picture again and again where it matters most, and shares out the logit's change among the "
    "halves as in a game whose players join one after the other. Red boxes speak for the class, blue ones against it; "
    "large even boxes are those that were not looked into.",
    family="shap",
    cites=(
        "Lundberg and Lee 2017, A unified approach to interpreting model predictions",
        "Owen 1977, Values of games with a priori unions",
        "shap 0.51.0 for the tree and its order",
    ),
    presets={"quick": {"samples": 100}, "balanced": {"samples": 250}},
    reference="shap",
)
class PartitionShap(CheckedExplainer):
    """Owen values of the boxes of a binary tree that always halves the longer side; spec M-09.

    A box is halved while other boxes show or are hidden, in all ways that the tree allows; the largest credits are
    halved first, until all samples are used. What a box got that was not halved further is spread evenly over it. All
    values add up to the difference between the picture's logit and the hidden picture's. shap's tree is the same and
    goes on to split the colours of a pixel.
    """

    samples: int = parameter(500, "Pictures with hidden boxes.", unit="samples", ge=4, le=10000, step=1)
    fill: Literal["blur", "mean", "black", "grey", "inpaint"] = parameter(
        "blur", "What shows where a box is hidden: inpaint paints on from what still shows."
    )

    def cost(self) -> Cost:
        return Cost(2 + 2 * self._halvings, 0)

    @property
    def _halvings(self) -> int:
        return (self.samples - 2) // 2

    def explain_ourselves(self, run: Run) -> Attribution:
        size = run.frame.shape[0], run.frame.shape[1]
        whole = (0, size[0], 0, size[1])
        before, after = self._logits(run, [(), (whole,)])
        frontier = Frontier(Credit(whole, (), before, after, 1.0))
        left = self._halvings
        while left and (taken := frontier.take(min(left, HALVED_TOGETHER))):
            left -= len(taken)
            asked = [(*credit.shown, half) for credit in taken for half in halves(credit.box)]
            logits = self._logits(run, asked)
            for number, credit in enumerate(taken):
                for part in credit.halved(*logits[2 * number : 2 * number + 2]):
                    frontier.add(part)
            run.partial(lambda: frontier.values(size), True)
        values = frontier.values(size)
        difference = after - before
        missed = abs(float(values.sum()) - difference) / abs(difference) if difference else None
        return Attribution(values, signed=True, completeness=missed)

    def _logits(self, run: Run, shown: list[tuple[Box, ...]]) -> list[float]:
        """The target's logit while only these boxes show."""
        found: list[float] = []
        for _, logits in run.logits(len(shown), self._showing(run, shown)):
            found += logits[:, run.target].double().tolist()
        return found

    def _showing(self, run: Run, shown: list[tuple[Box, ...]]) -> Make:
        """Makes the picture once for every set of boxes, with the rest filled."""
        keep = np.zeros((len(shown), *run.frame.shape[:2]), dtype=bool)
        for mask, boxes in zip(keep, shown, strict=True):
            for top, bottom, left, right in boxes:
                mask[top:bottom, left:right] = True
        if self.fill == "inpaint":
            return lambda start, stop: run.normalise(np.stack([inpainted(run.frame, m) for m in keep[start:stop]]))
        hidden = run.normalise(filled(run.frame, NO_SEGMENTS, self.fill))[None]
        return lambda start, stop: run.x.where(run.tensor(keep[start:stop])[:, None], hidden)

    def explain_by_library(self, run: Run) -> Attribution:
        import shap
        import torch

        shape = run.frame.shape
        mask: Any = "inpaint_telea"
        if self.fill != "inpaint":
            mask = filled(run.frame, NO_SEGMENTS, self.fill) * np.float32(255)
        state = np.random.get_state()  # noqa: NPY002  (shap settles ties by the global generator)
        try:
            np.random.seed(0)  # noqa: NPY002
            with run.network() as network, torch.no_grad():

                def classify(pictures: npt.NDArray[Any]) -> npt.NDArray[Any]:
                    x = run.normalise(pictures.astype(np.float32) / np.float32(255))
                    return np.asarray(network(x)[:, run.target].double().cpu().numpy())

                library = shap.PartitionExplainer(classify, shap.maskers.Image(mask, shape))
                pictures = run.frame[None].astype(np.float64)
                found = library(pictures, max_evals=2 + 2 * self._halvings, batch_size=2 * HALVED_TOGETHER, silent=True)
        finally:
            np.random.set_state(state)  # noqa: NPY002
        return Attribution(np.asarray(found.values).reshape(shape).sum(axis=2), signed=True)


def inpainted(pixels: Pixels, keep: Bools) -> Floats:
    """The picture painted on from what stays, by Telea's method; its mean colour where nothing does.

    float32 (H, W, 3) in [0, 1].
    """
    import cv2

    if not keep.any():
        mean = pixels.mean(axis=(0, 1)) / 255
        return np.broadcast_to(mean.astype(np.float32), pixels.shape)
    painted = cv2.inpaint(np.ascontiguousarray(pixels), (~keep).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return np.asarray(painted / np.float32(255))
