"""Real networks on real pictures, through the command line and the engine; run by make test-slow."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import xai_core as xc
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.executor import Executor
from xai_core.engine.local import LocalEngine
from xai_core.images.galleries import bundled
from xai_core.registry import METHODS, MODELS, SCORES
from xai_core.types import Prediction, SaliencyMap, Score

from .conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

LABELS = {"notebook_computer": "notebook"}
"""File names that differ from torchvision's name of their class."""


def explain(shared: Path, data: Path, *arguments: str) -> str:
    environment = {**os.environ, "XAI_DATA": str(data), "XAI_MODELS_DIR": str(shared / "models")}
    command = [sys.executable, "-m", "xai_core", "explain", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_models_four_methods_and_three_scores_of_a_corrupted_picture(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    models, methods = ["efficientnet_lite0", "resnet50_v1"], ["gradcam", "shap", "lime", "smoothgrad"]
    explain(
        shared,
        tmp_path / "data",
        str(shared / "data" / "labelled16" / "koala.jpg"),
        *("--model", ",".join(models), "--method", ",".join(methods)),
        *("--corrupt", "gaussian_noise=25", "--score", "occlusion,road,iou", "--out", str(out)),
    )
    assert {file.name for file in out.iterdir()} == {
        "figure.png",
        "maps.npz",
        "errors.npz",
        "scores.csv",
        "manifest.json",
    }
    maps = np.load(out / "maps.npz")
    assert set(maps.files) == {f"{model}/{method}" for model in models for method in methods}
    assert all(maps[name].shape == (224, 224) and maps[name].dtype == np.float32 for name in maps.files)
    assert all(np.isfinite(maps[name]).all() and np.ptp(maps[name]) > 0 for name in maps.files)
    rows = list(csv.DictReader((out / "scores.csv").open()))
    assert {row["method"] for row in rows} == {*methods, "random", "centre", "sobel"}
    of_one_map = {spec.name: spec for spec in SCORES if not spec.extra_maps}
    assert {row["score"].partition(".")[0] for row in rows} == set(of_one_map)
    with_value = [row for row in rows if not of_one_map[row["score"].partition(".")[0]].needs_mask]
    assert all(np.isfinite(float(row["value"])) for row in with_value)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["models"]["resnet50_v1"]["clean"][0]["label"] == "koala"


def test_the_shared_resnet_recognises_the_labelled_pictures(shared: Path, tmp_path: Path) -> None:
    right = 0
    for path in sorted((shared / "data" / "labelled16").glob("*.jpg")):
        out = tmp_path / path.stem
        explain(
            shared, tmp_path / "data", str(path), "--model", "resnet50_v1", "--method", "gradcam", "--out", str(out)
        )
        top = json.loads((out / "manifest.json").read_text())["models"]["resnet50_v1"]["clean"][0]["label"]
        right += top.replace(" ", "_") == LABELS.get(path.stem, path.stem)
    assert right >= 14


def test_two_runs_with_the_same_seed_are_equal_bit_by_bit(shared: Path, tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        out = tmp_path / name
        explain(
            shared,
            tmp_path / f"data-{name}",
            str(shared / "data" / "labelled16" / "tractor.jpg"),
            *("--model", "efficientnet_lite0", "--method", "gradcam,shap,lime,smoothgrad", "--preset", "balanced"),
            *("--seed", "3", "--corrupt", "gaussian_noise=10", "--out", str(out)),
        )
        runs.append(np.load(out / "maps.npz"))
    for name in runs[0].files:
        np.testing.assert_array_equal(runs[0][name], runs[1][name])


def test_twelve_sessions_at_once_get_the_maps_of_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load: every session asks for another picture and seed; each map equals that of a lone request."""
    card = MODELS["efficientnet_lite0"]
    samples = bundled().samples
    methods = ("gradcam", "smoothgrad", "lime")
    comparisons = [
        Comparison(
            samples[number % len(samples)].open(),
            [card],
            [Variant(name, METHODS[name].make({}, "quick")) for name in methods],
            seed=number,
        )
        for number in range(12)
    ]
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    monkeypatch.setenv("XAI_CACHE_MB", "0")

    def maps(engine: LocalEngine, comparison: Comparison) -> list[np.ndarray]:
        found = [engine.result(comparison.explanation(card, one, 281)) for one in comparison.variants]
        return [one.values for one in found if isinstance(one, SaliencyMap)]

    engine = LocalEngine()
    try:
        together: dict[int, list[np.ndarray]] = {}
        threads = [
            threading.Thread(target=lambda n=number: together.update({n: maps(engine, comparisons[n])}))
            for number in range(len(comparisons))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(together) == len(comparisons)
        for number, comparison in enumerate(comparisons):
            for alone, crowded in zip(maps(engine, comparison), together[number], strict=True):
                np.testing.assert_array_equal(alone, crowded)
    finally:
        engine.close()


@pytest.mark.parametrize("model", ["efficientnet_lite0", "resnet50_v1"])
def test_every_method_explains_a_photo(model: str, shared: Path, tmp_path: Path) -> None:
    maps, notes = every_method(model, shared, shared / "models", tmp_path)
    for method, values in maps.items():
        assert np.ptp(values) > 0 or method == "constant", (method, notes[method])


@pytest.mark.parametrize("model", ["vgg16", "resnet50", "densenet121"])
def test_every_method_runs_on_every_mission_network(model: str, shared: Path, tmp_path: Path) -> None:
    """With random weights: theirs cannot be had everywhere. A map that is flat then says so."""
    models = tmp_path / "models"
    random_card(models, model)
    maps, notes = every_method(f"random_{model}", shared, models, tmp_path)
    for method, values in maps.items():
        assert np.ptp(values) > 0 or "This map is" in " ".join(notes[method]), method


def every_method(
    model: str, shared: Path, models: Path, folder: Path
) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """The maps of a photo by every method with the quick preset, and the notes to them; all of finite numbers."""
    picture, out = str(shared / "data" / "labelled16" / "koala.jpg"), folder / "out"
    methods = list(METHODS.entries())
    environment = {**os.environ, "XAI_DATA": str(folder / "data"), "XAI_MODELS_DIR": str(models)}
    command = [sys.executable, "-m", "xai_core", "explain", picture, "--model", model, "--preset", "quick"]
    command += ["--method", ",".join(methods), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    maps, manifest = np.load(out / "maps.npz"), json.loads((out / "manifest.json").read_text())
    assert set(maps.files) == {f"{model}/{method}" for method in methods}
    found = {method: maps[f"{model}/{method}"] for method in methods}
    assert [method for method, values in found.items() if not np.isfinite(values).all()] == []
    return found, {method: manifest["maps"][f"{model}/{method}"]["notes"] for method in methods}


def random_card(folder: Path, name: str) -> None:
    """A card `random_NAME` of the built-in card's architecture, beside random weights."""
    import torch
    import torchvision
    import yaml
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = torchvision.models.get_model(name)
    folder.mkdir()
    save_file(network.state_dict(), folder / f"{name}.safetensors")
    card = yaml.safe_load((ROOT / "xai_core" / "classifiers" / "cards" / f"{name}.yaml").read_text())
    card |= {"name": f"random_{name}", "weights": {"file": f"{name}.safetensors"}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(card))


def test_grad_cam_is_better_than_random_maps_on_most_pictures(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Than the mean of ten random maps, in ROAD and in deletion, on at least 12 of the 16 pictures each."""
    monkeypatch.setenv("XAI_MODELS_DIR", str(shared / "models"))
    monkeypatch.setenv("XAI_THREADS", "2")
    card, executor = MODELS["resnet50_v1"], Executor()
    gradcam = Variant("gradcam", METHODS["gradcam"].make())
    scores = {"road": SCORES["road"].make({}, "quick"), "deletion": SCORES["deletion"].make({"steps": 28})}
    better = dict.fromkeys(scores, 0)
    for path in sorted((shared / "data" / "labelled16").glob("*.jpg")):
        comparison = Comparison(xc.open_picture(path), [card], [gradcam], scores=scores)
        target = cast(Prediction, executor.compute(comparison.clean_prediction(card))).top
        for name, part, sign in (("road", "combined", 1), ("deletion", "auc", -1)):
            rivals = [comparison.rival_evaluations(card, number, target)[name] for number in range(10)]
            own, *others = (
                cast(Score, executor.compute(request)).values[part]
                for request in (comparison.evaluations(card, gradcam, target)[name], *rivals)
            )
            better[name] += sign * own > sign * float(np.mean(others))
    assert min(better.values()) >= 12, better
