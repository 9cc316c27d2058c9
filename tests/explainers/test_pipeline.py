"""The perturbation pipeline: S3's properties T1 to T7 (spec section 4), and closed forms of every stage."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import networks, toys
from xai_core.explainers.perturbation.attribution import Attribute, attribute, is_one_by_one, shapley_kernel
from xai_core.explainers.perturbation.stages import (
    CHANCE,
    PipelineFill,
    Sampling,
    Smoothing,
    Stages,
    sampled,
    soft_masks,
)
from xai_core.explainers.pipeline import Pipeline
from xai_core.explainers.superpixels import Segmentation, segments
from xai_core.registry import METHODS
from xai_core.scores.ranking import rank_correlation
from xai_core.types import Attribution, Cost, Pixels, XaiError

from .test_superpixels import photo

ATTRIBUTIONS: tuple[Attribute, ...] = get_args(Attribute)
SMOOTHINGS: tuple[Smoothing, ...] = get_args(Smoothing)
SEGMENTATIONS: tuple[Segmentation, ...] = get_args(Segmentation)
FILLS: tuple[PipelineFill, ...] = get_args(PipelineFill)


def network() -> torch.nn.Module:
    torch.manual_seed(3)
    return networks.Tiny()


def explained(frame: Pixels, batch: int = 8, seed: int = 0, target: int = 2, **parameters: Any) -> Attribution:
    run = toys.run(toys.classifier(network(), size=32, classes=5), frame, target=target, batch=batch, seed=seed)
    return Pipeline(**{"segments": 16, "samples": 60, **parameters}).explain(run)


def some_samples(count: int, features: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, features)) < 0.5


# -- T1 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["only_one", "all_but_one"])
@given(st.lists(st.floats(0, 1), min_size=3, max_size=20))
@settings(deadline=None, max_examples=25)
def test_t1_one_by_one_all_attributions_rank_alike(sampling: Sampling, probabilities: list[float]) -> None:
    y = np.round(probabilities, 6)
    keep = sampled(sampling, 0, len(y) - 1, 0.5, 0.1, 0)
    found = {kind: attribute(kind, keep, y, y[0]).values for kind in ATTRIBUTIONS}
    true = y[0] - y[1:] if sampling == "only_one" else y[1:]
    apart = true[:, None] - true
    for kind, values in found.items():
        differences = values[:, None] - values
        assert (differences[apart > 0] > 0).all(), kind
        assert np.abs(differences[apart == 0]).max() < 1e-7, kind
    np.testing.assert_allclose(found["lime"], found["shap"], atol=1e-7)
    if sampling == "only_one":
        np.testing.assert_allclose(found["pda"], found["lime"], atol=1e-7)
        np.testing.assert_allclose(found["pda"], y[0] - y[1:], atol=1e-9)


@pytest.mark.parametrize("per", ["pixel", "segment"])
def test_t1_holds_for_the_maps_of_a_network(per: str) -> None:
    maps = [
        explained(toys.frame(32), sampling="only_one", attribution=kind, map_per=per, smoothing="gaussian").values
        for kind in ATTRIBUTIONS
    ]
    for one in maps[1:]:
        assert rank_correlation(maps[0], one) > 0.9999


# -- T2 ----------------------------------------------------------------------------------------------------------------


@given(st.integers(2, 9), st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_t2_lime_and_shap_recover_an_additive_model(features: int, seed: int) -> None:
    weights = np.random.default_rng(seed).normal(size=features)
    keep = np.concatenate([np.eye(features, dtype=bool), some_samples(40, features, seed), [[False] * features]])
    y = 0.3 + keep @ weights
    for kind in ("lime", "shap"):
        np.testing.assert_allclose(attribute(kind, keep, y, y[0]).values, weights, atol=1e-7)


def test_t2_rise_and_pda_recover_the_ranks_of_an_additive_model_with_many_samples() -> None:
    weights = np.linspace(-1, 1, 12)
    keep = some_samples(20_000, 12)
    y = keep @ weights
    for kind in ("rise", "pda"):
        assert (np.argsort(attribute(kind, keep, y, 0.0).values) == np.arange(12)).all()


def test_what_samples_do_not_tell_apart_shares_evenly() -> None:
    keep = np.array([[1, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=bool)
    found = attribute("lime", keep, np.array([3.0, 1.0, 2.0, 0.0]), 3.0).values
    np.testing.assert_allclose(found, [1, 1, 1])


def test_shap_with_every_coalition_is_the_shapley_value() -> None:
    """Of a game that is not additive: 1 for the pair of the first two, 0.5 for the third."""
    keep = np.array(list(product([False, True], repeat=4)))
    y = 1.0 * (keep[:, 0] & keep[:, 1]) + 0.5 * keep[:, 2]
    np.testing.assert_allclose(attribute("shap", keep, y, y[-1]).values, [0.5, 0.5, 0.5, 0], atol=1e-4)


def test_the_shapley_kernel_is_its_formula() -> None:
    keep = np.tril(np.ones((4, 5), dtype=bool))  # 1 to 4 of 5 are kept
    expected = np.array([4 / (5 * 1 * 4), 4 / (10 * 2 * 3), 4 / (10 * 3 * 2), 4 / (5 * 4 * 1)])
    np.testing.assert_allclose(shapley_kernel(keep), expected / expected.max())


# -- T3 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("segmentation", SEGMENTATIONS)
def test_t3_masks_add_up_to_one_whatever_is_cut_how(segmentation: Segmentation, smoothing: Smoothing) -> None:
    labels = segments(photo(64), segmentation, 16)
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
    soft = soft_masks(labels, smoothing, 16, 10)
    assert soft.min() >= 0
    np.testing.assert_allclose(soft.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("fill", FILLS)
def test_t3_all_kept_is_the_picture_and_none_kept_is_the_fill(fill: PipelineFill) -> None:
    frame = photo(48)
    labels = segments(frame, "grid", 9)
    keep = np.array([[True] * 9, [False] * 9])
    stages = Stages(frame, labels, soft_masks(labels, "bilinear", 9, 10), keep, fill, seed=0)
    whole, nothing = stages.pictures(0, 2)
    np.testing.assert_allclose(whole, frame / 255, atol=1e-5)
    np.testing.assert_allclose(nothing, stages.fills(0, 2)[-1], atol=1e-5)
    assert 0 <= stages.fills(0, 2).min() <= stages.fills(0, 2).max() <= 1


def test_bilinear_smoothing_of_the_grid_is_bilinear_interpolation() -> None:
    labels = segments(np.zeros((224, 224, 3), np.uint8), "grid", 49)
    cells = torch.eye(49).view(49, 1, 7, 7)
    expected = torch.nn.functional.interpolate(cells, size=(224, 224), mode="bilinear", align_corners=False)[:, 0]
    np.testing.assert_allclose(soft_masks(labels, "bilinear", 49, 10), expected.numpy(), atol=1e-5)


# -- T4 ----------------------------------------------------------------------------------------------------------------


def test_t4_per_segment_is_constant_in_segments_and_per_pixel_is_smooth() -> None:
    frame = toys.frame(32)
    hard, soft = (explained(frame, map_per=per, smoothing="gaussian", sigma=30).values for per in ("segment", "pixel"))
    labels = segments(frame, "grid", 16)
    assert all(np.ptp(hard[labels == one]) == 0 for one in range(16))
    steps = [np.abs(np.diff(one, axis=0)).max() for one in (hard, soft)]
    assert steps[1] < steps[0] / 2


def test_t4_without_width_the_two_maps_are_one() -> None:
    chosen = {"segmentation": "slic", "smoothing": "gaussian", "sigma": 0}
    hard, soft = (explained(toys.frame(32), map_per=per, **chosen) for per in ("segment", "pixel"))
    np.testing.assert_allclose(hard.values, soft.values, atol=1e-6)
    assert hard.errors is not None and soft.errors is not None
    np.testing.assert_allclose(hard.errors, soft.errors, atol=1e-5)


# -- T5, T6, T7 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rise", "pda", "lime", "shap"])
def test_t5_other_names_of_the_segments_permute_the_scores_alone(kind: Attribute) -> None:
    keep, y = some_samples(50, 8), np.random.default_rng(1).random(50)
    renamed = np.random.default_rng(2).permutation(8)
    found = attribute(kind, keep, y, 0.4).values
    np.testing.assert_allclose(attribute(kind, keep[:, renamed], y, 0.4).values, found[renamed], atol=1e-8)


@pytest.mark.parametrize("sampling", [*CHANCE, "entropic"])
def test_t6_more_samples_begin_with_the_same_ones(sampling: Sampling) -> None:
    few, many = (sampled(sampling, count, 49, 0.5, 0.15, seed=5) for count in (400, 4000))
    np.testing.assert_array_equal(few, many[:400])
    if sampling != "entropic":
        assert (sampled(sampling, 400, 49, 0.5, 0.15, seed=6) != few).any()


def test_t7_the_batch_size_does_not_change_the_probabilities() -> None:
    found = [
        explained(toys.frame(32), batch=batch, fill="random_colour").details["probabilities"] for batch in (1, 7, 64)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)


# -- the stages --------------------------------------------------------------------------------------------------------


def test_samplings_are_what_they_are_called() -> None:
    assert is_one_by_one(sampled("only_one", 7, 5, 0.5, 0.1, 0))
    assert is_one_by_one(sampled("all_but_one", 7, 5, 0.5, 0.1, 0))
    assert not is_one_by_one(sampled("random", 6, 5, 0.5, 0.1, 0))
    hidden = (~sampled("entropic", 14, 4, 0.5, 0.1, 0)).astype(int).tolist()
    assert hidden[:6] == [[0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert hidden[6:11] == [[1, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 0, 0]]
    everything = sampled("entropic", 1000, 4, 0.5, 0.1, 0)
    assert len(everything) == 16 == len(np.unique(everything, axis=0))


@pytest.mark.parametrize(
    ("sampling", "mean", "spread"),
    [("random", 0.3, 0), ("uniform", 0.5, 12**-0.5), ("normal", 0.3, 0.1), ("beta", 0.3, 0.1)],
)
def test_keep_probabilities_have_their_mean_and_spread(sampling: Sampling, mean: float, spread: float) -> None:
    shares = sampled(sampling, 4000, 400, 0.3, 0.1, seed=1).mean(axis=1)
    assert shares.mean() == pytest.approx(mean, abs=0.02)
    within = np.mean(shares * (1 - shares)) / 400
    assert np.sqrt(max(shares.var() - within, 0)) == pytest.approx(spread, abs=0.015)


@pytest.mark.parametrize("count", [9, 16, 49, 100])
@pytest.mark.parametrize("segmentation", ["grid", "felzenszwalb", "watershed"])
def test_segmentations_follow_the_number_asked_for(segmentation: Segmentation, count: int) -> None:
    assert 0.5 * count <= segments(photo(), segmentation, count).max() + 1 <= 1.6 * count


def test_colours_of_the_histogram_are_the_pictures() -> None:
    frame = np.zeros((16, 16, 3), np.uint8)
    frame[:12] = (250, 10, 10)
    labels = segments(frame, "grid", 4)
    stages = Stages(frame, labels, soft_masks(labels, "none", 4, 0), np.zeros((400, 4), bool), "histogram_colour", 0)
    colours = stages.fills(0, 400)[:, 0, 0]
    assert {tuple(colour) for colour in colours.round(4).tolist()} == {(0.9375, 0.0625, 0.0625), (0.0625,) * 3}
    assert np.mean(colours[:, 0] > 0.5) == pytest.approx(0.75, abs=0.07)


def test_inpainting_fills_a_hole_from_its_surroundings() -> None:
    frame = np.full((32, 32, 3), 90, np.uint8)
    frame[8:16, 8:16] = 250
    labels = segments(frame, "grid", 16)
    keep = np.ones((1, 16), dtype=bool)
    keep[0, labels[10, 10]] = False
    stages = Stages(frame, labels, soft_masks(labels, "none", 16, 0), keep, "inpainting", 0)
    np.testing.assert_allclose(stages.pictures(0, 1), 90 / 255, atol=2 / 255)


# -- the method --------------------------------------------------------------------------------------------------------


SLOW = pytest.mark.slow  # one of each is enough for every change


@pytest.mark.parametrize(
    ("kind", "per"),
    [
        ("rise", "segment"),
        ("lime", "pixel"),
        *(pytest.param(kind, "pixel", marks=SLOW) for kind in ("rise", "pda", "shap")),
        *(pytest.param(kind, "segment", marks=SLOW) for kind in ("lime", "pda", "shap")),
    ],
)
def test_standard_errors_are_the_spread_over_seeds(kind: str, per: str) -> None:
    chosen = {"attribution": kind, "map_per": per, "segments": 9, "samples": 120, "smoothing": "gaussian", "sigma": 20}
    maps = [explained(toys.frame(32), seed=seed, batch=120, **chosen) for seed in range(40)]
    spread = np.std([one.values for one in maps], axis=0, ddof=1)
    errors = np.sqrt(np.mean([np.square(one.errors, dtype=np.float64) for one in maps], axis=0))
    assert 0.8 < np.sqrt(np.mean(errors**2) / np.mean(spread**2)) < 1.4  # the kernel leaves shap few samples


def test_the_passes_of_drawn_samples_are_announced_exactly() -> None:
    model = toys.classifier(network(), size=32, classes=5)
    for sampling, expected in (("random", 1 + 30), ("only_one", 1 + 16), ("all_but_one", 2 + 16)):
        run = toys.run(model, toys.frame(32), target=1)
        parameters = Pipeline(sampling=sampling, samples=30, segments=16)
        parameters.explain(run)
        assert run.passes == Cost(expected, 0)
        assert sampling != "random" or parameters.cost() == run.passes


def test_segments_that_no_sample_hides_are_told_of() -> None:
    found = explained(toys.frame(32), samples=2, attribution="pda")
    assert "have the others' mean" in found.notes[0]
    assert np.isfinite(found.values).all()


def test_ciu_with_random_samples_is_refused_in_a_sentence() -> None:
    with pytest.raises(XaiError, match=r"pipeline.attribution=ciu does not fit: CIU needs the sampling only_one"):
        METHODS["pipeline"].make({"attribution": "ciu"})
    METHODS["pipeline"].make({"attribution": "ciu", "sampling": "all_but_one"})
    with pytest.raises(XaiError, match="one segment at a time"):
        attribute("ciu", some_samples(8, 4), np.zeros(8), 0.0)


def test_details_tell_the_probability_of_every_sample() -> None:
    frame = toys.frame(32)
    model = toys.classifier(network(), size=32, classes=5)
    run = toys.run(model, frame, target=2, seed=4)
    parameters = Pipeline(segments=16, samples=12)
    found = parameters.explain(run)
    pictures = parameters.stages(frame, 4).pictures(0, 12)
    expected = model.logits(run.normalise(pictures)).softmax(1)[:, 2].numpy()
    np.testing.assert_allclose(found.details["probabilities"], expected, atol=1e-5)
    assert found.details["scores"].shape == (16,)
