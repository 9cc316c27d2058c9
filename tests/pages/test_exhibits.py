"""A study's tables on the page say what its report says."""

from __future__ import annotations

import pandas as pd
from pandas.io.formats.style import Styler

from pages.parts.exhibits import BEST, styled
from xai_core.render.report import tables
from xai_core.studies.exhibits import Spread, Table

FRAME = pd.DataFrame(
    {
        "Model": ["a", "a", "a", "b", "b"],
        "Method": ["x", "y", "random", "x", "y"],
        "v": [1.0, 2.0, 9.0, 0.51234, 0.3],
        "v low": [0.9, float("nan"), 8, 0.5, 0.2],
        "v high": [1.1, float("nan"), 10, 0.6, 0.4],
        "v n": [4, 1, 4, 4, 4],
        "v undefined": [0, 3, 0, 0, 0],
        "w": [1.0, 1, 1, 2, float("nan")],
        "w low": [0.5, 0.5, 0.5, 1, float("nan")],
        "w high": [1.5, 1.5, 1.5, 3, float("nan")],
        "w n": [4, 4, 4, 4, 0],
        "w undefined": [0, 0, 0, 0, 4],
        "whole": [-1, 2, 3, 4, 5],
    },
    index=[7, 7, 8, 9, 10],
)
SPREADS = {name: Spread(f"{name} low", f"{name} high", f"{name} n", f"{name} undefined") for name in "vw"}
TABLE = Table("t", "T", FRAME.reset_index(drop=True), "", 2, SPREADS, {"v": "higher", "w": "lower"}, [2])


def cells(found: Styler) -> tuple[pd.DataFrame, set[tuple[int, str]]]:
    """The texts as they are shown, and the cells that stand out."""
    drawn = found._compute()._translate(False, False)  # as Streamlit asks for them
    columns = list(found.data.columns)
    lines = [[cell["display_value"] for cell in row if cell["type"] == "td"] for row in drawn["body"]]
    stand = {
        (row, columns[column])
        for (row, column), styles in found.ctx.items()
        if any(f"{name}: {value}" == BEST for name, value in styles)
    }
    return pd.DataFrame(lines, columns=columns, dtype=object), stand


def test_a_table_has_the_texts_the_columns_and_the_best_of_its_report() -> None:
    shown, stand = cells(styled(TABLE))
    pd.testing.assert_frame_equal(shown.astype(str), tables.texts(TABLE).astype(str))
    assert shown["v"].tolist()[:2] == ["1.0 [0.90, 1.1] (n 4)", "2.0 (n 1, 3 undefined)"]
    assert stand == tables.best(TABLE) == {(1, "v"), (3, "v")}, "one for each model, and no tie"


def test_counts_that_are_shared_stand_in_columns_and_numbers_stay_numbers() -> None:
    shared = FRAME.reset_index(drop=True).assign(**{"w n": FRAME["v n"].tolist(), "w undefined": [0, 3, 0, 0, 0]})
    for spreads in (SPREADS, {"v": SPREADS["v"]}):
        table = Table("t", "T", shared[[one for one in shared if "w" in spreads or one[0] != "w"]], spreads=spreads)
        found = styled(table)
        shown, _ = cells(found)
        pd.testing.assert_frame_equal(shown.astype(str), tables.texts(table).astype(str))
        assert all(found.data[name].dtype.kind in "if" for name in found.data if name not in ("Model", "Method"))
        assert "n" in shown and shown["n"].tolist() == ["4", "1", "4", "4", "4"]
