"""S2: do maps change when what the network has learnt is taken away?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..engine.packing import Result
from ..engine.requests import Trial
from ..registry import STUDIES, parameter
from ..scores.randomisation import SIMILARITIES, UNCHANGED, verdict
from ..trials.labels import FLAT, Labels
from ..trials.training import Training
from ..types import Score
from .base import Place, Read, Reading, Study, Subject, Unit, each_picture, predicted
from .comparing import models_of, of_maps, summary
from .exhibits import Chart, Exhibit, Section, Table, Words
from .naming import in_order, is_baseline, listed, map_title, model_title
from .plan import Plan
from .statistics.intervals import mean_interval

if TYPE_CHECKING:
    import pandas as pd

SCORES = tuple(f"randomisation.{name}" for name in SIMILARITIES)
STAGE = "forgotten"
"""What a row's corruption is called for one stage: "forgotten=3" is the network whose first 3 blocks forgot."""
SAME = 0.999
"""The least rank correlation, over the stages, of what counts as the same map."""
SHOWN = {"spearman": "Rank correlation", "ssim": "SSIM"}
DATA = tuple(f"labels.{name}" for name in SIMILARITIES)
LABELS: tuple[Literal["true", "permuted"], ...] = ("true", "permuted")
GUIDED = ("guided_backprop", "guided_gradcam", "deconvnet")


def stages(place: Place) -> Read:
    """Reads the means, and of every stage what the curves say, as "stage.spearman" at a corruption "forgotten=N"."""

    def read(result: Result) -> Iterator[Reading]:
        assert isinstance(result, Score)
        for part, value in result.values.items():
            yield Reading(f"{result.name}.{part}", value, result.reasons.get(part, "") if np.isnan(value) else "")
        for part, curve in result.curves.items():
            for stage, value in zip(curve.x, curve.y, strict=True):
                if stage > 0:
                    at = replace(place, corruption=f"{STAGE}={int(stage)}")
                    yield Reading(f"stage.{part}", float(value), place=at)

    return read


