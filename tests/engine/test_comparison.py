"""One comparison: every map and score of it, with the same requests however it is asked for."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from xai_core.corruptions import chain
from xai_core.engine.comparison import Comparison, Variant, compute, scores_for
from xai_core.engine.inline import InlineEngine
from xai_core.engine.requests import evaluate
from xai_core.explainers.baselines import BASELINES
from xai_core.registry import METHODS, MODELS, SCORES
from xai_core.types import Mask, XaiError

from ..checks import is_sentence
from ..conftest import write_tiny_card
from .asking import disc, explain, predict, score

pytestmark = pytest.mark.usefixtures("tiny_card")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> InlineEngine:
    """An engine with one thread."""
    monkeypatch.setenv("XAI_THREADS", "1")
    return InlineEngine()


def variant(method: str, label: str = "", **parameters: object) -> Variant:
    return Variant(method, METHODS[method].make(parameters), label)


def comparison(*corruptions: str, **changes: object) -> Comparison:
    """A comparison of `disc()` on the tiny model with two cheap methods."""
    facts: dict[str, object] = {
        "cards": [MODELS["tiny"]],
        "variants": [variant("gradcam"), variant("smoothgrad", samples=3)],
        "corruptions": tuple(chain.parse(text) for text in corruptions),
        **changes,
    }
    return Comparison(disc(), **facts)  # type: ignore[arg-type]


def quiet(what: str, fraction: float) -> None:
    pass


def test_all_maps_and_predictions_are_computed(engine: InlineEngine, tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    outcome = compute(comparison(cards=[MODELS["tiny"], MODELS["other"]]), engine, quiet)
    names = {(model, method) for model in ("tiny", "other") for method in ("gradcam", "smoothgrad")}
    assert set(outcome.maps) == names
    assert set(outcome.clean) == set(outcome.predictions) == set(outcome.targets) == {"tiny", "other"}
    assert outcome.scores == {}
    assert not np.array_equal(outcome.maps["tiny", "gradcam"].values, outcome.maps["other", "gradcam"].values)


def test_all_scores_are_computed_for_every_map_and_every_baseline(engine: InlineEngine) -> None:
    scores = scores_for(["road", "occlusion"], "quick")
    outcome = compute(comparison(scores=scores), engine, quiet)
    methods = ("gradcam", "smoothgrad", *BASELINES)
    assert set(outcome.scores) == {("tiny", method, name) for method in methods for name in ("road", "occlusion")}
    assert set(outcome.maps) == {("tiny", "gradcam"), ("tiny", "smoothgrad")}, "baselines are no requested maps"
    road = {method: outcome.scores["tiny", method, "road"].values["combined"] for method in methods}
    assert len(set(road.values())) > 3, "different maps have different scores"


def test_the_baselines_are_scored_for_the_same_target(engine: InlineEngine) -> None:
    scores = scores_for(["road"], "quick")
    outcome = compute(comparison(scores=scores, target=3), engine, quiet)
    for name in BASELINES:
        expected = engine.result(score("road", explain(name, target=3), steps=5))
        assert outcome.scores["tiny", name, "road"].values == expected.values  # type: ignore[union-attr]


def test_the_default_target_is_the_top_class_of_the_clean_picture_even_under_corruption(engine: InlineEngine) -> None:
    for level in (20, 60, 100):  # until the noise changes what the model sees first
        outcome = compute(comparison(f"gaussian_noise={level}", "resolution=16", seed=level), engine, quiet)
        clean, seen = outcome.clean["tiny"], outcome.predictions["tiny"]
        assert outcome.targets["tiny"] == clean.top
        assert outcome.maps["tiny", "gradcam"].target == clean.top
        assert clean.key == predict().key(engine.profile) != seen.key
    top = compute(comparison("occlusion=1"), engine, quiet)
    assert top.targets["tiny"] == top.clean["tiny"].top


def test_the_target_of_the_clean_picture_stays_when_the_model_sees_something_else(
    engine: InlineEngine, tiny_card: Path
) -> None:
    for seed in range(20):
        name = f"model{seed}"
        write_tiny_card(tiny_card.parent, name, seed=seed)
        outcome = compute(comparison("occlusion=0.9", cards=[MODELS[name]], variants=[]), engine, quiet)
        if outcome.clean[name].top != outcome.predictions[name].top:
            assert outcome.targets[name] == outcome.clean[name].top
            return
    raise AssertionError("no network of twenty changes its mind when the picture is black")


def test_class_0_is_a_class(engine: InlineEngine) -> None:
    outcome = compute(comparison(target=0), engine, quiet)
    assert outcome.clean["tiny"].top != 0, "the test needs another top class"
    assert outcome.targets["tiny"] == 0
    assert outcome.maps["tiny", "gradcam"].target == 0


@pytest.mark.parametrize("target", [-1, 5])
def test_a_target_that_the_model_does_not_have_is_refused(engine: InlineEngine, target: int) -> None:
    with pytest.raises(XaiError) as error:
        compute(comparison(target=target), engine, quiet)
    assert is_sentence(str(error.value))
    assert str(error.value) == f"There is no class {target}; the classes of Tiny are 0 to 4."


def test_the_keys_are_those_of_requests_built_by_hand(engine: InlineEngine) -> None:
    mask = Mask(np.arange(40 * 48).reshape(40, 48) % 48 < 24)
    corruptions = ("occlusion=0.2", "gaussian_noise=20")
    scores = {"road": SCORES["road"].make({"steps": 3}), "iou": SCORES["iou"].make()}
    asked = comparison(*corruptions, scores=scores, mask=mask, target=2, seed=7)
    outcome = compute(asked, engine, quiet)
    by_hand = explain("smoothgrad", target=2, seed=7, corruptions=corruptions, samples=3)
    profile = engine.profile
    assert outcome.maps["tiny", "smoothgrad"].key == by_hand.key(profile)
    assert outcome.predictions["tiny"].key == predict(corruptions=corruptions, seed=7).key(profile)
    assert outcome.scores["tiny", "smoothgrad", "road"].key == score("road", by_hand, steps=3).key(profile)
    assert outcome.scores["tiny", "smoothgrad", "iou"].key == score("iou", by_hand, mask).key(profile)
    card = MODELS["tiny"]
    edges = explain("sobel", target=2, seed=7, corruptions=corruptions)
    request = evaluate(edges, "iou", SCORES["iou"].make(), card, mask, disc())
    assert outcome.scores["tiny", "sobel", "iou"].key == request.key(profile)


def test_a_second_time_nothing_is_computed(engine: InlineEngine) -> None:
    first = compute(comparison(scores=scores_for(["road"], "quick")), engine, quiet)
    made = engine.executor.classifier("tiny").passes
    second = compute(comparison(scores=scores_for(["road"], "quick")), engine, quiet)
    assert engine.executor.classifier("tiny").passes == made
    assert second.maps == first.maps and second.scores == first.scores


def test_two_variants_of_one_method_stand_side_by_side(engine: InlineEngine) -> None:
    variants = [variant("smoothgrad", "few", samples=2), variant("smoothgrad", "more", samples=5)]
    outcome = compute(comparison(variants=variants, scores=scores_for(["road"], "quick")), engine, quiet)
    assert set(outcome.maps) == {("tiny", "smoothgrad@few"), ("tiny", "smoothgrad@more")}
    samples = [outcome.maps["tiny", f"smoothgrad@{label}"].parameters["samples"] for label in ("few", "more")]
    assert samples == [2, 5]
    assert ("tiny", "smoothgrad@few", "road") in outcome.scores
    assert [one.title for one in variants] == ["SmoothGrad · few", "SmoothGrad · more"]


def test_a_baseline_that_is_asked_for_as_a_method_has_its_own_parameters(engine: InlineEngine) -> None:
    wide = variant("centre", width=2.0)
    outcome = compute(comparison(variants=[wide], scores=scores_for(["road"], "quick")), engine, quiet)
    expected = engine.result(score("road", explain("centre", target=outcome.targets["tiny"], width=2.0), steps=5))
    assert outcome.scores["tiny", "centre", "road"].key == expected.key
    assert outcome.maps["tiny", "centre"].parameters["width"] == 2.0
    assert {method for _, method, _ in outcome.scores} == set(BASELINES)


def test_without_a_mask_the_scores_that_need_one_are_undefined(engine: InlineEngine) -> None:
    outcome = compute(comparison(scores=scores_for(["iou"], "quick")), engine, quiet)
    for measured in outcome.scores.values():
        assert all(math.isnan(value) for value in measured.values.values())
        assert set(measured.reasons) == set(measured.values)


def test_a_mask_of_another_size_is_refused(engine: InlineEngine) -> None:
    mask = Mask(np.ones((10, 10), dtype=bool))
    with pytest.raises(XaiError, match="draw it on the picture's own size"):
        compute(comparison(scores=scores_for(["iou"], "quick"), mask=mask), engine, quiet)


def test_progress_grows_from_nothing_to_all_and_names_what_is_computed(engine: InlineEngine) -> None:
    seen: list[tuple[str, float]] = []
    scores = scores_for(["road"], "quick")
    compute(comparison(scores=scores), engine, lambda what, fraction: seen.append((what, fraction)))
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0 and 0.9 < fractions[-1] <= 1
    words = {what for what, _ in seen}
    assert {"Tiny: prediction", "Tiny: SmoothGrad", "Tiny: ROAD of SmoothGrad", "Tiny: ROAD of Random"} <= words


def test_the_label_names_the_corruptions_that_change_something() -> None:
    assert comparison().corruption_label == "clean"
    assert comparison("gaussian_noise=0").corruption_label == "clean"
    assert comparison("gaussian_noise=25", "occlusion=0.1").corruption_label == "gaussian_noise=25+occlusion=0.1"


def test_all_is_every_score_without_further_maps_and_full_is_every_score(monkeypatch: pytest.MonkeyPatch) -> None:
    costly = dataclasses.replace(SCORES["road"], name="planted", extra_maps=True)
    monkeypatch.setitem(SCORES.entries(), "planted", costly)
    assert list(scores_for(["full"], "quick")) == [spec.name for spec in SCORES]
    assert list(scores_for(["all"], "quick")) == [spec.name for spec in SCORES if not spec.extra_maps]
    assert "planted" in scores_for(["full"], "quick") and "planted" not in scores_for(["all"], "quick")
    assert scores_for([], "quick") == {}


def test_scores_by_name_come_in_the_order_asked_for_and_once() -> None:
    assert list(scores_for(["road", "occlusion", "road"], "quick")) == ["road", "occlusion"]
    assert next(iter(scores_for(["iou", "all"], "quick"))) == "iou"
    assert list(scores_for(["all", "iou"], "quick")).count("iou") == 1


def test_scores_have_the_preset_with_the_given_values_on_top() -> None:
    assert scores_for(["road"], "quick")["road"].model_dump()["steps"] == 5
    assert scores_for(["road"], "paper")["road"].model_dump()["steps"] == 9
    given = scores_for(["all"], "quick", {"road": {"noise": 0.1}})["road"].model_dump()
    assert given["steps"] == 5 and given["noise"] == 0.1


def test_a_score_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(XaiError) as error:
        scores_for(["road", "beauty"], "quick")
    assert is_sentence(str(error.value))
    assert "'beauty'" in str(error.value) and "road" in str(error.value)
