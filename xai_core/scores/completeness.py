"""Completeness and soundness: do a method's maps prove the class that is there, and none that is not?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..registry import SCORES, Value, parameter
from ..seeds import generator
from ..types import Another, Bools, Cost, Curve, Floats, Measured, Run
from .base import ScoreMethod, undefined
from .insertion import Fill, area_under, counts_along, substrate
from .ranking import most_relevant_first, places

Doubles = npt.NDArray[np.float64]
PARTS = ("target", "likely", "drawn")


def completeness(area: Doubles, whole: Doubles, least: float) -> Doubles:
    """alpha = min(max(g, least) / p, 1), in [0, 1]: how far a label's area g reaches its probability p."""
    return np.minimum(np.maximum(area, least) / np.maximum(whole, np.finfo(float).tiny), 1)


def soundness(area: Doubles, whole: Doubles, least: float) -> Doubles:
    """beta = min(max(p, least) / g, 1), in [0, 1]: below 1 where a label's area g is above its probability p."""
    return np.minimum(np.maximum(whole, least) / np.maximum(area, np.finfo(float).tiny), 1)


def chosen_labels(logits: Doubles, target: int, likely: int, drawn: int, seed: int) -> list[int]:
    """The target, the `likely` most probable other classes, and `drawn` classes at random among the rest.

    There are always 1 + likely + drawn: a model with too few classes has some of them several times.
    """
    others = [int(one) for one in np.argsort(-logits, kind="stable") if one != target] or [target]
    first, rest = others[:likely], others[likely:] or others
    random = generator(seed, "labels").choice(rest, drawn, replace=len(rest) < drawn)
    return [target, *(first[number % len(first)] for number in range(likely)), *map(int, random)]


class Proof(ScoreMethod):
    """What both share: for every label, the area under its probability while its own map's pixels are inserted."""

    likely: int = parameter(4, "Most probable other classes.", unit="classes", ge=1, le=20, step=1)
    drawn: int = parameter(5, "Classes drawn at random among the rest.", unit="classes", ge=1, le=20, step=1)
    steps: int = parameter(50, "Steps from no pixel to all.", unit="steps", ge=2, le=1000, step=1)

    @property
    def further_maps(self) -> int:
        return self.likely + self.drawn

    start: Fill = parameter("blur", "What shows where pixels are not inserted yet.")
    least: float = parameter(0.01, "Smaller areas, or probabilities, count as this.", ge=0.0001, le=0.5, step=0.005)

    def cost(self) -> Cost:
        return Cost(2 + (1 + self.likely + self.drawn) * (self.steps - 1), 0)

    def ratios(self, areas: Doubles, whole: Doubles) -> Doubles:
        """Ratios (labels,) of the areas and the whole picture's probabilities (labels,)."""
        raise NotImplementedError

    def measure(self, run: Run, saliency: Floats, mask: Bools | None) -> Measured:
        import torch

        start, shape = substrate(run, self.start), (saliency.shape[0], saliency.shape[1])
        both = torch.cat([start, run.x])
        ends = torch.cat([logits for _, logits in run.logits(2, lambda first, stop: both[first:stop])]).double()
        labels = chosen_labels(ends[1].cpu().numpy(), run.target, self.likely, self.drawn, run.seed)
        maps: dict[int, Floats | None] = {run.target: saliency}
        maps |= {label: run.another_map(Another(target=label)) for label in labels if label not in maps}
        known = {label: one for label, one in maps.items() if one is not None}
        if len(known) < len(maps):
            return undefined(PARTS, "it takes the method that made the map, and this map was brought along")
        orders = {label: places(most_relevant_first(one, run.seed), shape) for label, one in known.items()}
        counts = counts_along(self.steps, saliency.size)
        place = run.tensor(np.stack([orders[label] for label in labels]))[:, None]
        reached, inner = run.tensor(counts[1:-1]), self.steps - 1
        columns = torch.as_tensor(labels, device=ends.device)
        before, whole = ends.softmax(1)[:, columns].cpu().numpy()
        curves = np.empty((len(labels), self.steps + 1))
        curves[:, 0], curves[:, -1] = before, whole
        inside = np.empty(len(labels) * inner)

        def make(first: int, stop: int) -> Any:
            number = torch.arange(first, stop, device=place.device)
            return run.x.where(place[number // inner] < reached[number % inner].view(-1, 1, 1, 1), start)

        for rows, logits in run.logits(len(inside), make):
            own = columns[torch.arange(rows.start, rows.stop, device=columns.device) // inner]
            inside[rows] = logits.double().softmax(1).gather(1, own[:, None])[:, 0].cpu().numpy()
        curves[:, 1:-1] = inside.reshape(len(labels), inner)
        ratios = self.ratios(np.array([area_under(counts, curve) for curve in curves]), whole)
        x = np.linspace(0, 1, self.steps + 1, dtype=np.float32)
        return Measured(
            {
                "target": float(ratios[0]),
                "likely": float(ratios[: 1 + self.likely].min()),
                "drawn": float(ratios[1 + self.likely :].min()),
            },
            curves={"target": Curve(x, curves[0].astype(np.float32))},
        )


PRESETS = {"quick": {"likely": 1, "drawn": 1, "steps": 10}, "balanced": {"likely": 4, "drawn": 2, "steps": 20}}
CITES = (
    "Gupta et al. 2022, New definitions and evaluations for saliency methods: staying intrinsic, complete and sound",
    "Loreth 2023 (S2)",
)


def _values(what: str) -> dict[str, Value]:
    return {
        "target": Value(f"{what}, this class", "higher", 0, 1, help="Of the map that is scored."),
        "likely": Value(
            f"{what}, likely classes",
            "higher",
            0,
            1,
            help="The least over this class and the most probable others, each with its own map.",
            headline=True,
        ),
        "drawn": Value(f"{what}, random classes", "higher", 0, 1, help="The least over classes drawn at random."),
    }


@SCORES.register(
    "completeness",
    title="Completeness",
    summary="Inserts the pixels of each class in the order of its own map, and compares the mean probability with that "
    "of the whole picture. 1 says that the maps prove every class as much as the network believes in it.",
    family="faithfulness",
    cites=CITES,
    extra_maps=True,
    presets=PRESETS,
    values=_values("Completeness"),
)
class Completeness(Proof):
    """Least alpha = min(max(g, least) / p, 1) over the labels, g the area under the insertion curve; spec E-19."""

    def ratios(self, areas: Doubles, whole: Doubles) -> Doubles:
        return completeness(areas, whole, self.least)


@SCORES.register(
    "soundness",
    title="Soundness",
    summary="Inserts the pixels of each class in the order of its own map, and asks whether a part of the picture "
    "proves more than the whole. 1 says that no map talks the network into a class; low values say that maps can.",
    family="faithfulness",
    cites=CITES,
    extra_maps=True,
    presets=PRESETS,
    values=_values("Soundness"),
)
class Soundness(Proof):
    """Least beta = min(max(p, least) / g, 1) over the labels, g the area under the insertion curve; spec E-19.

    S2 heads this formula alpha, and writes the bound that follows, g <= p / beta, with alpha in it.
    """

    def ratios(self, areas: Doubles, whole: Doubles) -> Doubles:
        return soundness(areas, whole, self.least)
