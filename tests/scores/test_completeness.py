"""Completeness and soundness: S2's formulas set right, an oracle, a map that talks the network into a class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests import networks, toys
from xai_core.scores.completeness import Completeness, Proof, Soundness, chosen_labels, completeness, soundness
from xai_core.scores.insertion import Insertion
from xai_core.types import Cost, Floats, Measured, Pixels

ratios = st.lists(st.floats(0, 1), min_size=1, max_size=6)


def noise(seed: int = 0, size: int = 32) -> Floats:
    return np.random.default_rng(seed).permutation(size * size).reshape(size, size).astype(np.float32)


def measured(
    score: Proof, network: nn.Module, frame: Pixels, maps: dict[int, Floats], target: int, batch: int = 32
) -> Measured:
    run = toys.run(toys.classifier(network), frame, target=target, batch=batch)
    run._another_map = lambda label, watch: maps[label]
    found = score.measure(run, maps[target], None)
    assert run.passes == score.cost() == Cost(2 + (1 + score.likely + score.drawn) * (score.steps - 1), 0)
    return found


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return networks.Tiny()


def planted() -> tuple[nn.Module, Pixels, Floats]:
    truth = np.zeros((32, 32), dtype=np.float32)
    truth[8:16, 16:24] = 1
    return networks.BrightPatch(), np.full((32, 32, 3), 250, dtype=np.uint8), truth


@settings(deadline=None, max_examples=60)
@given(area=st.floats(0, 1), whole=st.floats(0, 1), least=st.floats(1e-4, 0.5))
def test_the_ratios_lie_in_0_to_1_and_bound_each_other(area: float, whole: float, least: float) -> None:
    """g >= alpha p and g <= p / beta wherever neither is below the least: the bounds that S2 states with a slip."""
    g, p = np.array([area]), np.array([whole])
    alpha, beta = completeness(g, p, least)[0], soundness(g, p, least)[0]
    assert 0 <= alpha <= 1
    assert 0 <= beta <= 1
    assert max(area, least) >= alpha * whole * (1 - 1e-12)
    assert area <= max(whole, least) / beta * (1 + 1e-12) if beta else area > 0
    if min(area, whole) >= least:
        assert max(alpha, beta) == 1
        assert min(alpha, beta) == pytest.approx(min(area, whole) / max(area, whole))


@pytest.mark.parametrize(
    ("area", "whole", "alpha", "beta"),
    [
        (0.2, 0.8, 0.25, 1),
        (0.8, 0.2, 1, 0.25),
        (0.0, 0.5, 0.02, 1),
        (0.5, 0.0, 1, 0.02),
        (0, 0, 1, 1),
        (0.4, 0.4, 1, 1),
    ],
)
def test_literal_ratios(area: float, whole: float, alpha: float, beta: float) -> None:
    g, p = np.array([area]), np.array([whole])
    assert completeness(g, p, 0.01)[0] == pytest.approx(alpha)
    assert soundness(g, p, 0.01)[0] == pytest.approx(beta)


@pytest.mark.parametrize("classes", [1, 2, 5, 30])
def test_labels_are_the_target_the_likely_ones_and_others(classes: int) -> None:
    logits = np.random.default_rng(0).random(classes)
    found = chosen_labels(logits, 0, 4, 5, 3)
    assert len(found) == 10
    assert found[0] == 0
    assert found == chosen_labels(logits, 0, 4, 5, 3)
    if classes == 30:
        order = [one for one in np.argsort(-logits) if one != 0]
        assert found[1:5] == order[:4]
        assert len(set(found)) == 10
        assert found != chosen_labels(logits, 0, 4, 5, 4)
    elif classes > 1:
        assert 0 not in found[1:]


def test_a_map_that_brings_the_class_back_at_once_is_nearly_complete_and_sound() -> None:
    network, frame, truth = planted()
    maps = {1: truth, 0: truth}  # class 0 shrinks with the square: the part proves no more than the whole
    facts: dict[str, Any] = {"steps": 64, "likely": 1, "drawn": 1, "start": "black"}
    assert measured(Completeness(**facts), network, frame, maps, 1).values["target"] > 0.95
    assert measured(Soundness(**facts), network, frame, {1: truth, 0: -truth}, 1).values["target"] == 1
    assert measured(Completeness(**facts), network, frame, {1: -truth, 0: truth}, 1).values["target"] < 0.5


def test_a_map_that_talks_the_network_into_a_class_is_not_sound() -> None:
    """Everything but the square leaves class 0, of which the whole picture shows little."""
    network, frame, truth = planted()
    facts: dict[str, Any] = {"steps": 64, "likely": 1, "drawn": 1, "start": "black"}
    found = measured(Soundness(**facts), network, frame, {1: truth, 0: -truth}, 1).values
    assert found["target"] == 1
    assert found["likely"] < 0.1
    assert found["drawn"] == found["likely"]


@pytest.mark.parametrize("score", [Completeness, Soundness])
def test_each_label_is_inserted_by_its_own_map(score: type[Proof]) -> None:
    """The areas are those of the insertion score, label by label."""
    network, frame = tiny(), toys.frame(32)
    maps = {label: noise(label) for label in range(5)}
    whole = network(toys.run(toys.classifier(network), frame).x).softmax(1)[0].double().numpy()
    areas = []
    for label in range(5):
        run = toys.run(toys.classifier(network), frame, target=label)
        areas.append(Insertion(steps=6).measure(run, maps[label], None).values["auc"])
    formula = completeness if score is Completeness else soundness
    expected = formula(np.array(areas), whole, 0.01)
    found = measured(score(steps=6, likely=4), network, frame, maps, 2).values
    assert found["target"] == pytest.approx(expected[2], rel=1e-5)
    assert found["likely"] == pytest.approx(expected.min(), rel=1e-5)
    drawn = set(chosen_labels(np.log(whole), 2, 4, 5, 0)[5:])
    assert found["drawn"] == pytest.approx(min(expected[label] for label in drawn), rel=1e-5)


def test_the_curve_is_the_insertion_curve() -> None:
    network, frame = tiny(), toys.frame(32)
    maps = {label: noise(label) for label in range(5)}
    found = measured(Completeness(steps=6), network, frame, maps, 2, batch=7).curves["target"]
    run = toys.run(toys.classifier(network), frame, target=2)
    expected = Insertion(steps=6).measure(run, maps[2], None).curves["probability"]
    np.testing.assert_allclose(found.y, expected.y, rtol=1e-5)
    np.testing.assert_array_equal(found.x, expected.x)


def test_a_map_that_was_brought_along_has_none_beside_it() -> None:
    run = toys.run(toys.classifier(tiny()), toys.frame(32))
    found = Completeness().measure(run, noise(), None)
    assert all(math.isnan(value) for value in found.values.values())
    assert all("brought along" in reason for reason in found.reasons.values())
