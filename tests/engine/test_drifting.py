"""The requests of a drift: which inputs and seeds, and when it is enough to have seen two runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.conftest import write_tiny_card
from xai_core.corruptions import chain
from xai_core.corruptions.region import cover
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.drifting import Drifting
from xai_core.engine.following import follow
from xai_core.engine.inline import InlineEngine
from xai_core.engine.requests import Explain, Predict, Request
from xai_core.registry import METHODS, MODELS
from xai_core.types import Prediction, SaliencyMap

from .asking import disc

STEPS = [chain.step("gaussian_noise", value) for value in (10, 25)]


@pytest.fixture
def drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drifting:
    write_tiny_card(tmp_path / "models")
    monkeypatch.setenv("XAI_MODELS_DIR", str(tmp_path / "models"))
    variants = [
        Variant("gradcam", METHODS["gradcam"].make()),
        Variant("smoothgrad", METHODS["smoothgrad"].make({"samples": 2})),
    ]
    comparison = Comparison(disc(), [MODELS["tiny"]], variants, seed=7)
    return Drifting(comparison, {"tiny": STEPS}, runs=4)


def of(requests: dict[Any, Request], kind: str) -> dict[Any, Any]:
    return {place: request for place, request in requests.items() if place[0] == kind}


def test_every_severity_has_its_picture_and_its_maps(drift: Drifting) -> None:
    found = drift.requests({"tiny": 2}, lambda request: None)
    seen, maps = of(found, "seen"), of(found, "drift")
    assert all(isinstance(one, Predict) for one in seen.values())
    assert [[step.value for step in one.input.corruptions] for one in seen.values()] == [[10], [25]]
    assert [place[2:] for place in maps] == [
        ("gradcam", "0"),
        ("smoothgrad", "0"),
        ("gradcam", "1"),
        ("smoothgrad", "1"),
    ]
    for place, one in maps.items():
        assert isinstance(one, Explain)
        assert (one.method, one.target, one.seed, one.input.seed) == (place[2], 2, 7, 7)
    assert len({one.digest for one in found.values()}) == len(found)


def test_further_seeds_are_asked_for_only_where_the_first_one_changes_the_map(drift: Drifting) -> None:
    targets = {"tiny": 2}
    runs = of(drift.requests(targets, lambda request: None), "run")
    assert [(place[2], one.seed) for place, one in runs.items()] == [("gradcam", 8), ("smoothgrad", 8)]
    assert all(one.input.corruptions == () for one in runs.values())
    engine = InlineEngine()

    def known(request: Request) -> object | None:
        return engine.result(request)

    runs = of(drift.requests(targets, known), "run")
    assert [(place[2], one.seed) for place, one in runs.items()] == [
        ("gradcam", 8),
        ("smoothgrad", 8),
        ("smoothgrad", 9),
        ("smoothgrad", 10),
    ]


def test_what_is_there_is_found_in_its_place(drift: Drifting) -> None:
    engine, comparison = InlineEngine(), drift.comparison

    def more(targets: Any) -> Any:
        return drift.requests(targets, engine.known)

    for _ in range(3):
        standing = follow(comparison, engine, "me", more=more)
    card, (plain, sampled) = comparison.cards[0], comparison.variants
    assert [isinstance(one, Prediction) for one in drift.seen(standing, card)] == [True] * 3
    maps = drift.maps(standing, card, sampled)
    assert [cast(SaliencyMap, one).corruptions for one in maps] == [
        (),
        ("gaussian_noise=10.0",),
        ("gaussian_noise=25.0",),
    ]
    assert len(drift.clean_runs(standing, card, plain)) == 2, "nothing is left to chance"
    assert [one.seed for one in drift.clean_runs(standing, card, sampled)] == [7, 8, 9, 10]
    del standing.jobs["run", "tiny", "smoothgrad", "3"]
    assert drift.clean_runs(standing, card, sampled) == [], "as long as one is missing"


def test_a_covered_region_decides_the_key_and_no_severities_ask_for_nothing(drift: Drifting) -> None:
    frame = drift.comparison.inputs["tiny"].frame
    regions = [np.random.default_rng(seed).random(frame.shape[:2]) < 0.3 for seed in range(2)]
    digests = {
        replace(drift, levels={"tiny": [cover(region)]})
        .requests({"tiny": 2}, lambda one: None)["seen", "tiny", "0"]
        .digest
        for region in (*regions, regions[0].copy())
    }
    assert len(digests) == 2
    nothing = replace(drift, levels={"tiny": []}).requests({"tiny": 2}, lambda one: None)
    assert {place[0] for place in nothing} == {"run"}
