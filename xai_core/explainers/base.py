"""What every explainer is: its parameters as fields, and `explain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..registry import Parameters, parameter
from ..types import Attribution, Drawing, Floats, Run


class Explainer(Parameters):
    """Base of every explainer: its fields are its parameters."""

    def explain(self, run: Run) -> Attribution:
        """The attribution of `run.target` in `run.frame`; asks the `run` for every pass through the network."""
        raise NotImplementedError

    def remake(self, run: Run, details: Mapping[str, npt.NDArray[Any]]) -> Attribution:
        """The same attribution without a pass, made of the `details` of another one.

        The other one differs in the fields `after_passes` alone; who names none has nothing to do here.
        """
        raise NotImplementedError


class Drawer(Parameters):
    """Base of what draws a picture for a part of the network; its fields are its parameters."""

    def draw(self, run: Run) -> Drawing:
        """A picture that the network answers to; `run.frame` is the grey that it begins at."""
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


def array(values: Any) -> Floats:
    """A tensor as a float32 array."""
    return np.asarray(values.detach().cpu().float().numpy(), dtype=np.float32)
