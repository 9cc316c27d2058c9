"""RISE: the mean of random masks, each weighted with the probability that is left under it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..registry import METHODS, parameter
from ..seeds import generator
from ..types import Attribution, Bools, Cost, Floats, Run
from .base import Explainer, array
from .sampling import balanced_masks, is_precise, precision_parameter

Ints = npt.NDArray[np.int_]
POOLED = 14
"""Cells along a side in which the surrogate sees a mask."""


class Masks:
    """Soft masks (H, W) of random grids: bilinearly enlarged cells, moved by a random part of a cell.

    A grid of `cells` x `cells` becomes `cells` + 1 cells of ceil(H / cells) pixels, of which a window of (H, W) shows.
    `rows` and `columns` hold the weight of every cell for every place of the enlarged grid, so that a mask is
    rows^T Z columns.
    """

    def __init__(self, size: tuple[int, int], cells: int):
        self.size, self.cells = size, cells
        self.steps = [-(-side // cells) for side in size]
        self._weights = [_bilinear(cells, (cells + 1) * step) for step in self.steps]

    def draw(self, keep: Bools, shifts: Ints) -> Floats:
        """Masks float32 (N, H, W) in [0, 1] of grids (N, cells^2), moved down and right by `shifts` (N, 2)."""
        grids = keep.reshape(-1, self.cells, self.cells).astype(np.float32)
        rows, columns = (self._moved(axis, shifts[:, axis]) for axis in range(2))
        return np.asarray(np.matmul(np.matmul(rows.transpose(0, 2, 1), grids), columns), dtype=np.float32)

    def _moved(self, axis: int, shifts: Ints) -> Floats:
        """The weights (N, cells, side) that each shift shows."""
        side = self.size[axis]
        return np.stack([self._weights[axis][:, shift : shift + side] for shift in shifts])

    def covariance(self, axis: int) -> Floats:
        """E over shifts of sum_j w_j(a) w_j(b) for places a, b of one axis, (side, side).

        The covariance of a mask at two pixels is keep (1 - keep) times the product of both axes' values.
        """
        step = self.steps[axis]
        total = np.zeros((self.size[axis],) * 2)
        for weights in self._moved(axis, np.arange(step)):
            total += weights.T @ weights
        return np.asarray(total / step, dtype=np.float32)


def _bilinear(cells: int, length: int) -> Floats:
    """Weights (cells, length) of bilinear enlargement, half-pixel centres, edges repeated."""
    at = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
    low = np.minimum(np.floor(at).astype(int), cells - 1)
    high = np.minimum(low + 1, cells - 1)
    weights = np.zeros((cells, length), dtype=np.float32)
    np.add.at(weights, (low, np.arange(length)), 1 - (at - low))
    np.add.at(weights, (high, np.arange(length)), at - low)
    return weights


def pooling(side: int) -> Floats:
    """The mean over each of at most `POOLED` cells along a side, (cells, side)."""
    cells = min(POOLED, side)
    which = np.arange(side) * cells // side
    matrix = (which == np.arange(cells)[:, None]).astype(np.float32)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


class WeightedMasks:
    """RISE's map E[p M] / E[M] from masks that arrive in batches, in float32 on their device.

    `assisted` subtracts what a linear model of the pooled mask predicts and adds its map, which is known exactly: the
    same map in the limit, whatever the model, with less noise. Scores are centred either way, which takes away the
    noise of the constant.
    """

    def __init__(self, masks: Masks, keep: float, assisted: bool, run: Run):
        self._keep, self._assisted = keep, assisted
        self._pools = [run.tensor(pooling(side)) for side in masks.size]
        across = [run.tensor(masks.covariance(axis)) for axis in range(2)]
        pooled = [pool @ covariance for pool, covariance in zip(self._pools, across, strict=True)]
        scale = keep * (1 - keep)
        self._exact = pooled  # the covariance of pooled and full mask, an axis each
        self._variance = scale * across[0].diagonal()[:, None] * across[1].diagonal()[None, :]
        self._scale = scale
        features = len(self._pools[0]) * len(self._pools[1])
        self.count = 0
        self._sum = self._squares = 0.0
        self._sum_of_masks: Any = run.x.new_zeros(masks.size)
        self._sum_of_weighted: Any = run.x.new_zeros(masks.size)
        if assisted:
            self._cross = run.x.new_zeros((features, *masks.size))
            self._gram = run.x.new_zeros((features, features)).double()
            self._with_y, self._alone = self._gram[0].clone(), self._gram[0].clone()

    def add(self, masks: Any, probabilities: Any) -> None:
        """Adds masks (B, H, W) and the probabilities (B,) under them."""
        centred, y = masks - self._keep, probabilities.float()
        self.count += len(y)
        self._sum += float(y.double().sum())
        self._squares += float(y.double().square().sum())
        self._sum_of_masks += centred.sum(0)
        self._sum_of_weighted += (y[:, None, None] * centred).sum(0)
        if self._assisted:
            pooled = (self._pools[0] @ centred @ self._pools[1].T).flatten(1)
            self._cross += (pooled.T @ centred.flatten(1)).view_as(self._cross)
            pooled = pooled.double()
            self._gram += pooled.T @ pooled
            self._with_y += pooled.T @ y.double()
            self._alone += pooled.sum(0)

    def result(self) -> tuple[Any, Any]:
        """The map (H, W) and its standard error (H, W), that of the mean probability included.

        As if masks were independent: for balanced ones it is an upper bound.
        """
        import torch

        mean = self._sum / self.count
        weighted = self._sum_of_weighted - mean * self._sum_of_masks
        left_over = self._squares - self.count * mean**2
        exact: Any = 0.0
        if self._assisted and self.count > 1:
            slopes, left_over = self._slopes(self._with_y - mean * self._alone, left_over)
            weighted = weighted - torch.tensordot(slopes, self._cross, 1)
            grid = slopes.view(len(self._pools[0]), len(self._pools[1]))
            exact = self._scale * (self._exact[0].T @ grid @ self._exact[1])
        errors = (max(left_over, 0.0) * (self._variance / self._keep**2 + 1)).sqrt() / self.count
        return (mean + (weighted / self.count + exact) / self._keep).clamp_min(0), errors

    def _slopes(self, moments: Any, squares: float) -> tuple[Any, float]:
        """Ridge regression on the pooled masks with the penalty that generalised cross-validation prefers.

        `moments` are the sums of pooled mask times centred y, `squares` the sum of squares of the latter. Returns the
        slopes, and the sum of squares that they leave, scaled up for the freedom that the fit had.
        """
        import torch

        sizes, turn = torch.linalg.eigh(self._gram)
        sizes, turned = sizes.clamp_min(0), turn.T @ moments
        best, least, left_over = turned * 0, float("inf"), squares
        for exponent in range(-3, 4):
            penalty = sizes.mean() * 10.0**exponent + 1e-12
            slopes = turned / (sizes + penalty)
            rest = squares - 2 * float(slopes @ turned) + float((slopes.square() * sizes).sum())
            free = self.count - float((sizes / (sizes + penalty)).sum())
            if free >= 1 and rest / free**2 < least:
                best, least, left_over = slopes, rest / free**2, rest * self.count / free
        return (turn @ best).float(), left_over


@METHODS.register(
    "rise",
    title="RISE",
    summary="Shows the network the picture under many random soft masks, and averages the masks weighted with the "
    "probability of the class. Bright regions are those with which the probability stays high.",
    family="perturbation",
    cites=("Petsiuk, Das, Saenko 2018, RISE: randomized input sampling for explanation of black-box models",),
    presets={"quick": {"samples": 256}, "balanced": {"samples": 1024}},
)
class Rise(Explainer):
    """E[p_c(x M) M] / E[M] over masks M; spec M-19. Masked pixels fade to ImageNet's mean colour, or to black."""

    samples: int = parameter(4000, "Masked pictures.", unit="samples", ge=2, le=20000, step=2)
    cells: int = parameter(7, "Cells along a side of a mask.", ge=2, le=28, step=1)
    keep: float = parameter(0.5, "Probability that a cell stays.", ge=0.05, le=0.95, step=0.05)
    fade: Literal["mean", "black"] = parameter("mean", "What shows where a mask is 0.")
    sampling: Literal["balanced", "plain"] = parameter(
        "balanced", "Balanced masks (for keep 0.5) and a linear surrogate, or independent masks alone."
    )
    precision: float = precision_parameter()

    def cost(self) -> Cost:
        return Cost(self.samples, 0)

    def explain(self, run: Run) -> Attribution:
        size = (run.frame.shape[0], run.frame.shape[1])
        masks = Masks(size, self.cells)
        keep, shifts = self._drawn(masks, generator(run.seed, "rise"))
        x = run.x
        black = run.normalise(np.zeros((1, 1, 1, 3), dtype=np.float32))
        hidden = x * 0 if self.fade == "mean" else black
        shown: dict[int, Any] = {}

        def masked(start: int, stop: int) -> Any:
            shown.clear()
            shown[start] = run.tensor(masks.draw(keep[start:stop], shifts[start:stop]))
            return hidden + (x - hidden) * shown[start][:, None]

        weighted = WeightedMasks(masks, self.keep, self.sampling == "balanced", run)
        for rows, probabilities in run.probabilities(self.samples, masked):
            weighted.add(shown[rows.start], probabilities)
            run.partial(lambda: array(weighted.result()[0]), False)
            if self.precision:
                values, errors = weighted.result()
                if is_precise(array(values), array(errors), self.precision):
                    break
        values, errors = weighted.result()
        return Attribution(array(values), signed=False, errors=array(errors))

    def _drawn(self, masks: Masks, random: np.random.Generator) -> tuple[Bools, Ints]:
        """Which cells stay, bool (samples, cells^2), and shifts (samples, 2); opposites have the same shift."""
        cells, count = self.cells**2, self.samples
        if self.sampling == "balanced" and self.keep == 0.5:
            shifts = random.integers(0, masks.steps, ((count + 1) // 2, 2)).repeat(2, axis=0)[:count]
            return balanced_masks(count, cells, random), shifts
        return random.random((count, cells)) < self.keep, random.integers(0, masks.steps, (count, 2))
