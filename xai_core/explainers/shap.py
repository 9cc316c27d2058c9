"""The Shapley family: how the difference from other pictures is shared out among the pixels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..images import galleries
from ..registry import METHODS, parameter
from ..seeds import derive, generator
from ..types import Attribution, Cost, Run, XaiError
from .base import CheckedExplainer, array, upsampled
from .sampling import (
    RunningMean,
    StratifiedMean,
    independent_points,
    is_precise,
    precision_parameter,
    stratified_points,
)


@METHODS.register(
    "shap",
    title="SHAP",
    summary="Expected gradients: shares out the difference between this picture's logit and that of background "
    "pictures among the pixels, by averaging gradients on the way from one to the other. Red speaks for the class, "
    "blue against it.",
    family="shap",
    cites=(
        "Erion et al. 2021, Improving performance of deep learning models with axiomatic attribution priors",
        "Lundberg and Lee 2017, A unified approach to interpreting model predictions",
    ),
    presets={"quick": {"samples": 16}, "balanced": {"samples": 80}},
    reference="shap",
)
class ExpectedGradients(CheckedExplainer):
    """E over backgrounds x' and alpha ~ U(0, 1) of (x - x') grad f(x' + alpha (x - x')), summed over channels; M-07.

    With a layer, x and x' are the inputs of that layer, and the path runs in its space. The sum of all values at the
    picture itself is f(x) - E f(x') but for the error of the sampling, which the map's completeness tells; at a layer
    it is so only where nothing goes past the layer, which is not known.
    """

    samples: int = parameter(200, "Points on the paths.", unit="samples", ge=1, le=5000, step=1)
    layer: str = parameter("input", "input for the picture itself, or the dotted path of a layer, or auto.")
    background: Literal["photos", "imagenet50"] = parameter(
        "photos", "The pictures to compare with: the 16 bundled photos, or Imagenet50."
    )
    sampling: Literal["stratified", "plain"] = parameter(
        "stratified", "Spread the points evenly over backgrounds and paths, or draw them independently."
    )
    precision: float = precision_parameter()

    def cost(self) -> Cost:
        if self.implementation == "reference":  # shap looks at every background once
            return Cost(self.samples + self._background_count(), self.samples)
        layer_inputs = 0 if self.layer == "input" else 1 + self._background_count()
        return Cost(self.samples + layer_inputs, self.samples)

    def dependencies(self) -> dict[str, Any]:
        return {"background": [picture.digest for picture in galleries.background(self.background)]}

    def _background_count(self) -> int:
        return len(galleries.background(self.background))

    def explain_ourselves(self, run: Run) -> Attribution:
        pictures = run.pictures(self.background)
        layer = None if self.layer == "input" else run.layer(self.layer)
        if layer is None:
            here, there = run.x[0], pictures
        else:
            here = next(values for _, values in run.activations(layer, 1, lambda start, stop: run.x))[0]
            there = run.tensor(np.empty((len(pictures), *here.shape), dtype=np.float32))
            for rows, values in run.activations(layer, len(pictures), lambda start, stop: pictures[start:stop]):
                there[rows] = values
        stratified = self.sampling == "stratified"
        points = stratified_points if stratified else independent_points
        which, how_far = points(self.samples, len(pictures), generator(run.seed, "expected gradients"))
        starts, alphas = run.tensor(which), run.tensor(how_far).view(-1, 1, 1, 1)

        def on_the_way(start: int, stop: int) -> Any:
            origin = there[starts[start:stop]]
            return origin + alphas[start:stop] * (here - origin)

        if layer is None:
            gradients = run.gradients(self.samples, on_the_way)
        else:
            gradients = run.gradients_from(layer, self.samples, on_the_way)
        samples = StratifiedMean(len(pictures)) if stratified else RunningMean()
        size = run.frame.shape[:2]
        for rows, gradient in gradients:
            samples.add(((here - there[starts[rows]]) * gradient).sum(1), which[rows])
            run.partial(lambda: upsampled(samples.mean, size), True)
            if self.precision and is_precise(array(samples.mean), array(samples.error), self.precision):
                break
        errors = upsampled(samples.error, size) if samples.count > 1 else None
        missed = completeness_error(run, float(samples.mean.sum()), pictures) if layer is None else None
        return Attribution(upsampled(samples.mean, size), signed=True, errors=errors, layer=layer, completeness=missed)

    def explain_by_library(self, run: Run) -> Attribution:
        import shap
        import torch

        if self.layer != "input":
            raise XaiError(
                "shap's layer form returns gradient times activation, not expected gradients; use layer=input."
            )

        class OneClass(torch.nn.Module):
            def __init__(self, network: torch.nn.Module, target: int):
                super().__init__()
                self.network, self.target = network, target

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                logits: torch.Tensor = self.network(x)
                return logits[:, self.target : self.target + 1]

        with run.network() as network:
            library = shap.GradientExplainer(OneClass(network, run.target), run.pictures(self.background).clone())
            rseed = derive(run.seed, "shap") % 2**32
            state = np.random.get_state()  # noqa: NPY002  (shap seeds the global generator)
            try:
                values = library.shap_values(run.x.clone(), nsamples=self.samples, rseed=rseed)
            finally:
                np.random.set_state(state)  # noqa: NPY002
        return Attribution(array(torch.as_tensor(np.asarray(values)).reshape(run.x.shape[1:]).sum(0)), signed=True)


def completeness_error(run: Run, total: float, backgrounds: Any) -> float | None:
    """|total - (f_c(x) - E f_c(x'))| / |f_c(x) - E f_c(x')| over backgrounds x' (N, 3, H, W).

    None where the logits are the same.
    """
    import torch

    with run.apart():
        inputs = torch.cat([run.x, backgrounds])
        parts = [rows[:, run.target] for _, rows in run.logits(len(inputs), lambda start, stop: inputs[start:stop])]
    logits = torch.cat(parts).double()
    difference = float(logits[0] - logits[1:].mean())
    return abs(total - difference) / abs(difference) if difference else None
