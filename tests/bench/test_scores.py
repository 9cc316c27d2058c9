"""The benchmark of scores on a small network: all of them, and the arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest

from xai_core.bench import scores
from xai_core.registry import SCORES


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_all_scores_of_a_map_are_measured_against_their_passes(tiny_card: Path) -> None:
    found = scores.run("tiny", rounds=1)
    assert set(found["parts"]) == {spec.name for spec in SCORES if not spec.extra_maps}
    assert found["ours_s"] == pytest.approx(sum(part["ours_s"] for part in found["parts"].values()))
    assert found["passes"] == sum(part["passes"] for part in found["parts"].values())
    assert found["limit_ratio"] == pytest.approx(found["ours_s"] / found["limit_s"])
    assert list(found["libraries"]) == list(scores.LIBRARIES)
    for name, own in scores.LIBRARIES.items():
        part = found["libraries"][name]
        assert part["ratio"] == pytest.approx(part["library_s"] / part["ours_s"])
        assert not own or part["ours_s"] == sum(found["parts"][one]["ours_s"] for one in own)