@STUDIES.register(
    "sanity",
    version=2,
    title="Sanity checks",
    summary="Lets networks forget, block by block from the logits down, and trains a small one on permuted labels: "
    "maps that explain what was learnt must change.",
    cites=(
        "Loreth 2023 (S2): sanity checks among the evaluations of saliency methods",
        "Adebayo et al. 2018, Sanity checks for saliency maps, and the authors' erratum on Guided Backprop",
    ),
    presets={"quick": {"blocks": 2, "explained": 10}, "balanced": {"explained": 30}},
)
class Sanity(Study):
    """Similarity of maps after parameter and data randomisation, per method, model and stage; spec E-17."""

    default_methods = ("gradient", "gradcam", "guided_backprop", "integrated_gradients", "smoothgrad")

    order: Literal["cascading", "independent"] = parameter(
        "cascading", "Whether a stage adds a block to those before it, or takes one alone."
    )
    blocks: int = parameter(32, "Blocks of layers at most, from the logits down.", unit="blocks", ge=1, le=64, step=1)
    target: Literal["same", "top"] = parameter(
        "same", "The class that is explained: the same at every stage, or the one that is then most probable."
    )
    data: Literal["digits", "mnist", "none"] = parameter(
        "digits", "Pictures for the network that learns permuted labels; none leaves that part out."
    )
    explained: int = parameter(50, "Test pictures whose maps are compared.", unit="pictures", ge=2, le=1000, step=1)
    epochs: int = parameter(120, "Times that it learns from every picture.", unit="epochs", ge=1, le=1000, step=1)

    def units(self, plan: Plan, subject: Subject) -> Iterator[Unit]:
        yield predicted(subject.place, subject.input)
        how = {"order": self.order, "blocks": self.blocks, "explained": self.target}
        for variant in plan.shown:
            request = plan.explain(subject, variant)
            unit = plan.evaluation(subject, request, variant, "randomisation", **how)
            yield replace(unit, read=stages(unit.place))

    @property
    def taught(self) -> dict[str, Any]:
        few = {"digits": 600, "mnist": 2000}  # that a small network can learn by heart
        side = {"digits": 16, "mnist": 28}  # that SSIM can be taken of
        return {"dataset": self.data, "side": side[self.data], "pictures": few[self.data], "epochs": self.epochs}

    def trials(self, plan: Plan) -> Iterator[Unit]:
        if self.data == "none":
            return
        seed = plan.seed
        for labels in LABELS:
            trial = Training(**self.taught, labels=labels)
            yield Unit(Place(model=f"{labels} labels", seed=seed), Trial("training", trial, seed))
        for variant in plan.shown:
            explained = {"method": variant.method, "settings": variant.parameters.model_dump(mode="json")}
            place = Place(f"{self.data}/", model="small", method=variant.method, variant=variant.label, seed=seed)
            request = Trial("labels", Labels(**self.taught, **explained, explained=self.explained), seed)
            yield Unit(place, request, each_picture(place, SIMILARITIES, FLAT))

    def sections(self, plan: Plan, rows: pd.DataFrame) -> list[Section]:
        sections = []
        if (rows["score"] == SCORES[0]).any():
            sections.append(Section("Parameter randomisation", self._parameters(rows)))
        if (rows["score"] == DATA[0]).any():
            sections.append(Section("Data randomisation", _data(rows)))
        return sections or [Section("Sanity checks", [Words(["There is nothing to compare yet."])])]

    def _parameters(self, rows: pd.DataFrame) -> list[Exhibit]:
        table = by_stage(rows, "spearman")
        done = "one block after the other" if self.order == "cascading" else "one block at a time"
        said = [
            f"The network forgets, {done}, from the logits down: the layers' weights are drawn anew as before any "
            "training. Each map is compared with that of the trained network. The maps of a method that explains what "
            "was learnt become others; maps that stay alike show the picture."
        ]
        exhibits: list[Exhibit] = [Words([*said, *in_words(rows, table, self.order, self.blocks)])]
        exhibits += [_curves(by_stage(rows, part), part, title) for part, title in SHOWN.items()]
        exhibits.append(
            summary(
                rows[rows["score"].isin(SCORES)],
                SCORES,
                name="parameter-randomisation",
                title="Similarity to the map of the trained network, mean over the stages",
            )
        )
        return exhibits


def by_stage(rows: pd.DataFrame, part: str) -> pd.DataFrame:
    """One similarity with the columns `model`, `map`, `stage`, `mean`, `low` and `high`, over pictures."""
    import pandas as pd

    found = of_maps(rows, [f"stage.{part}"])
    lines = []
    for (model, name, label), group in found.groupby(["model", "map", "corruption"]):
        one = mean_interval(group["value"].to_numpy())
        stage = int(str(label).partition("=")[2])
        lines.append({"model": model, "map": name, "stage": stage, "mean": one.mean, "low": one.low, "high": one.high})
    columns = ["model", "map", "stage", "mean", "low", "high"]
    return pd.DataFrame(lines, columns=columns).sort_values(["model", "map", "stage"], ignore_index=True)


def _curves(table: pd.DataFrame, part: str, title: str) -> Chart:
    frame = table.assign(
        Method=[map_title(name) for name in table["map"]], Model=[model_title(name) for name in table["model"]]
    ).rename(columns={"stage": "Blocks that forgot", "mean": title, "low": "Low", "high": "High"})
    return Chart(
        f"stages-{part}",
        f"{title} with the map of the trained network",
        "lines",
        frame,
        x="Blocks that forgot",
        y=title,
        group="Method",
        low="Low",
        high="High",
        facet="Model" if frame["Model"].nunique() > 1 else "",
        note="Means over pictures with their 95 % bootstrap intervals; block 1 are the logits.",
        level=0.0,
    )


