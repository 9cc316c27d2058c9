"""Partition SHAP: Owen values by their definition, sums that are exact, closed forms, and shap itself."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests import networks, toys
from xai_core.explainers.partition_shap import Box, PartitionShap, area, halves, inpainted
from xai_core.types import Attribution, Cost, Pixels

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # shap's, of matplotlib


def explained(network: nn.Module, frame: Pixels, target: int = 1, batch: int = 8, **parameters: Any) -> Attribution:
    model = toys.classifier(network, max(frame.shape[0], 8), 5)
    return PartitionShap(**parameters).explain(toys.run(model, frame, target, batch=batch))


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return networks.tiny().eval()


class Saturated(nn.Module):
    """Logits of a 2 x 4 picture in which every pixel's part depends on the others."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * self.layers(x)


def small_frame() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (2, 4, 3), dtype=np.uint8)


def orders(box: Box) -> list[list[Box]]:
    """Every order of the pixels of a box in which a half is never left before it is done."""
    if area(box) == 1:
        return [[box]]
    one, other = (orders(half) for half in halves(box))
    return [a + b for a, b in itertools.product(one, other)] + [b + a for a, b in itertools.product(one, other)]


def by_definition(network: nn.Module, frame: Pixels, target: int) -> np.ndarray:
    """Owen values: what every pixel adds when it joins, as a mean over all the tree's orders; black is hidden."""
    x = torch.as_tensor(frame / np.float32(255)).movedim(-1, 0)

    def logit(shown: np.ndarray) -> float:
        with torch.no_grad():
            return float(network((x * torch.as_tensor(shown))[None])[0, target])

    known = {
        keep: logit(np.array(keep).reshape(frame.shape[:2])) for keep in itertools.product([False, True], repeat=8)
    }
    every, values = orders((0, 2, 0, 4)), np.zeros(frame.shape[:2])
    for order in every:
        shown = np.zeros(frame.shape[:2], dtype=bool)
        for top, _, left, _ in order:
            before = known[tuple(shown.ravel().tolist())]
            shown[top, left] = True
            values[top, left] += (known[tuple(shown.ravel().tolist())] - before) / len(every)
    return values


def test_with_every_halving_the_values_are_owens() -> None:
    network, frame = Saturated().eval(), small_frame()
    model = toys.classifier(network, 8, 5)
    run = toys.run(model, frame, 1)
    found = PartitionShap(samples=100, fill="black").explain(run)
    assert run.passes == Cost(2 + 2 * (1 + 4 + 16), 0), "every box with everything that can show beside it, and no more"
    np.testing.assert_allclose(found.values, by_definition(network, frame, 1), atol=1e-5)


def test_four_samples_give_the_two_halves() -> None:
    network, frame = tiny(), toys.frame(32)
    found = explained(network, frame, samples=4, fill="black")
    x = torch.as_tensor(frame / np.float32(255)).movedim(-1, 0)[None]
    upper, lower = x.clone(), x.clone()
    upper[..., 16:, :], lower[..., :16, :] = 0, 0
    with torch.no_grad():
        none, one, other, both = network(torch.cat([0 * x, upper, lower, x]))[:, 1].double().numpy()
    first = ((one - none) + (both - other)) / 2
    expected = np.repeat([first, both - none - first], 16)[:, None] / 512
    np.testing.assert_allclose(found.values, np.broadcast_to(expected, (32, 32)), atol=1e-8)


@pytest.mark.parametrize("fill", ["blur", "mean", "black", "grey", "inpaint"])
@pytest.mark.parametrize("samples", [4, 5, 37, 200])
def test_the_values_add_up_to_the_difference_of_the_logits(samples: int, fill: str) -> None:
    found = explained(tiny(), toys.frame(32), samples=samples, fill=fill)
    assert found.completeness is not None and found.completeness < 1e-6
    assert found.signed and found.errors is None


@pytest.mark.parametrize("samples", [4, 172])
def test_a_linear_network_has_its_weights_times_the_difference_spread_over_boxes(samples: int) -> None:
    """172 samples reach every pixel of 4 x 4, and 4 the halves."""
    torch.manual_seed(1)
    network, frame = networks.Linear(4), toys.frame(4)
    found = explained(network, frame, samples=samples, fill="grey").values
    weights = network.fc.weight[1].detach().reshape(3, 4, 4)
    truth = (weights * (torch.as_tensor(frame / np.float32(255)).movedim(-1, 0) - 0.5)).sum(0).numpy()
    if samples == 4:
        truth = np.repeat(truth.reshape(2, 8).mean(axis=1), 8).reshape(4, 4)
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_boxes_are_halved_across_their_longer_side_down_to_pixels() -> None:
    assert halves((0, 7, 0, 7)) == ((0, 3, 0, 7), (3, 7, 0, 7))
    assert halves((0, 3, 0, 7)) == ((0, 3, 0, 3), (0, 3, 3, 7))
    boxes, seen = [(0, 5, 2, 9)], np.zeros((5, 9), dtype=int)
    while boxes:
        box = boxes.pop()
        if area(box) > 1:
            one, other = halves(box)
            assert area(one) + area(other) == area(box) and area(one) > 0
            boxes += [one, other]
        else:
            seen[box[0], box[2]] += 1
    assert (seen[:, 2:] == 1).all() and not seen[:, :2].any()


@pytest.mark.parametrize("fill", ["blur", "black", "inpaint"])
@pytest.mark.parametrize("samples", [4, 21, 300])
def test_it_is_shaps(samples: int, fill: str) -> None:
    network, frame = tiny(), toys.frame(32)
    own, library = (
        explained(network, frame, samples=samples, fill=fill, implementation=one).values for one in ("own", "reference")
    )
    np.testing.assert_allclose(own, library, atol=1e-4 * np.abs(library).max())


def test_shap_leaves_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    explained(tiny(), toys.frame(32), samples=8, implementation="reference")
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_more_samples_look_where_the_signal_is() -> None:
    """The class is decided by one square: the sum of its values is all there is, and its edges are found."""
    frame = toys.frame(32) // 3
    frame[8:16, 16:24] = 255
    values = explained(networks.BrightPatch(32), frame, samples=300, fill="black").values
    assert values[8:16, 16:24].sum() == pytest.approx(values.sum(), rel=1e-4)
    assert np.abs(values).sum() == pytest.approx(values.sum(), rel=1e-4)


@pytest.mark.parametrize("batch", [1, 5])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    expected = explained(tiny(), toys.frame(32), samples=60).values
    found = explained(tiny(), toys.frame(32), samples=60, batch=batch).values
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_painting_leaves_what_shows_and_fills_the_rest() -> None:
    frame = toys.frame(32)
    keep = np.zeros((32, 32), dtype=bool)
    np.testing.assert_allclose(inpainted(frame, keep)[3, 4], frame.mean(axis=(0, 1)) / 255, atol=1e-6)
    keep[:16] = True
    painted = inpainted(frame, keep)
    np.testing.assert_array_equal(painted[:16], frame[:16] / np.float32(255))
    assert np.abs(painted[16:] - frame[16:] / 255).max() > 0.1
    np.testing.assert_array_equal(inpainted(frame, ~np.zeros_like(keep)), frame / np.float32(255))
