"""A real network on a real photo: every method agrees with its reference library, as closely as sampling allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xai_core as xc
from xai_core.images import galleries
from xai_core.types import SaliencyMap

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")]


def both(method: str, **parameters: Any) -> tuple[SaliencyMap, SaliencyMap]:
    """Our own map of the cat and the library's, of the network whose weights come in a package."""
    model, picture = xc.load_classifier("efficientnet_lite0"), galleries.bundled().samples[0].open()
    own, library = (
        xc.explain(model, picture, method, implementation=one, **parameters) for one in ("own", "reference")
    )
    assert own.target == library.target
    return own, library


def correlation(own: SaliencyMap, library: SaliencyMap) -> float:
    return float(np.corrcoef(own.values.ravel(), library.values.ravel())[0, 1])


def expected_correlation(own: SaliencyMap) -> float:
    """Of two maps with the same signal and independent noise: the share of the variance that is signal."""
    assert own.errors is not None
    return float(1 - np.square(own.errors).mean() / own.values.var())


def test_grad_cam_is_the_librarys() -> None:
    own, library = both("gradcam")
    scaled = (own.values - own.values.min()) / np.ptp(own.values)
    assert np.abs(scaled - library.values).max() < 1e-4


@pytest.mark.parametrize("average", ["signed", "absolute"])
def test_smoothgrad_differs_from_captum_by_the_noise_that_its_errors_tell(average: str) -> None:
    own, library = both("smoothgrad", samples=30, average=average, reduction="sum")
    assert correlation(own, library) == pytest.approx(expected_correlation(own), abs=0.05)


def test_expected_gradients_agree_with_shap_at_least_as_well_as_the_errors_tell() -> None:
    own, library = both("shap", samples=100)
    assert correlation(own, library) > expected_correlation(own) - 0.05
    assert correlation(own, library) > 0.6


def test_lime_finds_the_librarys_superpixels() -> None:
    own, library = both("lime", samples=250, segmentation="slic", segments=30)
    assert correlation(own, library) > 0.8
    assert own.errors is not None
    assert np.sqrt(np.mean(((own.values - library.values) / own.errors) ** 2)) < 2.2


@pytest.mark.parametrize(
    "method", ["gradient", "gradient_x_input", "integrated_gradients", "hirescam", "layercam", "gradcam_plus_plus"]
)
def test_the_methods_without_chance_are_the_librarys(method: str) -> None:
    parameters = {"steps": 12} if method == "integrated_gradients" else {}
    own, library = both(method, **parameters)
    assert correlation(own, library) > 0.999


@pytest.mark.parametrize("method", ["smoothgrad_squared", "vargrad"])
def test_squares_and_variances_differ_from_captum_by_their_errors(method: str) -> None:
    own, library = both(method, samples=30)
    assert correlation(own, library) == pytest.approx(expected_correlation(own), abs=0.08)


def test_score_cam_finds_the_librarys_places() -> None:
    """grad-cam enlarges channels from corner to corner."""
    own, library = both("score_cam")
    assert correlation(own, library) > 0.97
