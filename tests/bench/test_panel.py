"""The panel and the samplers on a small network: the shape of the result, its arithmetic, and fair sides."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from xai_core.bench import panel, samplers


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few samples on both sides."""
    for module in (panel, samplers):
        monkeypatch.setattr(module, "note", lambda text: None)
    for method, count in (("shap", 12), ("lime", 40), ("smoothgrad", 6)):
        monkeypatch.setitem(panel.SETTINGS, method, {**panel.SETTINGS[method], "samples": count})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_panel_measures_both_sides_of_every_part(small: None, tiny_card: Path) -> None:
    samplers.remember({name: {"plain_passes": 200, "our_passes": 100, "saving": 2.0} for name in ("shap", "lime")})
    found = panel.run("tiny", rounds=1)
    assert set(found["parts"]) == {"gradcam", "shap", "lime", "smoothgrad", "occlusion", "road"}
    for part in (*found["parts"].values(), found["total"]):
        assert part["ratio"] == pytest.approx(part["library_s"] / part["ours_s"])
        assert part["limit_ratio"] == pytest.approx(part["ours_s"] / part["limit_s"])
        assert all(math.isfinite(value) and value > 0 for value in part.values())
    parts = found["parts"]
    assert parts["shap"]["passes"] == 2 * 12
    assert parts["lime"]["passes"] == 40
    usable = parts["occlusion"]["passes"] // 3  # a random network may have a map that is zero everywhere
    assert usable in (3, 4) and parts["occlusion"]["passes"] == usable * 3
    assert parts["road"]["passes"] == usable * 19
    total = found["total"]
    for key in ("ours_s", "library_s", "passes", "limit_s"):
        assert total[key] == pytest.approx(sum(part[key] for part in parts.values()))
    assert found["equal_quality_samples"] == {"shap": 6, "lime": 20}
    assert total["equal_quality_ratio"] > 0
    imputation = found["imputation"]
    assert imputation["ratio"] == pytest.approx(imputation["library_s"] / imputation["ours_s"])
    json.dumps(found)


def test_the_sampled_methods_are_those_that_can_sample_plainly_too() -> None:
    assert set(samplers.sampled_methods()) == {"kernel_shap", "lime", "rise", "shap"}


@pytest.mark.filterwarnings("ignore")
def test_samplers_counts_passes_until_the_map_is_good_for_good(small: None, tiny_card: Path) -> None:
    found = samplers.run("tiny", pictures=("coffee.png",), seeds=1, reference=300, limit=160)
    for method, one in found.items():
        assert 0 < one["our_passes"] <= 160 and 0 < one["plain_passes"] <= 160, method
        assert one["saving"] == one["plain_passes"] / one["our_passes"]
    assert json.loads(samplers.memory().read_text()) == found


@pytest.mark.parametrize(
    ("correlations", "needed", "asked"),
    [
        ([0.5, 0.96, 0.97, 0.98, 0.99], 16, 24),
        ([0.96, 0.5, 0.97, 0.98, 0.98], 24, 32),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 40, 40),
        ([0.99] * 5, 8, 16),
        ([float("nan"), 0.2, 0.2, 0.2, 0.96], 40, 40),
    ],
)
def test_a_map_that_gets_worse_again_was_not_good(
    correlations: list[float], needed: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(correlations)
    monkeypatch.setattr(samplers, "rank_correlation", lambda values, reference: next(left))
    seen = 0

    def explained(*given: Any) -> None:
        nonlocal seen
        watch = given[-1]
        for seen in range(8, 41, 8):
            watch.progress(2 * seen, 80)  # a gradient is two passes
            watch.partial([], True)
            watch.check()

    monkeypatch.setattr(samplers, "explained", explained)
    given: Any = None
    assert samplers.passes_until(given, given, "shap", 0, 0, {"samples": 40}, given) == needed
    assert seen == asked
