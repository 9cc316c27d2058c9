"""Anchors: planted rules, precision against brute force, the bounds, and the budget."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn

from tests import networks, toys
from tests.checks import is_sentence
from xai_core.engine.run import EngineRun
from xai_core.explainers import anchors as module
from xai_core.explainers.anchors import Anchors, Draws, Search, bounds, divergence
from xai_core.types import Cost


def grid(size: int = 32, side: int = 8) -> np.ndarray:
    """Square superpixels, numbered row by row."""
    number = np.arange(size) // side
    return number[:, None] * (size // side) + number


class Rule(nn.Module):
    """Class 1 where all of the named squares of a white picture still show (or `enough` of them), else class 0."""

    def __init__(self, squares: tuple[int, ...], enough: int = 0, side: int = 8):
        super().__init__()
        self.squares, self.enough = squares, enough or len(squares)
        self.pool = nn.AvgPool2d(side)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shown = self.pool(x.mean(1, keepdim=True)).flatten(1) > 0.5
        score = shown[:, list(self.squares)].float().sum(1)
        return torch.stack([torch.full_like(score, self.enough - 0.5), score], dim=1)


@pytest.fixture
def in_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "segments", lambda pixels, method, count: grid(len(pixels)))


def a_run(network: nn.Module, seed: int = 0, target: int = 1, size: int = 32, batch: int = 64) -> EngineRun:
    white = np.full((size, size, 3), 255, dtype=np.uint8)
    return toys.run(toys.classifier(network, size, 2), white, target, seed, batch)


def anchor_of(values: np.ndarray) -> dict[int, float]:
    """The superpixels of a map and their values."""
    cells = values[::8, ::8].ravel()
    return {int(one): float(cells[one]) for one in np.flatnonzero(cells)}


@pytest.mark.parametrize("square", [0, 6, 15])
def test_a_rule_of_one_superpixel_is_its_anchor(in_squares: None, square: int) -> None:
    found = Anchors(samples=600, fill="black").explain(a_run(Rule((square,))))
    assert anchor_of(found.values) == {square: 1.0}
    assert len(found.notes) == 1 and "100%" in found.notes[0] and "0.5" in found.notes[0]
    assert not found.signed and found.errors is None


def test_a_rule_of_two_superpixels_has_both_one_after_the_other(in_squares: None) -> None:
    found = Anchors(samples=1500, fill="black").explain(a_run(Rule((3, 9))))
    values = anchor_of(found.values)
    assert set(values) == {3, 9} and sorted(values.values()) == [0.5, 1.0]


def test_a_class_that_nothing_moves_is_held_by_any_superpixel(in_squares: None) -> None:
    found = Anchors(samples=300, fill="black").explain(a_run(networks.Blind()))
    assert list(anchor_of(found.values).values()) == [1.0]


def test_too_few_samples_are_said(in_squares: None) -> None:
    found = Anchors(samples=60, fill="black").explain(a_run(Rule(tuple(range(8)))))
    assert len(found.notes) == 2 and all(is_sentence(note) for note in found.notes)


def test_a_class_that_is_not_on_top_is_held_where_it_ranks_no_lower(in_squares: None) -> None:
    """Class 0 is second in the whole picture, and can only rise."""
    found = Anchors(samples=300, fill="black").explain(a_run(Rule((5,)), target=0))
    assert "100%" in found.notes[0]


def exact_precision(network: Rule, anchor: set[int], features: int) -> float:
    """Over all ways to hide the other superpixels."""
    rest = [one for one in range(features) if one not in anchor]
    held = []
    for shown in itertools.product([False, True], repeat=len(rest)):
        kept = anchor | {one for one, shows in zip(rest, shown, strict=True) if shows}
        held.append(len(kept & set(network.squares)) >= network.enough)
    return float(np.mean(held))


def test_anchors_are_as_precise_as_brute_force_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight superpixels, of which four of six must show: wrong anchors are as rare as delta, and so are the bounds."""
    labels = np.repeat(grid(32)[:, :16], 2, axis=1) // 8 * 4 + np.repeat(np.arange(32)[None] // 8, 32, axis=0)
    labels = np.unique(labels, return_inverse=True)[1].reshape(32, 32)
    assert labels.max() + 1 == 8
    network = Rule((0, 1, 2, 3, 4, 5), enough=4)
    monkeypatch.setattr(Rule, "forward", lambda self, x: votes(self, x, labels))
    wrong = outside = 0
    for seed in range(30):
        method = Anchors(samples=1500, fill="black", delta=0.1)
        search = Search(method, a_run(network, seed, batch=500), labels)
        anchor, certain = search.best()
        precision, (low, high) = search.measured(anchor)
        truth = exact_precision(network, set(anchor), 8)
        assert certain
        wrong += truth < 0.95
        outside += not low <= truth <= high
        assert abs(precision - truth) < 0.06
    assert wrong <= 3
    assert outside <= 7, "either bound may fail in a tenth"


