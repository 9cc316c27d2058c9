"""The perturbation pipeline of S3: RISE, LIME, KernelSHAP, prediction difference and CIU are single settings of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ..images import galleries
from ..registry import METHODS, parameter
from ..types import Attribution, Cost, Floats, Pixels, Run
from .base import Explainer
from .perturbation.attribution import SIGNED, Attribute, Doubles, Segments, attribute
from .perturbation.stages import CHANCE, PipelineFill, Sampling, Smoothing, Stages, sampled, soft_masks
from .superpixels import Segmentation, segments


@METHODS.register(
    "pipeline",
    title="Perturbation pipeline",
    summary="Takes perturbation apart: how the picture is cut, how soft the cuts are, which segments are hidden, what "
    "shows instead, and what is made of the probabilities. Each stage can be chosen by itself, and bright or red "
    "segments speak for the class.",
    family="superpixel",
    cites=(
        "Pihlgren and Främling 2025 (S3), Segmentation and smoothing affect explanation quality more than the choice "
        "of perturbation-based XAI method",
    ),
    presets={"quick": {"samples": 256}, "balanced": {"samples": 1000}},
)
class Pipeline(Explainer):
    """Segments, smoothed to masks that add up to 1; samples of them; a fill; a number for each segment; spec P-0.

    The map is the sum over segments of number times mask, with hard masks (per segment) or soft ones (per pixel).
    """

    cost_is_exact: ClassVar[bool] = False
    after_passes: ClassVar[frozenset[str]] = frozenset({"attribution", "map_per"})

    segmentation: Segmentation = parameter("grid", "How the picture is cut into segments.")
    segments: int = parameter(
        49, "Segments to aim at; quickshift finds its own number.", unit="segments", ge=2, le=400, step=1
    )
    smoothing: Smoothing = parameter("bilinear", "How segments fade into each other.")
    sigma: float = parameter(10.0, "Width of the Gaussian.", unit="px of 224", ge=0, le=50, step=1)
    sampling: Sampling = parameter("random", "Which segments are hidden together.")
    samples: int = parameter(
        4000, "Perturbed pictures; one by one takes as many as segments.", unit="samples", ge=2, le=10000, step=1
    )
    keep: float = parameter(0.5, "Probability that a segment stays.", ge=0.05, le=0.95, step=0.05)
    spread: float = parameter(0.15, "Standard deviation of a drawn probability.", ge=0, le=0.45, step=0.05)
    fill: PipelineFill = parameter("imagenet_mean", "What shows where a segment is hidden.")
    attribution: Attribute = parameter("rise", "What is made of the probabilities.")
    map_per: Literal["pixel", "segment"] = parameter("pixel", "The map with soft masks, or with the hard segments.")

    @field_validator("attribution")
    @classmethod
    def _ciu_needs_one_by_one(cls, attribution: str, info: ValidationInfo) -> str:
        if attribution == "ciu" and info.data.get("sampling") not in ("only_one", "all_but_one", None):
            raise PydanticCustomError("sampling", "CIU needs the sampling only_one or all_but_one")
        return attribution

    def cost(self) -> Cost:
        one_by_one = self.sampling in ("only_one", "all_but_one")
        return Cost(1 + (self.segments if one_by_one else self.samples), 0)

    def dependencies(self) -> dict[str, Any]:
        if self.fill != "another_picture":
            return {}
        return {"fill": [picture.digest for picture in galleries.background("photos")]}

    def labels(self, frame: Pixels) -> np.ndarray:
        """The number of every pixel's segment, int (H, W)."""
        return segments(frame, self.segmentation, self.segments)

    def stages(self, frame: Pixels, seed: int) -> Stages:
        """What happens to a picture, uint8 (H, W, 3), before the network sees it."""
        labels = self.labels(frame)
        count = int(labels.max()) + 1
        keep = sampled(self.sampling, self.samples, count, self.keep, self.spread, seed)
        soft = soft_masks(labels, self.smoothing, self.segments, self.sigma)
        return Stages(frame, labels, soft, keep, self.fill, seed)

    def explain(self, run: Run) -> Attribution:
        stages = self.stages(run.frame, run.seed)
        before = 0 if stages.keep[0].all() else 1  # the untouched picture is asked for first
        count = before + len(stages.keep)
        run.expect(Cost(count, 0))
        x, kept = run.x, run.tensor(stages.keep.astype(np.float32))
        soft = run.tensor(stages.soft.reshape(len(stages.soft), -1))
        fixed: Any = run.normalise(stages.fills(0, 1)) if stages.fill_is_fixed else None

        def perturbed(start: int, stop: int) -> Any:
            import torch

            untouched = max(before - start, 0)
            first, last = max(start - before, 0), stop - before
            hidden = run.normalise(stages.fills(first, last)) if fixed is None and last > first else fixed
            if last <= first:
                return x
            masks = (kept[first:last] @ soft).reshape(-1, 1, *run.frame.shape[:2])
            shown = hidden + (x - hidden) * masks
            return torch.cat([x, shown]) if untouched else shown

        y = np.empty(count)
        done = 0

        def so_far() -> Segments:
            return attribute(self.attribution, stages.keep[: done - before], y[before:done], y[0])

        one_by_one = self.attribution == "ciu"
        for rows, probabilities in run.probabilities(count, perturbed):
            y[rows] = probabilities.double().cpu().numpy()
            done = rows.stop
            if done > before and (not one_by_one or done == count):
                run.partial(lambda: self._map(stages, so_far().values), self.attribution in SIGNED)
        return self._told(stages, y[before:], y[0])

    def remake(self, run: Run, details: Mapping[str, npt.NDArray[Any]]) -> Attribution:
        probabilities, whole = (details[name].astype(np.float64) for name in ("probabilities", "whole"))
        return self._told(self.stages(run.frame, run.seed), probabilities, float(whole[0]))

    def _told(self, stages: Stages, y: Doubles, whole: float) -> Attribution:
        """What the probabilities of all samples, and that of the whole picture, say; they were float32."""
        found = attribute(self.attribution, stages.keep, y, whole)
        return Attribution(
            self._map(stages, found.values),
            signed=self.attribution in SIGNED,
            errors=self._errors(stages, found),
            notes=self._notes(found),
            details={
                "scores": found.values.astype(np.float32),
                "probabilities": y.astype(np.float32),
                "whole": np.array([whole], dtype=np.float32),
            },
        )

    def _map(self, stages: Stages, values: np.ndarray) -> Floats:
        if self.map_per == "segment":
            return np.asarray(values[stages.labels], dtype=np.float32)
        return np.asarray(np.tensordot(values, stages.soft, axes=1), dtype=np.float32)

    def _errors(self, stages: Stages, found: Segments) -> Floats | None:
        """The standard error (H, W), from the covariance of the segments' numbers; None for a plan without chance."""
        if self.sampling not in CHANCE or self.attribution == "ciu":
            return None
        covariance = found.influence.T @ found.influence
        if self.map_per == "segment":
            return np.asarray(np.sqrt(np.diag(covariance))[stages.labels], dtype=np.float32)
        soft = stages.soft.reshape(len(stages.soft), -1)
        squares = np.einsum("sp,sp->p", soft, covariance.astype(np.float32) @ soft)
        return np.asarray(np.sqrt(squares.clip(0)).reshape(stages.labels.shape))

    def _notes(self, found: Segments) -> tuple[str, ...]:
        missing = int(found.unknown.sum())
        if not missing:
            return ()
        return (
            f"{missing} of {len(found.unknown)} segments were never both hidden and kept; they have the others' mean.",
        )


RECIPES: dict[str, dict[str, Any]] = {
    "RISE": {},
    "LIME": {"segmentation": "slic", "smoothing": "none", "attribution": "lime", "map_per": "segment"},
    "LIME, smoothed": {"segmentation": "slic", "smoothing": "gaussian", "attribution": "lime"},
    "KernelSHAP": {
        "segmentation": "slic",
        "smoothing": "none",
        "sampling": "entropic",
        "attribution": "shap",
        "map_per": "segment",
    },
    "Prediction difference": {
        "smoothing": "none",
        "sampling": "only_one",
        "fill": "blur",
        "attribution": "pda",
        "map_per": "segment",
    },
    "CIU": {
        "segmentation": "slic",
        "smoothing": "none",
        "sampling": "only_one",
        "fill": "light_grey",
        "attribution": "ciu",
        "map_per": "segment",
    },
}
"""Known methods as settings of the pipeline."""
