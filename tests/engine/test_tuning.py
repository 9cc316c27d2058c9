"""Batch sizes: measured, remembered per machine, part of the key of the own model only, and lowered by a lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from xai_core.engine import tuning
from xai_core.engine.executor import Executor
from xai_core.engine.requests import Predict, prepare_input
from xai_core.engine.tuning import CPU_BATCH, Batches, fastest
from xai_core.registry import MODELS
from xai_core.types import Picture

from .. import networks, toys
from ..conftest import write_tiny_card

CPU = torch.device("cpu")


def classifier(digest: str = "one") -> Any:
    torch.manual_seed(0)
    return toys.classifier(networks.TwoLinear(8), size=8, digest=digest)


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({4: 1.0, 8: 0.6, 16: 0.4}, 16),
        ({4: 1.0, 8: 0.6, 16: 0.59}, 8),
        ({4: 1.0, 8: 1.0, 16: 0.9}, 16),
        ({4: 1.0, 8: 2.0, 16: 3.0}, 4),
    ],
)
def test_a_larger_batch_has_to_be_worth_it(seconds: dict[int, float], best: int) -> None:
    assert fastest(list(seconds), seconds.__getitem__) == best


def test_sizes_that_do_not_fit_into_memory_are_not_tried_further() -> None:
    tried = []

    def seconds(size: int) -> float:
        tried.append(size)
        if size > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1 / size

    assert fastest([4, 8, 16, 32], seconds) == 8
    assert tried == [4, 8, 16]
    with pytest.raises(RuntimeError, match="shapes"):
        fastest([4], lambda size: (_ for _ in ()).throw(RuntimeError("shapes")))


def test_a_measured_size_is_remembered_for_the_same_kind_of_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "seconds_per_picture", lambda classifier, size: 1 / size)
    first = Batches(CPU, {"threads": 1})
    assert first.of(classifier()) == CPU_BATCH, "nobody has measured"
    assert first.measure(classifier()) == max(tuning.CPU_BATCHES)
    assert Batches(CPU, {"threads": 1}).of(classifier()) == max(tuning.CPU_BATCHES)
    assert Batches(CPU, {"threads": 2}).of(classifier()) == CPU_BATCH
    assert Batches(CPU, {"threads": 1}).of(classifier("two")) == CPU_BATCH


def test_the_real_measurement_ends_in_one_of_the_sizes() -> None:
    assert Batches(CPU, {}).measure(classifier()) in tuning.CPU_BATCHES


@pytest.mark.parametrize("content", ["", "[]", '{"one": "many"}', '{"one": -3}', "\x00"])
def test_a_damaged_file_counts_as_nothing_measured(content: str) -> None:
    batches = Batches(CPU, {})
    batches.remember(classifier(), 4)
    batches._path.write_text(content)
    assert Batches(CPU, {}).of(classifier()) == CPU_BATCH


def test_a_folder_that_cannot_be_written_costs_only_the_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XAI_DATA", str(tmp_path / "file"))
    batches = Batches(CPU, {})
    batches.remember(classifier(), 4)
    assert batches.of(classifier()) == 4


def test_a_measured_size_changes_the_keys_of_its_own_model_only(tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=5)
    executor = Executor()
    requests = {name: Predict(prepare_input(Picture(toys.frame(40)), MODELS[name])) for name in ("tiny", "other")}
    before = {name: one.key(executor.profile) for name, one in requests.items()}
    first = executor.compute(requests["tiny"])
    assert first.key == before["tiny"]
    assert first.profile["batch"] == CPU_BATCH and "batches" not in first.profile
    executor.batches.remember(executor.classifier("tiny"), 4)
    after = {name: one.key(executor.profile) for name, one in requests.items()}
    assert after["tiny"] != before["tiny"]
    assert after["other"] == before["other"]
    assert executor.compute(requests["tiny"]).profile["batch"] == 4


def test_the_setting_overrules_what_was_measured(tiny_card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Executor()
    executor.batches.remember(executor.classifier("tiny"), 16)
    monkeypatch.setenv("XAI_BATCH", "3")
    fixed = Executor()
    given = Predict(prepare_input(Picture(toys.frame(40)), MODELS["tiny"]))
    assert fixed.compute(given).profile["batch"] == 3
    assert "batches" not in fixed.profile


def test_after_memory_was_short_the_smaller_size_is_remembered(tiny_card: Path) -> None:
    executor = Executor()
    given = Predict(prepare_input(Picture(toys.frame(40)), MODELS["tiny"]))
    executor.compute(given)
    executor.classifier("tiny").batch = 2  # as a run leaves it that has halved its batches
    other = Predict(prepare_input(Picture(toys.frame(40, seed=1)), MODELS["tiny"]))
    assert executor.compute(other).profile["batch"] == 2
    fresh = Executor()
    assert fresh.batches.of(fresh.classifier("tiny")) == 2
