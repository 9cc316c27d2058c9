"""S0: what becomes of explanations when the data are bad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..corruptions.chain import step
from ..registry import CORRUPTIONS, STUDIES, parameter
from .base import Study, Subject, Unit, predicted
from .comparing import compared, models_of, of_maps, over_severity, summary
from .exhibits import Chart, Section
from .labels import accuracy
from .naming import model_title, slug
from .plan import Plan
from .sources import s0_sections

if TYPE_CHECKING:
    import pandas as pd

CORRUPTED = ("gaussian_noise", "occlusion", "resolution")
"""S0's corruptions; each has S0's three severities."""

ROBUST = ("robustness.mse", "robustness.spearman", "robustness.ssim", "robustness.top", "stability.variance")
WRONG = ("false_positive_rate.rate", "false_positive_rate.discovery", "highlighted_area.area")
OWN = ("repeatability.spearman", "repeatability.top", "false_positive_rate.ceiling")
HEADLINES = ("robustness.mse", "robustness.spearman", "stability.variance", "false_positive_rate.rate")
"""The scores that are drawn; by the first three methods are ranked."""


@STUDIES.register(
    "suboptimality",
    title="Bad data",
    summary="Corrupts every picture by noise, occlusion and lower resolution, each in three severities, and asks how "
    "much the maps change, and how much they highlight wrongly.",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): explanations under data suboptimality",),
    version=2,
    presets={"quick": {"pictures": 2, "runs": 3}, "balanced": {"runs": 10}},
)
class Suboptimality(Study):
    """Robustness, stability, false positives and highlighted area at S0's nine corruptions; spec 2.1, E-08 to E-11."""

    default_methods = ("smoothgrad", "lime@s0")

    pictures: int = parameter(5, "Corrupted pictures for the stability (k).", unit="pictures", ge=2, le=100, step=1)
    runs: int = parameter(
        30, "Runs on the clean picture that are taken for the truth.", unit="runs", ge=2, le=100, step=1
    )

    def units(self, plan: Plan, subject: Subject) -> Iterator[Unit]:
        yield predicted(subject.place, subject.input)
        for variant in plan.shown:
            clean = plan.explain(subject, variant)
            yield plan.evaluation(subject, clean, variant, "highlighted_area")
            yield plan.evaluation(subject, clean, variant, "repeatability", runs=min(self.runs, 5))
        for name in CORRUPTED:
            for value in CORRUPTIONS[name].severities:
                steps = (step(name, value),)
                for variant in plan.shown:
                    request = plan.explain(subject, variant, steps)
                    if variant is plan.shown[0]:
                        place = replace(plan.place(subject, request, variant), method="", variant="")
                        yield predicted(place, request.input)
                    yield plan.evaluation(subject, request, variant, "robustness")
                    yield plan.evaluation(subject, request, variant, "stability", pictures=self.pictures)
                    yield plan.evaluation(subject, request, variant, "false_positive_rate", runs=self.runs)
                    yield plan.evaluation(subject, request, variant, "highlighted_area")

    def sections(self, plan: Plan, rows: pd.DataFrame) -> list[Section]:
        corrupted = rows[rows["corruption"] != "clean"]
        by = ("model", "corruption", "method", "variant")
        ranked = [score for score in HEADLINES[:3] if (corrupted["score"] == score).any()]
        return [
            Section(
                "How much maps change",
                [
                    *_curves(corrupted, HEADLINES),
                    summary(corrupted, ROBUST, by, "robustness", "Maps of clean and corrupted pictures"),
                ],
            ),
            Section(
                "What is highlighted wrongly",
                [
                    *_curves(rows, ("highlighted_area.area",)),
                    summary(corrupted, WRONG, by, "highlights", "Highlighted wrongly, and highlighted at all"),
                ],
            ),
            Section(
                "What chance alone changes",
                [summary(rows, OWN, name="chance", title="Agreement of a method's own runs on clean pictures")],
            ),
            Section("What the models see", [over_severity(_seen(rows), "prediction.probability", "model")]),
            *accuracy(rows),
            *s0_sections(plan, rows),
            *(compared(corrupted, score) for score in ranked),
        ]


def _curves(rows: pd.DataFrame, scores: tuple[str, ...]) -> list[Chart]:
    """Every score over the severities, model by model."""
    found = []
    for score in scores:
        part = of_maps(rows, [score])
        for model in models_of(part):
            chart = over_severity(part[part["model"] == model], score, name=f"{slug(score)}-{slug(model)}")
            several = len(models_of(part)) > 1
            found.append(replace(chart, title=f"{chart.title}, {model_title(model)}") if several else chart)
    return found


def _seen(rows: pd.DataFrame) -> pd.DataFrame:
    """The predictions alone."""
    return rows[rows["method"] == ""]
