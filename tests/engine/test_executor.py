"""The executor: each request computed once, models within their memory, and sentences for what a user can mend."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from xai_core.engine import executor as executor_module
from xai_core.engine import run as run_module
from xai_core.engine.executor import Executor
from xai_core.engine.requests import Explain, GivenMap, Predict, Request, prepare_input
from xai_core.engine.run import Watch
from xai_core.registry import MODELS, Parameters
from xai_core.types import Another, Attribution, Cancelled, Cost, Mask, Prediction, Run, SaliencyMap, Score, XaiError

from ..checks import is_sentence
from ..conftest import write_tiny_card
from .asking import disc, explain, predict, score, write_observed_card
from .networks import calls

pytestmark = pytest.mark.usefixtures("tiny_card")


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Executor:
    """An executor with one thread and batches of four."""
    monkeypatch.setenv("XAI_THREADS", "1")
    monkeypatch.setenv("XAI_BATCH", "4")
    return Executor()


def sentence(executor: Executor, request: Request) -> str:
    """What a request fails with."""
    with pytest.raises(XaiError) as error:
        executor.compute(request)
    assert is_sentence(str(error.value)), str(error.value)
    return str(error.value)


def replace_weights(card: Path) -> None:
    """Puts other weights into the place of a card's; the card itself stays as it is."""
    write_tiny_card(card.parent / "other", seed=1)
    (card.parent / "other" / "tiny.safetensors").replace(card.with_suffix(".safetensors"))


def passes(executor: Executor, model: str = "tiny") -> int:
    """All passes that were made on a model."""
    return executor.classifier(model).passes.total


def test_a_prediction_tells_probabilities_frame_and_cost(executor: Executor) -> None:
    result = executor.compute(predict(corruptions=("occlusion=0.25",), seed=3))
    assert isinstance(result, Prediction)
    assert result.probabilities.shape == (5,) and result.probabilities.dtype == np.float32
    assert result.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert result.frame.shape == (32, 32, 3) and result.frame.dtype == np.uint8
    assert result.occluded is not None and result.occluded.mean() == pytest.approx(0.25)
    assert result.passes == Cost(1, 0)
    assert result.profile == executor.profile
    clean = executor.compute(predict())
    assert isinstance(clean, Prediction) and clean.occluded is None


def test_a_map_tells_all_that_made_it(executor: Executor) -> None:
    request = explain("smoothgrad", target=3, seed=9, samples=6)
    result = executor.compute(request)
    assert isinstance(result, SaliencyMap)
    assert result.values.shape == (32, 32) and result.values.dtype == np.float32
    assert result.errors is not None and result.errors.shape == (32, 32)
    assert (result.method, result.target, result.seed, result.layer) == ("smoothgrad", 3, 9, None)
    assert result.parameters["samples"] == 6
    assert result.key == request.key(executor.profile)
    assert result.passes == request.cost == Cost(6, 6)
    assert result.seconds > 0 and result.notes == ()


def test_a_score_tells_values_curves_and_cost(executor: Executor) -> None:
    request = score("road", explain("gradcam"), steps=3)
    result = executor.compute(request)
    assert isinstance(result, Score)
    assert set(result.values) == {"combined", "morf", "lerf"} and not result.reasons
    assert set(result.curves) == {"morf", "lerf"}
    assert result.passes == request.cost == Cost(7, 0)
    assert result.key == request.key(executor.profile)


def test_the_same_request_is_computed_once(executor: Executor) -> None:
    first = executor.compute(explain("smoothgrad", samples=5))
    made = passes(executor)
    assert made == 10
    assert executor.compute(explain("smoothgrad", samples=5)) is first
    assert passes(executor) == made
    executor.compute(explain("smoothgrad", samples=5, seed=1))
    assert passes(executor) == 2 * made


def test_a_new_executor_finds_what_was_computed_before(executor: Executor) -> None:
    first = executor.compute(explain("lime", samples=5))
    other = Executor()
    second = other.compute(explain("lime", samples=5))
    assert isinstance(first, SaliencyMap) and isinstance(second, SaliencyMap)
    assert second.values.tobytes() == first.values.tobytes()
    assert passes(other) == 0


