"""What cannot be scored is not-a-number with a reason, for every score there is; never 0 and never a hit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import xai_core as xc
from xai_core.registry import SCORES
from xai_core.scores.base import undefined, unusable
from xai_core.types import Picture

BAD = {
    "zero": np.zeros((32, 32)),
    "flat": np.full((32, 32), 0.7),
    "negative": np.full((32, 32), -3.0),
    "one not a number": np.where(
        np.arange(1024).reshape(32, 32) == 5, np.nan, np.random.default_rng(0).random((32, 32))
    ),
    "nothing but not a number": np.full((32, 32), np.nan),
    "infinite": np.where(np.arange(1024).reshape(32, 32) == 5, np.inf, np.random.default_rng(0).random((32, 32))),
}


@pytest.mark.parametrize("score", SCORES.entries())
@pytest.mark.parametrize("kind", BAD)
def test_a_map_that_ranks_nothing_scores_not_a_number_and_says_why(
    kind: str, score: str, tiny_card: Path, picture: Picture
) -> None:
    model = xc.load_classifier("tiny")
    found = xc.score(model, picture, BAD[kind], [score], mask=picture.pixels[..., 0] > 100, target=1)[score]
    assert set(found.values) == set(SCORES[score].values) == set(found.reasons)
    assert all(math.isnan(value) for value in found.values.values())
    word = "not numbers" if "number" in kind or kind == "infinite" else "flat"
    assert all(word in reason for reason in found.reasons.values())
    assert found.passes.total == 0, "nothing need be computed to know that"


@pytest.mark.parametrize("score", [spec.name for spec in SCORES if not spec.extra_maps])
def test_a_map_with_one_pixel_above_the_rest_is_scored(score: str, tiny_card: Path, picture: Picture) -> None:
    """The rule above must not swallow sparse maps."""
    sparse = np.zeros((32, 32))
    sparse[3, 4] = 1e-30
    found = xc.score(xc.load_classifier("tiny"), picture, sparse, [score], mask=picture.pixels[..., 0] > 100, target=1)[
        score
    ]
    assert all(math.isfinite(value) for value in found.values.values()), found.reasons


@pytest.mark.parametrize(
    ("values", "usable"),
    [
        (np.zeros((2, 2)), False),
        (np.full((2, 2), 5.0), False),
        (np.array([[0.0, np.nan]]), False),
        (np.array([[0.0, -np.inf]]), False),
        (np.zeros((0, 0)), False),
        (np.array([[0.0, 1e-40]]), True),
        (np.array([[-1.0, 0.0]]), True),
    ],
)
def test_a_map_is_usable_when_it_ranks_something(values: np.ndarray, usable: bool) -> None:
    assert (unusable(values.astype(np.float32)) is None) == usable


def test_what_is_undefined_has_one_reason_for_every_part() -> None:
    found = undefined(iter(["a", "b"]), "because")
    assert all(math.isnan(value) for value in found.values.values())
    assert found.reasons == {"a": "because", "b": "because"}
    assert set(found.values) == {"a", "b"}
