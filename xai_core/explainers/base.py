"""What every explainer is: its parameters as fields, and `explain`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..registry import Parameters, parameter
from ..types import Attribution, Floats, Run


class Explainer(Parameters):
    """Base of every explainer: its fields are its parameters."""

    def explain(self, run: Run) -> Attribution:
        """The attribution of `run.target` in `run.frame`; asks the `run` for every pass through the network."""
        raise NotImplementedError


class CheckedExplainer(Explainer):
    """An explainer that can be computed by the library that it is checked against instead."""

    implementation: Literal["own", "reference"] = parameter(
        "own", "Our own code, or the reference library to cross-check it."
    )

    def explain(self, run: Run) -> Attribution:
        return self.explain_by_library(run) if self.implementation == "reference" else self.explain_ourselves(run)

    def explain_ourselves(self, run: Run) -> Attribution:
        raise NotImplementedError

    def explain_by_library(self, run: Run) -> Attribution:
        raise NotImplementedError


def upsampled(values: Any, size: tuple[int, int]) -> Floats:
    """A map (h, w) as float32 (H, W) of `size`: bilinear, `align_corners=False` (spec R2)."""
    import torch

    grid = torch.as_tensor(values, dtype=torch.float32)[None, None]
    return torch.nn.functional.interpolate(grid, size=size, mode="bilinear", align_corners=False)[0, 0].cpu().numpy()


class RunningMean:
    """Mean and standard error of maps that arrive in batches, in float64, on the device that they arrive on."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Any = 0.0
        self._squares: Any = 0.0

    def add(self, values: Any) -> None:
        """Adds a batch (B, ...) of samples."""
        values = values.double()
        self.count += len(values)
        self._sum = self._sum + values.sum(0)
        self._squares = self._squares + (values * values).sum(0)

    @property
    def mean(self) -> Any:
        return self._sum / self.count

    @property
    def error(self) -> Any:
        """Standard error of the mean of independent samples; not-a-number for a single one."""
        if self.count < 2:
            return self.mean * float("nan")
        variance = (self._squares / self.count - self.mean**2).clamp_min(0) * self.count / (self.count - 1)
        return (variance / self.count).sqrt()


def array(values: Any) -> Floats:
    """A tensor as a float32 array."""
    return np.asarray(values.detach().cpu().float().numpy(), dtype=np.float32)
