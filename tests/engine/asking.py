"""Requests by a few words, for tests of the engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xai_core.corruptions import chain
from xai_core.engine.requests import Evaluate, Explain, GivenMap, Predict, evaluate, prepare_input
from xai_core.registry import METHODS, MODELS, SCORES
from xai_core.types import Mask, Picture

from ..conftest import write_tiny_card

PROFILE = {"device": "cpu", "dtype": "float32", "threads": 1, "batch": 8}
"""Any execution profile."""


def write_observed_card(folder: Path, name: str, **observer: object) -> Path:
    """A card of `tests.engine.networks.observed`; `observer` is what its observer does."""
    overrides = {f"observer.{key}": value for key, value in observer.items()}
    return write_tiny_card(folder, name, architecture="tests.engine.networks:observed", overrides=overrides)


def disc(value: int = 0) -> Picture:
    """A small picture, uint8 (40, 48, 3), that differs for every `value`."""
    down, right = np.mgrid[0:40, 0:48]
    pixels = np.stack([down * 5, right * 4, 200 - down * 2], axis=-1).astype(np.uint8)
    pixels[(down - 18) ** 2 + (right - 26) ** 2 < 90] = (250, 240, 60)
    pixels[0, 0] = value
    return Picture(pixels, name="disc.png")


def explain(
    method: str,
    model: str = "tiny",
    picture: Picture | None = None,
    target: int = 0,
    seed: int = 0,
    corruptions: tuple[str, ...] = (),
    **parameters: object,
) -> Explain:
    """A request for a map; `corruptions` as on the command line."""
    if method == "lime":  # quickshift finds a single superpixel in so small a picture
        parameters = {"segmentation": "slic", **parameters}
    steps = tuple(chain.parse(text) for text in corruptions)
    given = prepare_input(picture or disc(), MODELS[model], steps, seed)
    return Explain(given, method, METHODS[method].make(parameters), target, seed)


def predict(
    model: str = "tiny", picture: Picture | None = None, corruptions: tuple[str, ...] = (), seed: int = 0
) -> Predict:
    """A request for a prediction."""
    return Predict(
        prepare_input(picture or disc(), MODELS[model], tuple(chain.parse(text) for text in corruptions), seed)
    )


def score(name: str, subject: Explain | GivenMap, mask: Mask | None = None, **parameters: object) -> Evaluate:
    """A request for a score of a map of `disc()`."""
    card = MODELS[subject.input.model]
    return evaluate(subject, name, SCORES[name].make(parameters), card, mask, disc())
