"""Fine-tuning: nothing learnt changes nothing, the user's model stays, and what is learnt is learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xai_core.engine.cache import Cache
from xai_core.engine.inline import InlineEngine
from xai_core.engine.requests import Trial
from xai_core.registry import METHODS, SCORES, TRIALS
from xai_core.scores.information import mutual_information
from xai_core.trials.finetuning import EXPLAINED_BY, FineTuning
from xai_core.types import SaliencyMap, Score

from ..conftest import write_tiny_card
from ..engine.asking import explain

pytestmark = pytest.mark.usefixtures("tiny_card")

COUNT = 12


def data() -> dict[str, np.ndarray]:
    """Frames of two colours, which are the classes; every third is not learnt from."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 90, (COUNT, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(COUNT) % 2
    frames[np.arange(COUNT), :, :, 2 * labels] += 150
    return {"frames": frames, "labels": labels + 1, "tested": np.arange(COUNT) % 3 == 0}


def tuned(engine: InlineEngine, seed: int = 0, **values: Any) -> Score:
    given = {"pictures": COUNT, "explained": 2, "samples": 4, "epochs": 2, **values}
    found = engine.result(Trial("fine_tuning", FineTuning(**given), seed, explain("gradient").input, data()))
    assert isinstance(found, Score)
    return found


@pytest.fixture
def engine() -> InlineEngine:
    return InlineEngine()


def test_without_a_rate_the_maps_stay(engine: InlineEngine) -> None:
    found = tuned(engine, rate=0, layers="all", augmentation="noise")
    np.testing.assert_allclose(found.details["similarity"], 1, atol=1e-3)
    np.testing.assert_allclose(found.details["nats_before"], found.details["nats_after"], atol=1e-3)
    assert found.values["accuracy_before"] == found.values["accuracy_after"]
    assert found.details["similarity"].shape == (len(EXPLAINED_BY), 2)


def test_what_is_learnt_is_learnt_and_the_users_model_stays(engine: InlineEngine, tmp_path: Path) -> None:
    base = explain("gradient")
    before = engine.result(base)
    found = tuned(engine, rate=0.05, epochs=20, layers="all", explained=1)
    assert found.values["trained_accuracy_after"] == 1 > found.values["trained_accuracy_before"]
    assert found.values["accuracy_after"] == 1
    assert found.details["similarity"].max() < 0.999
    engine.executor.cache = Cache(tmp_path / "empty", 2**20, 0)
    after = engine.executor.compute(base)
    assert isinstance(before, SaliencyMap) and isinstance(after, SaliencyMap) and after is not before
    np.testing.assert_array_equal(after.values, before.values)


def test_the_numbers_before_are_those_of_the_users_model(engine: InlineEngine) -> None:
    found = tuned(engine)
    request = Trial(
        "fine_tuning", FineTuning(pictures=COUNT, explained=2, samples=4), 0, explain("gradient").input, data()
    )
    untouched = engine.result(request.needs[0])
    assert isinstance(untouched, Score)
    shown = data()["frames"][data()["tested"]][:2]
    first = untouched.details["maps"][0]
    expected = [mutual_information(frame.mean(2), values, 64) for frame, values in zip(shown, first, strict=True)]
    np.testing.assert_allclose(found.details["nats_before"][0], expected)
    right = untouched.details["classes"] == data()["labels"]
    assert found.values["accuracy_before"] == right[data()["tested"]].mean()


def test_the_seed_decides(engine: InlineEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = tuned(engine, augmentation="luminance", rate=0.05)
    monkeypatch.setenv("XAI_DATA", str(tmp_path / "other"))
    again = InlineEngine()
    assert tuned(again, augmentation="luminance", rate=0.05).details["nats_after"].tobytes() == (
        first.details["nats_after"].tobytes()
    )
    assert (
        tuned(again, 1, augmentation="luminance", rate=0.05).details["nats_after"] != first.details["nats_after"]
    ).any()


@pytest.mark.parametrize("stages", [(), ("stage1", "stage2")])
def test_only_the_last_block_learns_where_that_was_asked_for(
    engine: InlineEngine, monkeypatch: pytest.MonkeyPatch, tiny_card: Path, stages: tuple[str, ...]
) -> None:
    """Of a card without stages it is the logits alone."""
    from xai_core.engine.lab import EngineLab

    write_tiny_card(tiny_card.parent, stages=list(stages))
    kept: list[torch.nn.Module] = []
    plain = EngineLab.copy

    def copy(lab: EngineLab) -> torch.nn.Module:
        kept.append(plain(lab))
        return kept[-1]

    monkeypatch.setattr(EngineLab, "copy", copy)
    tuned(engine, rate=0.05, explained=0)
    untouched = engine.executor.classifier("tiny").network.state_dict()
    changed = {name for name, values in kept[0].named_parameters() if not torch.equal(values, untouched[name])}
    assert {name.split(".")[0] for name in changed} == ({"head", "down", "stage2"} if stages else {"head"})


@pytest.mark.parametrize("augmentation", ["none", "noise", "luminance"])
def test_augmentations_change_pictures_as_they_say(augmentation: str) -> None:
    frames = np.full((50, 8, 8, 3), 100, dtype=np.uint8)
    frames[:, 0, 0] = 200
    made = FineTuning(augmentation=augmentation, noise_level=0.1, luminance=0.4)
    x = made.augmented(lambda pixels: pixels.movedim(-1, 1), frames, np.random.default_rng(0))
    ratio = x.numpy() / (frames.transpose(0, 3, 1, 2) / 255)
    if augmentation == "none":
        np.testing.assert_allclose(ratio, 1, rtol=1e-6)
    elif augmentation == "luminance":
        assert np.ptp(ratio[:, :, 1:, 1:], axis=(1, 2, 3)).max() < 1e-5  # one factor for a picture
        assert ratio.min() > 0.599 and ratio.max() < 1.401 and np.ptp(ratio) > 0.7
        assert x.max() <= 1
    else:
        deviation = (x.numpy() - frames.transpose(0, 3, 1, 2) / 255).std()
        assert deviation == pytest.approx(0.1 * 100 / 255, rel=0.05)


@pytest.mark.parametrize("trial", ["fine_tuning", "labelled_maps", "embedding"])
def test_another_version_of_a_method_is_another_result(trial: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def digest() -> str:
        return Trial(trial, TRIALS[trial].make()).digest

    before = [digest()]
    for name in ("smoothgrad", "integrated_gradients", "feature_suppression"):
        monkeypatch.setitem(METHODS.entries(), name, replace(METHODS[name], version=METHODS[name].version + 1))
        assert digest() not in before
        before.append(digest())
    score = replace(SCORES["mutual_information"], version=99)
    monkeypatch.setitem(SCORES.entries(), "mutual_information", score)
    assert (digest() != before[-1]) == (trial == "fine_tuning")
