"""S0: what becomes of explanations when the data are bad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..corruptions.chain import step
from ..registry import CORRUPTIONS, STUDIES, parameter
from .base import Study, Subject, Unit, predicted
from .plan import Plan

CORRUPTED = ("gaussian_noise", "occlusion", "resolution")
"""S0's corruptions; each has S0's three severities."""


@STUDIES.register(
    "suboptimality",
    title="Bad data",
    summary="Corrupts every picture by noise, occlusion and lower resolution, each in three severities, and asks how "
    "much the maps change, and how much they highlight wrongly.",
    cites=("Fleury, Kim, Wu, Liu 2024 (S0): explanations under data suboptimality",),
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