def test_scores_share_one_map(executor: Executor) -> None:
    subject = explain("smoothgrad", samples=5)
    executor.compute(score("road", subject, steps=2))
    assert passes(executor) == 10 + 5
    executor.compute(score("occlusion", subject))
    assert passes(executor) == 10 + 5 + 3
    assert isinstance(executor.compute(subject), SaliencyMap)
    assert passes(executor) == 10 + 5 + 3


PIPELINE = {"segments": 9, "samples": 20}


@pytest.mark.parametrize(
    "after",
    [
        {"attribution": "shap"},
        {"attribution": "pda", "map_per": "segment"},
        {"attribution": "ciu", "sampling": "only_one"},
        {"map_per": "segment", "sampling": "all_but_one"},
    ],
)
def test_a_map_that_shares_the_passes_of_another_is_the_same_map(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, after: dict[str, str]
) -> None:
    wanted = explain("pipeline", **PIPELINE, **after, seed=3)
    source = explain("pipeline", **{**PIPELINE, "sampling": after.get("sampling", "random")}, seed=3)
    sharing = source.sharing(wanted.parameters)
    assert sharing.digest == wanted.digest != source.digest
    assert (sharing.cost, sharing.needs) == (Cost(), (source,))
    shared = executor.compute(sharing)
    assert passes(executor) == shared.passes.total > 9
    executor.compute(score("srg", sharing, steps=3))
    assert passes(executor) == shared.passes.total + 4
    monkeypatch.setenv("XAI_DATA", os.environ["XAI_DATA"] + "-other")
    own = Executor().compute(wanted)
    assert isinstance(own, SaliencyMap) and isinstance(shared, SaliencyMap)
    assert own.values.tobytes() == shared.values.tobytes() and own.passes == shared.passes
    assert (own.errors is None) == (shared.errors is None)
    assert own.errors is None or shared.errors is None or own.errors.tobytes() == shared.errors.tobytes()
    assert {name: values.tobytes() for name, values in own.details.items()} == {
        name: values.tobytes() for name, values in shared.details.items()
    }


def test_maps_of_other_passes_cannot_share_them(executor: Executor) -> None:
    source = explain("pipeline", **PIPELINE)
    for other in (explain("pipeline", segments=9, samples=21), explain("gradient")):
        with pytest.raises(ValueError, match="do not take the same passes"):
            source.sharing(other.parameters)
    twice = source.sharing(explain("pipeline", **PIPELINE, attribution="lime").parameters)
    assert twice.sharing(source.parameters) is source
    assert twice.another(Another(seed=4)).passes_of is None


