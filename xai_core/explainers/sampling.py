"""How sampled methods choose their samples, and how sure of their maps they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..registry import parameter
from ..types import Bools, Floats

Ints = npt.NDArray[np.int_]


def precision_parameter() -> Any:
    """The field by which a sampled method stops as soon as its map is precise enough."""
    return parameter(
        0.0,
        "Stop once the standard error is this part of the map's own spread; 0 takes all samples.",
        unit="of the spread",
        ge=0,
        le=1,
        step=0.01,
    )


def is_precise(values: npt.NDArray[np.floating], errors: npt.NDArray[np.floating], precision: float) -> bool:
    """Whether the standard errors (root mean square) are at most `precision` times the map's standard deviation.

    Then the rank correlation of two such maps with other seeds is about 1 / (1 + precision^2).
    """
    if precision <= 0 or not np.isfinite(errors).all():
        return False
    return bool(np.sqrt(np.mean(np.square(errors, dtype=np.float64))) <= precision * np.std(values, dtype=np.float64))


# -- which superpixels stay --------------------------------------------------------------------------------------------


def independent_masks(count: int, features: int, random: np.random.Generator) -> Bools:
    """Which features stay, bool (count, features): each with probability 1/2."""
    return random.integers(0, 2, (count, features)).astype(bool)


def balanced_masks(count: int, features: int, random: np.random.Generator) -> Bools:
    """As `independent_masks`, but in pairs of opposites, and where `count` allows it in whole Hadamard blocks.

    In a block of 2 n rows every feature stays in half of the rows, and every two features stay together in a quarter,
    which takes most of the noise out of a linear fit. Blocks have random columns, signs and order, so that every
    single row is as random as an independent one. n is 64, or the next power of two above `features`; what is left
    over after whole blocks, and everything where not even one fits, is pairs of random opposites.
    """
    order = 64
    while order <= features:
        order *= 2
    blocks = [_hadamard_block(order, features, random) for _ in range(count // (2 * order))]
    missing = count - 2 * order * len(blocks)
    rest = independent_masks((missing + 1) // 2, features, random)
    rows = np.concatenate([*blocks, rest])
    return np.stack([rows, ~rows], axis=1).reshape(-1, features)[:count]


def _hadamard_block(order: int, features: int, random: np.random.Generator) -> Bools:
    """Rows of a Hadamard matrix in random order, with random columns (without the constant one) and signs."""
    from scipy.linalg import hadamard

    columns = 1 + random.permutation(order - 1)[:features]
    signs = random.choice([-1, 1], features)
    rows = hadamard(order)[random.permutation(order)][:, columns] * signs
    return np.asarray(rows > 0)


# -- points on the paths from backgrounds ------------------------------------------------------------------------------


def independent_points(samples: int, backgrounds: int, random: np.random.Generator) -> tuple[Ints, Floats]:
    """Which background every sample starts from, int (samples,), and how far it goes, float32 (samples,) in [0, 1)."""
    return random.integers(0, backgrounds, samples), _below_one(random.random(samples))


def stratified_points(samples: int, backgrounds: int, random: np.random.Generator) -> tuple[Ints, Floats]:
    """As `independent_points`, but every background equally often, its points evenly spaced from a random offset.

    One round over all backgrounds follows the other. The points of a background come in the order of the van der
    Corput sequence, so that they are spread well after any number of rounds, and evenly after every power of two.
    Each single point is as random as an independent one: means are unbiased wherever sampling stops.
    """
    which = np.resize(random.permutation(backgrounds), samples)
    rounds = np.arange(samples) // backgrounds
    counts = np.bincount(which, minlength=backgrounds)
    grids = {int(count): well_spread_order(int(count)) / count for count in np.unique(counts[counts > 0])}
    grid = np.array([grids[int(counts[background])][turn] for background, turn in zip(which, rounds, strict=True)])
    return which, _below_one((grid + random.random(backgrounds)[which]) % 1.0)


def well_spread_order(count: int) -> Ints:
    """A permutation of 0 to count - 1 of which every beginning is spread well."""
    values, rest, digit = np.zeros(count), np.arange(count), 0.5
    while rest.any():  # the van der Corput sequence: binary digits mirrored at the point
        values += digit * (rest & 1)
        rest >>= 1
        digit /= 2
    return np.asarray(values.argsort().argsort())


def _below_one(values: np.ndarray) -> Floats:
    """As float32; what is just below 1 would be 1."""
    return np.minimum(values.astype(np.float32), np.nextafter(np.float32(1), np.float32(0)))


# -- means and their standard errors -----------------------------------------------------------------------------------


class RunningMean:
    """Mean and standard error of independent samples that arrive in batches, in float64, on their device."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Any = 0.0
        self._squares: Any = 0.0

    def add(self, values: Any, which: Ints | None = None) -> None:
        """Adds a batch (B, ...) of samples; where they start from makes no difference here."""
        values = values.double()
        self.count += len(values)
        self._sum = self._sum + values.sum(0)
        self._squares = self._squares + (values * values).sum(0)

    @property
    def mean(self) -> Any:
        return self._sum / self.count

    @property
    def error(self) -> Any:
        """Standard error of the mean; not-a-number for a single sample."""
        if self.count < 2:
            return self.mean * float("nan")
        variance = (self._squares / self.count - self.mean**2).clamp_min(0) * self.count / (self.count - 1)
        return (variance / self.count).sqrt()


