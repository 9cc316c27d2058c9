"""Feature visualisation: it raises what it is asked to raise, and gives the same picture for the same seed."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from tests import toys
from tests.contract.tiny import another_value, cancelled_at, check_facts, checks_of, global_random_state
from tests.networks import GlobalPool, Tiny
from xai_core.engine.executor import Executor
from xai_core.engine.requests import Imagine, imagine
from xai_core.engine.run import Watch
from xai_core.explainers.visualisation import ActivationMaximisation, blurred, smooth
from xai_core.registry import DRAWERS, MODELS, PRESETS, XaiError
from xai_core.types import Cancelled, Cost, Drawing, Imagined, Pixels

GREY = np.full((32, 32, 3), 128, dtype=np.uint8)
OBJECTIVES: list[dict[str, Any]] = [
    {"objective": "class"},
    {"objective": "channel", "layer": "stage2", "channel": 4},
    {"objective": "layer", "layer": "stage1"},
]
every_objective = pytest.mark.parametrize("chosen", OBJECTIVES, ids=lambda chosen: chosen["objective"])


def network(kind: type[nn.Module] = Tiny) -> nn.Module:
    torch.manual_seed(0)
    return kind()


def drawn(seed: int = 0, kind: type[nn.Module] = Tiny, watch: Watch | None = None, **values: Any) -> Drawing:
    model = toys.classifier(network(kind), classes=5, cam_layer="stage2")
    run = toys.run(model, GREY, target=2, seed=seed, watch=watch)
    parameters = ActivationMaximisation(**{"steps": 24, "jitter": 2, **values})
    found = parameters.draw(run)
    assert run.passes == parameters.cost() == Cost(parameters.steps, parameters.steps)
    return found


def value_of(pixels: Pixels, chosen: dict[str, Any]) -> float:
    """The objective of a picture, by the network itself."""
    x = torch.as_tensor(pixels / np.float32(255)).movedim(-1, 0)[None]
    caught: list[torch.Tensor] = []
    one = network().eval()
    if "layer" in chosen:
        one.get_submodule(chosen["layer"]).register_forward_hook(lambda module, inputs, output: caught.append(output))
    with torch.no_grad():
        logits = one(x)
    if chosen["objective"] == "class":
        return float(logits[0, 2])
    return float(caught[0][0, 4].mean() if chosen["objective"] == "channel" else caught[0].square().mean())


def test_it_says_all_that_must_be_known_of_it() -> None:
    spec = DRAWERS["activation_maximisation"]
    check_facts(spec)
    costs = [spec.make({}, preset).cost().total for preset in PRESETS]
    assert costs == sorted(set(costs))


@every_objective
def test_it_ends_far_above_its_beginning_and_above_random_pictures(chosen: dict[str, Any]) -> None:
    found = drawn(**chosen)
    assert found.pixels.dtype == np.uint8 and found.pixels.shape == (32, 32, 3)
    assert found.objective.y.shape == (24,) and found.objective.y.dtype == np.float32
    assert found.reached == pytest.approx(value_of(found.pixels, chosen), abs=1e-4)
    random = [value_of(toys.frame(seed=seed), chosen) for seed in range(20)]
    spread = max(np.std(random), 1e-3)
    assert found.reached > found.objective.y[0] + 5 * spread
    assert found.reached > max(random) + 2 * spread
    assert found.layer == chosen.get("layer")


def test_the_probability_is_told_where_a_class_is_drawn() -> None:
    found = drawn(objective="class")
    with torch.no_grad():
        x = torch.as_tensor(found.pixels / np.float32(255)).movedim(-1, 0)[None]
        expected = network().eval()(x).softmax(1)[0, 2]
    assert found.probability == pytest.approx(float(expected), abs=1e-5)
    assert drawn(objective="layer").probability is None


@every_objective
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(chosen: dict[str, Any]) -> None:
    before = global_random_state()
    first, again, other = drawn(**chosen), drawn(**chosen), drawn(seed=1, **chosen)
    assert global_random_state() == before
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.objective.y.tobytes() == again.objective.y.tobytes()
    assert first.pixels.tobytes() != other.pixels.tobytes()


def test_one_plain_step_on_a_linear_channel_follows_its_gradient() -> None:
    """Mean of a convolution's channel: the gradient is known, so a step from the same noise is too."""
    plain = {"jitter": 0, "blur": 0.0, "decay": 0.0, "smoothness": 0.0, "learning_rate": 0.1}
    chosen = {"objective": "channel", "layer": "features", "channel": 1}
    none, one = (drawn(kind=GlobalPool, steps=1, **{**plain, **chosen, "learning_rate": rate}) for rate in (0.001, 0.1))
    weight = network(GlobalPool).get_submodule("features").weight[1].sum(dim=(1, 2)).detach().numpy()
    inside = (one.pixels.astype(int) - none.pixels.astype(int))[2:-2, 2:-2].mean(axis=(0, 1))
    assert np.corrcoef(inside, weight)[0, 1] > 0.999
    step = np.sqrt(((one.pixels.astype(float) - none.pixels) ** 2).mean()) / 255
    assert step == pytest.approx(0.1 - 0.001, rel=0.05), "a step has the length that was asked for"


