"""Anchors: the few superpixels that hold the class, whatever becomes of the others."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from ..registry import METHODS, parameter
from ..seeds import generator
from ..types import Attribution, Bools, Cost, Run
from .base import Explainer
from .superpixels import Fill, Segmentation, hiding, segments

Anchor = tuple[int, ...]
"""Superpixels that stay, in the order in which they were added."""


def divergence(p: float, q: float) -> float:
    """Kullback and Leibler's divergence of a coin of probability p from one of q, in nats."""
    q = min(max(q, 1e-12), 1 - 1e-12)
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def bounds(mean: float, count: int, level: float) -> tuple[float, float]:
    """The lowest and the highest probability q of which `count` draws with this mean have count KL(mean, q) <= level.

    Each bound is wrong with a probability of at most exp(-level) (Chernoff's bound).
    """
    if count == 0:
        return 0.0, 1.0

    def edge(end: float) -> float:
        inside, outside = mean, end
        for _ in range(40):
            middle = (inside + outside) / 2
            if count * divergence(mean, middle) <= level:
                inside = middle
            else:
                outside = middle
        return inside

    return edge(0.0), edge(1.0)


class Draws:
    """Pictures with random superpixels hidden, each drawn for an anchor that stays, and whether they hold the class.

    A picture in which more stays than it was drawn for is as good as one drawn for any larger anchor that stays in it.
    """

    def __init__(self, features: int):
        self.drawn_for = np.zeros((0, features), dtype=bool)
        self.keep = np.zeros((0, features), dtype=bool)
        self.holds = np.zeros(0, dtype=bool)

    def add(self, drawn_for: Bools, keep: Bools, holds: Bools) -> None:
        """Adds pictures: what they were drawn for and what stays, bool (N, S), and whether they hold, bool (N,)."""
        self.drawn_for = np.concatenate([self.drawn_for, drawn_for])
        self.keep = np.concatenate([self.keep, keep])
        self.holds = np.concatenate([self.holds, holds])

    def of(self, anchor: Anchor) -> tuple[float, int]:
        """The part of an anchor's pictures that hold the class, 0 for none, and how many there are."""
        inside = as_mask(anchor, self.keep.shape[1])
        mine = (self.keep | ~inside).all(axis=1) & (~self.drawn_for | inside).all(axis=1)
        count = int(mine.sum())
        return (float(self.holds[mine].mean()) if count else 0.0), count


def as_mask(anchor: Anchor, features: int) -> Bools:
    mask = np.zeros(features, dtype=bool)
    mask[list(anchor)] = True
    return mask


@METHODS.register(
    "anchors",
    title="Anchors",
    summary="Looks for the fewest superpixels that hold the class, whichever others are hidden. What is coloured "
    "is enough for the network, the strongest superpixel was found first; what is not coloured it can do without.",
    family="superpixel",
    cites=("Ribeiro, Singh, Guestrin 2018, Anchors: high-precision model-agnostic explanations",),
    presets={"quick": {"samples": 300}, "balanced": {"samples": 1200}},
)
class Anchors(Explainer):
    """The smallest set of superpixels that holds the class in `threshold` of all pictures with it; spec M-27.

    It has at least one. Every other superpixel is hidden with probability 1/2. A picture holds the class if it ranks
    no lower than in the whole picture. A beam search adds one superpixel after the other; KL-LUCB draws pictures where
    it is open which ones are best. A set is taken as soon as its precision is at least `threshold`, but for a
    probability of `delta`. The first superpixel has the value 1, the last one of n has 1/n, all others 0.
    """

    cost_is_exact: ClassVar[bool] = False

    samples: int = parameter(4000, "Most pictures with hidden superpixels.", unit="samples", ge=10, le=20000, step=1)
    threshold: float = parameter(0.95, "Part of the pictures that must hold the class.", ge=0.5, le=0.99, step=0.01)
    delta: float = parameter(0.1, "How often an anchor may be taken wrongly.", ge=0.001, le=0.5, step=0.01)
    tolerance: float = parameter(0.15, "How much worse than the best a superpixel may be.", ge=0.01, le=0.5, step=0.01)
    beam: int = parameter(1, "Sets that are followed up side by side.", unit="sets", ge=1, le=5, step=1)
    segmentation: Segmentation = parameter("slic", "How the picture is cut into superpixels.")
    segments: int = parameter(10, "Superpixels that slic aims at.", unit="superpixels", ge=2, le=400, step=1)
    fill: Fill = parameter("mean", "What shows where a superpixel is hidden.")

    def cost(self) -> Cost:
        return Cost(1 + self.samples, 0)

    def explain(self, run: Run) -> Attribution:
        labels = segments(run.frame, self.segmentation, self.segments)
        search = Search(self, run, labels)
        anchor, certain = search.best()
        precision, (low, high) = search.measured(anchor)
        many = f"these {len(anchor)} superpixels hold" if len(anchor) > 1 else "this superpixel alone holds"
        notes = [
            f"Whatever else is hidden, {many} the class in {precision:.0%} of the pictures ({low:.0%} to {high:.0%}); "
            f"a picture in which every superpixel is hidden half of the time has them with a probability of "
            f"{0.5 ** len(anchor):.2g}."
        ]
        if not certain and low < self.threshold:
            notes.append(
                f"No set was certain to hold it in {self.threshold:.0%}: this is the best that {self.samples} samples "
                "found."
            )
        return Attribution(search.values(anchor), signed=False, notes=tuple(notes))


