"""The gradient family: what a small change of each pixel does to the class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from ..registry import METHODS, parameter
from ..seeds import derive, generator
from ..types import Attribution, Cost, Floats, Make, Run
from .base import CheckedExplainer, Explainer, array
from .sampling import RunningMean, RunningVariance, is_precise, precision_parameter

Reduction = Literal["abs_max", "abs_sum", "sum", "mean"]
SIGNED = ("sum", "mean")


def reduced(gradient: Any, reduction: Reduction) -> Any:
    """A (3, H, W) attribution as one (H, W) map; `abs_max` and `abs_sum` are unsigned."""
    if reduction == "abs_max":
        return gradient.abs().amax(0)
    if reduction == "abs_sum":
        return gradient.abs().sum(0)
    return gradient.sum(0) if reduction == "sum" else gradient.mean(0)


def norms(gradients: Any) -> Any:
    """The Euclidean norms (B,) of gradients (B, 3, H, W)."""
    return gradients.flatten(1).norm(dim=1)


def reduction_parameter(default: Reduction) -> Any:
    """The field that says how three colour channels become one map."""
    return parameter(default, "How three colour channels become one map.")


# -- one gradient ------------------------------------------------------------------------------------------------------


class OneGradient(CheckedExplainer):
    """Base of what is made of the gradient at the picture itself."""

    def cost(self) -> Cost:
        return Cost(1, 1)

    def gradient(self, run: Run) -> Any:
        """The gradient of the target's logit, (3, H, W)."""
        ((_, gradient),) = run.gradients(1, lambda start, stop: run.x)
        return gradient[0]


@METHODS.register(
    "gradient",
    title="Gradient",
    version=2,
    summary="The gradient of the class by the pixels, the oldest saliency map. Bright pixels are those where a small "
    "change moves the class most; it is noisy, and says nothing about the direction.",
    family="gradient",
    cites=("Simonyan, Vedaldi, Zisserman 2013, Deep inside convolutional networks",),
    reference="captum",
)
class Gradient(OneGradient):
    """df_c/dx, reduced over channels; spec M-01."""

    reduction: Reduction = reduction_parameter("abs_max")

    def explain_ourselves(self, run: Run) -> Attribution:
        gradient = self.gradient(run)
        details = {"norms": array(norms(gradient[None]))}
        return Attribution(array(reduced(gradient, self.reduction)), self.reduction in SIGNED, details=details)

    def explain_by_library(self, run: Run) -> Attribution:
        from captum.attr import Saliency

        with run.network() as network:
            gradient = Saliency(network).attribute(run.x.clone(), target=run.target, abs=False)[0]
        return Attribution(array(reduced(gradient, self.reduction)), self.reduction in SIGNED)


@METHODS.register(
    "gradient_x_input",
    title="Gradient x input",
    summary="Multiplies the gradient with the picture: what each pixel adds, were the network linear. Red speaks for "
    "the class, blue against it; pixels of the mean colour count nothing.",
    family="gradient",
    cites=("Shrikumar et al. 2016, Not just a black box: learning features through propagating differences",),
    reference="captum",
)
class GradientXInput(OneGradient):
    """df_c/dx times the normalised x, reduced over channels; spec M-02."""

    reduction: Reduction = reduction_parameter("sum")

    def explain_ourselves(self, run: Run) -> Attribution:
        product = self.gradient(run) * run.x[0]
        return Attribution(array(reduced(product, self.reduction)), self.reduction in SIGNED)

    def explain_by_library(self, run: Run) -> Attribution:
        from captum.attr import InputXGradient

        with run.network() as network:
            product = InputXGradient(network).attribute(run.x.clone(), target=run.target)[0]
        return Attribution(array(reduced(product, self.reduction)), self.reduction in SIGNED)


# -- many gradients ----------------------------------------------------------------------------------------------------


class Statistic(Protocol):
    """What is made of many gradients (B, 3, H, W) that arrive in batches."""

    @property
    def count(self) -> int: ...
    def add(self, gradients: Any) -> None: ...
    @property
    def value(self) -> Any:
        """(3, H, W)."""

    def error(self, reduction: Reduction) -> Any:
        """The standard error (H, W) of the reduced value."""


