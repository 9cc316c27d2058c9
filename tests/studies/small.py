"""Studies over a few small pictures, for tests."""

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
