"""Words, curves, table and figure of a drift."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from xai_core.render.drift import Drift, Sheet, drift_chart, drift_csv, drift_png, undefined, verdicts
from xai_core.scores.drift import MEASURES

LEVELS = ("clean", "10", "25", "50")


def drift(spearman: list[float], noise: tuple[float, float] | None, model: str = "A", method: str = "LIME") -> Drift:
    values = {name: undefined(4) for name in MEASURES} | {"spearman": spearman}
    bounds = {} if noise is None else {name: noise if name == "spearman" else (0.1, 0.2) for name in MEASURES}
    return Drift(model, method, values, bounds)


def sheet(*drifts: Drift) -> Sheet:
    return Sheet(LEVELS, drifts, {one.model: [0.9, 0.8, math.nan, 0.1] for one in drifts})


@pytest.mark.parametrize(
    ("values", "noise", "said"),
    [
        ([1, 0.9, 0.7, 0.5], (0.8, 0.9), "**LIME** drifts beyond its own noise from 25 on (rank correlation 0.500"),
        ([1, 0.7, 0.7, 0.5], (0.8, 0.9), "**LIME** drifts beyond its own noise at every severity"),
        ([1, 0.9, 0.9, 0.85], (0.8, 0.9), "**LIME** stays within its own noise"),
        ([1, 0.9, 0.9, 0.85], (1.0, 1.0), "as nothing is left to chance"),
        ([1, 1, 1, 1], (1.0, 1.0), "**LIME** does not drift"),
        ([1, 0.9, math.nan, math.nan], (0.8, 0.9), "**LIME** is judged once its maps are there."),
        ([1, 0.9, 0.9, 0.85], None, "**LIME** is judged once its maps are there."),
        ([1, 0.9, 0.9, 0.85], (math.nan, math.nan), "**LIME** cannot be judged: a map of the clean picture is flat."),
    ],
)
def test_a_sentence_says_whether_it_is_more_than_noise(
    values: list[float], noise: tuple[float, float] | None, said: str
) -> None:
    (found,) = verdicts(sheet(drift(values, noise)))
    assert said in found and found.endswith(".")


@pytest.mark.parametrize(
    ("values", "flat", "said"),
    [
        ([1, 0.9, 0.9, math.nan], [3], "**LIME** cannot be judged: the map at the worst severity is flat."),
        ([math.nan] * 4, [0, 1, 2, 3], "**LIME** cannot be judged: a map of the clean picture is flat."),
        ([math.nan] * 4, [0], "**LIME** cannot be judged: a map of the clean picture is flat."),
        (
            [1, math.nan, 0.7, 0.5],
            [1],
            "beyond its own noise from 25 on (rank correlation 0.500 at the worst severity, ",
        ),
        ([1, math.nan, 0.7, 0.5], [1], "flat and left out at 10; two seeds agree"),
        ([1, 0.9, math.nan, math.nan], [2], "**LIME** is judged once its maps are there."),
    ],
)
@pytest.mark.parametrize("waiting", [False, True])
def test_a_flat_map_is_no_map_to_wait_for(values: list[float], flat: list[int], said: str, waiting: bool) -> None:
    one = replace(drift(values, None if waiting else (0.8, 0.9)), flat=flat)
    (found,) = verdicts(sheet(one))
    if waiting and "judged" not in said:
        said = "**LIME** is judged once its maps are there."
    assert said in found and found.endswith(".")


def test_with_several_models_a_sentence_names_its_own() -> None:
    found = verdicts(sheet(drift([1, 1, 1, 0.5], (0.8, 0.9)), drift([1, 1, 1, 0.5], (0.8, 0.9), "B")))
    assert ["of A" in one for one in found] == [True, False] and "of B" in found[1]


def test_the_chart_has_a_line_per_map_and_measure_a_band_per_noise_and_gaps() -> None:
    one, other = drift([1, 0.9, math.nan, 0.5], (0.8, 0.9)), drift([1, 0.9, 0.8, 0.5], (1.0, 1.0), method="SHAP")
    figure = drift_chart(sheet(one, other))
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert len(lines) == 2 * len(MEASURES) + 1
    assert len(bands) == 2 * len(MEASURES) - 1, "no band where nothing is left to chance"
    assert list(lines[0].y) == [1, 0.9, None, 0.5]
    assert sorted(set(bands[0].y)) == [0.8, 0.9]
    assert [axis.text for axis in figure.layout.annotations][-1] == "Probability of the class"
    with_object = Drift("A", "LIME", {**one.values, "object": [0.1] * 4}, one.noise)
    assert "IoU with the object" in [axis.text for axis in drift_chart(sheet(with_object)).layout.annotations]


def test_the_table_has_every_number_with_its_noise() -> None:
    facts = {"picture": "=owl.jpg", "corruption": "gaussian_noise", "moves_pixels": False, "seed": 3}
    rows = list(csv.DictReader(io.StringIO(drift_csv(sheet(drift([1, 0.9, 0.8, 0.5], (0.8, 0.9))), facts, {"A": 7}))))
    assert len(rows) == 4 * (len(MEASURES) + 1)
    last = rows[3]
    assert (last["picture"], last["seed"], last["severity"], last["target"]) == ("'=owl.jpg", "3", "50", "7")
    assert {row["moves_pixels"] for row in rows} == {"False"}
    assert [float(last[name]) for name in ("value", "noise_low", "noise_high")] == [0.5, 0.8, 0.9]
    assert rows[-1]["measure"] == "probability" and float(rows[-1]["value"]) == 0.1


def test_the_figure_shows_what_is_there() -> None:
    red = np.full((20, 20, 3), (255, 0, 0), dtype=np.uint8)
    data = drift_png("$5 owl", LEVELS, [("Picture", [(red, "one"), (None, ""), (red, ""), (None, "")])])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    reds = (pixels == (255, 0, 0)).all(axis=-1).any(axis=0)
    assert np.count_nonzero(np.diff(np.pad(reds, 1).astype(int))) == 4, "two pictures, apart"
