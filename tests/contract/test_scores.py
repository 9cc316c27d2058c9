"""Every registered score keeps the contract: a new one is covered without a line here."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest

from tests.checks import is_sentence, state_of
from xai_core.engine.executor import Executor
from xai_core.engine.requests import Evaluate, Explain, GivenMap, evaluate
from xai_core.engine.run import Watch
from xai_core.registry import METHODS, MODELS, PRESETS, SCORES
from xai_core.types import Cancelled, Mask, Picture, Score, XaiError, frozen

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

NAMES = list(SCORES.entries())
every_score = pytest.mark.parametrize("name", NAMES)
every_score_of_a_given_map = pytest.mark.parametrize("name", [name for name in NAMES if not SCORES[name].extra_maps])

pytestmark = pytest.mark.usefixtures("tiny_card")


def disc(picture: Picture) -> Mask:
    return Mask(picture.pixels[..., 1] > 200, name="disc")


def a_map(seed: int = 0, ties: float = 0.0) -> np.ndarray:
    values = np.random.default_rng(seed).random((32, 32), dtype=np.float32)
    return np.where(values < ties, np.float32(0), values)


def request(name: str, picture: Picture, mask: Mask | None = None, **facts: Any) -> Evaluate:
    """A score of a given map, or where the score needs more maps of the method, of one that a method makes."""
    parameters = facts.pop("parameters", None) or cheap(SCORES[name])
    values = frozen(facts.pop("values", a_map()))
    common = {"input": seen_by_tiny(picture), "target": 2, "seed": 0, **facts}
    subject: Explain | GivenMap = GivenMap(values=values, **common)
    if SCORES[name].extra_maps:
        reduction = "abs_max" if (values == a_map()).all() else "abs_sum"  # another map is another method
        subject = Explain(method="gradient", parameters=METHODS["gradient"].make({"reduction": reduction}), **common)
    return evaluate(subject, name, parameters, MODELS["tiny"], mask, picture)


def computed(executor: Executor, asked: Evaluate, watch: Watch | None = None) -> Score:
    return cast(Score, executor.compute(asked, watch))


def check_score(found: Score, name: str) -> None:
    declared = SCORES[name].values
    assert list(found.values) == list(declared)
    for part, value in found.values.items():
        assert isinstance(value, float)
        if math.isnan(value):
            assert found.reasons[part], "what is undefined says why"
        else:
            assert declared[part].low <= value <= declared[part].high, part
            assert part not in found.reasons
    for curve in found.curves.values():
        assert curve.x.dtype == curve.y.dtype == np.float32
        assert curve.x.shape == curve.y.shape
        assert curve.x.ndim == 1
        assert np.isfinite([curve.x, curve.y]).all()
        assert (np.diff(curve.x) > 0).all()
    assert found.name == name


@every_score
def test_it_says_all_that_must_be_known_of_it(name: str) -> None:
    spec = SCORES[name]
    check_facts(spec)
    assert spec.family
    assert spec.values
    assert any(value.headline for value in spec.values.values())
    for value in spec.values.values():
        assert value.title
        assert value.low < value.high
        assert value.better in ("higher", "lower")


@every_score
def test_its_presets_are_valid_and_grow_from_quick_to_paper(name: str) -> None:
    costs = [SCORES[name].make({}, preset).cost().total for preset in PRESETS]
    assert costs == sorted(costs)


@every_score
@pytest.mark.parametrize("ties", [0, 0.5, 0.95])
@pytest.mark.parametrize("seed", [0, 7])
def test_it_yields_the_declared_parts_within_their_bounds(
    name: str, seed: int, ties: float, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(name, picture, disc(picture), seed=seed, values=a_map(seed, ties))
    found = computed(fresh_executor(monkeypatch), asked)
    check_score(found, name)
    assert all(math.isfinite(value) for value in found.values.values())


@every_score
@pytest.mark.parametrize("method", ["gradcam", "sobel"])
def test_it_scores_maps_that_the_engine_makes(
    name: str, method: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Explain(seen_by_tiny(picture), method, METHODS[method].make(), 1, 4)
    asked = evaluate(subject, name, cheap(SCORES[name]), MODELS["tiny"], disc(picture), picture)
    check_score(computed(fresh_executor(monkeypatch), asked), name)


@every_score
@pytest.mark.parametrize("grey", [0, 128])
def test_a_constant_picture_is_scored_or_undefined(name: str, grey: int, monkeypatch: pytest.MonkeyPatch) -> None:
    constant = Picture(np.full((40, 40, 3), grey, dtype=np.uint8))
    mask = Mask(np.tri(40, dtype=bool))
    check_score(computed(fresh_executor(monkeypatch), request(name, constant, mask)), name)


@every_score
def test_the_same_seed_gives_the_same_score_bit_by_bit(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [request(name, picture, disc(picture), seed=3, values=a_map(0, 0.5)) for _ in range(2)]
    first, again = (computed(fresh_executor(monkeypatch), one) for one in asked)
    assert first.key == again.key
    assert first.values == again.values
    for curve in first.curves:
        np.testing.assert_array_equal(first.curves[curve].y, again.curves[curve].y)


@every_score
def test_what_was_computed_before_does_not_matter(name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    executor, asked = fresh_executor(monkeypatch), request(name, picture, disc(picture))
    before = global_random_state()
    first = computed(executor, asked)
    assert global_random_state() == before
    for other in NAMES:
        computed(executor, request(other, picture, disc(picture), target=1, seed=9))
    assert computed(executor, asked).values == first.values


@every_score
@pytest.mark.parametrize("batch", [1, 3])
def test_another_batch_size_gives_the_same_score(
    name: str, batch: int, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = computed(fresh_executor(monkeypatch), request(name, picture, disc(picture))).values
    found = computed(fresh_executor(monkeypatch, batch=batch), request(name, picture, disc(picture))).values
    for part, facts in SCORES[name].values.items():
        assert found[part] == pytest.approx(expected[part], abs=1e-4 * (facts.high - facts.low))


@every_score_of_a_given_map
def test_scaling_a_map_changes_no_score(name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores see ranks, or they see maps scaled to one size: else two methods could not be compared."""
    executor = fresh_executor(monkeypatch)
    expected = computed(executor, request(name, picture, disc(picture))).values
    found = computed(executor, request(name, picture, disc(picture), values=a_map() * np.float32(1024))).values
    for part in expected:
        assert found[part] == pytest.approx(expected[part], rel=1e-5)


