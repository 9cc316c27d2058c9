"""What a page follows: a comparison, and further requests beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import write_tiny_card
from xai_core.corruptions.chain import step
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.drifting import Drifting
from xai_core.engine.following import Place, follow
from xai_core.engine.inline import InlineEngine
from xai_core.engine.requests import Probe, Request
from xai_core.registry import METHODS, MODELS
from xai_core.types import Cost, Probed, Region, SaliencyMap

from .asking import disc

pytestmark = pytest.mark.usefixtures("tiny_card")


def test_further_requests_know_the_target_and_count_as_the_others() -> None:
    comparison = Comparison(disc(), [MODELS["tiny"]], [Variant("gradient", METHODS["gradient"].make())])
    card, variant = comparison.cards[0], comparison.variants[0]
    told: list[Mapping[str, int]] = []

    def more(targets: Mapping[str, int]) -> dict[Place, Request]:
        told.append(targets)
        base = comparison.explanation(card, variant, targets["tiny"])
        probe = Probe(base.input, base.target, Region(0, 0, 4, 4), places=6)
        return {("probe",): probe, ("seed", "1"): replace(base, seed=1)}

    standing = follow(comparison, InlineEngine(), "test", more=more)
    top = standing.outcome.clean["tiny"].top
    assert told and all(one == {"tiny": top} for one in told)
    assert isinstance(standing.jobs["probe",].result, Probed)
    again = standing.jobs["seed", "1"].result
    assert isinstance(again, SaliencyMap) and again.seed == 1
    assert not standing.pending and standing.seconds > 0
    own = (Cost(2) + Cost(1, 1) + Cost(8) + Cost(1, 1)).total
    assert standing.passes == (own, own)


def test_a_further_request_that_fails_is_told_and_keeps_nothing_else_from_being_there() -> None:
    comparison = Comparison(disc(), [MODELS["tiny"]], [Variant("gradient", METHODS["gradient"].make())])
    given = comparison.inputs["tiny"]
    wrong = Probe(given, 0, Region(0, 0, 32, 32))
    standing = follow(comparison, InlineEngine(), "test", more=lambda targets: {("probe",): wrong})
    assert len(standing.failures) == 1 and "whole picture" in standing.failures[0]
    assert set(standing.outcome.maps) == {("tiny", "gradient")}


def test_a_model_that_cannot_be_asked_keeps_the_others_from_nothing(tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    (tiny_card.parent / "other.safetensors").write_bytes(b"damaged")
    cards = [MODELS["other"], MODELS["tiny"]]
    variant = Variant("gradient", METHODS["gradient"].make())
    told: list[Mapping[str, int]] = []

    def more(targets: Mapping[str, int]) -> dict[Place, Request]:
        told.append(targets)
        drifting = Drifting(comparison, {card.name: [step("gaussian_noise", 10)] for card in cards}, runs=2)
        return drifting.requests(targets, lambda request: None)

    for target in (None, 2):
        comparison = Comparison(disc(), cards, [variant], target=target)
        told.clear()
        standing = follow(comparison, InlineEngine(), "test", more=more)
        assert standing.lost == {"other"} and set(told[-1]) == {"tiny"}
        assert isinstance(standing.jobs["drift", "tiny", "gradient", "0"].result, SaliencyMap)
        assert ("seen", "other", "0") not in standing.jobs
        assert len(standing.failures) == 1

    comparison = Comparison(disc(), cards[:1], [variant])
    told.clear()
    assert follow(comparison, InlineEngine(), "test", more=more).lost == {"other"} and not told
