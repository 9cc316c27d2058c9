"""A run: batches made one at a time, every pass counted, progress that only grows, and a cancel that is obeyed."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from xai_core.engine import run as run_module
from xai_core.engine.run import PARTIAL_SECONDS, EngineRun, Watch
from xai_core.types import Cancelled, Cost, Make, XaiError

from .. import networks, toys
from ..checks import is_sentence

Ask = Callable[[EngineRun, int, Make], Iterator[tuple[slice, torch.Tensor]]]

ASKS: dict[str, Ask] = {
    "logits": lambda run, count, make: run.logits(count, make),
    "probabilities": lambda run, count, make: run.probabilities(count, make),
    "gradients": lambda run, count, make: run.gradients(count, make),
    "activations": lambda run, count, make: run.activations("second", count, make),
    "gradients_from": lambda run, count, make: run.gradients_from("second", count, make),
}
BACKWARD = ("gradients", "gradients_from")

every_ask = pytest.mark.parametrize("name", ASKS)


def run(batch: int = 4, watch: Watch | None = None, expected: Cost = Cost()) -> EngineRun:  # noqa: B008
    """A run on a linear network of 8 x 8 pixels and 3 classes."""
    torch.manual_seed(0)
    classifier = toys.classifier(networks.TwoLinear(8), size=8, cam_layer="second")
    return EngineRun(classifier, toys.frame(8), 1, 0, batch, expected, lambda name: torch.zeros(0), watch or Watch())


def inputs(name: str, start: int, stop: int) -> torch.Tensor:
    """Inputs that differ: pictures, or inputs of the second layer."""
    channels = 4 if name == "gradients_from" else 3
    return torch.stack([torch.full((channels, 8, 8), float(number) / 10) for number in range(start, stop)])


@every_ask
@pytest.mark.parametrize(("count", "batch"), [(1, 4), (4, 4), (9, 4), (3, 1), (5, 100)])
def test_batches_cover_all_rows_once_and_in_order(name: str, count: int, batch: int) -> None:
    made: list[tuple[int, int]] = []

    def make(start: int, stop: int) -> torch.Tensor:
        made.append((start, stop))
        return inputs(name, start, stop)

    rows = [(rows.start, rows.stop, len(values)) for rows, values in ASKS[name](run(batch), count, make)]
    assert [stop - start for start, stop, _ in rows] == [size for _, _, size in rows]
    assert made == [(start, stop) for start, stop, _ in rows]
    assert [number for start, stop in made for number in range(start, stop)] == list(range(count))
    assert all(stop - start <= batch for start, stop in made)


@every_ask
def test_no_batch_of_no_inputs_is_made(name: str) -> None:
    def make(start: int, stop: int) -> torch.Tensor:
        raise AssertionError("nothing was asked for")

    assert list(ASKS[name](run(), 0, make)) == []


@every_ask
def test_batches_are_made_lazily_and_given_back(name: str) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    most = made = 0

    def make(start: int, stop: int) -> torch.Tensor:
        nonlocal most, made
        values = inputs(name, start, stop)
        alive.append(weakref.ref(values))
        most = max(most, sum(len(one) for ref in alive if (one := ref()) is not None))
        made += 1
        return values

    for given, (rows, _) in enumerate(ASKS[name](run(batch=4), 18, make), start=1):
        assert made == given, "a batch was made before it was asked for"
        assert rows.stop <= 18
    assert made == 5 and most == 4


@every_ask
def test_values_do_not_depend_on_the_size_of_the_batches(name: str) -> None:
    def values(batch: int) -> torch.Tensor:
        parts = [part for _, part in ASKS[name](run(batch), 7, lambda start, stop: inputs(name, start, stop))]
        return torch.cat(parts)

    torch.testing.assert_close(values(2), values(7), rtol=1e-5, atol=1e-6)


def test_probabilities_are_those_of_the_target() -> None:
    one = run()
    (logits,) = [values for _, values in one.logits(2, lambda start, stop: inputs("", start, stop))]
    (probabilities,) = [values for _, values in one.probabilities(2, lambda start, stop: inputs("", start, stop))]
    torch.testing.assert_close(probabilities, logits.softmax(1)[:, 1])


@every_ask
def test_every_pass_is_counted(name: str) -> None:
    one = run()
    for _ in ASKS[name](one, 9, lambda start, stop: inputs(name, start, stop)):
        pass
    assert one.passes == Cost(9, 9 if name in BACKWARD else 0)


def test_passes_count_from_the_start_of_the_run_and_not_of_the_classifier() -> None:
    first = run()
    for _ in first.gradients(5, lambda start, stop: inputs("", start, stop)):
        pass
    second = EngineRun(first._classifier, first.frame, 1, 0, 4, Cost(), lambda name: torch.zeros(0), Watch())
    assert second.passes == Cost(0, 0)
    for _ in second.logits(3, lambda start, stop: inputs("", start, stop)):
        pass
    second.activations_and_gradients("second")
    assert second.passes == Cost(4, 1)
    assert first.passes == Cost(9, 6)


def test_a_lent_network_counts_its_passes_too() -> None:
    one = run()
    with one.network() as network, torch.no_grad():
        network(inputs("", 0, 6))
    assert one.passes == Cost(6, 0)


@every_ask
def test_progress_only_grows_and_ends_with_all_passes(name: str) -> None:
    seen: list[tuple[int, int]] = []
    one = run(watch=Watch(progress=lambda done, total: seen.append((done, total))), expected=Cost(9, 0))
    for _ in ASKS[name](one, 9, lambda start, stop: inputs(name, start, stop)):
        pass
    done = [done for done, _ in seen]
    assert len(done) == 3 and done == sorted(set(done))
    assert done[-1] == one.passes.total
    assert {total for _, total in seen} == {9}


@every_ask
@pytest.mark.parametrize("moment", ["while a batch is made", "while its values are used"])
def test_after_a_cancel_no_further_batch_is_made(name: str, moment: str) -> None:
    cancelled = False
    made = 0

    def make(start: int, stop: int) -> torch.Tensor:
        nonlocal cancelled, made
        made += 1
        cancelled |= made == 2 and moment == "while a batch is made"
        return inputs(name, start, stop)

    one = run(batch=2, watch=Watch(cancelled=lambda: cancelled))
    with pytest.raises(Cancelled):
        for rows, _ in ASKS[name](one, 20, make):
            cancelled |= rows.stop == 4
    assert made == 2


@every_ask
def test_a_run_that_was_cancelled_before_it_began_makes_nothing(name: str) -> None:
    def make(start: int, stop: int) -> torch.Tensor:
        raise AssertionError("it was cancelled")

    with pytest.raises(Cancelled):
        list(ASKS[name](run(watch=Watch(cancelled=lambda: True)), 3, make))


@every_ask
def test_a_cancel_during_the_last_batch_still_ends_the_run(name: str) -> None:
    cancelled = False
    with pytest.raises(Cancelled):
        one = run(batch=4, watch=Watch(cancelled=lambda: cancelled))
        for rows, _ in ASKS[name](one, 8, lambda start, stop: inputs(name, start, stop)):
            cancelled = rows.stop == 8


def test_gradients_of_a_layer_and_a_lent_network_obey_a_cancel() -> None:
    one = run(watch=Watch(cancelled=lambda: True))
    with pytest.raises(Cancelled):
        one.activations_and_gradients("second")
    with pytest.raises(Cancelled), one.network() as network:
        network(inputs("", 0, 1))


def test_a_lent_network_forgets_the_run_when_it_comes_back() -> None:
    cancelled = False
    one = run(watch=Watch(cancelled=lambda: cancelled))
    with one.network():
        pass
    cancelled = True
    one._classifier.network(inputs("", 0, 1))  # nobody watches any more


def offered(one: EngineRun, value: float) -> bool:
    """Whether a partial map is asked for when it is offered."""
    asked = False

    def values() -> npt.NDArray[Any]:
        nonlocal asked
        asked = True
        return np.full((8, 8), value)

    one.partial(values, signed=True)
    return asked


def test_partial_maps_are_made_at_most_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    seen: list[tuple[npt.NDArray[Any], bool]] = []
    one = run(watch=Watch(partial=lambda values, signed: seen.append((values, signed))))
    asked = []
    for step in range(41):
        asked.append(offered(one, step))
        now[0] += PARTIAL_SECONDS / 10
    assert asked.count(True) == 4 == len(seen)
    assert all(after - before >= 10 for before, after in zip(_places(asked), _places(asked)[1:], strict=False))
    assert not asked[0], "the first batch is not worth a map"
    assert all(values.dtype == np.float32 and signed for values, signed in seen)
    assert [float(values[0, 0]) for values, _ in seen] == [float(place) for place in _places(asked)]


def _places(asked: list[bool]) -> list[int]:
    return [step for step, made in enumerate(asked) if made]


def test_partial_maps_that_nobody_sees_are_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    one = run()
    now[0] += 1000
    assert not offered(one, 1.0)


def test_the_input_of_a_run_is_its_frame_normalised() -> None:
    one = run()
    expected = one.frame.transpose(2, 0, 1)[None] / np.float32(255)
    np.testing.assert_allclose(one.x.numpy(), expected, rtol=1e-6)
    assert one.x is one.x


class Memory:
    """A device on which at most `pictures` fit into one pass; raises what torch raises on a GPU, or on a CPU."""

    def __init__(self, run: EngineRun, pictures: int, error: type[Exception] | str):
        self.pictures = pictures
        self.error = error
        for network in run._classifier.networks:
            for layer in ("second", "fc"):
                network.get_submodule(layer).register_forward_pre_hook(self.check)

    def check(self, module: torch.nn.Module, inputs: Any) -> None:
        if len(inputs[0]) > self.pictures:
            if isinstance(self.error, str):
                raise RuntimeError(self.error)
            raise self.error("CUDA out of memory")


CPU_WORDS = "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate"


@every_ask
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, CPU_WORDS], ids=["gpu", "python", "cpu"])
def test_a_batch_that_does_not_fit_is_halved_and_the_result_is_the_same(
    name: str, error: type[Exception] | str
) -> None:
    def ask(asked: EngineRun) -> torch.Tensor:
        return torch.cat([values for _, values in ASKS[name](asked, 13, lambda a, b: inputs(name, a, b))])

    small = run(batch=8)
    Memory(small, 3, error)
    torch.testing.assert_close(ask(small), ask(run(batch=8)))
    assert small.batch == 2
    assert small._classifier.batch == 2, "the next run starts with what has fitted"


@every_ask
def test_a_picture_that_does_not_fit_alone_is_refused_in_one_sentence(name: str) -> None:
    small = run(batch=8)
    Memory(small, 0, torch.OutOfMemoryError)
    with pytest.raises(XaiError) as error:
        list(ASKS[name](small, 2, lambda start, stop: inputs(name, start, stop)))
    assert is_sentence(str(error.value))


@every_ask
def test_another_error_is_not_taken_for_a_lack_of_memory(name: str) -> None:
    broken = run(batch=8)
    Memory(broken, 3, "mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1"):
        list(ASKS[name](broken, 8, lambda start, stop: inputs(name, start, stop)))
    assert broken.batch == 8
