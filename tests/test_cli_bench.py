"""`bench` and `warm`: what they print and write, and that a mistake is one sentence and leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xai_core import bench
from xai_core.classifiers.evaluator import Classifier
from xai_core.cli import main
from xai_core.engine import tuning
from xai_core.engine.comparison import Comparison, default_comparison
from xai_core.engine.executor import Executor
from xai_core.engine.following import follow
from xai_core.images import galleries
from xai_core.images.galleries import bundled
from xai_core.registry import MODELS

from .checks import is_sentence
from .conftest import write_tiny_card

pytestmark = pytest.mark.usefixtures("tiny_card")

NAMES = ["panel", "samplers", "cache", "sessions", "leak", "ray", "scores", "agreement"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A benchmark `cache` that measures nothing and is told the model."""
    told: dict[str, Any] = {}

    def run(model: str) -> dict[str, Any]:
        told["model"] = model
        return {"memory": {"p50_ms": 1.0, "p95_ms": 2.0}, "ratio": 3.0}

    monkeypatch.setattr(bench, "benchmark", lambda name: run)
    return told


@pytest.fixture
def two_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gallery of two pictures."""
    few = galleries.Gallery("photos", "Photos", bundled().samples[:2])
    monkeypatch.setattr("xai_core.engine.warming.bundled", lambda: few)


def test_every_benchmark_is_listed() -> None:
    assert list(bench.BENCHMARKS) == NAMES


def test_bench_prints_a_table_and_writes_json_with_the_machine(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "result.json"
    assert main(["bench", "cache", "--model", "tiny", "--json", str(file)]) == 0
    assert small["model"] == "tiny"
    result = json.loads(file.read_text())
    assert list(result) == ["memory", "ratio", "machine"]
    assert {"cpu", "cores", "device", "torch"} <= set(result["machine"])
    printed = capsys.readouterr().out
    assert "p95_ms" in printed
    assert "ratio" in printed
    assert result["machine"]["cpu"] in printed
    assert [path.name for path in file.parent.iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    "words",
    [
        ["bench", "nothing"],
        ["bench", "cache", "--model", "nothing"],
        ["bench", "cache", "--model", "tiny", "--json", "."],
        ["bench"],
        ["warm", "--model", "nothing"],
        ["warm", "--model", "resnet50"],
        ["warm", "--preset", "nothing"],
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    told = capsys.readouterr().err
    assert is_sentence(told.strip()), told
    assert len(told.strip().splitlines()) == 1


def test_nothing_is_written_when_a_benchmark_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(model: str) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "benchmark", lambda name: stopped)
    assert main(["bench", "cache", "--model", "tiny", "--json", str(tmp_path / "new" / "result.json")]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("two_photos")
def test_after_warm_the_page_finds_all_of_its_defaults_in_the_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", "--model", "tiny"]) == 0
    assert "2 views" in capsys.readouterr().out
    for sample in bundled().samples[:2]:
        assert all_known(default_comparison(sample.open(), [MODELS["tiny"]]))
    assert not all_known(default_comparison(bundled().samples[2].open(), [MODELS["tiny"]]))


@pytest.mark.usefixtures("two_photos")
def test_warm_measures_batch_sizes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def measure(classifier: Classifier) -> int:
        measured.append(classifier.card.name)
        return 4

    monkeypatch.setattr(tuning, "measured", measure)
    for _ in range(2):
        assert main(["warm", "--model", "tiny"]) == 0
    assert measured == ["tiny"]
    executor = Executor()
    assert executor.batches.of(executor.classifier("tiny")) == 4
    monkeypatch.setenv("XAI_BATCH", "2")
    assert main(["warm", "--model", "tiny"]) == 0
    assert measured == ["tiny"]


@pytest.mark.usefixtures("two_photos")
def test_warm_takes_several_models(tmp_path: Path) -> None:
    write_tiny_card(tmp_path / "models", "other", seed=1)
    assert main(["warm", "--model", "tiny,other"]) == 0
    assert all_known(default_comparison(bundled().samples[0].open(), [MODELS["tiny"], MODELS["other"]]))


@pytest.mark.usefixtures("two_photos")
def test_stopping_warm_keeps_what_was_computed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from xai_core import cli

    class StopsAfterHalf(cli.Progress):
        def __call__(self, what: str, fraction: float) -> None:
            if fraction > 0.5:
                raise KeyboardInterrupt

    monkeypatch.setattr(cli, "Progress", StopsAfterHalf)
    assert main(["warm", "--model", "tiny"]) == 130
    assert "what was computed is kept" in capsys.readouterr().err
    assert all_known(default_comparison(bundled().samples[0].open(), [MODELS["tiny"]]))


def test_warm_says_that_nothing_is_kept_without_a_disk_cache(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    assert main(["warm", "--model", "tiny"]) == 2
    assert is_sentence(capsys.readouterr().err.strip())


def all_known(comparison: Comparison) -> bool:
    """Whether a new process finds everything that the page asks for in the cache."""
    from xai_core.engine.inline import InlineEngine

    class Looking(InlineEngine):
        def result(self, request: Any, progress: Any = None) -> Any:
            found = self.known(request)
            if found is None:
                missing.append(request.title)
                found = super().result(request)
            return found

    missing: list[str] = []
    follow(comparison, Looking(), "looking")
    return not missing
