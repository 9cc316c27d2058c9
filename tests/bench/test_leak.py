"""The benchmark of leaks: that it finds none in the engine, and finds a hook that is left behind."""

from __future__ import annotations

import mmap

import pytest
import torch

from xai_core.bench import leak
from xai_core.classifiers.evaluator import Classifier
from xai_core.engine.executor import Executor
from xai_core.registry import MODELS

pytestmark = pytest.mark.usefixtures("tiny_card")


def test_explaining_leaves_no_hook_and_no_memory() -> None:
    result = leak.run("tiny", explanations=16, settled=8)
    assert set(result) == {"growth_percent", "hooks", "device_growth_percent"}
    assert result["hooks"] == 0
    assert result["device_growth_percent"] == 0
    assert result["growth_percent"] < 5


def test_a_hook_that_is_left_behind_is_counted() -> None:
    classifier = Classifier.load(MODELS["tiny"], torch.device("cpu"))
    before = leak.hooks(classifier)
    next(classifier.fast.children()).register_forward_pre_hook(lambda module, inputs: None)
    assert leak.hooks(classifier) == before + 1


def test_memory_that_is_kept_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[mmap.mmap] = []
    compute = Executor.compute

    def leaking(self, request, watch=None):  # type: ignore[no-untyped-def]
        kept.append(mmap.mmap(-1, 60_000_000))  # beside the heap, which may hold free memory of earlier tests
        kept[-1].write(b"x" * 60_000_000)
        return compute(self, request, watch)

    monkeypatch.setattr(Executor, "compute", leaking)
    assert leak.run("tiny", explanations=16, settled=8)["growth_percent"] > 5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_three_hundred_explanations_leave_nothing() -> None:
    result = leak.run("efficientnet_lite0")
    assert result["growth_percent"] < 5
    assert result["hooks"] == 0