class Search:
    """The search for one picture's anchor."""

    def __init__(self, method: Anchors, run: Run, labels: np.ndarray):
        self._method, self._run, self._labels = method, run, labels
        self._features = int(labels.max()) + 1
        self._random = generator(run.seed, "anchors")
        self._draws = Draws(self._features)
        self._used = self._looks = 0
        self._rank = int(self._ranks(np.ones((1, self._features), dtype=bool))[0])

    @property
    def _left(self) -> int:
        """Pictures that may still be drawn before the anchor is measured."""
        return self._method.samples - self._kept_back - self._used

    @property
    def _kept_back(self) -> int:
        """Pictures that measure the anchor's precision in the end."""
        return max(self._method.samples // 5, 1)

    @property
    def _at_once(self) -> int:
        return max(self._method.samples // 40, 1)

    def _ranks(self, keep: Bools, leader: Anchor | None = None) -> np.ndarray:
        """How many classes are before the target in pictures with these superpixels, int (N,)."""
        found = np.empty(len(keep), dtype=int)
        make = hiding(self._run, self._labels, self._method.fill, keep)
        for rows, logits in self._run.logits(len(keep), make):
            before = logits > logits[:, self._run.target : self._run.target + 1]
            found[rows] = before.sum(1).cpu().numpy()
            if leader is not None:
                self._run.partial(lambda: self.values(leader), False)
        return found

    def values(self, anchor: Anchor) -> np.ndarray:
        """The map (H, W): 1 for the superpixel that was found first, 1 / n for the last one of n."""
        values = np.zeros(self._features)
        values[list(anchor)] = np.arange(len(anchor), 0, -1) / max(len(anchor), 1)
        return np.asarray(values[self._labels])

    def _pictures(self, anchor: Anchor, count: int) -> tuple[Bools, Bools]:
        """What stays in `count` new pictures of an anchor, bool (count, S), and whether they hold, bool (count,)."""
        keep = self._random.random((count, self._features)) < 0.5
        keep[:, list(anchor)] = True
        return keep, self._ranks(keep, anchor or None) <= self._rank

    def _draw(self, anchor: Anchor) -> tuple[int, int]:
        """Draws for an anchor as many as one look takes and are left; how many there were, and how many hold."""
        count = min(self._at_once, self._left)
        if count <= 0:
            return 0, 0
        keep, holds = self._pictures(anchor, count)
        self._draws.add(np.repeat(as_mask(anchor, self._features)[None], count, axis=0), keep, holds)
        self._used += count
        return count, int(holds.sum())

    def best(self) -> tuple[Anchor, bool]:
        """The smallest anchor that is certain, or the most precise one of what the samples allowed; and which it is."""
        beam: list[Anchor] = [()]
        while True:
            for anchor in beam:
                self._draw(anchor)  # half of an anchor's pictures serve each of those with one superpixel more
            candidates = sorted({tuple(sorted(anchor)): anchor for anchor in self._larger(beam)}.values())
            beam = self._chosen(candidates)
            for anchor in beam:
                if len(anchor) == self._features or self._is_certain(anchor):
                    return anchor, True
            if self._left < self._at_once:
                return beam[0], False

    def _larger(self, beam: list[Anchor]) -> list[Anchor]:
        return [(*anchor, one) for anchor in beam for one in range(self._features) if one not in anchor]

    def _chosen(self, candidates: list[Anchor]) -> list[Anchor]:
        """The best candidates, as many as the beam has, best first: KL-LUCB (Kaufmann and Kalyanakrishnan 2013).

        Draws for the weakest of the best and the strongest of the rest until they cannot lie more than the tolerance
        apart, or a tenth of all samples is used.
        """
        width = min(self._method.beam, len(candidates))
        stop = self._used + self._method.samples // 10
        turn = 0
        while True:
            turn += 1
            level = math.log(405.5 * len(candidates) * turn**1.1 / self._method.delta)
            tallies = [self._draws.of(anchor) for anchor in candidates]
            order = sorted(range(len(candidates)), key=lambda one: (-tallies[one][0], one))
            best, rest = order[:width], order[width:]
            if not rest:
                break
            limits = [bounds(mean, count, level) for mean, count in tallies]
            weakest = min(best, key=lambda one: limits[one][0])
            strongest = max(rest, key=lambda one: limits[one][1])
            close = limits[strongest][1] - limits[weakest][0] < self._method.tolerance
            if close or self._used >= stop or self._left <= 0:
                break
            self._draw(candidates[weakest])
            self._draw(candidates[strongest])
        return [candidates[one] for one in best]

    def _is_certain(self, anchor: Anchor) -> bool:
        """Whether the precision reaches the threshold, by pictures drawn for just this question.

        Look number j may err with probability delta / (j (j + 1)), so that all looks together err with delta at most;
        the first one at an anchor is taken when it could be certain if all pictures held.
        """
        threshold, doubt = self._method.threshold, math.log(1 / self._method.delta)
        if bounds(*self._draws.of(anchor), doubt)[1] < threshold:
            return False
        seen = held = looked_at = 0
        while True:
            count, holding = self._draw(anchor)
            seen, held = seen + count, held + holding
            if count == 0 or bounds(held / seen, seen, doubt)[1] < threshold:
                return False
            level = doubt + math.log((self._looks + 1) * (self._looks + 2))
            if seen < max(level / -math.log(threshold), 2 * looked_at):
                continue
            self._looks, looked_at = self._looks + 1, seen
            if bounds(held / seen, seen, level)[0] >= threshold:
                return True
            if seen >= self._method.samples // 5:
                return False

    def measured(self, anchor: Anchor) -> tuple[float, tuple[float, float]]:
        """The anchor's precision by new pictures, and bounds of which each is wrong with a probability of delta."""
        count = self._kept_back
        self._run.expect(Cost(1 + self._used + count, 0))
        _, holds = self._pictures(anchor, count)
        precision = float(holds.mean())
        return precision, bounds(precision, count, math.log(1 / self._method.delta))
