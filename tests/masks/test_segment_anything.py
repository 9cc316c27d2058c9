"""Segment Anything is there where its package and weights are, and speaks to the network as its package asks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from xai_core.masks import segment_anything
from xai_core.masks.tools import Hints
from xai_core.types import XaiError

HINTS = Hints((5, 10, 20, 30), *np.zeros((3, 40, 60), dtype=bool))
PIXELS = np.zeros((40, 60, 3), dtype=np.uint8)


class Network(torch.nn.Linear):
    """Stands in for the published network: it has weights, and no need of them."""

    def __init__(self, checkpoint: None) -> None:
        super().__init__(2, 2)


class Predictor:
    """Answers with the box, and remembers what it was asked."""

    seen: list[Any] = []  # noqa: RUF012

    def __init__(self, network: torch.nn.Module) -> None:
        assert not network.training

    def set_image(self, pixels: Any) -> None:
        self.size = pixels.shape[:2]
        self.seen.append("picture")

    def predict(self, box: Any, point_coords: Any, point_labels: Any, multimask_output: bool) -> Any:
        self.seen.append((box.tolist(), None if point_coords is None else point_coords.tolist(), point_labels))
        mask = np.zeros((1, *self.size), dtype=bool)
        left, top, right, bottom = box
        mask[0, top:bottom, left:right] = True
        return mask, None, None


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = ModuleType("segment_anything")
    package.__spec__ = object()  # type: ignore[assignment]
    package.SamPredictor, package.sam_model_registry = Predictor, {"vit_b": Network}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "segment_anything", package)
    path = tmp_path / "sam_vit_b_01.pth"
    torch.save(Network(None).state_dict(), path)
    monkeypatch.setenv("XAI_SAM_WEIGHTS", str(path))
    monkeypatch.setattr(segment_anything, "_seen", "")
    segment_anything._predictor.cache_clear()
    Predictor.seen.clear()
    return path


def test_it_is_absent_without_its_weights() -> None:
    assert not segment_anything.available()
    with pytest.raises(XaiError, match=r"^Segment Anything is not installed: .* or use GrabCut\.$"):
        segment_anything.segment(PIXELS, HINTS)


def test_it_is_there_with_package_and_weights(weights: Path) -> None:
    assert segment_anything.available()
    weights.unlink()
    assert not segment_anything.available()


def test_the_network_gets_box_and_points_and_each_picture_once(weights: Path) -> None:
    points = [((12, 7), 1), ((30, 20), 0)]
    mask = segment_anything._segment(str(weights), PIXELS, HINTS.box, points)
    assert mask[5:25, 10:40].all() and mask.sum() == 20 * 30
    segment_anything._segment(str(weights), PIXELS, HINTS.box, [])
    segment_anything._segment(str(weights), PIXELS + 1, HINTS.box, [])
    assert [entry for entry in Predictor.seen if entry == "picture"] == ["picture"] * 2
    box, coordinates, labels = Predictor.seen[1]
    assert box == [10, 5, 40, 25] and coordinates == [[12, 7], [30, 20]] and labels.tolist() == [1, 0]
    assert Predictor.seen[2][1:] == (None, None)


def test_weights_that_are_none_never_run(weights: Path) -> None:
    weights.write_bytes(b"not weights")
    with pytest.raises(XaiError, match="cannot be read"):
        segment_anything._predictor(str(weights))
    other = weights.with_name("other.pth")
    with pytest.raises(XaiError, match="does not say which network"):
        segment_anything._predictor(str(other))


def test_points_lie_on_their_mark() -> None:
    mark = np.zeros((40, 60), dtype=bool)
    mark[10:20, 15:18] = True
    points = segment_anything._points(mark)
    assert len(points) == segment_anything.POINTS and all(mark[y, x] for x, y in points)
    assert segment_anything._points(np.zeros((4, 4), dtype=bool)) == []
