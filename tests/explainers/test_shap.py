"""Expected gradients: closed forms on linear and quadratic models, completeness, the path's points, and shap itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests import networks, toys
from tests.checks import is_sentence
from xai_core.classifiers.evaluator import Classifier
from xai_core.explainers.sampling import independent_points, stratified_points
from xai_core.explainers.shap import ExpectedGradients
from xai_core.types import Attribution, Pixels, XaiError

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # shap's, of matplotlib


def explained(
    model: Classifier,
    frame: Pixels,
    background: torch.Tensor,
    target: int = 0,
    seed: int = 0,
    batch: int = 64,
    **parameters: Any,
) -> Attribution:
    run = toys.run(model, frame, target=target, seed=seed, batch=batch, background=background)
    return ExpectedGradients(**parameters).explain(run)


def path_points(samples: int, count: int, sampling: str, random: Any) -> tuple[np.ndarray, np.ndarray]:
    points = {"plain": independent_points, "stratified": stratified_points}[sampling]
    return points(samples, count, random)


def as_input(*frames: Pixels) -> torch.Tensor:
    return torch.as_tensor(np.stack(frames) / np.float32(255)).movedim(-1, 1)


def backgrounds(count: int, size: int) -> torch.Tensor:
    return as_input(*(toys.frame(size, seed=100 + number) for number in range(count)))


def linear(size: int) -> networks.Linear:
    torch.manual_seed(1)
    return networks.Linear(size)


def two_linear(size: int) -> networks.TwoLinear:
    torch.manual_seed(2)
    return networks.TwoLinear(size)


def test_plain_sampling_finds_the_linear_models_answer_within_three_standard_errors() -> None:
    frame, size = toys.frame(16), 16
    network, others = linear(size), backgrounds(16, size)
    found = explained(toys.classifier(network, size), frame, others, target=1, samples=400, sampling="plain")
    weights = network.fc.weight[1].detach().reshape(3, size, size)
    truth = (weights * (as_input(frame)[0] - others.mean(0))).sum(0).numpy()
    assert found.errors is not None
    z = (found.values - truth) / found.errors
    assert (np.abs(z) < 3).mean() > 0.98
    assert 0.6 < np.sqrt((z**2).mean()) < 1.5, "the reported errors are the real ones"


@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_stratified_sampling_is_exact_on_a_linear_model_when_every_background_is_used_equally(rounds: int) -> None:
    frame, size = toys.frame(16), 16
    network, others = linear(size), backgrounds(8, size)
    found = explained(toys.classifier(network, size), frame, others, target=2, samples=8 * rounds)
    weights = network.fc.weight[2].detach().reshape(3, size, size)
    truth = (weights * (as_input(frame)[0] - others.mean(0))).sum(0).numpy()
    np.testing.assert_allclose(found.values, truth, atol=2e-6 * np.abs(truth).max())
    assert found.signed


def completeness_error(samples: int, sampling: str, seed: int) -> float:
    """|sum of the map - (f(x) - E f(x'))| of a sum of squares."""
    frame, others = toys.frame(8), backgrounds(4, 8)
    model = toys.classifier(networks.Quadratic(), 8, classes=2)
    found = explained(model, frame, others, seed=seed, samples=samples, sampling=sampling)
    truth = float((as_input(frame) ** 2).sum() - (others**2).sum((1, 2, 3)).mean())
    return float(found.values.sum(dtype=np.float64)) - truth


def slope(sampling: str) -> float:
    counts = (8, 32, 128, 512)
    errors = [np.sqrt(np.mean([completeness_error(n, sampling, seed) ** 2 for seed in range(40)])) for n in counts]
    return float(np.polyfit(np.log(counts), np.log(errors), 1)[0])


def test_the_completeness_error_of_plain_sampling_shrinks_like_one_over_root_n() -> None:
    assert slope("plain") == pytest.approx(-0.5, abs=0.1)


def test_the_completeness_error_of_stratified_sampling_shrinks_faster() -> None:
    assert slope("stratified") < -0.9


def test_plain_sampling_is_unbiased_on_a_sum_of_squares() -> None:
    errors = [completeness_error(16, "plain", seed) for seed in range(150)]
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))