def test_two_executors_compute_the_same_bits(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [executor.compute(explain(method, samples=6)) for method in ("smoothgrad", "lime", "shap")]
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    monkeypatch.setenv("XAI_DATA", os.environ["XAI_DATA"] + "-other")
    other = Executor()
    for one in reversed(first):  # another order, so that nothing hangs on what came before
        assert isinstance(one, SaliencyMap)
        again = other.compute(explain(one.method, samples=6))
        assert isinstance(again, SaliencyMap) and again.values.tobytes() == one.values.tobytes()
        assert (again.errors is None) == (one.errors is None)
        assert again.errors is None or one.errors is None or again.errors.tobytes() == one.errors.tobytes()
    assert passes(other) > 0


def test_models_are_dropped_by_their_bytes_the_least_recently_used_first(
    executor: Executor, tiny_card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("abc"):
        write_tiny_card(tiny_card.parent, name, seed=number)
    size = executor.classifier("a").bytes
    executor._models_limit = int(2.5 * size)
    a, b = executor.classifier("a"), executor.classifier("b")
    assert executor.classifier("a") is a  # used: now b is the oldest
    executor.classifier("c")
    assert executor.classifier("a") is a
    assert executor.classifier("b") is not b


def test_a_model_larger_than_the_limit_is_still_used(executor: Executor, tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    executor._models_limit = 1
    first = executor.classifier("tiny")
    assert executor.classifier("tiny") is first
    executor.classifier("other")
    assert executor.classifier("tiny") is not first


def test_the_background_pictures_of_a_dropped_model_are_dropped_too(executor: Executor, tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    executor._models_limit = 1
    executor.compute(explain("shap", samples=2))
    assert [name for name, _ in executor._pictures] == ["tiny"]
    executor.compute(predict(model="other"))
    assert list(executor._pictures) == []


def test_results_do_not_depend_on_what_was_evicted(executor: Executor, tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    before = executor.compute(explain("shap", samples=4, seed=2))
    executor._models_limit = 1
    executor.compute(predict(model="other"))
    executor.cache._memory.clear()
    for path in executor.cache._folder.rglob("*"):
        if path.is_file():
            path.unlink()
    after = executor.compute(explain("shap", samples=4, seed=2))
    assert isinstance(before, SaliencyMap) and isinstance(after, SaliencyMap)
    assert before is not after and before.values.tobytes() == after.values.tobytes()


@pytest.mark.parametrize("loaded", [True, False])
def test_a_request_for_weights_that_have_changed_is_refused(executor: Executor, tiny_card: Path, loaded: bool) -> None:
    old = explain("gradcam")
    if loaded:
        executor.compute(predict())
    replace_weights(tiny_card)
    if loaded:
        executor.compute(predict())  # with the new weights
    assert sentence(executor, old) == "The model tiny has changed since it was chosen; choose it again."


def test_a_model_that_was_chosen_again_uses_its_new_weights(executor: Executor, tiny_card: Path) -> None:
    before = executor.compute(predict())
    replace_weights(tiny_card)
    after = executor.compute(predict())
    assert isinstance(before, Prediction) and isinstance(after, Prediction)
    assert not np.array_equal(before.probabilities, after.probabilities)


def test_a_card_that_has_changed_is_read_again(executor: Executor, tiny_card: Path) -> None:
    executor.compute(predict())
    write_tiny_card(tiny_card.parent, preprocess={"resize": 40, "crop": 40})
    result = executor.compute(predict())
    assert isinstance(result, Prediction) and result.frame.shape == (40, 40, 3)


def test_the_background_pictures_take_the_way_of_the_new_card(executor: Executor, tiny_card: Path) -> None:
    executor.compute(explain("shap", samples=2))
    write_tiny_card(tiny_card.parent, preprocess={"resize": 40, "crop": 40})
    result = executor.compute(explain("shap", samples=2))
    assert isinstance(result, SaliencyMap) and result.values.shape == (40, 40)


@pytest.mark.parametrize("device", ["cuda:77", "gpu", "cpu:x", "mps:9"])
def test_a_device_that_is_not_there_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_DEVICE", device)
    with pytest.raises(XaiError) as error:
        Executor()
    assert is_sentence(str(error.value))
    assert f"XAI_DEVICE={device}" in str(error.value) and "auto or cpu" in str(error.value)


def test_the_device_is_found_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_DEVICE", "auto")
    assert executor_module.choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_threads_and_batch_come_from_the_settings(executor: Executor) -> None:
    assert torch.get_num_threads() == 1
    assert executor.profile["threads"] == 1 and executor.profile["batch"] == 4


def test_batches_are_as_large_as_the_setting_says(executor: Executor, tiny_card: Path, tmp_path: Path) -> None:
    write_observed_card(tiny_card.parent, "seen", log=str(tmp_path / "calls"))
    executor.compute(explain("lime", model="seen", samples=10))
    assert calls(tmp_path / "calls") == [4, 4, 2]


@pytest.mark.parametrize("target", [5, 1000, -1])
def test_a_class_that_the_model_does_not_have_is_refused(executor: Executor, target: int) -> None:
    expected = f"There is no class {target}; the classes of tiny are 0 to 4."
    assert sentence(executor, explain("gradcam", target=target)) == expected
    assert sentence(executor, score("road", explain("gradcam", target=target))) == expected
    given = GivenMap(prepare_input(disc(), MODELS["tiny"]), np.eye(32, dtype=np.float32), target)
    assert sentence(executor, score("road", given)) == expected
    assert passes(executor) == 0


def test_a_model_that_is_no_longer_there_is_refused(executor: Executor, tiny_card: Path) -> None:
    request = predict()
    tiny_card.unlink()
    assert sentence(executor, request).startswith("There is no model 'tiny'; choose from ")


def test_weights_that_are_no_longer_there_are_refused(executor: Executor, tiny_card: Path) -> None:
    request = predict()
    tiny_card.with_suffix(".safetensors").unlink()
    assert "is missing" in sentence(executor, request)


def test_weights_that_do_not_fit_the_architecture_are_refused(executor: Executor, tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "wrong", architecture="tests.networks:GlobalPool")
    with pytest.raises(XaiError, match=r"The weights of Wrong do not fit tests\.networks:GlobalPool"):
        executor.compute(predict(model="wrong"))


def test_an_architecture_that_does_not_exist_is_refused(executor: Executor, tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "wrong", architecture="tests.networks:nothing")
    assert "tests.networks:nothing" in sentence(executor, predict(model="wrong"))


@pytest.mark.parametrize("shape", [(40, 48), (31, 32), (32,), (1, 32, 32)])
def test_a_given_map_of_another_size_is_refused(executor: Executor, shape: tuple[int, ...]) -> None:
    given = GivenMap(prepare_input(disc(), MODELS["tiny"]), np.ones(shape, dtype=np.float32), 0)
    text = sentence(executor, score("road", given))
    assert str(shape) in text and "(32, 32)" in text


def test_a_given_map_is_scored_as_the_same_map_computed_here(executor: Executor) -> None:
    subject = explain("gradcam", target=2)
    saliency = executor.compute(subject)
    assert isinstance(saliency, SaliencyMap)
    given = GivenMap(subject.input, saliency.values, 2, 0)
    ours, theirs = executor.compute(score("road", subject)), executor.compute(score("road", given))
    assert isinstance(ours, Score) and isinstance(theirs, Score)
    assert ours.values == theirs.values and ours.key != theirs.key


class Painted(Parameters):
    """An explainer that returns one value everywhere."""

    value: float = 0.0
    wide: int = 32

    def explain(self, run: Run) -> Attribution:
        return Attribution(np.full((32, self.wide), self.value), signed=False)


def painted(value: float, wide: int = 32) -> Explain:
    """A request that `Painted` answers."""
    return Explain(prepare_input(disc(), MODELS["tiny"]), "gradcam", Painted(value=value, wide=wide), 0)


@pytest.mark.parametrize(
    ("value", "note"),
    [
        (0.0, "This map is zero everywhere: the method found nothing for this class."),
        (0.5, "This map is flat: every pixel has the same value."),
        (float("nan"), "This map holds values that are not numbers."),
        (float("inf"), "This map holds values that are not numbers."),
    ],
)
def test_a_map_that_tells_nothing_says_so_and_has_no_score(executor: Executor, value: float, note: str) -> None:
    result = executor.compute(painted(value))
    assert isinstance(result, SaliencyMap) and result.notes == (note,)
    measured = executor.compute(score("road", painted(value)))
    assert isinstance(measured, Score)
    assert all(np.isnan(one) for one in measured.values.values())
    assert set(measured.reasons) == set(measured.values) and all(measured.reasons.values())
    assert measured.passes == Cost()


def test_a_method_that_makes_a_map_of_another_size_is_a_bug_and_not_a_sentence(executor: Executor) -> None:
    with pytest.raises(ValueError, match=r"gradcam made a map of \(32, 16\)"):
        executor.compute(painted(1, wide=16))


def test_a_score_without_a_mask_is_undefined_with_a_reason(executor: Executor) -> None:
    measured = executor.compute(score("iou", explain("sobel")))
    assert isinstance(measured, Score) and all(np.isnan(one) for one in measured.values.values())
    assert set(measured.reasons) == {"top", "area_matched", "best"}
    mask = Mask(np.arange(40 * 48).reshape(40, 48) % 48 < 24)
    measured = executor.compute(score("iou", explain("sobel"), mask))
    assert isinstance(measured, Score) and 0 < measured.values["top"] < 1


def test_a_cancelled_request_leaves_nothing_in_the_cache_and_is_computed_later(executor: Executor) -> None:
    request, seen = explain("lime", samples=12), 0

    def cancelled() -> bool:
        nonlocal seen
        seen += 1
        return seen > 2

    with pytest.raises(Cancelled):
        executor.compute(request, Watch(cancelled=cancelled))
    assert passes(executor) <= 8
    assert executor.cache.get(request.key(executor.profile)) is None
    assert isinstance(executor.compute(request), SaliencyMap)


def test_a_cancel_reaches_the_map_that_a_score_needs(executor: Executor) -> None:
    request, seen = score("road", explain("lime", samples=40)), 0

    def cancelled() -> bool:
        nonlocal seen
        seen += 1
        return seen > 3

    with pytest.raises(Cancelled):
        executor.compute(request, Watch(cancelled=cancelled))
    assert passes(executor) <= 12


def test_what_is_there_is_given_even_to_a_request_that_was_cancelled(executor: Executor) -> None:
    first = executor.compute(predict())
    assert executor.compute(predict(), Watch(cancelled=lambda: True)) is first


def test_progress_of_a_score_never_goes_back_while_its_map_is_computed_too(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "PARTIAL_SECONDS", 0)
    seen: list[tuple[int, int]] = []
    shown: list[bool] = []
    watch = Watch(
        progress=lambda done, total: seen.append((done, total)), partial=lambda values, signed: shown.append(signed)
    )
    executor.compute(score("road", explain("smoothgrad", samples=20), steps=4), watch)
    done = [done for done, _ in seen]
    assert done == sorted(done) and done[-1] == 49
    assert all(made <= total for made, total in seen)
    assert shown == [], "a partial map is not a part of a score"


def test_a_request_of_an_unknown_kind_is_a_bug(executor: Executor) -> None:
    given = GivenMap(prepare_input(disc(), MODELS["tiny"]), np.eye(32, dtype=np.float32), 0)
    with pytest.raises(TypeError, match="GivenMap"):
        executor.compute(given)


def test_warming_up_loads_models_and_survives_one_that_is_not_there(executor: Executor) -> None:
    executor.warm(["nothing", "tiny"])
    assert list(executor._models) == ["tiny"]
    assert passes(executor) == 3 * 4  # a batch of predictions, and one of gradients


def test_corruptions_are_applied_in_their_order(executor: Executor) -> None:
    noise_last = executor.compute(predict(corruptions=("occlusion=0.3", "gaussian_noise=40")))
    noise_first = executor.compute(predict(corruptions=("gaussian_noise=40", "occlusion=0.3")))
    assert isinstance(noise_last, Prediction) and isinstance(noise_first, Prediction)
    assert noise_last.occluded is not None and noise_last.frame[noise_last.occluded].max() > 50
    assert noise_first.occluded is not None and noise_first.frame[noise_first.occluded].max() == 0


def test_a_corruption_is_applied_before_the_network_sees_the_picture(executor: Executor) -> None:
    corruptions = ("occlusion=0.3", "gaussian_noise=40")
    noisy = executor.compute(predict(corruptions=corruptions, seed=4))
    assert isinstance(noisy, Prediction)
    given = prepare_input(disc(), MODELS["tiny"])
    direct = executor.classifier("tiny")
    x = direct.normalise(torch.as_tensor(noisy.frame / np.float32(255)))[None]
    np.testing.assert_allclose(noisy.probabilities, direct.logits(x).softmax(1)[0].numpy(), rtol=1e-5)
    assert not np.array_equal(noisy.frame, given.frame)
    again = executor.compute(Predict(given))
    assert isinstance(again, Prediction) and np.array_equal(again.frame, given.frame)
