"""Localisation scores with several annotators: against each, the consensus, and people among themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xai_core.masks.agreement import intersection_over_union
from xai_core.masks.consensus import majority, staple, union
from xai_core.registry import SCORES
from xai_core.scores.localisation import roc_auc
from xai_core.scores.several import ALONE, EMPTY, EMPTY_CONSENSUS, EMPTY_OTHERS, against_several
from xai_core.types import Bools, XaiError

NAMES = ("iou", "pointing_game", "energy_in_mask", "relevance_rank", "roc_auc")
every_score = pytest.mark.parametrize("name", NAMES)


def square(top: int, left: int, side: int = 8, size: int = 32) -> Bools:
    mask = np.zeros((size, size), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


SALIENCY = np.random.default_rng(0).random((32, 32), dtype=np.float32) + 2 * square(5, 5)
PEOPLE = {"anna": square(4, 4), "bert": square(5, 5), "cleo": square(6, 7)}


@every_score
def test_each_and_the_consensus_are_the_score_itself(name: str) -> None:
    found = against_several(name, SALIENCY, PEOPLE, seed=3)
    score = SCORES[name].make()
    for whose, mask in PEOPLE.items():
        assert found.each[whose].values == score.located(SALIENCY, mask, 3).values  # type: ignore[attr-defined]
    agreed = majority(list(PEOPLE.values()))
    assert found.consensus.values == score.located(SALIENCY, agreed, 3).values  # type: ignore[attr-defined]
    assert found.ceiling.values.keys() == SCORES[name].values.keys()


def test_people_are_held_against_the_consensus_of_the_others() -> None:
    found = against_several("iou", SALIENCY, PEOPLE, seed=0, agreed=union)
    others = {"anna": ("bert", "cleo"), "bert": ("anna", "cleo"), "cleo": ("anna", "bert")}
    expected = {
        whose: intersection_over_union(PEOPLE[whose], PEOPLE[one] | PEOPLE[two]) for whose, (one, two) in others.items()
    }
    assert {whose: one.values["area_matched"] for whose, one in found.people.items()} == expected
    assert found.ceiling.values["best"] == pytest.approx(np.mean(list(expected.values())))


def test_a_persons_mask_is_scored_as_a_map_where_the_score_ranks() -> None:
    found = against_several("roc_auc", SALIENCY, PEOPLE, seed=0)
    rest = majority([PEOPLE["bert"], PEOPLE["cleo"]])
    assert found.people["anna"].values["auc"] == roc_auc(PEOPLE["anna"].astype(np.float32), rest)


@every_score
def test_people_who_agree_have_a_ceiling_of_one(name: str) -> None:
    found = against_several(name, SALIENCY, dict.fromkeys(PEOPLE, PEOPLE["bert"]), seed=0)
    assert set(found.ceiling.values.values()) == {1}
    assert all(one.values == found.consensus.values for one in found.each.values())


@every_score
def test_one_person_has_no_ceiling(name: str) -> None:
    found = against_several(name, SALIENCY, {"anna": PEOPLE["anna"]}, seed=0)
    assert found.consensus.values == found.each["anna"].values
    assert all(math.isnan(value) for value in found.ceiling.values.values())
    assert set(found.ceiling.reasons.values()) == {ALONE}


@every_score
def test_empty_masks_are_no_numbers_with_a_reason(name: str) -> None:
    empty = np.zeros((32, 32), dtype=bool)
    found = against_several(name, SALIENCY, {"anna": PEOPLE["anna"], "bert": empty}, seed=0)
    assert set(found.each["bert"].reasons.values()) == {EMPTY}
    assert set(found.consensus.reasons.values()) == {EMPTY_CONSENSUS}  # a tie is no
    assert set(found.people["anna"].reasons.values()) == {EMPTY_OTHERS}
    assert all(math.isnan(value) for value in found.people["anna"].values.values())


def test_a_flat_map_is_no_number_and_people_still_agree() -> None:
    found = against_several("iou", np.ones((32, 32), dtype=np.float32), PEOPLE, seed=0)
    assert all(math.isnan(value) for value in found.consensus.values.values())
    assert 0 < found.ceiling.values["best"] < 1


@given(
    st.lists(arrays(bool, (5, 6)), min_size=1, max_size=4), st.sampled_from(NAMES), st.sampled_from([majority, union])
)
def test_every_number_is_in_its_bounds_or_has_a_reason(masks: list[Bools], name: str, agreed: object) -> None:
    saliency = np.random.default_rng(1).random((5, 6), dtype=np.float32)
    found = against_several(name, saliency, dict(zip("abcd", masks, strict=False)), 0, agreed=agreed)  # type: ignore[arg-type]
    for measured in (found.consensus, found.ceiling, *found.each.values(), *found.people.values()):
        for part, value in measured.values.items():
            assert 0 <= value <= 1 or (math.isnan(value) and measured.reasons[part])


def test_staple_is_a_consensus_too_and_parameters_are_the_scores() -> None:
    found = against_several("iou", SALIENCY, PEOPLE, 0, {"fraction": 1.0}, lambda masks: staple(masks).mask)
    assert found.each["anna"].values["top"] == 64 / 1024


@pytest.mark.parametrize(
    ("name", "masks"),
    [("iou", {}), ("iou", {"anna": square(1, 1, size=16)}), ("occlusion", PEOPLE), ("nothing", PEOPLE)],
)
def test_what_does_not_fit_is_refused(name: str, masks: dict[str, Bools]) -> None:
    with pytest.raises(XaiError):
        against_several(name, SALIENCY, masks, seed=0)