def test_stratified_sampling_is_unbiased_even_when_not_every_background_is_used() -> None:
    errors = [completeness_error(3, "stratified", seed) for seed in range(150)]
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))


def a_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return networks.tiny().eval()


def test_completeness_holds_on_a_network_with_relus() -> None:
    frame, others = toys.frame(32), backgrounds(8, 32)
    found = explained(toys.classifier(a_network(), classes=5), frame, others, target=3, samples=800)
    with torch.no_grad():
        truth = float(a_network()(as_input(frame))[0, 3] - a_network()(others)[:, 3].mean())
        spread = float(a_network()(others)[:, 3].std())
    assert abs(found.values.sum(dtype=np.float64) - truth) < 0.03 * spread
    assert abs(truth) > 0.1 * spread


def test_the_map_tells_how_far_its_sum_is_off() -> None:
    frame, others, model = toys.frame(32), backgrounds(8, 32), toys.classifier(a_network(), classes=5)
    found = explained(model, frame, others, target=3, samples=16)
    with torch.no_grad():
        truth = float(model.network(as_input(frame))[0, 3] - model.network(others)[:, 3].mean())
    total = found.values.sum(dtype=np.float64)
    assert found.completeness == pytest.approx(abs(total - truth) / abs(truth), rel=1e-2)


def test_the_sums_error_is_nothing_on_a_linear_model_and_falls_with_the_samples() -> None:
    frame, others = toys.frame(8), backgrounds(4, 8)
    exact = explained(toys.classifier(linear(8), 8), frame, others, samples=8).completeness
    assert exact is not None and exact < 1e-4
    model, means = toys.classifier(networks.Quadratic(), 8, classes=2), []
    for samples in (8, 64, 512):
        found = [explained(model, frame, others, seed=seed, samples=samples, sampling="plain") for seed in range(20)]
        means.append(np.mean([one.completeness for one in found if one.completeness is not None]))
    assert means[0] > 2 * means[1] > 4 * means[2]


def test_the_check_of_the_sum_is_not_counted_and_left_out_at_a_layer() -> None:
    model = toys.classifier(a_network(), classes=5)
    run = toys.run(model, toys.frame(32), background=backgrounds(4, 32))
    assert ExpectedGradients(samples=8).explain(run).completeness is not None
    assert (run.passes.forward, run.passes.backward) == (8, 8)
    assert explained(model, toys.frame(32), backgrounds(4, 32), samples=8, layer="stage2.conv1").completeness is None


@pytest.mark.parametrize("sampling", ["plain", "stratified"])
@pytest.mark.parametrize("layer", ["input", "stage2.conv1"])
def test_a_single_background_equal_to_the_picture_gives_nothing(layer: str, sampling: str) -> None:
    frame = toys.frame(32)
    model = toys.classifier(a_network(), classes=5)
    found = explained(model, frame, as_input(frame), samples=4, layer=layer, sampling=sampling)
    np.testing.assert_array_equal(found.values, 0)


def at_second(network: networks.TwoLinear, frame: Pixels, others: torch.Tensor, target: int) -> tuple[Any, Any, Any]:
    """What the second layer of the linear net gets for the picture and for the backgrounds, and its true weights."""
    with torch.no_grad():
        here, there = network.first(as_input(frame))[0], network.first(others)
        head = network.fc.weight[target].reshape(4, *frame.shape[:2])
        weights = torch.einsum("oi,ohw->ihw", network.second.weight[:, :, 0, 0], head)
    return here, there, weights


@pytest.mark.parametrize("target", [0, 2])
def test_at_a_layer_of_a_linear_net_it_is_the_weights_times_the_difference_of_the_activations(target: int) -> None:
    size, frame = 12, toys.frame(12)
    network, others = two_linear(size), backgrounds(6, size)
    found = explained(toys.classifier(network, size), frame, others, target, samples=12, layer="second")
    here, there, weights = at_second(network, frame, others, target)
    truth = (weights * (here - there.mean(0))).sum(0).numpy()
    np.testing.assert_allclose(found.values, truth, atol=5e-6 * np.abs(truth).max())
    assert found.layer == "second"


