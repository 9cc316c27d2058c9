"""Infidelity: how badly a map's values foretell what a change of the picture does to the logit."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..registry import SCORES, Value, parameter
from ..seeds import generator
from ..types import Bools, Cost, Floats, Measured, Run
from .base import ScoreMethod, undefined

Doubles = npt.NDArray[np.float64]
MOST = 1e6
"""Bound of squared logits."""


def infidelity(foretold: Doubles, changes: Doubles, scale: float = 1.0) -> float:
    """Mean of (scale * I'phi - (f(x) - f(x - I)))^2 over perturbations I; both arrays are float64 (N,)."""
    return float(np.mean((scale * foretold - changes) ** 2))


def best_scale(foretold: Doubles, changes: Doubles) -> float:
    """The factor of the map that makes its infidelity least: sum(I'phi * change) / sum(I'phi^2); 0 for zeros."""
    total = float(foretold @ foretold)
    return float(foretold @ changes) / total if total else 0.0


@SCORES.register(
    "infidelity",
    title="Infidelity",
    summary="Changes the picture at random, and compares the change of the logit with the one that the map's values "
    "foretell. 0 is a map that foretells all changes, up to a factor; 1 tells nothing about them.",
    family="faithfulness",
    cites=("Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations",),
    presets={"quick": {"samples": 20}, "balanced": {"samples": 64}},
    values={
        "relative": Value(
            "Infidelity, relative",
            "lower",
            0,
            1,
            help="The part of the mean squared change that the map leaves open; its factor is not negative.",
            headline=True,
        ),
        "scaled": Value(
            "Infidelity", "lower", 0, MOST, "logits²", "Mean squared error with the best factor, as captum normalises."
        ),
    },
)
class Infidelity(ScoreMethod):
    """E[(beta I'phi - (f(x) - f(x - I)))^2] with the best beta, alone and as a part of E[(f(x) - f(x - I))^2].

    Spec E-20. A map has one value per pixel, so all channels of a pixel change alike. `squares` hide a square by the
    mean colour, for maps whose values are parts of the logit; I'phi is the map's sum in it. `noise` adds a Gaussian to
    all pixels, for maps that are gradients.
    """

    samples: int = parameter(200, "Changed pictures.", unit="samples", ge=2, le=10000, step=1)
    perturbation: Literal["squares", "noise"] = parameter(
        "squares", "What changes: a hidden square (for attributions), or noise everywhere (for gradients)."
    )
    size: float = parameter(0.25, "Side of a square.", unit="of the side", ge=0.02, le=1, step=0.01)
    noise_level: float = parameter(
        0.2, "Standard deviation of the noise, in normalised space.", unit="deviations", ge=0.001, le=2, step=0.01
    )

    def cost(self) -> Cost:
        return Cost(1 + self.samples, 0)

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        shape = (saliency.shape[0], saliency.shape[1])
        phi = saliency.astype(np.float64) / np.abs(saliency).max()
        changes, foretold = np.empty(1 + self.samples), np.zeros(1 + self.samples)
        corners = self._corners(run.seed, shape)

        def make(start: int, stop: int) -> Any:
            """The picture itself, and then x - I; the foretold changes are noted on the way."""
            changed = run.x.repeat(stop - start, 1, 1, 1)
            for row, number in enumerate(range(start, stop)):
                if number and self.perturbation == "squares":
                    square = corners[number - 1]
                    changed[row][:, square[0], square[1]] = 0
                    foretold[number] = phi[square].sum()
                elif number:
                    noise = generator(run.seed, "infidelity", number).standard_normal(shape, dtype=np.float32)
                    noise *= np.float32(self.noise_level)
                    changed[row] -= run.tensor(noise)
                    foretold[number] = (noise * phi).sum()
            return changed

        for rows, logits in run.logits(len(changes), make):
            changes[rows] = logits[:, run.target].double().cpu().numpy()
        return self._measured(foretold[1:], changes[0] - changes[1:])

    def _measured(self, foretold: Doubles, changes: Doubles) -> Measured:
        whole = float(np.mean(changes**2))
        if not whole:
            return undefined(["relative", "scaled"], "no change of the picture changes the logit")
        scale = best_scale(foretold, changes)
        relative = infidelity(foretold, changes, max(scale, 0.0)) / whole
        return Measured({"relative": min(relative, 1.0), "scaled": min(infidelity(foretold, changes, scale), MOST)})

    def _corners(self, seed: int, shape: tuple[int, int]) -> list[tuple[slice, slice]]:
        """The squares that are hidden, anywhere inside the frame."""
        side = max(1, round(self.size * min(shape)))
        ends = np.array(shape) - side + 1
        corners = generator(seed, "infidelity", "squares").integers(0, ends, (self.samples, 2))
        return [(slice(top, top + side), slice(left, left + side)) for top, left in corners.tolist()]
