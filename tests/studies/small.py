"""Studies of the tiny network, small enough to be run again and again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from xai_core.studies.plan import Choice
from xai_core.studies.results import Log


def write_pictures(folder: Path, count: int = 3) -> Path:
    """A folder with small random pictures, `0.png` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 44, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def small(pictures: Path | str, **changes: object) -> Choice:
    """Two methods of the tiny network, scored as quickly as can be."""
    first = {"study": "imagenet50", "pictures": str(pictures), "models": ("tiny",), "methods": ("gradcam", "gradient")}
    return Choice.model_validate({**first, "preset": "quick", "set_score": {"road": {"steps": 2}}, **changes})


def written(out: Path) -> pd.DataFrame:
    """Every row of every file, repeated ones too."""
    return pd.concat([pd.read_parquet(file) for file in Log(out).files()], ignore_index=True)
