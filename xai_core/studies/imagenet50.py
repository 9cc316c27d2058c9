"""S1: how models and methods compare in confidence, ROAD and IoU over Imagenet50."""

from __future__ import annotations

from collections.abc import Iterator

from ..registry import STUDIES
from .base import Study, Subject, Unit, predicted
from .plan import Plan


@STUDIES.register(
    "imagenet50",
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
