"""Rows as a table of maps x scores, and what is odd about single pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .comparing import of_maps
from .naming import in_order, is_baseline

if TYPE_CHECKING:
    import pandas as pd

MAP = ("picture", "digest", "truth", "corruption", "model", "target", "method", "variant", "map", "seed")
"""What a line of the table of maps is about; the other columns are scores."""
PLACE = ["picture", "corruption", "model"]
DISAGREEMENT, CHANGE = "disagreement", "change"


def of_every_map(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for every map and a column for every score; what is known of the picture alone stands in all its lines.

    The columns of `MAP` come first, and then scores in the order of their names. A value that is not there is
    not-a-number.
    """
    maps = of_maps(rows)
    table = maps.groupby([*MAP, "score"], sort=False)["value"].first().unstack("score").reset_index()
    own = rows[(rows["method"] == "") & (rows["picture"] != "")]
    if len(own):
        seen = own.groupby([*PLACE, "score"])["value"].first().unstack("score").reset_index()
        table = table.merge(seen, on=PLACE, how="left", suffixes=("", " of the picture"))
    return table[[*MAP, *sorted(name for name in table.columns if name not in MAP)]]


def scores_in(table: pd.DataFrame) -> list[str]:
    """The scores of a table of maps that have a value anywhere."""
    return [name for name in table.columns if name not in MAP and table[name].notna().any()]


def of_every_picture(table: pd.DataFrame, score: str, corruption: str) -> pd.DataFrame:
    """One score of the maps of one model, by picture: a column for each map, baselines last, and two of its own.

    `DISAGREEMENT` is the difference between the highest and the lowest method, baselines aside; `CHANGE` is the mean
    absolute difference from the clean picture's value of the same map, over methods and corruptions, of all corruptions
    where `corruption` is "clean". Both are not-a-number where there is nothing to compare.
    """
    means = table.groupby(["picture", "corruption", "map"])[score].mean().unstack("map")
    means = means[in_order(means.columns)]
    methods = [name for name in means.columns if not is_baseline(name)]
    there = means.xs(corruption, level="corruption")
    found = there.copy()
    known = there[methods].notna().sum(axis=1)
    found[DISAGREEMENT] = (there[methods].max(axis=1) - there[methods].min(axis=1)).where(known > 1)
    found[CHANGE] = _change(means[methods], corruption).reindex(found.index)
    return found


def _change(means: pd.DataFrame, corruption: str) -> pd.Series:
    """By picture, how far its values are from the clean ones on average."""
    place = means.index.get_level_values("corruption")
    worse = means[place == corruption] if corruption != "clean" else means[place != "clean"]
    clean = means[place == "clean"].droplevel("corruption")
    pictures = worse.index.get_level_values("picture")
    apart = (worse.reset_index(drop=True) - clean.reindex(pictures).reset_index(drop=True)).abs()
    return apart.set_index(pictures).groupby(level=0).mean().mean(axis=1)


def corruptions_in(table: pd.DataFrame, scores: Sequence[str]) -> list[str]:
    """The corruptions under which one of these scores has a value, the clean picture first."""
    known = table.loc[table[list(scores)].notna().any(axis=1), "corruption"].unique()
    return sorted(known, key=lambda name: (name != "clean", list(known).index(name)))
