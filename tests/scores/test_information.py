"""Mutual information: Gaussian copulas, identity, independence, rising maps, and nearest neighbours as a check."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import mutual_info_regression
from sklearn.metrics import mutual_info_score

import xai_core as xc
from tests import networks, toys
from tests.engine.asking import explain, score
from xai_core.engine.executor import Executor
from xai_core.scores.information import MutualInformation, mutual_information
from xai_core.types import Cost, Floats, Picture

SIZE = 224 * 224
BINS = MutualInformation().bins


def copula(rho: float, size: int = SIZE, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    left = random.standard_normal(size)
    return left, rho * left + math.sqrt(1 - rho**2) * random.standard_normal(size)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.5, -0.7, 0.9])
def test_a_gaussian_copula_has_its_closed_form(rho: float) -> None:
    found = mutual_information(*copula(rho), BINS)
    assert found == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.02 if rho else 0.002)


def test_nearest_neighbours_agree() -> None:
    """Kraskov's estimator with three neighbours, on a part of the pixels."""
    for rho in (0.5, 0.9):
        left, right = copula(rho, 4000)
        expected = mutual_info_regression(left[:, None], right, n_neighbors=3, random_state=0)[0]
        assert mutual_information(*copula(rho), BINS) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("bins", [2, 16, 64, 128])
def test_a_map_that_is_the_picture_tells_all_that_the_bins_can_hold(bins: int) -> None:
    values = np.random.default_rng(0).permutation(SIZE)
    assert mutual_information(values, values, bins) == pytest.approx(math.log(bins), abs=1e-3)
    assert mutual_information(values, -values, bins) == pytest.approx(math.log(bins), abs=1e-3)


@pytest.mark.parametrize("change", [np.exp, lambda y: y**3, lambda y: -y, lambda y: 1e-6 * y + 3])
def test_rising_and_falling_maps_change_nothing(change) -> None:  # type: ignore[no-untyped-def]
    left, right = copula(0.7, 5000)
    assert mutual_information(left, change(right), 16) == pytest.approx(mutual_information(left, right, 16), abs=2e-3)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), bins=st.integers(2, 40), levels=st.integers(1, 50))
def test_it_is_symmetric_within_its_bounds_and_knows_ties(seed: int, bins: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    left, right = random.integers(0, levels, (2, 20, 20))
    found = mutual_information(left, right, bins)
    assert 0 <= found <= math.log(bins)
    assert found == pytest.approx(mutual_information(right, left, bins), abs=1e-12)
    assert mutual_information(left, np.zeros((20, 20)), bins) == pytest.approx(0, abs=1e-12)


def test_without_the_correction_it_is_scikit_learns_of_the_bins() -> None:
    """Bins of one value each: the correction is (rows + columns - cells - 1) / (2 n)."""
    random = np.random.default_rng(0)
    left = random.integers(0, 4, 4000)
    right = np.where(random.random(4000) < 0.5, left, random.integers(0, 4, 4000))
    expected = mutual_info_score(left, right) + (4 + 4 - 16 - 1) / 8000
    assert mutual_information(left, right, 128) == pytest.approx(expected, abs=1e-12)


def test_where_nobody_makes_maps_there_is_nothing_to_compare_with() -> None:
    frame = toys.frame(32)
    run = toys.run(toys.classifier(networks.Blind(), classes=2), frame)
    found = MutualInformation(bins=8).measure(run, frame.mean(axis=2).astype(np.float32), None)
    assert found.values["nats"] == pytest.approx(math.log(8), abs=0.02)
    assert math.isnan(found.values["relative"])
    assert "integrated gradients" in found.reasons["relative"]
    assert run.passes == Cost(0, 0)


def test_integrated_gradients_tell_as_much_as_themselves(tiny_card: Path, picture: Picture) -> None:
    model = xc.load_classifier("tiny")
    reference = xc.explain(model, picture, "integrated_gradients", target=1, steps=9)
    other = xc.explain(model, picture, "gradient", target=1)

    def measured(saliency: xc.SaliencyMap) -> dict[str, float]:
        return dict(xc.score(model, picture, saliency, ["mutual_information"], steps=9)["mutual_information"].values)

    grey = grey_of(model, picture)
    assert measured(reference)["relative"] == 1
    found = measured(other)
    assert found["nats"] == pytest.approx(mutual_information(grey, other.values, BINS))
    assert found["relative"] == pytest.approx(found["nats"] / mutual_information(grey, reference.values, BINS))


def test_the_map_to_compare_with_comes_from_the_cache(tiny_card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    executor = Executor()
    for asked, passes in ((2, 9), (2, 0), (3, 9)):
        before = executor.classifier("tiny").passes.backward
        executor.compute(score("mutual_information", explain("sobel", target=asked), steps=9, bins=8 + before))
        assert executor.classifier("tiny").passes.backward - before == passes


def grey_of(model: xc.Classifier, picture: Picture) -> Floats:
    from xai_core.images.geometry import picture_frame

    return picture_frame(picture.pixels, model.card.preprocess).mean(axis=2)