def test_at_a_layer_of_a_linear_net_the_map_adds_up_to_the_difference_of_the_logits() -> None:
    size, frame = 12, toys.frame(12)
    network, others = two_linear(size), backgrounds(6, size)
    found = explained(toys.classifier(network, size), frame, others, 1, samples=6, layer="second")
    with torch.no_grad():
        truth = float(network(as_input(frame))[0, 1] - network(others)[:, 1].mean())
    assert found.values.sum(dtype=np.float64) == pytest.approx(truth, rel=1e-4)


def test_shaps_own_layer_mode_is_still_gradient_times_activation() -> None:
    """A watch on shap, not on us: when this fails, shap has mended its layer mode.

    Then `explain_by_library` need not refuse a layer any more, and its sentence has to go.
    """
    import shap

    size, frame = 12, toys.frame(12)
    network, others = two_linear(size).eval(), backgrounds(6, size)
    library = shap.GradientExplainer((network, network.second), others)
    values = np.asarray(library.shap_values(as_input(frame), nsamples=400, rseed=0))[0, ..., 1].sum(0)
    here, there, weights = at_second(network, frame, others, 1)
    truth = (weights * (here - there.mean(0))).sum(0).numpy()
    on_the_way = (weights * (here + there.mean(0)) / 2).sum(0).numpy()
    scale = np.abs(truth).mean()
    assert np.abs(values - truth).mean() > 0.3 * scale
    assert np.abs(values - on_the_way).mean() < 0.1 * scale


def test_a_coarse_layer_is_upsampled_to_the_frame() -> None:
    model = toys.classifier(a_network(), classes=5, cam_layer="stage2")
    found = explained(model, toys.frame(32), backgrounds(3, 32), samples=6, layer="auto")
    assert found.values.shape == (32, 32)
    assert found.errors is not None
    assert found.errors.shape == (32, 32)
    assert found.layer == "stage2"
    steps = np.abs(np.diff(found.values, axis=1)).max()
    assert steps < 0.5 * np.ptp(found.values), "bilinear over 8 px blocks, hence without jumps"


counts = st.integers(1, 300)
backgrounds_count = st.integers(1, 60)
seeds = st.integers(0, 10**6)


@settings(deadline=None, max_examples=60)
@given(samples=counts, count=backgrounds_count, seed=seeds)
def test_stratified_points_use_every_background_equally_often_up_to_one(samples: int, count: int, seed: int) -> None:
    which, _ = path_points(samples, count, "stratified", np.random.default_rng(seed))
    used = np.bincount(which, minlength=count)
    assert (len(which), len(used)) == (samples, count)
    assert used.max() - used.min() <= 1


@settings(deadline=None, max_examples=60)
@given(samples=counts, count=backgrounds_count, seed=seeds, sampling=st.sampled_from(["plain", "stratified"]))
def test_points_lie_on_the_way_and_name_a_background(samples: int, count: int, seed: int, sampling: str) -> None:
    which, how_far = path_points(samples, count, sampling, np.random.default_rng(seed))
    assert how_far.dtype == np.float32
    assert which.shape == how_far.shape == (samples,)
    assert 0 <= how_far.min() <= how_far.max() < 1
    assert 0 <= which.min() <= which.max() < count


@pytest.mark.parametrize("sampling", ["plain", "stratified"])
def test_the_largest_draw_does_not_reach_the_end_of_the_way(sampling: str) -> None:
    """A float64 just below 1 is 1 as a float32."""
    largest: Any = SimpleNamespace(
        random=lambda count: np.full(count, np.nextafter(1, 0)),
        integers=lambda low, high, count: np.full(count, high - 1),
        permutation=np.arange,
    )
    which, how_far = path_points(10, 3, sampling, largest)
    assert how_far.max() < 1
    assert which.max() < 3


