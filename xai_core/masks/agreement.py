"""How far people agree on which pixels are the object.

What cannot be defined is not-a-number: two empty masks have no overlap to measure (they do agree, and Fleiss' kappa and
the heat map of disagreement say so), and an empty mask has no boundary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ..types import Bools, Floats, XaiError

BOTH_EMPTY = "both masks are empty"
ONE_EMPTY = "an empty mask has no boundary"
UNANIMOUS = "everybody says the same of every pixel of all pictures, object or not, so that chance would agree too"
NO_OBJECT = "the consensus has no pixel of the object"
NO_BACKGROUND = "the consensus is the whole picture"
ALONE = "fewer than two people drew a mask"


def intersection_over_union(first: Bools, second: Bools) -> float:
    """|A and B| / |A or B| of two bool masks, in [0, 1]; not-a-number when both are empty."""
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else math.nan


def dice(first: Bools, second: Bools) -> float:
    """2 |A and B| / (|A| + |B|) of two bool masks, in [0, 1]; not-a-number when both are empty."""
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2 * int(np.count_nonzero(first & second)) / total if total else math.nan


def boundary_distances(first: Bools, second: Bools) -> npt.NDArray[np.float64]:
    """Distances in pixels from each mask's boundary to the other's, both ways, float64 (N,); none if one is empty.

    A boundary is the mask's pixels beside one that is not, or at the picture's edge (Heimann et al. 2009).
    """
    import cv2

    if not (first.any() and second.any()):
        return np.zeros(0)
    either = first | second
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    edges = [_boundary(mask[box]) for mask in (first, second)]
    away = [cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for edge in edges]
    return np.concatenate([away[1][edges[0]], away[0][edges[1]]]).astype(np.float64)


def _boundary(mask: Bools) -> Bools:
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)


def votes(masks: Sequence[Bools]) -> npt.NDArray[np.uint16]:
    """How many of the masks hold each pixel, uint16 (H, W); raises `XaiError` for none, or for different sizes."""
    if not masks or len({mask.shape for mask in masks}) > 1:
        raise XaiError("Masks can only be compared when there are some, all of the same size.")
    total = np.zeros(masks[0].shape, dtype=np.uint16)
    for mask in masks:
        total += mask
    return total


def disagreement(masks: Sequence[Bools]) -> Floats:
    """The variance of the votes at each pixel, p (1 - p), float32 (H, W) from 0 to 0.25, where halves disagree."""
    part = votes(masks) / np.float32(len(masks))
    return np.asarray(part * (1 - part), dtype=np.float32)


@dataclass(frozen=True)
class Tally:
    """How many pixels had how many votes: `pixels[v]` of them v of `people`."""

    people: int
    pixels: tuple[int, ...]

    @classmethod
    def of(cls, masks: Sequence[Bools]) -> Tally:
        """The tally of a picture's masks."""
        counts = np.bincount(votes(masks).ravel(), minlength=len(masks) + 1)
        return cls(len(masks), tuple(int(count) for count in counts))


def fleiss_kappa(tallies: Iterable[Tally]) -> float:
    """Fleiss' kappa over all pixels of all pictures, at most 1; 0 is what chance would give.

    Pictures may have had different numbers of people; those of fewer than two tell nothing, and a large picture counts
    as much as its pixels. Not-a-number where all say the same everywhere (Fleiss 1971).
    """
    pixels = agreed = marked = said = 0.0
    for tally in tallies:
        people = tally.people
        if people < 2:
            continue
        for yes, count in enumerate(tally.pixels):
            no = people - yes
            agreed += count * (yes * (yes - 1) + no * (no - 1)) / (people * (people - 1))
            marked += count * yes
            said += count * people
            pixels += count
    if not 0 < marked < said:
        return math.nan
    by_chance = (marked / said) ** 2 + (1 - marked / said) ** 2
    return (agreed / pixels - by_chance) / (1 - by_chance)


