"""S2: do maps show an object only to the network that needs it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..engine.requests import Trial
from ..registry import STUDIES, parameter
from ..trials.bam import WRONG, Bam
from ..types import XaiError
from .base import Place, Study, Unit, each_picture
from .comparing import compared, means, summary
from .exhibits import Exhibit, Gallery, Section, Table, Words
from .plan import Plan

if TYPE_CHECKING:
    import pandas as pd

NETWORKS = {
    "objects": "trained on objects",
    "scenes": "trained on scenes",
    "empty": "trained on scenes without objects",
}
SCORES = ("bam.mcs", "bam.idr", "bam.iir")
SHOWN = 4


@STUDIES.register(
    "bam",
    title="Objects in scenes",
    summary="Pastes objects into scenes, trains one network to name the object and one to name the scene, and asks "
    "whether a map gives the object more where it counts, less where it does not, and ignores what has no effect.",
    cites=(
        "Loreth 2023 (S2): BAM among the evaluations of saliency methods",
        "Yang and Kim 2019, Benchmarking attribution methods with relative feature importance",
    ),
    version=2,
    presets={"quick": {"kinds": 3, "explained": 20}, "balanced": {"kinds": 5}},
)
class ObjectsInScenes(Study):
    """MCS, IDR and IIR of every method, with intervals over pictures; spec E-16."""

    of_pictures = False
    default_methods = ("gradient", "gradcam", "guided_backprop", "integrated_gradients", "smoothgrad")

    composites: Literal["bundled", "folder"] = parameter(
        "bundled", "Shapes on textures, or the study's own pictures: folders objects (transparent PNG) and scenes."
    )
    kinds: int = parameter(
        10, "Kinds of objects, and of scenes, of the bundled ones.", unit="kinds", ge=2, le=10, step=1
    )
    copies: int = parameter(40, "Composites of each object in each scene.", ge=5, le=500, step=5)
    explained: int = parameter(100, "Test pictures that are explained.", unit="pictures", ge=2, le=2000, step=1)
    epochs: int = parameter(0, "Times that every picture is learnt from; 0 for what fits.", ge=0, le=500)
    side: int = parameter(0, "Pixels a side; 0 for 32. Above 48 the network is a ResNet-18.", ge=0, le=224)

    def pasted(self, plan: Plan) -> dict[str, Any]:
        """The composites, as trials name them."""
        found = {"kinds": self.kinds, "copies": self.copies, "epochs": self.epochs, "side": self.side}
        folder = plan.choice.pictures if self.composites == "folder" else ""
        if self.composites == "folder" and not folder:
            raise XaiError("The study bam was to take your own pictures: name a folder with objects and scenes.")
        return {**found, "folder": folder, "explained": self.explained}

    def trials(self, plan: Plan) -> Iterator[Unit]:
        pasted, seed = self.pasted(plan), plan.seed
        Bam(**pasted).cost()  # a folder that does not fit is refused now
        for name in NETWORKS:
            yield Unit(Place(model=name, seed=seed), Trial("training", Bam(**pasted).training(name), seed))
        for variant in plan.shown:
            trial = Bam(**pasted, method=variant.method, settings=variant.parameters.model_dump(mode="json"))
            place = Place(picture="composite/", method=variant.method, variant=variant.label, seed=seed)
            yield Unit(place, Trial("bam", trial, seed), each_picture(place, ("mcs", "idr", "iir"), WRONG))

    def sections(self, plan: Plan, rows: pd.DataFrame) -> list[Section]:
        found = rows[rows["score"].isin(SCORES)]
        exhibits: list[Exhibit] = [*self._networks(rows), self._pictures(plan)]
        sections = [Section("Networks and pictures", exhibits)]
        if not found.empty:
            sections.append(Section("What maps give to objects", _scores(found)))
            sections.append(compared(found, "bam.mcs"))
        return sections

    def _networks(self, rows: pd.DataFrame) -> list[Exhibit]:
        import pandas as pd

        known = rows[rows["score"].str.startswith("training.")]
        table = known.pivot_table(index="model", columns="score", values="value")
        lines = [
            {
                "Network": NETWORKS[name],
                "Accuracy (%)": 100 * float(table.loc[name].get("training.accuracy", np.nan)),
                "In training (%)": 100 * float(table.loc[name].get("training.trained_accuracy", np.nan)),
            }
            for name in NETWORKS
            if name in table.index
        ]
        said = (
            "Every picture shows an object in a scene. Three networks are trained on them from scratch: one names the "
            "object, one names the scene, and one has learnt scenes that never held an object. A picture counts only "
            "where the networks that a score takes recognise it."
        )
        if not lines:
            return [Words([said])]
        return [Words([said]), Table("networks", "Accuracy of the networks", pd.DataFrame(lines))]

    def _pictures(self, plan: Plan) -> Gallery:
        found = Bam(**self.pasted(plan)).training("objects").composites
        step = max(1, len(found.frames) // SHOWN)
        places = [min(place * step + place * self.copies, len(found.frames) - 1) for place in range(SHOWN)]
        shown = [
            (
                frames[place].repeat(4, 0).repeat(4, 1),
                f"{found.object_names[found.objects[place]]} in {found.scene_names[found.scenes[place]]}{what}",
            )
            for frames, what in ((found.frames, ""), (found.empty, ", without it"))
            for place in places
        ]
        return Gallery("composites", "Objects in scenes, and the scenes alone", shown, columns=SHOWN)


def _scores(found: pd.DataFrame) -> list[Exhibit]:
    return [
        Words(
            [
                "What a map gives to an object is its mean over the object's pixels, after negative values are set to "
                "0, the highest hundredth is clipped, and the rest is scaled to between 0 and 1.",
                "Model contrast: what the network that names objects gives to the object, less what the network that "
                "names scenes gives to it. A map that tells what the network uses is near 1; one that looks at the "
                "picture alone is at 0.",
                "Input dependence: how often, for the network that names scenes, the object gets less than the part of "
                "the scene that it hides. Input independence: how often a patch at the object's place, which changes "
                "the picture but not the logits, gets what the scene got there, within a tenth.",
                "No single one of the three is enough: a map that is the same for every picture has an input "
                "independence of 1.",
            ]
        ),
        summary(found, SCORES, by=("method", "variant"), name="bam", title="Model contrast, dependence, independence"),
        *(means(found, score) for score in SCORES),
    ]
