"""The benchmark of the cache: real asks through a real worker."""

from __future__ import annotations

import pytest

from xai_core.bench import cache


@pytest.mark.usefixtures("tiny_card")
def test_a_repeated_request_is_measured_from_memory_and_from_disk() -> None:
    result = cache.run("tiny", repetitions=3)
    assert set(result) == {"memory", "disk"}
    for figures in result.values():
        assert 0 < figures["p50_ms"] <= figures["p95_ms"] < 1000


@pytest.mark.slow
def test_a_repeated_request_is_answered_at_once() -> None:
    result = cache.run("efficientnet_lite0")
    assert result["memory"]["p95_ms"] <= 10
    assert result["disk"]["p95_ms"] <= 40