class RunningVariance:
    """Population variance of independent samples and its standard error, in float64, on their device."""

    def __init__(self) -> None:
        self.count = 0
        self._shift: Any = None
        self._powers: list[Any] = []

    def add(self, values: Any) -> None:
        """Adds a batch (B, ...) of samples."""
        values = values.double()
        if self._shift is None:  # moments about nearly the mean lose no digits
            self._shift = values.mean(0)
            self._powers = [self._shift * 0 for _ in range(4)]
        values = values - self._shift
        self.count += len(values)
        power = values
        for number in range(4):
            self._powers[number] = self._powers[number] + power.sum(0)
            power = power * values

    @property
    def variance(self) -> Any:
        first, second = (self._powers[number] / self.count for number in range(2))
        return (second - first**2).clamp_min(0)

    @property
    def error(self) -> Any:
        """Standard error of the variance: sqrt((m4 - m2^2) / n) with central moments m; 0 for a single sample."""
        first, second, third, fourth = (power / self.count for power in self._powers)
        central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
        return ((central - self.variance**2).clamp_min(0) / self.count).sqrt()


class StratifiedMean:
    """Mean and standard error over `stratified_points`, in float64, on the device of the samples.

    The spread among a background's own points, which would be the error if they were independent, gives the pattern
    of the error. Its size is that of the difference between the two halves of the points, each of which is evenly
    spaced too, at the last power of two of rounds; points added since only make it smaller.
    """

    def __init__(self, backgrounds: int):
        self._backgrounds = backgrounds
        self.count = 0
        self._counts = np.zeros(backgrounds, dtype=int)
        self._sums: Any = None
        self._squares: Any = None
        self._half: Any = None
        self._ratio = 1.0

    def add(self, values: Any, which: Ints) -> None:
        """Adds a batch (B, ...) of samples of these backgrounds, int (B,), in the order of `stratified_points`."""
        values = values.double()
        if self._sums is None:
            self._sums = values.new_zeros((self._backgrounds, *values.shape[1:]))
            self._squares, self._half = self._sums.clone(), self._sums.clone()
        for value, background in zip(values, which, strict=True):
            self._sums[background] += value
            self._squares[background] += value * value
            self._counts[background] += 1
            self.count += 1
            rounds, rest = divmod(self.count, self._backgrounds)
            if rest == 0 and rounds & (rounds - 1) == 0:
                self._measure(rounds)

    def _measure(self, rounds: int) -> None:
        """After a power of two of rounds the points before and after the last power of two are the two halves."""
        if rounds > 1:
            halves = (2 * self._half - self._sums) / rounds  # half the difference of the two means
            measured = halves.square().sum(0).sqrt() / self._backgrounds
            expected = self._independent()
            size = expected.square().mean().sqrt()
            self._ratio = min(float(measured.square().mean().sqrt() / size), 1.0) if size > 0 else 1.0
        self._half.copy_(self._sums)

    def _independent(self) -> Any:
        """The standard error if every background's points were independent."""
        counts = self._sums.new_tensor(self._counts).view(-1, *[1] * (self._sums.ndim - 1))
        variance = (self._squares / counts - (self._sums / counts) ** 2).clamp_min(0) / (counts - 1)
        return variance.sum(0).sqrt() / self._backgrounds

    @property
    def mean(self) -> Any:
        """Of the backgrounds' means; of the samples until every background was used."""
        if not self._counts.all():
            return self._sums.sum(0) / self.count
        counts = self._sums.new_tensor(self._counts).view(-1, *[1] * (self._sums.ndim - 1))
        return (self._sums / counts).mean(0)

    @property
    def error(self) -> Any:
        """Standard error of the mean; before the second round over all backgrounds as if samples were independent."""
        if self._counts.min() >= 2:
            return self._independent() * self._ratio
        if self.count < 2:
            return self.mean * float("nan")
        mean = self._sums.sum(0) / self.count
        return ((self._squares.sum(0) / self.count - mean**2).clamp_min(0) / (self.count - 1)).sqrt()
