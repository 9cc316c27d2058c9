"""The tables that people sort and plot hold the rows' values, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from xai_core.studies.exploring import (
    CHANGE,
    DISAGREEMENT,
    MAP,
    corruptions_in,
    of_every_map,
    of_every_picture,
    scores_in,
)

VALUES = {"gradcam": 1.0, "lime": 4.0, "lime@s0": 2.0, "random": 100.0}
CORRUPTIONS = {"clean": 0.0, "gaussian_noise=25": 10.0, "gaussian_noise=9": -20.0}


def rows() -> pd.DataFrame:
    """A value for every picture, corruption and map: those of the picture, map and corruption added up."""
    lines = []
    for number, picture in enumerate(["a.png", "b.png"]):
        for corruption, shift in CORRUPTIONS.items():
            place = {"picture": picture, "digest": picture, "truth": -1, "corruption": corruption, "model": "tiny"}
            seen = {**place, "target": 1, "method": "", "variant": "", "seed": 0}
            lines.append({**seen, "score": "prediction.probability", "value": number + shift})
            for name, value in VALUES.items():
                method, _, variant = name.partition("@")
                about = {**seen, "method": method, "variant": variant}
                lines.append({**about, "score": "road.combined", "value": 1000 * number + shift + value})
                lines.append({**about, "score": "iou.top", "value": math.nan})
    return pd.DataFrame(lines)


def test_every_map_has_a_line_with_what_is_known_of_its_picture() -> None:
    table = of_every_map(rows())
    assert len(table) == 2 * 3 * 4
    assert list(table.columns) == [*MAP, "iou.top", "prediction.probability", "road.combined"]
    assert scores_in(table) == ["prediction.probability", "road.combined"]
    line = table[
        (table["picture"] == "b.png") & (table["corruption"] == "gaussian_noise=9") & (table["map"] == "lime@s0")
    ]
    assert line["road.combined"].tolist() == [1000 - 20 + 2]
    assert line["prediction.probability"].tolist() == [1 - 20]
    assert set(table["map"]) == set(VALUES)


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = rows().sample(frac=1, random_state=3)
    keys = list(MAP)
    pd.testing.assert_frame_equal(
        of_every_map(shuffled).sort_values(keys, ignore_index=True),
        of_every_map(rows()).sort_values(keys, ignore_index=True),
    )


def test_pictures_tell_disagreement_and_change() -> None:
    table = of_every_map(rows())
    clean = of_every_picture(table, "road.combined", "clean")
    assert list(clean.columns) == ["gradcam", "lime", "lime@s0", "random", DISAGREEMENT, CHANGE]
    assert clean.loc["b.png", "lime"] == 1004
    assert clean[DISAGREEMENT].tolist() == [3.0, 3.0], "the random map is no method"
    assert clean[CHANGE].tolist() == [15.0, 15.0], "the mean of 10 and 20"
    noisy = of_every_picture(table, "road.combined", "gaussian_noise=9")
    assert noisy[CHANGE].tolist() == [20.0, 20.0]
    assert noisy.loc["a.png", "gradcam"] == -19


def test_what_there_is_nothing_to_compare_with_is_undefined() -> None:
    only = rows()[lambda frame: frame["corruption"].eq("clean") & frame["method"].isin(["", "gradcam", "random"])]
    found = of_every_picture(of_every_map(only), "road.combined", "clean")
    assert found[[DISAGREEMENT, CHANGE]].isna().all(axis=None)
    hurt = rows()
    hurt.loc[hurt["corruption"].eq("clean"), "value"] = np.nan
    found = of_every_picture(of_every_map(hurt), "road.combined", "gaussian_noise=25")
    assert found[CHANGE].isna().all() and found[DISAGREEMENT].tolist() == [3.0, 3.0]
    assert corruptions_in(of_every_map(hurt), ["road.combined"]) == ["gaussian_noise=25", "gaussian_noise=9"]


def test_clean_comes_first() -> None:
    backwards = rows().iloc[::-1]
    assert corruptions_in(of_every_map(backwards), ["road.combined"])[0] == "clean"


@pytest.mark.parametrize("kept", [0, 1])
def test_few_rows_are_a_table_too(kept: int) -> None:
    table = of_every_map(rows().head(kept))
    assert table.empty and scores_in(table) == []
