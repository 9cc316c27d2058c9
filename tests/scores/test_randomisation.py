"""The sanity check: which layers forget when, what is compared, Sobel and the gradient, the verdict."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.checks import is_sentence, state_of
from tests.conftest import write_tiny_card
from tests.engine.asking import explain, score
from xai_core.classifiers.evaluator import Classifier
from xai_core.engine.cache import Cache
from xai_core.engine.executor import Executor
from xai_core.engine.requests import Predict
from xai_core.scores.base import Undefined
from xai_core.scores.randomisation import similarities, stages, verdict
from xai_core.types import Another, Prediction, Randomised, SaliencyMap, Score

from .maps import Maps, noise

BLOCKS = (("head",), ("b2", "b1"), ("stem",))


def test_stages_add_up_or_stand_alone() -> None:
    assert stages(BLOCKS, "independent", 9) == [*BLOCKS]
    assert stages(BLOCKS, "cascading", 9) == [("head",), ("head", "b2", "b1"), ("head", "b2", "b1", "stem")]
    assert stages(BLOCKS, "cascading", 2) == [("head",), ("head", "b2", "b1")]


def test_a_map_that_never_changes_is_alike_at_every_stage() -> None:
    found = Maps(lambda change: noise(), blocks=BLOCKS).score("randomisation", noise())
    assert found.values == {part: pytest.approx(1) for part in ("spearman", "spearman_abs", "ssim", "hog")}
    for curve in found.curves.values():
        np.testing.assert_array_equal(curve.x, [0, 1, 2, 3])
        np.testing.assert_allclose(curve.y, 1, atol=1e-6)


def test_random_maps_are_alike_by_chance_alone() -> None:
    found = Maps(lambda change: noise(len(change.randomised.layers)), blocks=BLOCKS)  # type: ignore[union-attr]
    for value in found.score("randomisation", noise()).values.values():
        assert abs(value) < 0.25


def test_the_sign_counts_or_not() -> None:
    opposite = similarities(noise(), -noise())
    assert opposite[:2] == (pytest.approx(-1), pytest.approx(1))
    left, right = noise(0), noise(0) + noise(1)
    assert similarities(left, right)[:2] == (
        pytest.approx(spearmanr(left.ravel(), right.ravel()).statistic, abs=1e-6),
        pytest.approx(spearmanr(np.abs(left).ravel(), np.abs(right).ravel()).statistic, abs=1e-6),
    )


def test_flat_maps_are_left_out() -> None:
    def give(change: Another) -> np.ndarray:
        assert change.randomised is not None
        return np.zeros((32, 32)) if len(change.randomised.layers) == 3 else noise()

    found = Maps(give, blocks=BLOCKS).score("randomisation", noise())
    np.testing.assert_array_equal(found.curves["spearman"].x, [0, 1, 3])
    assert found.values["spearman"] == pytest.approx(1)
    with pytest.raises(Undefined, match="flat"):
        Maps(lambda change: np.zeros((32, 32)), blocks=BLOCKS).score("randomisation", noise())
    with pytest.raises(Undefined, match="brought along"):
        Maps(lambda change: None, blocks=BLOCKS).score("randomisation", noise())


@pytest.mark.parametrize(
    ("correlations", "words"),
    [
        ([1.0, 0.99], "stay the same"),
        ([0.7], "only in part"),
        ([0.1, -0.2, math.nan], "on 2 pictures"),
        ([math.nan], "could not be told"),
    ],
)
def test_the_verdict_is_one_sentence(correlations: list[float], words: str) -> None:
    assert words in verdict(correlations)
    assert is_sentence(verdict(correlations))


# -- with a network ----------------------------------------------------------------------------------------------------


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Executor:
    write_tiny_card(tmp_path / "models", stages=["stem", "stage1", "stage2"])
    monkeypatch.setenv("XAI_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    return Executor()


def checked(executor: Executor, method: str, **parameters: Any) -> Score:
    return cast(Score, executor.compute(score("randomisation", explain(method, target=2), **parameters)))


@pytest.mark.parametrize("order", ["cascading", "independent"])
def test_edges_stay_and_the_gradient_changes_while_the_classifier_stays(executor: Executor, order: str) -> None:
    networks = executor.classifier("tiny").networks
    before = [state_of(network) for network in networks]
    edges, gradient = (checked(executor, method, order=order) for method in ("sobel", "gradient"))
    assert edges.values == {part: pytest.approx(1) for part in edges.values}
    assert len(edges.curves["spearman"].x) == 5, "four blocks and the network as it is"
    assert gradient.values["spearman"] < 0.9
    assert (gradient.curves["spearman"].y[1:] < 1).all()
    assert [state_of(network) for network in networks] == before
    assert edges.passes.total == gradient.passes.total == 0, "passes are the maps' own"


def test_the_curve_is_that_of_the_maps_themselves(executor: Executor) -> None:
    subject = explain("gradient", target=2)
    own = cast(SaliencyMap, executor.compute(subject))
    blocks = executor.classifier("tiny").blocks
    curve = checked(executor, "gradient", order="independent").curves["spearman"]
    for stage, layers in enumerate(blocks, start=1):
        other = cast(SaliencyMap, executor.compute(subject.another(Another(randomised=Randomised(layers, 0)))))
        assert other.passes == own.passes
        expected = spearmanr(own.values.ravel(), other.values.ravel()).statistic
        assert curve.y[stage] == pytest.approx(expected, abs=1e-6)


def test_the_class_can_be_picked_anew_at_every_stage(executor: Executor) -> None:
    layers = executor.classifier("tiny").blocks[0]
    subject = explain("gradient", target=0)
    changed = subject.another(Another(randomised=Randomised(layers, 0)))
    top = cast(Prediction, executor.compute(Predict(changed.input))).top
    assert top != 0, "the test needs a network that changes its mind"
    expected = cast(SaliencyMap, executor.compute(subject.another(Another(top, randomised=Randomised(layers, 0)))))
    own = cast(SaliencyMap, executor.compute(subject))
    asked = score("randomisation", subject, explained="top", blocks=1)
    curve = cast(Score, executor.compute(asked)).curves["spearman"]
    assert curve.y[1] == pytest.approx(spearmanr(own.values.ravel(), expected.values.ravel()).statistic, abs=1e-6)


def test_a_network_that_forgot_is_another_request(executor: Executor) -> None:
    subject = explain("gradient", target=2)
    changes = [Another(randomised=Randomised(*one)) for one in ((("head",), 0), (("head",), 1), (("stem",), 0))]
    assert len({subject.digest, *(subject.another(change).digest for change in changes)}) == 4
    assert subject.another(Another()).digest == subject.digest
    assert "randomised" not in json.dumps(subject.description)


def test_maps_of_networks_that_forgot_are_remembered(executor: Executor) -> None:
    first = checked(executor, "gradient")
    loaded: list[str] = []
    executor._randomised.clear()
    load = Classifier.load
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Classifier, "load", lambda *given: loaded.append("again") or load(*given))
        again = checked(executor, "gradient", blocks=3)
    assert not loaded
    np.testing.assert_array_equal(again.curves["ssim"].y, first.curves["ssim"].y[:4])


def test_a_network_that_forgot_is_made_once_for_several_methods_while_there_is_room(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    load = Classifier.load
    monkeypatch.setattr(Classifier, "load", lambda *given: loaded.append(given[2:]) or load(*given))
    first = checked(executor, "gradient", blocks=3)
    checked(executor, "gradcam", blocks=3)
    assert len(loaded) == 4, "the classifier, and three stages"
    executor._models_limit = 1
    checked(executor, "sobel", blocks=3)
    assert len(executor._randomised) == 1
    executor.cache = Cache.from_settings()
    again = checked(executor, "gradient", blocks=3)
    np.testing.assert_array_equal(again.curves["ssim"].y, first.curves["ssim"].y)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_trained_networks_gradient_is_lost_and_its_pictures_edges_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """EfficientNet-Lite0 on a photo: when all has been forgotten, little of the gradient's order is left."""
    from skimage import data

    from xai_core.engine.requests import Explain, evaluate, prepare_input
    from xai_core.registry import METHODS, MODELS, SCORES
    from xai_core.types import Picture

    monkeypatch.setenv("XAI_THREADS", "2")
    executor, card, picture = Executor(), MODELS["efficientnet_lite0"], Picture(data.chelsea())
    given = prepare_input(picture, card)
    last = {}
    for method in ("gradient", "sobel"):
        subject = Explain(given, method, METHODS[method].make(), 282)
        asked = evaluate(subject, "randomisation", SCORES["randomisation"].make(), card, None, picture)
        curve = cast(Score, executor.compute(asked)).curves["spearman"]
        assert curve.x[-1] == len(executor.classifier(card.name).blocks) == 9
        last[method] = float(curve.y[-1])
    assert last["sobel"] == pytest.approx(1)
    assert abs(last["gradient"]) < 0.3
