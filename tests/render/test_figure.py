"""The figure: a PNG with a row per model and a column per map, whatever its texts and values are."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xai_core.engine.comparison import Outcome
from xai_core.render.colours import MODES, Mode, lookup_table
from xai_core.render.figure import figure_png, map_scale
from xai_core.types import Picture, Pixels

from ..conftest import write_tiny_card
from .outcomes import outcome_of, with_score


def drawn(outcome: Outcome, **options: Any) -> Pixels:
    """The figure's pixels at a low resolution."""
    data = figure_png(outcome, **{"dpi": 60, **options})
    assert data.startswith(b"\x89PNG")
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def texts_of(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that the figure says; none of it may be read as a formula."""
    from matplotlib.mathtext import MathTextParser
    from matplotlib.text import Text

    monkeypatch.setattr(MathTextParser, "parse", lambda *_: pytest.fail("a text is read as a formula"))
    said: list[str] = []
    draw = Text.draw
    monkeypatch.setattr(Text, "draw", lambda self, *rest: said.append(self.get_text()) or draw(self, *rest))
    drawn(outcome)
    return [text for text in said if text]


def test_the_figure_is_a_png_of_the_asked_resolution(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(picture, ("gradcam",))
    small, large = drawn(outcome, dpi=50), drawn(outcome, dpi=100)
    np.testing.assert_allclose(large.shape[:2], 2 * np.array(small.shape[:2]), atol=1)
    assert len(np.unique(large.reshape(-1, 3), axis=0)) > 100


def test_every_model_is_a_row_and_every_method_a_column(tiny_card: Path, picture: Picture) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    one = drawn(outcome_of(picture, ("gradcam",))).shape
    rows = drawn(outcome_of(picture, ("gradcam",), ("tiny", "other"))).shape
    columns = drawn(outcome_of(picture, ("gradcam", "smoothgrad"))).shape
    assert rows[0] > 1.5 * one[0]
    assert rows[1] == one[1]
    assert columns[1] > 1.4 * one[1]
    assert columns[0] == one[0]


def test_scores_make_room_for_themselves(tiny_card: Path, picture: Picture) -> None:
    plain = drawn(outcome_of(picture, ("gradcam",))).shape
    assert drawn(outcome_of(picture, ("gradcam",), scores=("occlusion",))).shape[0] > plain[0]


def test_the_figure_says_what_is_compared(tiny_card: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = outcome_of(
        replace(picture, title="A disc"),
        ("gradcam@deep", "smoothgrad"),
        scores=("occlusion",),
        corrupt=["gaussian_noise=25"],
        target=3,
        seed=4,
    )
    said = texts_of(outcome, monkeypatch)
    assert "A disc  ·  gaussian_noise=25  ·  seed 4" in said
    assert {"Tiny", "Grad-CAM · deep", "SmoothGrad", "explained: class 3"} <= set(said)
    clean, corrupted = (found["tiny"].probabilities[3] for found in (outcome.clean, outcome.predictions))
    assert {f"clean {clean:.1%}", f"corrupted {corrupted:.1%}"} <= set(said)
    assert sum(text.startswith("Drop, subject hidden ↑ ") and text.endswith(" %") for text in said) == 2


def test_an_undefined_score_is_a_dash(tiny_card: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = outcome_of(picture, ("gradcam",), scores=("occlusion",))
    values = dict.fromkeys(outcome.scores["tiny", "gradcam", "occlusion"].values, math.nan)
    outcome = with_score(outcome, "tiny", "gradcam", "occlusion", values=values)
    assert "Drop, subject hidden ↑ – %" in texts_of(outcome, monkeypatch)


def test_without_a_mask_its_scores_are_left_out(
    tiny_card: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any("IoU" in text for text in texts_of(outcome_of(picture, ("gradcam",), scores=("iou",)), monkeypatch))


@pytest.mark.parametrize("mode", MODES)
def test_every_way_of_colouring_shows_its_own_colours(tiny_card: Path, picture: Picture, mode: Mode) -> None:
    outcome = outcome_of(picture, ("gradcam",))
    pixels = drawn(outcome, mode=mode, opacity=1.0).reshape(-1, 3).tolist()
    shown = {tuple(colour) for colour in pixels}
    table = "bwr" if mode == "minmax" else "inferno"
    own = {tuple(colour) for colour in lookup_table(table).tolist()}
    assert len(own & shown) > 30


def test_the_colours_can_be_chosen(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(picture, ("gradcam",))
    assert (drawn(outcome) != drawn(outcome, sequential="viridis")).any()
    assert (drawn(outcome, opacity=0.2) != drawn(outcome, opacity=0.9)).any()


def test_the_same_outcome_gives_the_same_file(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(picture, ("gradcam",))
    assert figure_png(outcome, dpi=50) == figure_png(outcome, dpi=50)


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, -1e38])
@pytest.mark.parametrize("signed", [False, True])
def test_a_map_of_any_values_is_drawn(tiny_card: Path, picture: Picture, value: float, signed: bool) -> None:
    outcome = outcome_of(picture, ("gradcam",))
    values = np.full((32, 32), value, dtype=np.float32)
    outcome.maps["tiny", "gradcam"] = replace(outcome.maps["tiny", "gradcam"], values=values, signed=signed)
    assert drawn(outcome).size


def test_what_is_not_computed_yet_leaves_its_cell(
    tiny_card: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = outcome_of(picture, scores=("occlusion",))
    expected = drawn(outcome).shape
    del outcome.maps["tiny", "smoothgrad"]
    assert drawn(outcome).shape == expected
    assert "not computed" in texts_of(outcome, monkeypatch)
    assert drawn(Outcome(outcome.comparison)).shape[1] == expected[1]


@pytest.mark.parametrize("name", ["$owl$.png", r"$\frac$.png", "$5 and $6.png", r"\$_{x}^2.png", "Eule ü.png"])
def test_a_name_of_any_kind_is_written_as_it_is(
    tiny_card: Path, picture: Picture, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = outcome_of(replace(picture, name=name), ("gradcam",))
    assert f"{name}  ·  clean  ·  seed 0" in texts_of(outcome, monkeypatch)


def test_dollar_signs_of_a_card_and_of_a_variant_are_no_formulas(
    tiny_card: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_card(tiny_card.parent, "odd", title=r"$\net$", categories=[rf"${index}\class$" for index in range(5)])
    outcome = outcome_of(picture, (r"gradcam@$\a$",), ("odd",), target=1)
    assert {r"$\net$", r"explained: $1\class$", r"Grad-CAM · $\a$"} <= set(texts_of(outcome, monkeypatch))


def test_the_scale_of_a_map_is_that_of_its_colour_bar(tiny_card: Path, picture: Picture) -> None:
    saliency = outcome_of(picture, ("gradcam",)).maps["tiny", "gradcam"]
    values = np.full((32, 32), 4, dtype=np.float32)
    assert map_scale(replace(saliency, values=values, signed=False)) == {"low": 0.0, "high": 4.0}
    assert map_scale(replace(saliency, values=values, signed=True)) == {"low": -4.0, "high": 4.0}
