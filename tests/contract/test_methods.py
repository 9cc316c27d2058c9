"""Every registered method keeps the contract: a new one is covered without a line here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from tests.checks import is_sentence, state_of
from xai_core.engine.comparison import DEFAULT_METHODS
from xai_core.engine.executor import Executor
from xai_core.engine.requests import Explain
from xai_core.engine.run import Watch
from xai_core.explainers.base import CheckedExplainer
from xai_core.registry import FAMILIES, METHODS, PRESETS
from xai_core.types import Cancelled, Picture, SaliencyMap, XaiError

from .tiny import (
    another_value,
    cancelled_at,
    cheap,
    check_facts,
    checks_of,
    fresh_executor,
    global_random_state,
    seen_by_tiny,
    with_next_version,
)

NAMES = list(METHODS.entries())
WITH_REFERENCE = [name for name in NAMES if issubclass(METHODS[name].parameters, CheckedExplainer)]
BOTH = [(name, "own") for name in NAMES] + [(name, "reference") for name in WITH_REFERENCE]
either_implementation = pytest.mark.parametrize(("name", "implementation"), BOTH)
every_method = pytest.mark.parametrize("name", NAMES)

pytestmark = [pytest.mark.usefixtures("tiny_card"), pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")]


def cheap_request(name: str, picture: Picture, implementation: str = "own", **facts: Any) -> Explain:
    chosen = {"implementation": "reference"} if implementation == "reference" else {}
    parameters = cheap(METHODS[name], **chosen)
    return Explain(**{"input": seen_by_tiny(picture), "method": name, "parameters": parameters, "target": 2, **facts})


def computed(executor: Executor, request: Explain, watch: Watch | None = None) -> SaliencyMap:
    return cast(SaliencyMap, executor.compute(request, watch))


def check_map(found: SaliencyMap, request: Explain) -> None:
    assert (found.values.dtype, found.values.shape) == (np.float32, (32, 32))
    assert np.isfinite(found.values).all()
    assert found.signed or found.values.min() >= 0
    assert not found.values.flags.writeable
    if found.errors is not None:
        assert (found.errors.dtype, found.errors.shape) == (np.float32, (32, 32))
        assert np.isfinite(found.errors).all()
        assert found.errors.min() >= 0
    assert (found.method, found.target, found.seed) == (request.method, request.target, request.seed)
    assert found.parameters == request.parameters.model_dump(mode="json")
    assert all(is_sentence(note) for note in found.notes)
    assert found.seconds >= 0


@every_method
def test_it_says_all_that_must_be_known_of_it(name: str) -> None:
    check_facts(METHODS[name])
    assert METHODS[name].family in FAMILIES
    assert (name in WITH_REFERENCE) == bool(METHODS[name].reference)


@every_method
def test_its_presets_are_valid_and_grow_from_quick_to_paper(name: str) -> None:
    costs = [METHODS[name].make({}, preset).cost().total for preset in PRESETS]
    assert costs == sorted(costs)
    assert set(METHODS[name].presets) <= set(PRESETS)


@every_method
@pytest.mark.parametrize("seed", [0, 7])
def test_the_quick_preset_makes_a_map_in_the_models_frame(
    name: str, seed: int, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = cheap_request(name, picture, parameters=METHODS[name].make({}, "quick"), seed=seed)
    check_map(computed(fresh_executor(monkeypatch), request), request)


@either_implementation
def test_either_implementation_makes_a_map_in_the_models_frame(
    name: str, implementation: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = cheap_request(name, picture, implementation, target=0)
    found = computed(fresh_executor(monkeypatch), request)
    check_map(found, request)
    assert np.ptp(found.values) > 0 or name == "constant"


@every_method
@pytest.mark.parametrize("grey", [0, 128])
def test_a_constant_picture_has_a_map_as_well(name: str, grey: int, monkeypatch: pytest.MonkeyPatch) -> None:
    request = cheap_request(name, Picture(np.full((40, 40, 3), grey, dtype=np.uint8)))
    check_map(computed(fresh_executor(monkeypatch), request), request)


@either_implementation
def test_the_same_seed_gives_the_same_map_bit_by_bit(
    name: str, implementation: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = (
        computed(fresh_executor(monkeypatch), cheap_request(name, picture, implementation, seed=3)) for _ in range(2)
    )
    assert first.key == again.key
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(*(np.zeros(()) if one.errors is None else one.errors for one in (first, again)))


@either_implementation
def test_what_was_computed_before_does_not_matter(
    name: str, implementation: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No state is carried from one request to the next, and the global generators are neither used nor moved."""
    request = cheap_request(name, picture, implementation)
    computed(fresh_executor(monkeypatch), request)  # a library's import may draw
    executor = fresh_executor(monkeypatch)
    before = global_random_state()
    first = computed(executor, request)
    assert global_random_state() == before
    np.random.random(3)  # noqa: NPY002
    place = NAMES.index(name)
    for other in (NAMES[place - 1], NAMES[place - len(NAMES) // 2], *DEFAULT_METHODS):
        computed(executor, cheap_request(other, picture, target=1, seed=9))
    np.testing.assert_array_equal(computed(executor, request).values, first.values)


@every_method
@pytest.mark.parametrize("batch", [1, 3])
def test_another_batch_size_gives_the_same_map_within_a_hundredth(
    name: str, batch: int, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = computed(fresh_executor(monkeypatch), cheap_request(name, picture)).values
    found = computed(fresh_executor(monkeypatch, batch=batch), cheap_request(name, picture)).values
    assert np.abs(found - expected).max() <= 1e-2 * np.abs(expected).max()


@either_implementation
def test_the_model_is_left_as_it_was(
    name: str, implementation: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = fresh_executor(monkeypatch)
    networks = executor.classifier("tiny").networks
    before = [state_of(network) for network in networks]
    computed(executor, cheap_request(name, picture, implementation))
    assert [state_of(network) for network in networks] == before


@either_implementation
def test_it_can_be_cancelled_at_every_check_and_computed_afterwards(
    name: str, implementation: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, request = fresh_executor(monkeypatch), cheap_request(name, picture, implementation)
    networks = executor.classifier("tiny").networks
    before = [state_of(network) for network in networks]
    expected = computed(executor, request).values
    checks = checks_of(lambda watch: computed(executor, request, watch))
    assert checks > 1 or request.cost.total == 0, "a method that asks the network can be stopped on its way"
    for check in {0, 1, checks // 2, checks - 1} & set(range(checks)):
        with pytest.raises(Cancelled):
            computed(executor, request, cancelled_at(check))
        assert [state_of(network) for network in networks] == before
    np.testing.assert_array_equal(computed(executor, request).values, expected)


@pytest.mark.parametrize("name", [name for name in NAMES if cheap(METHODS[name]).cost().forward > 8])
def test_a_cancelled_method_stops_between_two_batches(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, request = fresh_executor(monkeypatch, batch=4), cheap_request(name, picture)
    model = executor.classifier("tiny")
    before = model.passes.total
    with pytest.raises(Cancelled):
        computed(executor, request, cancelled_at(2))
    assert 0 < model.passes.total - before <= 8, "one batch, forward and backward"


@every_method
@pytest.mark.parametrize("preset", ["cheap", "quick"])
def test_its_passes_are_those_that_its_parameters_announce(
    name: str, preset: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = cheap(METHODS[name]) if preset == "cheap" else METHODS[name].make({}, preset)
    totals: list[int] = []
    watch = Watch(progress=lambda done, total: totals.append(total))
    found = computed(fresh_executor(monkeypatch), cheap_request(name, picture, parameters=parameters), watch)
    if parameters.cost_is_exact:
        assert found.passes == parameters.cost()
    else:
        assert found.passes.total == totals[-1]


@pytest.mark.parametrize("name", [name for name in NAMES if "layer" in METHODS[name].parameters.model_fields])
def test_its_passes_at_a_layer_are_those_that_its_parameters_announce(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = cheap(METHODS[name], layer="auto")
    found = computed(fresh_executor(monkeypatch), cheap_request(name, picture, parameters=parameters))
    assert found.passes == parameters.cost() or not parameters.cost_is_exact
    assert found.layer == "stage2"


@pytest.mark.parametrize("name", WITH_REFERENCE)
@pytest.mark.parametrize("samples", [4, 53])
def test_the_reference_announces_its_passes_as_well(
    name: str, samples: int, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"samples": samples} if "samples" in METHODS[name].parameters.model_fields else {}
    parameters = cheap(METHODS[name], implementation="reference", **known)
    reports: list[tuple[int, int]] = []
    watch = Watch(progress=lambda done, total: reports.append((done, total)))
    found = computed(fresh_executor(monkeypatch), cheap_request(name, picture, parameters=parameters), watch)
    assert found.passes == parameters.cost() or not parameters.cost_is_exact
    assert found.passes.total == reports[-1][1]
    assert all(done <= total for done, total in reports)
    assert reports


@either_implementation
def test_progress_rises_to_the_total_and_never_beyond(
    name: str, implementation: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, reports = cheap_request(name, picture, implementation), []
    watch = Watch(progress=lambda done, total: reports.append((done, total)))
    computed(fresh_executor(monkeypatch), request, watch)
    done = [report[0] for report in reports]
    total = reports[-1][1] if reports else 0
    if request.parameters.cost_is_exact:
        assert total == request.cost.total
        assert all(report[1] == total for report in reports)
    assert done == sorted(done)
    assert max(done, default=0) <= total
    if implementation == "own":
        assert max(done, default=0) == total


@every_method
def test_partial_maps_look_like_the_map_and_end_in_it(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    partials: list[tuple[np.ndarray, bool]] = []
    watch = Watch(partial=lambda values, signed: partials.append((values, signed)), partial_seconds=-1)
    found = computed(fresh_executor(monkeypatch), cheap_request(name, picture), watch)
    for values, signed in partials:
        assert (values.dtype, values.shape) == (np.float32, (32, 32))
        assert np.isfinite(values).all()
        assert signed == found.signed
    if found.errors is not None:
        assert partials, "a sampled method shows how far it is"
    if partials:
        np.testing.assert_allclose(partials[-1][0], found.values, atol=1e-5 * np.abs(found.values).max())


@every_method
def test_every_parameter_is_part_of_the_key(
    name: str, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture.pixels).save(tmp_path / "other_background.png")
    monkeypatch.setenv("XAI_IMAGENET50_DIR", str(tmp_path))
    keys = {cheap_request(name, picture, parameters=METHODS[name].make()).digest}
    for option in METHODS[name].options:
        parameters = METHODS[name].make({option.name: another_value(option)})
        keys.add(cheap_request(name, picture, parameters=parameters).digest)
    assert len(keys) == 1 + len(METHODS[name].options)


@every_method
def test_all_that_decides_the_map_is_part_of_the_key(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_picture = Picture(picture.pixels[::-1])
    requests = [
        cheap_request(name, picture),
        cheap_request(name, picture, seed=1),
        cheap_request(name, picture, target=3),
        cheap_request(name, other_picture),
        cheap_request(name, picture, input=seen_by_tiny(picture, "gaussian_noise=10")),
        cheap_request(name, picture, input=seen_by_tiny(picture, "gaussian_noise=10", seed=1)),
        cheap_request(name, picture, input=seen_by_tiny(picture, "gaussian_noise=11")),
    ]
    digests = [request.digest for request in requests]
    with with_next_version(METHODS, name, monkeypatch):
        digests.append(cheap_request(name, picture).digest)
    assert len(set(digests)) == len(digests)
    assert cheap_request(name, picture).digest == digests[0]
    assert requests[0].key({"batch": 1}) != requests[0].key({"batch": 2})


@every_method
@pytest.mark.parametrize("target", [-1, 5, 1000])
def test_a_class_that_the_model_does_not_have_is_refused_in_one_sentence(
    name: str, target: int, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(XaiError, match=f"no class {target}") as error:
        computed(fresh_executor(monkeypatch), cheap_request(name, picture, target=target))
    assert is_sentence(str(error.value))


@every_method
def test_a_parameter_that_it_does_not_have_or_that_does_not_fit_is_refused_in_one_sentence(name: str) -> None:
    wrong: list[dict[str, Any]] = [{"no_such_parameter": 1}]
    for option in METHODS[name].options:
        if option.kind in ("int", "float"):
            wrong += [{option.name: option.high * 2 + 1}, {option.name: option.low - 1}, {option.name: "many"}]
            wrong += [{option.name: float("nan")}, {option.name: float("inf")}]
        if option.kind == "choice":
            wrong.append({option.name: "no such choice"})
    for values in wrong:
        with pytest.raises(XaiError) as error:
            METHODS[name].make(values)
        assert is_sentence(str(error.value)), str(error.value)