def in_words(rows: pd.DataFrame, table: pd.DataFrame, order: str, blocks: int) -> list[str]:
    """A verdict for each method on each model, and what the authors' erratum says of Guided Backprop.

    `order` and `blocks` are the study's.
    """
    found = of_maps(rows, [SCORES[0]])
    said = []
    models = models_of(found)
    for model in models:
        on = f" on {model_title(model)}" if len(models) > 1 else ""
        mine = table[table["model"] == model]
        unchanged = [name for name, part in mine.groupby("map") if float(part["mean"].min()) > SAME]
        if blind := [name for name in in_order(unchanged) if is_baseline(name)]:
            said.append(
                f"{listed(map_title(name) for name in blind)}{on}: the same map at every stage (rank correlation "
                "1.00), as it must be for what never looks at the network."
            )
        for name in in_order(found["map"]):
            if name in blind:
                continue
            values = found[(found["model"] == model) & (found["map"] == name)]["value"].to_numpy()
            told = verdict(values.tolist())
            always = " It is the same map at every stage." if name in unchanged else ""
            said.append(f"{map_title(name)}{on}: {told[:1].lower()}{told[1:]}{always}")
        said += [one for name in in_order(found["map"]) if (one := erratum(table, model, name, order, blocks))]
    return said


def erratum(table: pd.DataFrame, model: str, name: str, order: str, blocks: int) -> str:
    """How a method that guides the backward pass behaves: invariant to the higher layers only, or not even that.

    That is told where all blocks have forgotten in the end: one after the other, and fewer than the `blocks` at most.
    """
    seen = table[table["model"] == model]
    mine = seen[seen["map"] == name].set_index("stage")["mean"].sort_index()
    reached = int(seen["stage"].max()) if len(seen) else 0
    higher = mine.index <= reached // 2
    if name.partition("@")[0] not in GUIDED or not higher.any() or higher.all():
        return ""
    upper, lower, last = float(mine[higher].mean()), float(mine[~higher].mean()), float(mine.iloc[-1])
    head = f"{map_title(name)} keeps a rank correlation of"
    claims = "the authors' erratum calls it invariant to the higher layers only"
    if order == "independent":
        return (
            f"{head} {upper:.2f} where one of the upper {reached // 2} of {reached} blocks forgets alone, and of "
            f"{lower:.2f} where a lower one does; {claims}, of blocks that forget one after the other."
        )
    if reached >= blocks or mine.index[-1] < reached:
        return (
            f"{head} {last:.2f} when the upper {mine.index[-1]} blocks have forgotten; {claims}, which takes a study "
            "in which all of them forget, and blocks to spare."
        )
    head = f"{head} {upper:.2f} while the upper half of the blocks forget, and {last:.2f} when all have"
    if upper >= UNCHANGED and last < UNCHANGED and last < upper - 0.05:
        return (
            f"{head}: it is nearly invariant to the higher layers only, not completely, "
            "as the authors' erratum says of the claim that it fails the test."
        )
    return f"{head}; {claims}."


def _data(rows: pd.DataFrame) -> list[Exhibit]:
    import pandas as pd

    known = rows[rows["score"].str.startswith("training.")]
    accuracy = known.pivot_table(index="model", columns="score", values="value")
    lines = [
        {
            "Trained on": name,
            "Accuracy (%)": 100 * float(accuracy.loc[name].get("training.accuracy", np.nan)),
            "In training (%)": 100 * float(accuracy.loc[name].get("training.trained_accuracy", np.nan)),
        }
        for name in (f"{labels} labels" for labels in LABELS)
        if name in accuracy.index
    ]
    found = rows[rows["score"].isin(DATA)]
    maps = of_maps(found, [DATA[0]])
    said = [
        "Two small networks begin with the same weights; one learns the true labels of the pictures, the other one "
        "labels that were dealt out anew, so that it can only learn them by heart. Their maps of the same test "
        "pictures, for the true class, are compared."
    ]
    for name in in_order(maps["map"]):
        values = maps[maps["map"] == name]["value"].to_numpy()
        told = verdict(values.tolist())
        told = told.replace("when the network forgets", "when the labels are permuted")
        said.append(f"{map_title(name)}: {told[:1].lower()}{told[1:]}")
    title = "Similarity of the maps of the two networks"
    exhibits: list[Exhibit] = [Words(said)]
    if lines:
        exhibits.append(Table("label-networks", "Accuracy of the two networks", pd.DataFrame(lines)))
    return [*exhibits, summary(found, DATA, by=("method", "variant"), name="data-randomisation", title=title)]