@every_score
def test_the_model_the_map_and_the_mask_are_left_as_they_were(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = fresh_executor(monkeypatch)
    networks = executor.classifier("tiny").networks
    before = [state_of(network) for network in networks]
    values, mask = a_map(), disc(picture)
    asked = request(name, picture, mask, values=values)
    computed(executor, asked)
    assert [state_of(network) for network in networks] == before
    np.testing.assert_array_equal(values, a_map())
    np.testing.assert_array_equal(mask.values, disc(picture).values)


@every_score
def test_it_can_be_cancelled_at_every_check_and_computed_afterwards(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, asked = fresh_executor(monkeypatch), request(name, picture, disc(picture))
    expected = computed(executor, asked).values
    checks = checks_of(lambda watch: computed(executor, asked, watch))
    assert checks > 1 or asked.cost.total == 0
    for check in {0, 1, checks // 2, checks - 1} & set(range(checks)):
        with pytest.raises(Cancelled):
            computed(executor, asked, cancelled_at(check))
    assert computed(executor, asked).values == expected


@every_score
@pytest.mark.parametrize("preset", PRESETS)
def test_its_passes_are_those_that_its_parameters_announce(
    name: str, preset: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(name, picture, disc(picture), parameters=SCORES[name].make({}, preset))
    assert computed(fresh_executor(monkeypatch), asked).passes == asked.cost == asked.parameters.cost()


@every_score
def test_progress_rises_to_the_total_and_never_beyond(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, reports = request(name, picture, disc(picture)), []
    watch = Watch(progress=lambda done, total: reports.append((done, total)))
    computed(fresh_executor(monkeypatch), asked, watch)
    done = [report[0] for report in reports]
    total = sum(one.cost.total for one in (asked, *asked.needs))
    assert all(report[1] == total for report in reports[len(asked.needs) :])
    assert done == sorted(done)
    assert max(done, default=0) == total


@every_score
def test_every_parameter_is_part_of_the_key(name: str, picture: Picture) -> None:
    keys = {request(name, picture, disc(picture), parameters=SCORES[name].make()).digest}
    for option in SCORES[name].options:
        parameters = SCORES[name].make({option.name: another_value(option)})
        keys.add(request(name, picture, disc(picture), parameters=parameters).digest)
    assert len(keys) == 1 + len(SCORES[name].options)


@every_score
def test_all_that_decides_the_score_is_part_of_the_key(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    explained = Explain(seen_by_tiny(picture), "gradcam", METHODS["gradcam"].make(), 2, 0)
    asked = [
        request(name, picture, disc(picture)),
        request(name, picture, disc(picture), seed=1),
        request(name, picture, disc(picture), target=3),
        request(name, picture, disc(picture), values=a_map(1)),
        request(name, Picture(picture.pixels[::-1]), disc(picture)),
        request(name, picture, disc(picture), input=seen_by_tiny(picture, "resolution=4")),
        Evaluate(explained, name, cheap(SCORES[name]), None, None),
    ]
    digests = [one.digest for one in asked]
    with with_next_version(SCORES, name, monkeypatch):
        digests.append(request(name, picture, disc(picture)).digest)
    with with_next_version(METHODS, "gradcam", monkeypatch):
        digests.append(Evaluate(explained, name, cheap(SCORES[name]), None, None).digest)
    assert len(set(digests)) == len(digests)
    assert request(name, picture, disc(picture)).digest == digests[0]


@every_score
def test_the_mask_is_part_of_the_key_exactly_where_it_is_needed(name: str, picture: Picture) -> None:
    other = Mask(~disc(picture).values)
    digests = {request(name, picture, mask).digest for mask in (None, disc(picture), other)}
    assert len(digests) == (3 if SCORES[name].needs_mask else 1)


@pytest.mark.parametrize("name", [name for name in NAMES if SCORES[name].needs_mask])
@pytest.mark.parametrize("kind", ["missing", "outside the frame"])
def test_without_a_mask_it_is_undefined_and_says_why(
    name: str, kind: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = np.zeros(picture.size, dtype=bool)
    outside[:, 0] = True  # cut off: the frame is the middle of the picture
    found = computed(fresh_executor(monkeypatch), request(name, picture, None if kind == "missing" else Mask(outside)))
    check_score(found, name)
    assert all(math.isnan(value) for value in found.values.values())


@pytest.mark.parametrize("name", [name for name in NAMES if SCORES[name].needs_mask])
def test_a_mask_of_another_size_is_refused_in_one_sentence(name: str, picture: Picture) -> None:
    with pytest.raises(XaiError, match="draw it on the picture's own size") as error:
        request(name, picture, Mask(np.ones((10, 10), dtype=bool)))
    assert is_sentence(str(error.value))


@every_score_of_a_given_map
def test_a_map_of_another_size_is_refused_in_one_sentence(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = np.random.default_rng(0).random((16, 32)).astype(np.float32)
    with pytest.raises(XaiError, match="16, 32") as error:
        computed(fresh_executor(monkeypatch), request(name, picture, disc(picture), values=wrong))
    assert is_sentence(str(error.value))


@every_score
@pytest.mark.parametrize("target", [-1, 5])
def test_a_class_that_the_model_does_not_have_is_refused_in_one_sentence(
    name: str, target: int, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(XaiError, match=f"no class {target}") as error:
        computed(fresh_executor(monkeypatch), request(name, picture, disc(picture), target=target))
    assert is_sentence(str(error.value))


@every_score
def test_a_parameter_that_it_does_not_have_or_that_does_not_fit_is_refused_in_one_sentence(name: str) -> None:
    wrong: list[dict[str, Any]] = [{"no_such_parameter": 1}]
    for option in SCORES[name].options:
        if option.kind in ("int", "float"):
            wrong += [{option.name: option.high * 2 + 1}, {option.name: option.low - 1}, {option.name: "many"}]
            wrong += [{option.name: float("nan")}, {option.name: float("inf")}]
        if option.kind == "choice":
            wrong.append({option.name: "no such choice"})
    for values in wrong:
        with pytest.raises(XaiError) as error:
            SCORES[name].make(values)
        assert is_sentence(str(error.value)), str(error.value)


OF_OTHERS = "agreement"
"""Makes maps by other methods than the one that made the map."""


def test_a_map_that_was_brought_along_is_compared_with_other_methods(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = GivenMap(seen_by_tiny(picture), frozen(a_map()), 2)
    asked = evaluate(given, OF_OTHERS, cheap(SCORES[OF_OTHERS]), MODELS["tiny"], None, picture)
    found = computed(fresh_executor(monkeypatch), asked)
    check_score(found, OF_OTHERS)
    assert all(math.isfinite(value) for value in found.values.values())


@pytest.mark.parametrize("name", [name for name in NAMES if SCORES[name].extra_maps and name != OF_OTHERS])
def test_a_score_of_several_maps_is_undefined_for_one_that_was_brought_along(
    name: str, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = GivenMap(seen_by_tiny(picture), frozen(a_map()), 2)
    asked = evaluate(given, name, cheap(SCORES[name]), MODELS["tiny"], None, picture)
    found = computed(fresh_executor(monkeypatch), asked)
    check_score(found, name)
    assert all(math.isnan(value) for value in found.values.values())
