"""What a region's effect is in words."""

from __future__ import annotations

import numpy as np
import pytest

from tests.checks import is_sentence
from xai_core.engine.requests import Action
from xai_core.render.charts import probe_chart
from xai_core.render.probing import sentences
from xai_core.types import Cost, Probed


def probed(after: float, elsewhere: list[float], before: float = 0.39) -> Probed:
    return Probed(before, after, np.asarray(elsewhere, dtype=np.float32), "key", Cost(), 0.0, {})


@pytest.mark.parametrize(
    ("action", "after", "elsewhere", "words"),
    [
        ("hide", 0.12, [0.3] * 96 + [0.1] * 4, "takes the probability of owl from 39 % to 12 %: more than 96 of 100"),
        ("hide", 0.12, [0.3] * 50, "more than all 50 random regions of the same size do (percentile 100)"),
        ("blur", 0.55, [0.5] * 3 + [0.6], "Blurring this region raises the probability of owl from 39 % to 55 %"),
        ("blur", 0.55, [0.5] * 3 + [0.6], "more than 3 of 4 random regions of the same size do (percentile 75)"),
        ("hide", 0.391, [0.5, 0.1, 0.1, 0.1], "leaves the probability of owl at 39 %: 1 of 4"),
        ("keep", 0.034, [0.01] * 9 + [0.2], "is 3.4 % instead of 39 %: higher than with 9 of 10"),
    ],
)
def test_the_sentence_tells_before_after_and_how_many_places_do_less(
    action: Action, after: float, elsewhere: list[float], words: str
) -> None:
    found = sentences(probed(after, elsewhere), action, "owl")
    assert words in found and is_sentence(found)


def test_only_beyond_all_others_is_the_percentile_100() -> None:
    assert "(percentile 99)" in sentences(probed(0.1, [0.3] * 999 + [0.05]), "hide", "owl")


def test_the_chart_holds_every_place() -> None:
    figure = probe_chart(probed(0.12, [0.0, 0.2, 0.39]), "this region")
    assert [round(one, 2) for one in figure.data[0].x] == [0.0, 0.2, 0.39]
    assert [line.x0 for line in figure.layout.shapes] == [0.12, 0.39]