class MeanOf:
    """The mean of a function of the gradient."""

    def __init__(self, function: Callable[[Any], Any]):
        self._function = function
        self._samples, self._added = RunningMean(), RunningMean()

    @property
    def count(self) -> int:
        return self._samples.count

    def add(self, gradients: Any) -> None:
        one = self._function(gradients)
        self._samples.add(one)
        self._added.add(one.sum(1))

    @property
    def value(self) -> Any:
        return self._samples.mean

    def error(self, reduction: Reduction) -> Any:
        """From the channels and from their sum; only where absolute values of means of both signs are added, channels
        are taken as independent."""
        errors = self._samples.error
        if reduction == "abs_max":
            return errors.gather(0, self.value.abs().argmax(0, keepdim=True))[0]
        if reduction == "abs_sum" and (self.value < 0).any():
            return errors.square().sum(0).sqrt()
        return self._added.error / 3 if reduction == "mean" else self._added.error


class VarianceOf:
    """The population variance of the gradient."""

    def __init__(self) -> None:
        self._samples = RunningVariance()

    @property
    def count(self) -> int:
        return self._samples.count

    def add(self, gradients: Any) -> None:
        self._samples.add(gradients)

    @property
    def value(self) -> Any:
        return self._samples.variance

    def error(self, reduction: Reduction) -> Any:
        """Where channels are added, as if they went together: an upper bound."""
        errors = self._samples.error
        if reduction == "abs_max":
            return errors.gather(0, self.value.argmax(0, keepdim=True))[0]
        return errors.mean(0) if reduction == "mean" else errors.sum(0)


class SampledGradients(Explainer):
    """Base of what is made of the gradients at many changed copies of the picture.

    The details `norms`, float32 (samples,), are the gradients' Euclidean norms.
    """

    samples: int = parameter(50, "Changed copies.", unit="samples", ge=1, le=1000, step=1)
    reduction: Reduction = reduction_parameter("abs_max")
    precision: float = precision_parameter()

    def cost(self) -> Cost:
        return Cost(self.samples, self.samples)

    @property
    def signed(self) -> bool:
        return False

    def inputs(self, run: Run) -> Make:
        """Makes the changed copies."""
        raise NotImplementedError

    def statistic(self, run: Run) -> Statistic:
        raise NotImplementedError

    def explain_ourselves(self, run: Run) -> Attribution:
        statistic = self.statistic(run)
        lengths: list[Floats] = []

        def so_far() -> Any:
            return array(reduced(statistic.value, self.reduction))

        for _, gradient in run.gradients(self.samples, self.inputs(run)):
            statistic.add(gradient)
            lengths.append(array(norms(gradient)))
            run.partial(so_far, self.signed)
            if not self.precision or statistic.count < 2:
                continue
            if is_precise(so_far(), array(statistic.error(self.reduction)), self.precision):
                break
        errors = array(statistic.error(self.reduction)) if statistic.count > 1 else None
        return Attribution(so_far(), self.signed, errors=errors, details={"norms": np.concatenate(lengths)})


class NoisyGradients(SampledGradients, CheckedExplainer):
    """Base of what is made of gradients at x + e_i, e_i ~ N(0, (noise_level (max x - min x))^2) in normalised space.

    The same seed gives all of them the same noise.
    """

    captum: ClassVar[str]
    """captum's name for it."""

    samples: int = parameter(50, "Noisy copies.", unit="samples", ge=1, le=1000, step=1)
    noise_level: float = parameter(
        0.15, "Standard deviation of the noise.", unit="of the picture's range", ge=0, le=1, step=0.01
    )

    def _width(self, run: Run) -> float:
        return self.noise_level * float(run.x.max() - run.x.min())

    def inputs(self, run: Run) -> Make:
        x, width = run.x, self._width(run)

        def noisy(start: int, stop: int) -> Any:
            shape = tuple(x.shape[1:])
            noise = [
                generator(run.seed, "smoothgrad", i).standard_normal(shape, dtype=np.float32)
                for i in range(start, stop)
            ]
            return x + run.tensor(np.stack(noise)) * width

        return noisy

    def explain_by_library(self, run: Run) -> Attribution:
        import torch
        from captum.attr import NoiseTunnel, Saliency

        with run.network() as network, torch.random.fork_rng():
            torch.manual_seed(derive(run.seed, "captum"))
            gradient = NoiseTunnel(Saliency(network)).attribute(
                run.x.clone(),
                nt_type=self.captum,
                nt_samples=self.samples,
                nt_samples_batch_size=min(10, self.samples),
                stdevs=self._width(run),
                target=run.target,
                abs=self._absolute,
            )[0]
        return Attribution(array(reduced(gradient, self.reduction)), self.signed)

    @property
    def _absolute(self) -> bool:
        return False


