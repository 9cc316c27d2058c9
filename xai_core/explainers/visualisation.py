"""Feature visualisation: a picture that a class, a channel or a layer answers to as much as it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..registry import DRAWERS, parameter
from ..seeds import generator
from ..types import Cost, Curve, Drawing, Pixels, Run, XaiError
from .base import Drawer

NOISE = 0.1
"""Standard deviation of the noise that a picture begins with, as a part of the range from black to white."""
COARSE = 6.0
"""Sigma in pixels of a random step that is made where nothing answers."""
BLUR_EVERY = 4
"""Steps from one blur to the next."""


@DRAWERS.register(
    "activation_maximisation",
    title="Activation maximisation",
    summary="Begins with grey noise and changes it, step by step, so that a class, a channel or a whole layer answers "
    "more strongly. What appears is what this part of the network looks for, and no photo: it need not be possible.",
    family="visualisation",
    cites=(
        "Simonyan, Vedaldi, Zisserman 2013, Deep inside convolutional networks",
        "Yosinski et al. 2015, Understanding neural networks through deep visualization",
        "Mordvintsev, Olah, Tyka 2015, Inceptionism: going deeper into neural networks",
    ),
    presets={"quick": {"steps": 64}, "balanced": {"steps": 160}},
)
class ActivationMaximisation(Drawer):
    """x <- clamp(grey + (1 - decay) (x - grey + rate g / rms(g))), g the gradient of the objective at x moved by a
    few pixels, its frequencies f divided by f; every fourth step x is blurred, less and less, and not at all in the
    last third.

    The objective is the class's logit, the mean of a channel, or the mean square of a layer's output; from S2.
    """

    objective: Literal["class", "channel", "layer"] = parameter(
        "class", "What has to answer: the class, one channel of the layer, or all of its channels."
    )
    layer: str = parameter(
        "auto", "The layer of the channel or of all channels, as a dotted path; auto is the model's own choice."
    )
    channel: int = parameter(0, "The channel of the layer, counted from 0.", ge=0, le=4095)
    steps: int = parameter(512, "Steps of the ascent, each with a pass forward and one backward.", ge=1, le=4096)
    learning_rate: float = parameter(
        0.03, "Length of a step, as a part of the range from black to white.", ge=0.001, le=0.5, step=0.005
    )
    jitter: int = parameter(12, "The picture is moved by up to so many pixels at every step.", unit="px", ge=0, le=64)
    blur: float = parameter(
        0.5, "Sigma of the blur in the beginning; it suppresses fine noise.", unit="px", ge=0.0, le=5.0, step=0.25
    )
    smoothness: float = parameter(
        1.0,
        "Frequencies f of a step are divided by f to this power: 0 keeps the plain gradient, 1 is as in photos.",
        ge=0.0,
        le=2.0,
        step=0.25,
    )
    decay: float = parameter(
        0.003, "The part of its distance from grey that a pixel loses at every step.", ge=0.0, le=0.5, step=0.001
    )

    def cost(self) -> Cost:
        return Cost(self.steps, self.steps)

    def draw(self, run: Run) -> Drawing:
        import torch

        layer = "" if self.objective == "class" else run.layer(self.layer)
        score = self._score(run, layer)
        low, high = (run.normalise(np.full((1, 1, 3), end, dtype=np.float32)) for end in (0, 1))
        grey, span = (low + high) / 2, high - low
        noises = generator(run.seed, "visualisation", "noise")
        shifts = generator(run.seed, "visualisation", "jitter")
        noise = run.tensor(noises.standard_normal(tuple(run.x.shape), dtype=np.float32))
        x = (grey + NOISE * span * noise).clamp(low, high)
        values = []
        for step in range(self.steps):
            down, right = (int(shift) for shift in shifts.integers(-self.jitter, self.jitter, 2, endpoint=True))
            value, gradient = run.answer(torch.roll(x, (down, right), (2, 3)), score, layer)
            gradient = torch.roll(gradient, (-down, -right), (2, 3))
            values.append(float(value))
            if not gradient.any():  # nothing answers yet: a coarse random step may wake it
                gradient = blurred(run.tensor(noises.standard_normal(tuple(x.shape), dtype=np.float32)), COARSE)
            gradient = smooth(gradient, self.smoothness)
            size = gradient.square().mean().sqrt().clamp_min(1e-12)
            x = grey + (1 - self.decay) * (x - grey + self.learning_rate * span * gradient / size)
            sigma = self.blur * (1 - 1.5 * step / self.steps)
            if step % BLUR_EVERY == BLUR_EVERY - 1 and sigma > 0.1:
                x = blurred(x, sigma)
            x = x.clamp(low, high)
            run.partial(lambda x=x: pixels_of((x - low) / span))  # type: ignore[misc]
        pixels = pixels_of((x - low) / span)
        shown = run.normalise(pixels / np.float32(255))[None]
        with run.apart():
            reached, _ = run.answer(shown, score, layer)
            logits = next(logits for _, logits in run.logits(1, lambda start, stop: shown))
        return Drawing(
            pixels,
            Curve(np.arange(self.steps, dtype=np.float32), np.asarray(values, dtype=np.float32)),
            float(reached),
            float(logits.softmax(1)[0, run.target]) if self.objective == "class" else None,
            layer or None,
            ("Nothing here answers to any picture that is near grey.",) if not any(values) else (),
        )

    def _score(self, run: Run, layer: str) -> Callable[[Any], Any]:
        """What is raised, (B,) of the logits (B, K) or of the layer's output (B, C, h, w)."""
        if self.objective == "class":
            return lambda logits: logits[:, run.target]
        if self.objective == "layer":
            return lambda output: output.square().mean(dim=(1, 2, 3))

        def channel(output: Any) -> Any:
            if self.channel >= output.shape[1]:
                raise XaiError(
                    f"The layer {layer} has no channel {self.channel}; its channels are 0 to {output.shape[1] - 1}."
                )
            return output[:, self.channel].mean(dim=(1, 2))

        return channel


def smooth(x: Any, power: float) -> Any:
    """A picture (B, 3, H, W) with its frequencies f, in cycles a picture, divided by f to this power."""
    import torch

    if power == 0:
        return x
    height, width = x.shape[2:]
    down = torch.fft.fftfreq(height, 1 / height, device=x.device)[:, None]
    right = torch.fft.rfftfreq(width, 1 / width, device=x.device)
    frequency = torch.hypot(down, right).clamp_min(1)
    return torch.fft.irfft2(torch.fft.rfft2(x) / frequency**power, s=(height, width))


def blurred(x: Any, sigma: float) -> Any:
    """A picture (B, 3, H, W) under a Gaussian of `sigma` pixels, its edges mirrored."""
    import torch

    radius = min(max(int(3 * sigma + 0.5), 1), x.shape[2] - 1, x.shape[3] - 1)
    places = torch.arange(-radius, radius + 1, device=x.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (places / sigma).square())
    weights = (weights / weights.sum()).expand(x.shape[1], 1, -1)
    x = torch.nn.functional.pad(x, (radius,) * 4, mode="reflect")
    x = torch.nn.functional.conv2d(x, weights[..., None], groups=x.shape[1])
    return torch.nn.functional.conv2d(x, weights[..., None, :], groups=x.shape[1])


def pixels_of(x01: Any) -> Pixels:
    """A picture (1, 3, H, W) in [0, 1] as uint8 (H, W, 3)."""
    pixels: Pixels = (x01[0] * 255).round().clamp(0, 255).byte().movedim(0, -1).contiguous().cpu().numpy()
    return pixels
