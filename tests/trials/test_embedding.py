"""The embedding of samples: features, distances and the plane against what they are by definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests import networks, toys
from xai_core.engine.inline import InlineEngine
from xai_core.engine.requests import Trial
from xai_core.trials.embedding import SAMPLED, Embedding, at_home, from_the_others, from_the_picture, in_a_plane
from xai_core.types import Cost, Score

from ..engine.asking import explain


def test_features_are_what_the_last_layer_gets() -> None:
    torch.manual_seed(0)
    model = toys.classifier(networks.Tiny(), size=32, classes=5)
    x = torch.rand(3, 3, 32, 32)
    found = model.features(x)
    assert found.shape == (3, 12) and model.passes == Cost(3, 0)
    head = model.network.get_submodule("head")
    torch.testing.assert_close(head(found), model.logits(x), rtol=1e-4, atol=1e-5)


def test_features_before_a_convolution_are_means_over_places() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 5, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    model = toys.classifier(network, size=8, classes=5)
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(model.features(x), network[0](x).mean((2, 3)), rtol=1e-4, atol=1e-5)


def test_distances_are_cosines() -> None:
    clean = np.array([[2.0, 0, 0], [0, 3.0, 0]])
    samples = np.array([[[1.0, 1, 0], [1, -1, 0]], [[0, 0, 5.0], [0, 0, 1]]])
    np.testing.assert_allclose(from_the_picture(samples, clean), [0, 1])
    np.testing.assert_allclose(from_the_others(clean), [1, 1])
    row = from_the_others(np.array([[1.0, 0], [1, 1], [0, 1]]))
    np.testing.assert_allclose(row, [1 - 0.5**0.5 / 2, 1 - 0.5**0.5, 1 - 0.5**0.5 / 2])


def test_samples_are_at_home_where_no_other_picture_is_closer() -> None:
    clean = np.array([[1.0, 0], [0, 1]])
    samples = np.array([[[9.0, 1], [1, 2]], [[1.0, 3], [0, 1]]])
    np.testing.assert_array_equal(at_home(samples, clean), [0.5, 1])
    assert np.isnan(at_home(samples[:1], clean[:1])).all() and np.isnan(from_the_others(clean[:1])).all()


@pytest.mark.parametrize("count", [40, 600])
def test_the_plane_is_that_of_principal_components_of_directions(count: int) -> None:
    from sklearn.decomposition import PCA

    features = np.random.default_rng(0).normal(size=(count, 6)) * [5, 3, 1, 1, 1, 1]
    places, explained = in_a_plane(features)
    oracle = PCA(2)
    expected = oracle.fit_transform(features / np.linalg.norm(features, axis=1, keepdims=True))
    np.testing.assert_allclose(np.abs(places), np.abs(expected), atol=1e-6)
    assert explained == pytest.approx(oracle.explained_variance_ratio_.sum())


def test_a_trial_embeds_the_pictures_and_samples_of_each(tiny_card: Path) -> None:
    given = explain("gradient").input
    frames = np.stack([given.frame, 255 - given.frame])
    engine = InlineEngine()
    near, far = (
        engine.result(
            Trial("embedding", Embedding(pictures=2, samples=4, drop=drop, noise_level=0), 3, given, {"frames": frames})
        )
        for drop in (0.0, 1.0)
    )
    assert isinstance(near, Score) and isinstance(far, Score)
    assert near.passes == Cost(2 * 13, 0) == Embedding(pictures=2, samples=4).cost()
    for name in ("noise", "dropping"):  # no noise, and nothing dropped: they are the pictures
        np.testing.assert_allclose(near.details[f"{name} distance"], 0, atol=1e-6)
        np.testing.assert_allclose(near.details[name], near.details["plain"].repeat(4, axis=1), atol=1e-4)
        np.testing.assert_array_equal(near.details[f"{name} home"], 1)
    assert (far.details["dropping distance"] > 1e-3).all()
    assert np.ptp(far.details["dropping"], axis=(0, 1)).max() < 1e-4  # all is one grey picture
    assert {name: near.details[name].shape for name in SAMPLED} == dict.fromkeys(SAMPLED, (2, 4, 2))