@METHODS.register(
    "smoothgrad",
    title="SmoothGrad",
    version=2,
    summary="Averages the gradient of the class over noisy copies of the picture, which removes the gradient's own "
    "noise. Bright pixels are those where a small change moves the class most; it says nothing about the direction.",
    family="gradient",
    cites=("Smilkov et al. 2017, SmoothGrad: removing noise by adding noise", "S0: 50 samples, noise 0.15"),
    presets={"quick": {"samples": 16}, "balanced": {"samples": 32}},
    reference="captum",
)
class SmoothGrad(NoisyGradients):
    """mean_i of the gradient, or of its absolute value, at noisy copies; spec M-03."""

    captum: ClassVar[str] = "smoothgrad"

    average: Literal["signed", "absolute"] = parameter("signed", "Average the gradient itself, or its absolute value.")

    @property
    def signed(self) -> bool:
        return self.average == "signed" and self.reduction in SIGNED

    @property
    def _absolute(self) -> bool:
        return self.average == "absolute"

    def statistic(self, run: Run) -> Statistic:
        return MeanOf(lambda gradient: gradient.abs() if self._absolute else gradient)


@METHODS.register(
    "smoothgrad_squared",
    title="SmoothGrad-Squared",
    summary="Averages the squared gradient over noisy copies of the picture, so that strong gradients count more and "
    "none cancel. Bright pixels are those where a small change moves the class, in whichever direction.",
    family="gradient",
    cites=("Hooker et al. 2019, A benchmark for interpretability methods in deep neural networks",),
    presets={"quick": {"samples": 16}, "balanced": {"samples": 32}},
    reference="captum",
)
class SmoothGradSquared(NoisyGradients):
    """mean_i of the squared gradient at noisy copies; spec M-04."""

    captum: ClassVar[str] = "smoothgrad_sq"

    def statistic(self, run: Run) -> Statistic:
        return MeanOf(lambda gradient: gradient.square())


@METHODS.register(
    "vargrad",
    title="VarGrad",
    summary="The variance of the gradient over noisy copies of the picture: where the network bends. Bright pixels are "
    "those whose influence depends on the noise; a linear network has a map of zeros.",
    family="gradient",
    cites=("Adebayo et al. 2018, Local explanation methods lack sensitivity to parameter values",),
    presets={"quick": {"samples": 16}, "balanced": {"samples": 32}},
    reference="captum",
)
class VarGrad(NoisyGradients):
    """Population variance of the gradient over noisy copies; spec M-05.

    SmoothGrad-Squared is its sum with the square of SmoothGrad.
    """

    captum: ClassVar[str] = "vargrad"

    def statistic(self, run: Run) -> Statistic:
        return VarianceOf()


@METHODS.register(
    "feature_suppression",
    title="Feature suppression",
    version=2,
    summary="Averages the size of the gradient over copies of the picture in which most pixels are dropped, which "
    "samples the network further from the picture than noise does. Bright pixels move the class most.",
    family="gradient",
    cites=("Luo, McDermott, O'Riordan, Sampling matters in explanations (S4): 50 samples, 70 % dropped",),
    presets={"quick": {"samples": 16}, "balanced": {"samples": 32}},
)
class FeatureSuppression(SampledGradients):
    """mean_i |df_c/dx_i| at x_i = x m_i, where m_i keeps every pixel with probability 1 - drop; spec M-23.

    The gradient is that at the changed copy: it is not multiplied with m_i.
    """

    drop: float = parameter(0.7, "Probability that a pixel is dropped.", ge=0, le=1, step=0.05)
    zero: Literal["mean", "black"] = parameter(
        "mean", "What a dropped pixel shows: the mean colour (0 after normalisation), or black (0 before)."
    )
    drops: Literal["pixels", "channels"] = parameter(
        "pixels", "Drop whole pixels, or every colour channel of a pixel by itself."
    )
    times_input: bool = parameter(False, "Multiply with the picture, as gradient x input does.")

    def explain(self, run: Run) -> Attribution:
        return self.explain_ourselves(run)

    def inputs(self, run: Run) -> Make:
        x = run.x
        black = run.normalise(np.zeros((1, 1, 1, 3), dtype=np.float32))
        hidden = x * 0 if self.zero == "mean" else black.expand_as(x)
        shape = (1 if self.drops == "pixels" else 3, *x.shape[2:])

        def suppressed(start: int, stop: int) -> Any:
            drawn = [generator(run.seed, "suppression", i).random(shape, dtype=np.float32) for i in range(start, stop)]
            return x.where(run.tensor(np.stack(drawn) >= self.drop), hidden)

        return suppressed

    def statistic(self, run: Run) -> Statistic:
        factor = run.x.abs() if self.times_input else 1.0
        return MeanOf(lambda gradient: gradient.abs() * factor)
