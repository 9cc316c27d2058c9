"""S1: how models and methods compare in confidence, ROAD and IoU over Imagenet50."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..registry import STUDIES
from .base import Study, Subject, Unit, predicted
from .comparing import compared, means, summary
from .exhibits import Section
from .labels import accuracy
from .plan import Plan
from .sources import s1_sections

if TYPE_CHECKING:
    import pandas as pd

OCCLUSION = tuple(f"occlusion.{part}_{change}" for part in ("background", "subject") for change in ("drop", "increase"))
ROAD = ("road.combined", "road.morf", "road.lerf")
IOU = ("iou.top", "iou.area_matched", "iou.best")
HEADLINES = ("road.combined", "occlusion.background_drop", "occlusion.subject_drop", "iou.top")
"""The scores by which methods are ranked."""


@STUDIES.register(
    "imagenet50",
    version=2,
    title="Models and methods",
    summary="Scores every method on every model: change of confidence when the background or the subject is covered, "
    "ROAD, and IoU with the masks that people drew.",
    cites=("Devarakonda and Kim (S1): Imagenet50 with VGG16, ResNet50 and DenseNet121",),
)
class Imagenet50(Study):
    """Occlusion and ROAD of background and subject, and IoU, undefined without masks; spec 2.2, E-01 to E-03."""

    def units(self, plan: Plan, subject: Subject) -> Iterator[Unit]:
        yield predicted(subject.place, subject.input)
        for variant in plan.shown:
            request = plan.explain(subject, variant)
            for name in ("occlusion", "road", "iou"):
                yield plan.evaluation(subject, request, variant, name)

    def sections(self, plan: Plan, rows: pd.DataFrame) -> list[Section]:
        defined = set(rows.loc[rows["value"].notna(), "score"])
        ranked = [score for score in HEADLINES if score in defined]
        tables = {
            "means-occlusion": ("Confidence with background or subject covered", OCCLUSION),
            "means-road": ("ROAD", ROAD),
            "means-iou": ("IoU with masks", IOU),
        }
        return [
            Section(
                "Models and methods",
                [
                    *(means(rows, score) for score in ranked),
                    *(summary(rows, scores, name=name, title=title) for name, (title, scores) in tables.items()),
                ],
            ),
            *accuracy(rows),
            *s1_sections(plan, rows),
            *(compared(rows, score) for score in ranked),
        ]
