"""Studies of the tiny network, small enough to be run again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from xai_core.engine.inline import InlineEngine
from xai_core.studies.plan import Choice, Plan, plan_of
from xai_core.studies.results import Log
from xai_core.studies.running import Standing, run


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


def folder_of(path: Path, count: int, labels: bool = False) -> Path:
    """A folder of noisy pictures, each of its own colour, with a `labels.csv` of the classes of `tiny` on demand."""
    path.mkdir(parents=True, exist_ok=True)
    lines = ["file,label"]
    for number in range(count):
        random = np.random.default_rng(number)
        pixels = random.integers(0, 90, (40, 40, 3)) + random.integers(0, 160, 3)
        pixels[8 + number : 24 + number, 10:28] = random.integers(0, 256, 3)
        Image.fromarray(pixels.astype(np.uint8)).save(path / f"{number}.png")
        lines.append(f"{number}.png,{number % 5}")
    if labels:
        (path / "labels.csv").write_text("\n".join(lines))
    return path


def plan_for(study: str, pictures: Path, **settings: Any) -> Plan:
    """The plan of a study with the model `tiny`; `settings` are the study's parameters."""
    return plan_of(Choice(study=study, pictures=str(pictures), models=("tiny",), set_study=settings))


def done(plan: Plan, out: Path, engine: InlineEngine | None = None) -> tuple[Standing, pd.DataFrame]:
    """How a study stands after it ran, and its rows."""
    standing = run(plan, engine or InlineEngine(), out)
    return standing, Log(out).read()


def said(sections: list[Any]) -> str:
    """All sentences of sections."""
    words = [one.sentences for section in sections for one in section.exhibits if hasattr(one, "sentences")]
    return " ".join(sentence for sentences in words for sentence in sentences)


def exhibits_of(sections: list[Any]) -> dict[str, Any]:
    """Tables and charts by their names."""
    return {one.name: one for section in sections for one in section.exhibits if hasattr(one, "frame")}