@settings(deadline=None, max_examples=60)
@given(samples=counts, count=backgrounds_count, seed=seeds)
def test_stratified_points_fall_one_into_each_stratum_of_their_background(samples: int, count: int, seed: int) -> None:
    which, how_far = path_points(samples, count, "stratified", np.random.default_rng(seed))
    for one in np.unique(which):
        own = np.sort(how_far[which == one].astype(np.float64))
        distances = np.diff(own)
        np.testing.assert_allclose(distances, 1 / len(own), atol=1e-6)
        assert own[0] < 1 / len(own) + 1e-6


@pytest.mark.parametrize("sampling", ["plain", "stratified"])
@pytest.mark.parametrize(("samples", "count"), [(5, 3), (2, 4), (12, 4), (1, 1)])
def test_points_are_uniform_over_backgrounds_and_over_the_way(samples: int, count: int, sampling: str) -> None:
    draws = [path_points(samples, count, sampling, np.random.default_rng(seed)) for seed in range(3000)]
    which, how_far = (np.concatenate([draw[part] for draw in draws]) for part in (0, 1))
    shares = np.bincount(which, minlength=count) / len(which)
    assert np.abs(shares - 1 / count).max() < 4 * np.sqrt(1 / count / len(which)) + 1e-12
    deciles = np.bincount((how_far * 10).astype(int), minlength=10) / len(how_far)
    assert np.abs(deciles - 0.1).max() < 4.5 * np.sqrt(0.09 / 3000)
    if count > 1:
        first = how_far[which == 0]
        assert abs(first.mean() - 0.5) < 4 * np.sqrt(1 / 12 / (3000 / count)), "how far does not depend on from where"


def test_the_same_seed_gives_the_same_map_and_another_another() -> None:
    model, others = toys.classifier(a_network(), classes=5), backgrounds(4, 32)
    first, again, other = (explained(model, toys.frame(32), others, seed=seed, samples=6).values for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()


@pytest.mark.parametrize("layer", ["input", "stage2.conv1"])
def test_the_batch_size_changes_nothing(layer: str) -> None:
    model, others = toys.classifier(a_network(), classes=5), backgrounds(5, 32)
    maps = [
        explained(model, toys.frame(32), others, samples=13, layer=layer, batch=batch).values for batch in (1, 4, 64)
    ]
    for found in maps[1:]:
        assert np.abs(found - maps[0]).max() < 1e-5 * np.abs(maps[0]).max()


def test_it_agrees_with_shaps_input_mode() -> None:
    model, frame, others = toys.classifier(a_network(), classes=5), toys.frame(32), backgrounds(6, 32)
    library = explained(model, frame, others, target=2, samples=2000, implementation="reference").values
    for sampling in ("plain", "stratified"):
        own = explained(model, frame, others, target=2, samples=2000, sampling=sampling).values
        assert np.corrcoef(own.ravel(), library.ravel())[0, 1] > 0.99
        assert np.polyfit(library.ravel(), own.ravel(), 1)[0] == pytest.approx(1, abs=0.03), "the scale, too"


def test_shap_is_seeded_and_leaves_the_global_generator_alone() -> None:
    model, frame, others = toys.classifier(a_network(), classes=5), toys.frame(32), backgrounds(6, 32)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (
        explained(model, frame, others, seed=seed, samples=4, implementation="reference").values for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_shap_at_a_layer_is_refused_in_one_sentence() -> None:
    model = toys.classifier(a_network(), classes=5, cam_layer="stage2")
    with pytest.raises(XaiError, match="layer") as error:
        explained(model, toys.frame(32), backgrounds(2, 32), layer="auto", implementation="reference")
    assert is_sentence(str(error.value))


@pytest.mark.parametrize("layer", ["stage9", "head", "stage1."])
def test_a_layer_that_does_not_exist_or_fit_is_refused_in_one_sentence(layer: str) -> None:
    model = toys.classifier(a_network(), classes=5, cam_layer="stage2")
    with pytest.raises(XaiError) as error:
        explained(model, toys.frame(32), backgrounds(2, 32), layer=layer)
    assert is_sentence(str(error.value))
