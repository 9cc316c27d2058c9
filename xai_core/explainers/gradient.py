"""The gradient family: what a small change of each pixel does to the class."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..registry import METHODS, parameter
from ..seeds import derive, generator
from ..types import Attribution, Cost, Run
from .base import CheckedExplainer, array
from .sampling import RunningMean, is_precise, precision_parameter

Reduction = Literal["abs_max", "abs_sum", "sum", "mean"]


def reduced(gradient: Any, reduction: Reduction) -> Any:
    """A (3, H, W) attribution as one (H, W) map; `abs_max` and `abs_sum` are unsigned."""
    if reduction == "abs_max":
        return gradient.abs().amax(0)
    if reduction == "abs_sum":
        return gradient.abs().sum(0)
    return gradient.sum(0) if reduction == "sum" else gradient.mean(0)


@METHODS.register(
    "smoothgrad",
    title="SmoothGrad",
    summary="Averages the gradient of the class over noisy copies of the picture, which removes the gradient's own "
    "noise. Bright pixels are those where a small change moves the class most; it says nothing about the direction.",
    family="gradient",
    cites=("Smilkov et al. 2017, SmoothGrad: removing noise by adding noise", "S0: 50 samples, noise 0.15"),
    presets={"quick": {"samples": 16}, "balanced": {"samples": 32}},
    reference="captum",
)
class SmoothGrad(CheckedExplainer):
    """mean_i of the gradient at x + e_i, e_i ~ N(0, (noise_level (max x - min x))^2) in normalised space; spec M-03."""

    samples: int = parameter(50, "Noisy copies.", unit="samples", ge=1, le=1000, step=1)
    noise_level: float = parameter(
        0.15, "Standard deviation of the noise.", unit="of the picture's range", ge=0, le=1, step=0.01
    )
    average: Literal["signed", "absolute"] = parameter("signed", "Average the gradient itself, or its absolute value.")
    reduction: Reduction = parameter("abs_max", "How three colour channels become one map.")
    precision: float = precision_parameter()

    def cost(self) -> Cost:
        return Cost(self.samples, self.samples)

    @property
    def _signed(self) -> bool:
        return self.average == "signed" and self.reduction in ("sum", "mean")

    def explain_ourselves(self, run: Run) -> Attribution:
        x = run.x
        width = self.noise_level * float(x.max() - x.min())

        def noisy(start: int, stop: int) -> Any:
            shape = tuple(x.shape[1:])
            noise = [
                generator(run.seed, "smoothgrad", i).standard_normal(shape, dtype=np.float32)
                for i in range(start, stop)
            ]
            return x + run.tensor(np.stack(noise)) * width

        samples, added = RunningMean(), RunningMean()
        for _, gradient in run.gradients(self.samples, noisy):
            one = gradient.abs() if self.average == "absolute" else gradient
            samples.add(one)
            added.add(one.sum(1))
            run.partial(lambda: array(reduced(samples.mean, self.reduction)), self._signed)
            if self.precision and samples.count > 1:
                so_far = array(reduced(samples.mean, self.reduction))
                if is_precise(so_far, array(self._error(samples, added)), self.precision):
                    break
        errors = array(self._error(samples, added)) if samples.count > 1 else None
        return Attribution(array(reduced(samples.mean, self.reduction)), self._signed, errors=errors)

    def _error(self, samples: RunningMean, added: RunningMean) -> Any:
        """Standard error of the reduced map, from the channels and from their sum.

        Only where absolute values of signed means are added, channels are taken as independent.
        """
        if self.reduction == "abs_max":
            return samples.error.gather(0, samples.mean.abs().argmax(0, keepdim=True))[0]
        if self.reduction == "abs_sum" and self.average == "signed":
            return samples.error.square().sum(0).sqrt()
        return added.error / 3 if self.reduction == "mean" else added.error

    def explain_by_library(self, run: Run) -> Attribution:
        import torch
        from captum.attr import NoiseTunnel, Saliency

        x = run.x
        width = self.noise_level * float(x.max() - x.min())
        with run.network() as network, torch.random.fork_rng():
            torch.manual_seed(derive(run.seed, "captum"))
            gradient = NoiseTunnel(Saliency(network)).attribute(
                x.clone(),
                nt_type="smoothgrad",
                nt_samples=self.samples,
                nt_samples_batch_size=min(10, self.samples),
                stdevs=width,
                target=run.target,
                abs=self.average == "absolute",
            )[0]
        return Attribution(array(reduced(gradient, self.reduction)), self._signed)
