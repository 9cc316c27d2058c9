"""What a labelled folder adds: how often the models are right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .comparing import over_severity, summary
from .exhibits import Exhibit, Section, Words

if TYPE_CHECKING:
    import pandas as pd

CORRECT = "prediction.correct"


def accuracy(rows: pd.DataFrame) -> list[Section]:
    """Accuracy of every model, over corruptions where there are some; nothing where no picture has a label."""
    known = rows[(rows["truth"] >= 0) & (rows["score"] == CORRECT)]
    if known.empty:
        return []
    pictures = known["picture"].nunique()
    every = rows.loc[rows["picture"] != "", "picture"].nunique()
    percent = known.assign(value=100 * known["value"])
    table = summary(percent, [CORRECT], ("model", "corruption"), "accuracy", "Accuracy (%)")
    said = f"{pictures} of {every} pictures have a label that the models know; accuracy is over these."
    exhibits: list[Exhibit] = [Words([said]), replace(table, better={})]
    if known["corruption"].nunique() > 1:
        exhibits.append(over_severity(percent, CORRECT, "model", "accuracy-severity"))
    return [Section("Accuracy", exhibits)]
