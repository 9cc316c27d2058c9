"""What a map does when little changes: identity, closed forms, which maps are asked for, captum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests import networks, toys
from xai_core.corruptions import chain
from xai_core.registry import CORRUPTIONS, METHODS, SCORES
from xai_core.scores.base import Undefined
from xai_core.scores.ranking import rank_correlation
from xai_core.scores.robustness import WORDS, relative_changes, shaken
from xai_core.scores.similarity import scaled

from .maps import Maps, noise

NAMES = ("robustness", "stability", "max_sensitivity", "repeatability", "false_positive_rate")
IDENTICAL = {
    "robustness": {"mse": 0, "raw_mse": 0, "spearman": 1, "ssim": 1, "top": 1},
    "stability": {"variance": 0},
    "max_sensitivity": {"largest": 0, "mean": 0},
    "repeatability": {"spearman": 1, "top": 1},
    "false_positive_rate": {"rate": 0, "discovery": 0, "ceiling": 1},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("corruptions", [(), chain.chain([chain.parse("resolution=4")])], ids=["clean", "corrupted"])
def test_a_map_that_never_changes_is_perfect(name: str, corruptions: tuple[Any, ...]) -> None:
    found = Maps(lambda change: noise(), corruptions).score(name, noise()).values
    assert found == {part: pytest.approx(value, abs=1e-12) for part, value in IDENTICAL[name].items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("other", "word"), [(None, "brought along"), (np.ones((32, 32)), "flat")])
def test_without_other_maps_it_is_undefined_and_says_why(name: str, other: np.ndarray | None, word: str) -> None:
    with pytest.raises(Undefined, match=word):
        Maps(lambda change: other).score(name, noise())


S0 = ("gaussian_noise", "occlusion", "resolution")


@pytest.mark.parametrize("corruption", S0)
@pytest.mark.parametrize("severity", WORDS)
def test_a_clean_picture_is_corrupted_as_asked_and_a_corrupted_one_is_cleaned(corruption: str, severity: str) -> None:
    clean = Maps(lambda change: noise(1))
    clean.score("robustness", noise(), corruption=corruption, severity=severity)
    (step,) = clean.asked[0].corruptions or ()
    assert (step.name, step.value) == (corruption, CORRUPTIONS[corruption].severities[WORDS.index(severity)])
    corrupted = Maps(lambda change: noise(1), chain.chain([chain.parse("gaussian_noise=40")]))
    corrupted.score("robustness", noise(), corruption=corruption, severity=severity)
    assert corrupted.asked[0].corruptions == ()
    for maps in (clean, corrupted):
        (change,) = maps.asked
        assert change.target is change.seed is change.noise is change.frame is change.randomised is None


def test_robustness_is_measured_between_the_two_maps() -> None:
    found = Maps(lambda change: noise(1)).score("robustness", noise()).values
    assert found["mse"] == pytest.approx(((scaled(noise()) - scaled(noise(1))) ** 2).mean())
    assert found["raw_mse"] == pytest.approx(2, rel=0.1), "the variance of a difference of two normal numbers"
    assert found["spearman"] == pytest.approx(rank_correlation(noise(), noise(1)))
    assert found["top"] == pytest.approx(0.2 / 1.8, abs=0.04), "what chance gives"


def test_scaling_both_maps_changes_the_unscaled_error_alone() -> None:
    plain = Maps(lambda change: noise(1)).score("robustness", noise()).values
    large = Maps(lambda change: 10 * noise(1)).score("robustness", 10 * noise()).values
    assert large["raw_mse"] == pytest.approx(100 * plain["raw_mse"], rel=1e-5)
    assert large["mse"] == pytest.approx(plain["mse"], rel=1e-5)


def test_stability_takes_other_noise_each_time_and_the_variance_over_all() -> None:
    maps = Maps(lambda change: noise(change.noise or 0))
    found = maps.score("stability", noise(), pictures=4).values["variance"]
    seeds = [change.noise for change in maps.asked]
    assert len(set(seeds)) == 4
    assert {change.corruptions[0].name for change in maps.asked if change.corruptions} == {"gaussian_noise"}
    assert found == pytest.approx(np.var([scaled(noise(seed or 0)) for seed in seeds], axis=0).mean(), rel=1e-5)


def test_noise_on_the_frame_is_uniform_within_its_radius() -> None:
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    moved = shaken(grey, 3, seed=0, number=0).astype(int) - 128
    assert (moved.min(), moved.max()) == (-3, 3)
    assert abs(moved.mean()) < 0.1
    assert moved.var() == pytest.approx(3**2 / 3 + 1 / 12, rel=0.05)
    assert (shaken(np.full_like(grey, 255), 3, 0, 0) <= 255).all()
    assert (shaken(grey, 3, 0, 0) != shaken(grey, 3, 0, 1)).any()


def test_sensitivity_is_the_greatest_relative_change() -> None:
    moves = iter([0.1, -0.5, 0.2])
    maps = Maps(lambda change: noise() * (1 + next(moves)))
    found = maps.score("max_sensitivity", noise(), pictures=3).values
    assert found["largest"] == pytest.approx(0.5, rel=1e-5)
    assert found["mean"] == pytest.approx(0.8 / 3, rel=1e-5)
    assert all(change.frame is not None and change.frame.dtype == np.uint8 for change in maps.asked)
    assert math.isnan(relative_changes(np.zeros((2, 2)), [np.ones((2, 2))])[0])


def test_sensitivity_is_captums_on_the_same_changes() -> None:
    from captum.metrics import sensitivity_max

    frame = toys.frame(32)
    torch.manual_seed(0)
    model = toys.classifier(networks.Tiny(), classes=5)
    frames = [frame, *(shaken(frame, 3, 0, number) for number in range(4))]
    gradient = METHODS["gradient"].make({"reduction": "sum"})
    own, *others = (gradient.explain(toys.run(model, one, target=2)).values for one in frames)  # type: ignore[attr-defined]

    def explained(inputs: Any) -> tuple[torch.Tensor]:
        """A tuple: of a tensor alone captum 0.9 gives sqrt(samples) times too much."""
        x = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
        return (model.gradients(x, 2).sum(1, keepdim=True),)

    run = toys.run(model, frame)
    changed = run.normalise(np.stack(frames[1:]) / np.float32(255))
    expected = sensitivity_max(explained, run.x, perturb_func=lambda given: changed, n_perturb_samples=4)
    assert relative_changes(own, others).max() == pytest.approx(float(expected), rel=1e-4)


def test_runs_that_differ_are_compared_pair_by_pair() -> None:
    maps = Maps(lambda change: noise(change.seed or 0), seed=7)
    found = maps.score("repeatability", noise(7), runs=3).values
    assert [change.seed for change in maps.asked] == [8, 9]
    pairs = [(7, 8), (7, 9), (8, 9)]
    expected = np.mean([rank_correlation(noise(left), noise(right)) for left, right in pairs])
    assert found["spearman"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("name", "asked"), [("repeatability", 1), ("false_positive_rate", 3)])
def test_a_method_without_chance_is_not_run_again_and_again(name: str, asked: int) -> None:
    maps = Maps(lambda change: noise())
    maps.score(name, noise(), runs=20)
    assert len(maps.asked) == asked


def test_every_severity_is_one_that_the_corruption_allows() -> None:
    for corruption in S0:
        for severity in WORDS:
            parameters = SCORES["robustness"].make({"corruption": corruption, "severity": severity})
            assert len(parameters.dependencies()["corruptions"]) == 1


@pytest.mark.parametrize("name", ["robustness", "stability", "false_positive_rate"])
@pytest.mark.parametrize("corruption", [spec.name for spec in CORRUPTIONS if spec.moves_pixels])
def test_where_pixels_have_moved_a_comparison_pixel_by_pixel_is_undefined(name: str, corruption: str) -> None:
    steps = chain.chain([chain.parse("gaussian_noise=10"), chain.step(corruption)])
    with pytest.raises(Undefined, match=f"{CORRUPTIONS[corruption].title} moves pixels"):
        Maps(lambda change: noise(), steps).score(name, noise())
