"""Occlusion sensitivity: what the class loses when a window of the picture is covered."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Run
from .base import Explainer, array


@METHODS.register(
    "occlusion",
    title="Occlusion sensitivity",
    summary="Covers the picture with a window, place by place, and notes how much of the class's logit is lost. Red "
    "places speak for the class, blue ones against it; the map is as coarse as the window.",
    family="perturbation",
    cites=("Zeiler and Fergus 2014, Visualizing and understanding convolutional networks",),
    presets={"quick": {"positions": 7, "size": 0.25}},
)
class Occlusion(Explainer):
    """f_c(x) - f_c(x with the window filled), averaged over the windows that cover a pixel; spec M-22.

    Windows stand evenly on a square grid from edge to edge: 13 of 32 px with a stride of 16 px on 224 px.
    """

    positions: int = parameter(13, "Places of the window along a side.", ge=1, le=112, step=1)
    size: float = parameter(1 / 7, "Side of the window.", unit="of the side", ge=0.01, le=1, step=0.01)
    fill: Literal["mean", "black", "grey"] = parameter(
        "mean", "What the window shows: ImageNet's mean colour (0 after normalisation), black or grey."
    )

    def cost(self) -> Cost:
        return Cost(1 + self.positions**2, 0)

    def explain(self, run: Run) -> Attribution:
        import torch

        x = run.x
        places = [list(self._places(side)) for side in run.frame.shape[:2]]
        windows = [(top, bottom, left, right) for top, bottom in places[0] for left, right in places[1]]
        level = 0.0 if self.fill == "black" else 0.5
        plain = run.normalise(np.full((1, 1, 1, 3), level, dtype=np.float32))
        colour = plain * 0 if self.fill == "mean" else plain

        def covered(start: int, stop: int) -> Any:
            copies = x.repeat(stop - start, 1, 1, 1)
            for copy, number in zip(copies, range(start - 1, stop - 1), strict=True):
                if number >= 0:  # the first one is the picture itself
                    top, bottom, left, right = windows[number]
                    copy[:, top:bottom, left:right] = colour[0]
            return copies

        lost = torch.zeros(run.frame.shape[:2], dtype=torch.float64, device=x.device)
        count = torch.zeros_like(lost)
        full = 0.0
        for rows, logits in run.logits(1 + len(windows), covered):
            for number, logit in zip(range(rows.start - 1, rows.stop - 1), logits[:, run.target].double(), strict=True):
                if number < 0:
                    full = float(logit)
                    continue
                top, bottom, left, right = windows[number]
                lost[top:bottom, left:right] += full - logit
                count[top:bottom, left:right] += 1
            run.partial(lambda: array(lost / count.clamp_min(1)), True)
        return Attribution(array(lost / count.clamp_min(1)), signed=True)

    def _places(self, side: int) -> list[tuple[int, int]]:
        """Begin and end of the windows along a side."""
        width = max(1, min(side, round(self.size * side)))
        starts = np.linspace(0, side - width, self.positions).round().astype(int)
        return [(int(start), int(start) + width) for start in starts]
