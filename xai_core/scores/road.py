"""ROAD: remove and debias. Pixels are removed in the order of a map, imputed, and the probability is watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..registry import SCORES, Value, parameter
from ..seeds import generator
from ..types import Bools, Cost, Curve, Floats, Measured, Pixels, Run
from .base import ScoreMethod
from .imputation import impute_frames, in_threads
from .ranking import count_of, first, most_relevant_first


def removed(saliency: Floats, fractions: list[float], seed: int) -> tuple[list[Bools], list[Bools]]:
    """The masks of removed pixels for every fraction: most relevant first, and least relevant first."""
    order = most_relevant_first(saliency, seed)
    shape = (saliency.shape[0], saliency.shape[1])
    counts = [count_of(fraction, order.size) for fraction in fractions]
    return [first(order, count, shape) for count in counts], [first(order[::-1], count, shape) for count in counts]


def noisy_imputations(frame: Pixels, masks: Sequence[Bools], noise: float, seed: int, first: int = 0) -> Floats:
    """The frame in [0, 1] for every mask, float32 (N, H, W, 3): missing pixels imputed, N(0, noise^2) added to them.

    `first` is the number of the first mask; every number has noise of its own.
    """
    filled = np.stack(impute_frames(frame, masks))

    def add_noise(index: int) -> None:
        missing = masks[index]
        random = generator(seed, "road", str(first + index))
        filled[index][missing] += np.float32(noise) * random.standard_normal((int(missing.sum()), 3), dtype=np.float32)

    in_threads(add_noise, range(len(masks)))
    return filled


@SCORES.register(
    "road",
    title="ROAD",
    summary="Removes the pixels that the map calls relevant, fills the holes from their surroundings, and compares "
    "with removing the irrelevant ones. A faithful map loses the class fast in the one order and slowly in the other.",
    family="faithfulness",
    cites=(
        "Rong et al. 2022, A consistent and efficient evaluation strategy for attribution methods",
        "Devarakonda and Kim (S1)",
    ),
    presets={"quick": {"steps": 5}},
    values={
        "combined": Value(
            "ROAD, combined",
            "higher",
            -1,
            1,
            help="(least first − most first) / 2; about 0 for a random map.",
            headline=True,
        ),
        "morf": Value(
            "ROAD, most relevant first", "lower", -1, 1, help="Mean change of the probability; negative is a loss."
        ),
        "lerf": Value(
            "ROAD, least relevant first", "higher", -1, 1, help="Mean change of the probability; negative is a loss."
        ),
    },
)
class Road(ScoreMethod):
    """Mean change of the target's probability over the fractions removed, in both orders; spec E-02.

    The fractions are spread evenly from 0.1 to 0.9. Pixels are ranked, never thresholded; imputed in [0, 1].
    """

    steps: int = parameter(9, "Fractions between 10 % and 90 %.", unit="fractions", ge=2, le=33, step=1)
    noise: float = parameter(
        0.01, "Standard deviation of the noise on imputed pixels.", unit="of 1", ge=0, le=0.2, step=0.005
    )

    @property
    def fractions(self) -> list[float]:
        return [float(fraction) for fraction in np.linspace(0.1, 0.9, self.steps)]

    def cost(self) -> Cost:
        return Cost(1 + 2 * self.steps, 0)

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        most, least = removed(saliency, self.fractions, run.seed)
        masks = [*most, *least]
        impute_frames(run.frame, masks)  # all together keep the threads busy; the batches find them done

        def pictures(start: int, stop: int) -> Any:
            first = max(start - 1, 0)  # the picture itself comes before the imputed ones
            clean = [run.frame[None] / np.float32(255)] if start == 0 else []
            wanted = masks[first : stop - 1]
            filled = [noisy_imputations(run.frame, wanted, self.noise, run.seed, first)] if wanted else []
            return run.normalise(np.concatenate(clean + filled))

        probabilities = np.empty(1 + len(masks))
        for rows, values in run.probabilities(len(probabilities), pictures):
            probabilities[rows] = values.double().cpu().numpy()
        before, rest = probabilities[0], probabilities[1:]
        morf, lerf = rest[: self.steps], rest[self.steps :]
        change_most, change_least = float(morf.mean() - before), float(lerf.mean() - before)
        x = np.asarray([0.0, *self.fractions], dtype=np.float32)
        return Measured(
            {"combined": (change_least - change_most) / 2, "morf": change_most, "lerf": change_least},
            curves={
                "morf": Curve(x, np.asarray([before, *morf], dtype=np.float32)),
                "lerf": Curve(x, np.asarray([before, *lerf], dtype=np.float32)),
            },
        )
