"""XRAI: its attributions in closed form, its regions, and the library on a whole of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import networks, toys
from xai_core.classifiers.evaluator import Classifier
from xai_core.engine.run import EngineRun
from xai_core.explainers.integrated import IntegratedGradients
from xai_core.explainers.xrai import Xrai, candidates, from_black_and_white, regions
from xai_core.images import galleries
from xai_core.images.geometry import picture_frame
from xai_core.registry import METHODS, MODELS
from xai_core.types import Cost, Floats, Pixels


def picture(size: int = 48) -> Pixels:
    """Two discs on a gradient, with a little noise."""
    down, right = np.mgrid[0:size, 0:size]
    pixels = np.stack([down * 4, right * 4, 200 - down * 2], axis=-1) + toys.frame(size) // 16
    pixels[(down - 16) ** 2 + (right - 30) ** 2 < 90] = (250, 240, 60)
    pixels[(down - 36) ** 2 + (right - 12) ** 2 < 60] = (20, 30, 160)
    return pixels.astype(np.uint8)


def linear_run(frame: Pixels) -> tuple[EngineRun, Floats]:
    """A run on a linear network, and the weights (H, W, 3) of its class 2."""
    torch.manual_seed(1)
    size = frame.shape[0]
    network = networks.Linear(size)
    weights = network.fc.weight[2].detach().reshape(3, size, size).permute(1, 2, 0).numpy()
    return toys.run(toys.classifier(network), frame, target=2, batch=3), weights


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_linear_networks_attribution_is_weights_times_the_distance_from_grey(steps: int) -> None:
    frame = picture(16)
    run, weights = linear_run(frame)
    expected = weights * (frame / np.float32(255) - 0.5)
    np.testing.assert_allclose(from_black_and_white(run, steps), expected, atol=1e-6)
    assert run.passes == Cost(2 * steps, 2 * steps)


def test_the_attribution_is_the_mean_of_the_integrated_gradients() -> None:
    torch.manual_seed(0)
    model, frame = toys.classifier(networks.tiny(), classes=5), toys.frame(32)
    parts = [
        IntegratedGradients(steps=7, baseline=baseline).explain(toys.run(model, frame, target=1)).values
        for baseline in ("black", "white")
    ]
    found = from_black_and_white(toys.run(model, frame, target=1, batch=5), 7).sum(2)
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-5 * np.abs(found).max())


@pytest.mark.parametrize("algorithm", ["full", "fast"])
def test_a_region_shows_the_mean_of_its_pixels_and_none_is_left_out(algorithm: str) -> None:
    frame = picture()
    run, _ = linear_run(frame)
    attribution = from_black_and_white(run, 2)
    values, ranks = regions(frame, attribution, algorithm)
    assert np.isfinite(values).all()
    assert set(np.unique(ranks)) == set(range(1, ranks.max() + 1))
    assert ranks.max() > 3
    largest = attribution.max(2)
    gains = []
    for rank in range(1, ranks.max() + 1):
        region = ranks == rank
        np.testing.assert_allclose(values[region], largest[region].mean(), rtol=1e-4, atol=1e-7)
        gains.append(float(values[region][0]))
    uncovered = ~np.any(candidates(frame), axis=0)
    own = gains[:-1] if (uncovered | (ranks == ranks.max())).sum() < 50 else gains  # the rest comes last
    assert own == sorted(own, reverse=True)
    np.testing.assert_allclose(values.sum(), largest.sum(), rtol=1e-4)


def test_the_candidates_are_the_librarys() -> None:
    from saliency.core.xrai import _get_segments_felzenszwalb

    frame = picture()
    theirs = [one for one in _get_segments_felzenszwalb(frame.astype(np.float32)) if one.any()]
    ours = candidates(frame)
    assert len(ours) == len(theirs)
    assert all((one == other).all() for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("algorithm", ["full", "fast"])
def test_the_library_makes_the_same_map_on_its_own(algorithm: str) -> None:
    """Where the gradient is the same everywhere its integral is exact."""
    from saliency.core import INPUT_OUTPUT_GRADIENTS, XRAI, XRAIParameters

    frame = picture()
    run, weights = linear_run(frame)

    def call(x: Any, call_model_args: Any = None, expected_keys: Any = None) -> dict[str, Any]:
        return {INPUT_OUTPUT_GRADIENTS: np.repeat(weights[None], len(x), axis=0)}

    pixels = (frame / np.float32(255)).astype(np.float32)
    library = XRAI().GetMask(
        pixels,
        call,
        baselines=[np.zeros_like(pixels), np.ones_like(pixels)],
        extra_parameters=XRAIParameters(steps=3, algorithm=algorithm),
    )
    found = Xrai(steps=3, algorithm=algorithm).explain(run)
    assert found.signed
    np.testing.assert_allclose(found.values, library, atol=1e-5 * np.abs(library).max())


def test_a_picture_without_contrast_is_one_region() -> None:
    frame = np.full((32, 32, 3), 90, dtype=np.uint8)
    run, _ = linear_run(frame)
    attribution = from_black_and_white(run, 1)
    values, ranks = regions(frame, attribution, "full")
    np.testing.assert_allclose(values, attribution.max(2).mean(), rtol=1e-5)
    assert (ranks == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50_v1"])
def test_a_real_networks_regions_lie_on_what_it_sees(name: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of the highest tenth lies in the picture's inner half, where the cat is."""
    monkeypatch.setenv("XAI_MODELS_DIR", str(shared / "models"))
    card = MODELS[name]
    model = Classifier.load(card, torch.device("cpu"))
    frame = picture_frame(galleries.bundled().samples[0].open().pixels, card.preprocess)
    run = toys.run(model, frame, target=281)
    parameters = METHODS["xrai"].make({}, "quick")
    values = parameters.explain(run).values  # type: ignore[attr-defined]
    assert run.passes == parameters.cost()
    highest = values >= np.quantile(values, 0.9)
    side = frame.shape[0]
    inner = highest[side // 7 : -side // 7, side // 7 : -side // 7]
    assert inner.sum() > 0.6 * highest.sum()
