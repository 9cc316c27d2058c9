"""Why one class and not another: the difference of two logits takes the place of the target's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from tests.checks import is_sentence, state_of
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.executor import Executor
from xai_core.engine.requests import Predict
from xai_core.explainers.base import CheckedExplainer
from xai_core.registry import METHODS, MODELS, SCORES
from xai_core.types import Prediction, SaliencyMap, XaiError

from .asking import disc, explain, score

pytestmark = [pytest.mark.usefixtures("tiny_card"), pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")]

CONTRASTING = [spec.name for spec in METHODS if spec.contrasts]


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Executor:
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    return Executor()


def found(executor: Executor, method: str, target: int, against: int | None = None, **parameters: Any) -> SaliencyMap:
    request = replace(explain(method, target=target, **parameters), against=against)
    return cast(SaliencyMap, executor.compute(request))


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("gradient", {"reduction": "sum"}),
        ("gradient_x_input", {}),
        ("smoothgrad", {"reduction": "sum", "samples": 4}),
        ("integrated_gradients", {"steps": 5}),
        ("shap", {"samples": 16}),
        ("kernel_shap", {"samples": 64, "segments": 8}),
    ],
)
def test_a_linear_method_gives_the_difference_of_its_two_maps(
    executor: Executor, method: str, parameters: dict[str, Any]
) -> None:
    one, other = (found(executor, method, target, **parameters).values for target in (1, 3))
    contrast = found(executor, method, 1, against=3, **parameters)
    np.testing.assert_allclose(contrast.values, one - other, atol=1e-4 * np.abs(one - other).max())
    assert (contrast.target, contrast.against) == (1, 3)


@pytest.mark.parametrize("method", CONTRASTING)
def test_the_other_class_matters_and_the_network_is_left_as_it_was(executor: Executor, method: str) -> None:
    networks = executor.classifier("tiny").networks
    before = [state_of(network) for network in networks]
    quick = METHODS[method].make({}, "quick").model_dump()
    alone, *contrasts = (found(executor, method, 2, against=other, **quick).values for other in (None, 0, 4))
    assert np.abs(contrasts[0] - contrasts[1]).max() > 0
    assert np.abs(contrasts[0] - alone).max() > 0
    assert [state_of(network) for network in networks] == before


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "gradient_x_input", "guided_backprop"])
def test_the_reference_library_explains_the_same_difference(executor: Executor, method: str) -> None:
    assert issubclass(METHODS[method].parameters, CheckedExplainer)
    own, library = (found(executor, method, 2, 0, implementation=one).values for one in ("own", "reference"))
    scaled = [(one - one.min()) / np.ptp(one) for one in (own, library)]
    np.testing.assert_allclose(scaled[0], scaled[1], atol=1e-3)


def test_probabilities_are_explained_as_their_difference(executor: Executor) -> None:
    """Score-CAM asks for probabilities; those of the difference are p_a - p_b of the network itself."""
    request = replace(explain("score_cam", target=1), against=3)
    model = executor.classifier("tiny")
    run = executor._run(request.input, 1, 0, request.cost, _watch(), against=3)
    with model.contrasted(1, 3):
        ((_, difference),) = run.probabilities(1, lambda start, stop: run.x)
    p = cast(Prediction, executor.compute(Predict(request.input))).probabilities
    assert float(difference[0]) == pytest.approx(float(p[1] - p[3]), abs=1e-6)


def _watch() -> Any:
    from xai_core.engine.run import Watch

    return Watch()


def test_the_contrast_is_part_of_the_key_only_where_there_is_one() -> None:
    plain = explain("gradcam", target=1)
    digests = {plain.digest, replace(plain, against=0).digest, replace(plain, against=2).digest}
    assert len(digests) == 3
    assert "against" not in plain.description


@pytest.mark.parametrize(
    ("method", "against", "words"),
    [("lime", 0, "cannot explain one class against another"), ("gradcam", 2, "itself"), ("gradcam", 5, "no class 5")],
)
def test_what_cannot_be_contrasted_is_refused_in_one_sentence(
    executor: Executor, method: str, against: int, words: str
) -> None:
    with pytest.raises(XaiError, match=words) as error:
        found(executor, method, 2, against)
    assert is_sentence(str(error.value))


def test_a_comparison_contrasts_what_it_can() -> None:
    variants = [Variant(name, METHODS[name].make({}, "quick")) for name in ("gradcam", "lime")]
    comparison = Comparison(disc(), [MODELS["tiny"]], variants, target=1, against=3)
    card = MODELS["tiny"]
    assert [comparison.explanation(card, one, 1).against for one in variants] == [3, None]
    assert [comparison.explanation(card, one, 3).against for one in variants] == [None, None]


def test_class_sensitivity_is_one_minus_the_correlation_with_other_classes(executor: Executor) -> None:
    from xai_core.scores.ranking import rank_correlation

    subject = explain("gradient", target=2)
    p = cast(Prediction, executor.compute(Predict(subject.input))).probabilities
    likely = [int(one) for one in np.argsort(-p) if one != 2]
    own = found(executor, "gradient", 2).values
    for others, chosen in (("likely", likely[:2]), ("unlikely", likely[::-1][:2])):
        value = executor.compute(score("class_sensitivity", subject, classes=2, others=others)).values["change"]  # type: ignore[union-attr,call-overload]
        expected = 1 - np.mean([rank_correlation(own, found(executor, "gradient", one).values) for one in chosen])
        assert value == pytest.approx(expected, abs=1e-6)


def test_the_edges_of_a_picture_are_not_sensitive_to_the_class(executor: Executor) -> None:
    measured = executor.compute(score("class_sensitivity", explain("sobel", target=2)))
    assert measured.values["change"] == pytest.approx(0, abs=1e-6)  # type: ignore[union-attr,call-overload]
    assert SCORES["class_sensitivity"].extra_maps