@dataclass(frozen=True)
class Confusion:
    """Pixels of a mask beside a reference: `hits` of its object, `misses`, `rejections` outside, and `alarms`."""

    hits: int
    misses: int
    rejections: int
    alarms: int

    @classmethod
    def of(cls, mask: Bools, reference: Bools) -> Confusion:
        """The pixels of two bool (H, W)."""
        hits, inside = int(np.count_nonzero(mask & reference)), int(np.count_nonzero(reference))
        alarms = int(np.count_nonzero(mask)) - hits
        return cls(hits, inside - hits, mask.size - inside - alarms, alarms)

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.hits + other.hits,
            self.misses + other.misses,
            self.rejections + other.rejections,
            self.alarms + other.alarms,
        )

    @property
    def sensitivity(self) -> float:
        """The part of the reference's object that the mask holds; not-a-number without an object."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else math.nan

    @property
    def specificity(self) -> float:
        """The part of what lies outside that the mask leaves out; not-a-number where nothing does."""
        return self.rejections / (self.rejections + self.alarms) if self.rejections + self.alarms else math.nan

    @property
    def reasons(self) -> dict[str, str]:
        """Why which of the two is undefined."""
        return {
            name: reason
            for name, reason in (("sensitivity", NO_OBJECT), ("specificity", NO_BACKGROUND))
            if math.isnan(getattr(self, name))
        }


@dataclass(frozen=True)
class Pair:
    """Two people's masks of a picture: overlaps in [0, 1], and mean and 95th percentile of `boundary_distances`, px."""

    people: tuple[str, str]
    iou: float
    dice: float
    boundary_mean: float
    boundary_95: float

    @property
    def reasons(self) -> dict[str, str]:
        """Why what is undefined."""
        overlap = dict.fromkeys(("iou", "dice"), BOTH_EMPTY) if math.isnan(self.iou) else {}
        distance = dict.fromkeys(("boundary_mean", "boundary_95"), ONE_EMPTY) if math.isnan(self.boundary_mean) else {}
        return overlap | distance


@dataclass(frozen=True)
class Agreement:
    """How far the people of one picture agree, or of a set of pictures.

    `pairs` are all pairs of all pictures, `kappa` is Fleiss' over all pixels, and `people` has each one's pixels
    against the consensus of the picture, which that one took part in.
    """

    pairs: tuple[Pair, ...]
    tallies: tuple[Tally, ...]
    people: Mapping[str, Confusion]

    @property
    def kappa(self) -> float:
        """Fleiss' kappa."""
        return fleiss_kappa(self.tallies)

    @property
    def reasons(self) -> dict[str, str]:
        """Why what is undefined."""
        if not any(tally.people > 1 for tally in self.tallies):
            return dict.fromkeys(("kappa", "iou", "dice", "boundary_mean", "boundary_95"), ALONE)
        reasons = {"kappa": UNANIMOUS} if math.isnan(self.kappa) else {}
        for pair in self.pairs:
            reasons |= {name: reason for name, reason in pair.reasons.items() if math.isnan(self.mean(name))}
        return reasons

    def mean(self, name: str) -> float:
        """The mean of a `Pair`'s number over the pairs for which it is defined."""
        values = [getattr(pair, name) for pair in self.pairs]
        known = [value for value in values if not math.isnan(value)]
        return float(np.mean(known)) if known else math.nan

    @classmethod
    def of(cls, masks: Mapping[str, Bools], consensus: Bools) -> Agreement:
        """The agreement on one picture, of masks bool (H, W) by name, all of the same size."""
        tally = Tally.of(list(masks.values()))
        pairs = tuple(compared((one, other), masks[one], masks[other]) for one, other in combinations(masks, 2))
        return cls(pairs, (tally,), {name: Confusion.of(mask, consensus) for name, mask in masks.items()})

    @classmethod
    def over(cls, pictures: Iterable[Agreement]) -> Agreement:
        """The agreement on a set of pictures."""
        pictures = list(pictures)
        people: dict[str, Confusion] = {}
        for picture in pictures:
            for name, confusion in picture.people.items():
                people[name] = people[name] + confusion if name in people else confusion
        pairs = tuple(pair for picture in pictures for pair in picture.pairs)
        return cls(pairs, tuple(tally for picture in pictures for tally in picture.tallies), people)


def compared(people: tuple[str, str], first: Bools, second: Bools) -> Pair:
    """Two people's masks bool (H, W) beside each other."""
    distances = boundary_distances(first, second)
    mean, high = (float(distances.mean()), float(np.percentile(distances, 95))) if distances.size else (math.nan,) * 2
    return Pair(people, intersection_over_union(first, second), dice(first, second), mean, high)
