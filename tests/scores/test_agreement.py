"""Agreement with other methods: which maps it is compared with, and what of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests import networks, toys
from xai_core.engine.run import EngineRun, Watch
from xai_core.registry import METHODS
from xai_core.scores.agreement import PANEL, Agreement
from xai_core.scores.base import Undefined
from xai_core.scores.ranking import rank_correlation
from xai_core.types import Cost, Floats


def noise(seed: int) -> Floats:
    return np.random.default_rng(seed).random((16, 16), dtype=np.float32)


def run(maps: Mapping[str, Floats], asked: list[tuple[str, Mapping[str, Any]]]) -> EngineRun:
    """A run in which other methods make these maps."""

    def reference(name: str, values: Mapping[str, Any], _: Watch) -> Floats:
        asked.append((name, values))
        return maps[name]

    model = toys.classifier(networks.Brightness(), size=16, classes=2)
    return EngineRun(model, toys.frame(16), 1, 0, 8, Cost(), lambda _: None, Watch(), reference_map=reference)  # type: ignore[arg-type, return-value]


def test_it_is_the_mean_and_the_least_rank_correlation_with_the_panel() -> None:
    maps = {name: noise(number) + (number == 2) * noise(9) for number, name in enumerate(PANEL)}
    asked: list[tuple[str, Mapping[str, Any]]] = []
    found = Agreement(effort="quick").measure(run(maps, asked), noise(9), None).values
    correlations = [rank_correlation(noise(9), one) for one in maps.values()]
    assert found["mean"] == pytest.approx(np.mean(correlations))
    assert found["least"] == pytest.approx(min(correlations))
    assert 0 < found["disagreement"] < 1
    assert asked == [(name, METHODS[name].make({}, "quick").model_dump()) for name in PANEL]


def test_a_map_is_not_compared_with_itself_nor_with_a_flat_one() -> None:
    maps = dict(zip(PANEL, [noise(0), np.zeros((16, 16), np.float32), -noise(0), noise(0) ** 3], strict=True))
    found = Agreement().measure(run(maps, []), noise(0), None).values
    assert found["least"] == pytest.approx(-1)
    assert found["mean"] == pytest.approx(0, abs=1e-6)


def test_without_any_other_map_it_is_undefined() -> None:
    same = dict.fromkeys(PANEL, noise(0))
    with pytest.raises(Undefined, match="other methods"):
        Agreement().measure(run(same, []), noise(0), None)