def test_the_class_of_dead_units_is_woken_by_random_steps() -> None:
    class Dead(GlobalPool):
        """Its ReLUs are silent near grey."""

        def __init__(self) -> None:
            super().__init__(5)
            with torch.no_grad():
                self.features.weight.fill_(1 / 27)
                self.features.bias.fill_(-0.62)

    found = drawn(kind=Dead, steps=60, objective="layer", layer="relu")
    assert found.objective.y[0] == 0 and found.reached > 0


def test_a_gaussian_keeps_the_mean_and_its_sigma_is_the_one_asked_for() -> None:
    point = torch.zeros(1, 3, 41, 41)
    point[..., 20, 20] = 1
    spread = blurred(point, 2.0)
    assert spread.sum(dim=(2, 3)) == pytest.approx(torch.ones(1, 3), abs=1e-5)
    places = torch.arange(41.0) - 20
    variance = (spread[0, 0].sum(0) * places.square()).sum()
    assert float(variance.sqrt()) == pytest.approx(2.0, rel=0.02)


def test_frequencies_are_divided_by_themselves() -> None:
    angle = 2 * torch.pi * torch.arange(32) / 32
    for cycles in (1, 4, 8):
        wave = torch.cos(cycles * angle).expand(1, 3, 32, 32)
        assert torch.allclose(smooth(wave, 1.0), wave / cycles, atol=1e-5)
    noise = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert smooth(noise, 0.0) is noise


def test_a_channel_that_does_not_exist_is_answered_with_the_possible_ones() -> None:
    with pytest.raises(XaiError, match="The layer stage1 has no channel 8; its channels are 0 to 7"):
        drawn(objective="channel", layer="stage1", channel=8)
    with pytest.raises(XaiError, match=r"no layer 'no\.such'"):
        drawn(objective="layer", layer="no.such")


# -- through the engine ------------------------------------------------------------------------------------------------


def request(seed: int = 0, target: int | None = 3, **values: Any) -> Imagine:
    parameters = DRAWERS["activation_maximisation"].make({"steps": 12, "jitter": 2, **values})
    return imagine(MODELS["tiny"], "activation_maximisation", parameters, target, seed)


@pytest.mark.usefixtures("tiny_card")
def test_the_engine_computes_keeps_and_packs_a_picture() -> None:
    executor = Executor()
    one = request()
    found = cast(Imagined, executor.compute(one))
    assert isinstance(found, Imagined)
    assert (found.pixels.dtype, found.pixels.shape) == (np.uint8, (32, 32, 3))
    assert found.passes == one.cost == Cost(12, 12)
    assert (found.target, found.seed, found.layer) == (3, 0, None)
    assert found.key == one.key(executor.profile)
    again = cast(Imagined, Executor().compute(request()))  # which reads what was written
    assert again.pixels.tobytes() == found.pixels.tobytes()
    assert again.objective.y.tobytes() == found.objective.y.tobytes()
    assert again.parameters == found.parameters and again.notes == found.notes


@pytest.mark.usefixtures("tiny_card")
def test_the_key_changes_with_all_that_decides_the_picture() -> None:
    profile = {"device": "cpu"}
    changes: list[dict[str, Any]] = [
        {option.name: another_value(option)} for option in DRAWERS["activation_maximisation"].options
    ]
    keys = {request(**change).key(profile) for change in [{}, {"seed": 1}, {"target": 2}, *changes]}
    assert len(keys) == 3 + len(changes)
    assert request().key(profile) == request().key(profile)


@pytest.mark.usefixtures("tiny_card")
def test_it_stops_between_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_CACHE_MB", "0")
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    executor = Executor()
    assert checks_of(lambda watch: executor.compute(request(), watch)) >= 12
    before = executor.classifier("tiny").passes
    with pytest.raises(Cancelled):
        executor.compute(request(), cancelled_at(6))
    made = executor.classifier("tiny").passes - before
    assert 0 < made.forward < 12


@pytest.mark.usefixtures("tiny_card")
def test_pictures_and_progress_are_seen_while_it_is_drawn() -> None:
    seen: list[tuple[int, int]] = []
    shown: list[np.ndarray] = []
    watch = Watch(
        lambda done, total: seen.append((done, total)), lambda values, signed: shown.append(values), partial_seconds=0.0
    )
    found = cast(Imagined, Executor().compute(request(), watch))
    assert seen == [(2 * step, 24) for step in range(1, 13)]
    assert all(picture.dtype == np.uint8 and picture.shape == (32, 32, 3) for picture in shown)
    assert len({picture.tobytes() for picture in shown}) == len(shown) == 12
    assert shown[-1].tobytes() == found.pixels.tobytes()


@pytest.mark.usefixtures("tiny_card")
def test_a_class_that_does_not_exist_is_answered_with_a_sentence() -> None:
    with pytest.raises(XaiError, match="There is no class 5; the classes of tiny are 0 to 4"):
        Executor().compute(request(target=5))


@pytest.mark.slow
@pytest.mark.parametrize("target", [812, 967])
def test_a_real_network_is_sure_of_the_class_that_was_drawn_for_it(target: int) -> None:
    parameters = DRAWERS["activation_maximisation"].make({}, "quick")
    one = imagine(MODELS["efficientnet_lite0"], "activation_maximisation", parameters, target)
    found = cast(Imagined, Executor().compute(one))
    assert found.probability is not None and found.probability > 0.9
    assert found.reached > found.objective.y[0] + 10