def votes(network: Rule, x: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
    """As `Rule`, with superpixels that are not squares."""
    inside = torch.as_tensor(np.stack([labels == one for one in range(8)]), dtype=x.dtype)
    shown = torch.einsum("bhw,shw->bs", x.mean(1), inside) / inside.sum((1, 2)) > 0.5
    score = shown[:, list(network.squares)].float().sum(1)
    return torch.stack([torch.full_like(score, network.enough - 0.5), score], dim=1)


def test_a_wider_beam_finds_it_too(in_squares: None) -> None:
    found = Anchors(samples=2500, fill="black", beam=3).explain(a_run(Rule((3, 9))))
    assert set(anchor_of(found.values)) == {3, 9}


@pytest.mark.parametrize("samples", [10, 61, 400])
def test_it_never_takes_more_than_its_samples_and_tells_the_total_before_the_end(
    in_squares: None, samples: int
) -> None:
    run = a_run(Rule((0, 5, 10)), batch=7)
    Anchors(samples=samples, fill="black").explain(run)
    assert run.passes.forward <= 1 + samples and run.passes.backward == 0
    assert run._expected == Cost(run.passes.forward, 0)


def test_the_seed_and_the_batch_size(in_squares: None) -> None:
    first, again, other = (
        Anchors(samples=200, fill="black").explain(a_run(Rule((2, 3, 4, 5), enough=2), seed, batch=batch))
        for seed, batch in ((1, 64), (1, 5), (2, 64))
    )
    np.testing.assert_array_equal(first.values, again.values)
    assert first.notes == again.notes
    assert np.abs(first.values - other.values).max() > 0


def test_pictures_serve_every_larger_anchor_that_stays_in_them() -> None:
    draws = Draws(3)
    draws.add(
        np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=bool),
        np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=bool),
        np.array([True, False, True]),
    )
    assert draws.of((0,)) == (2 / 3, 3)
    assert draws.of((1, 0)) == (1.0, 2)
    assert draws.of((1,)) == (1.0, 1), "pictures drawn for 0 do not tell how 1 fares without it"
    assert draws.of((2, 1)) == (1.0, 1)
    assert Draws(3).of((0,)) == (0.0, 0)


@pytest.mark.parametrize(("held", "count"), [(0, 20), (9, 30), (97, 100), (50, 50)])
def test_the_bounds_are_those_of_chernoff(held: int, count: int) -> None:
    mean, level = held / count, math.log(10)
    low, high = bounds(mean, count, level)
    assert 0 <= low <= mean <= high <= 1
    for edge in (low, high):
        if edge not in (mean, 0.0, 1.0) and 1e-6 < edge < 1 - 1e-6:
            assert count * divergence(mean, edge) == pytest.approx(level, rel=1e-4)
    assert held == 0 or binom.sf(held - 1, count, low) <= 0.1 + 1e-9
    assert held == count or binom.cdf(held, count, high) <= 0.1 + 1e-9


def test_nothing_drawn_bounds_nothing() -> None:
    assert bounds(0.0, 0, 1.0) == (0.0, 1.0)
    assert divergence(0.5, 0.5) == 0
    assert divergence(1.0, 0.95) == pytest.approx(-math.log(0.95))


def test_superpixels_of_a_picture_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def cut(pixels: Any, method: str, count: int) -> np.ndarray:
        asked.append((method, count))
        return grid(len(pixels))

    monkeypatch.setattr(module, "segments", cut)
    Anchors(samples=20, segmentation="quickshift", segments=7).explain(a_run(Rule((1,))))
    assert asked == [("quickshift", 7)]
