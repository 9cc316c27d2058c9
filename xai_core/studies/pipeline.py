"""S3: which stage of a perturbation method decides how good its maps are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

from pydantic import field_validator
from pydantic_core import PydanticCustomError

from ..classifiers.cards import Card
from ..engine.comparison import Variant
from ..explainers.perturbation.attribution import Attribute
from ..explainers.perturbation.stages import PipelineFill, Sampling, Smoothing
from ..explainers.superpixels import Segmentation
from ..registry import METHODS, STUDIES, parameter
from .base import Study, Subject, Unit, predicted
from .plan import Plan

if TYPE_CHECKING:
    import pandas as pd

    from .exhibits import Section

SCORE = "srg"
SEPARATOR = " / "
"""Between the stages in a variant's label: segmentation with smoothing, sampling, attribution, map."""
ONE_BY_ONE = ("only_one", "all_but_one")
PER = {"pixel": "per pixel", "segment": "per segment"}


@dataclass(frozen=True)
class Plans:
    """A sampling, and how many samples: a number, "many", "M" as many as segments, or nothing for one by one."""

    sampling: Sampling
    count: str = ""

    @property
    def text(self) -> str:
        return f"{self.sampling} {self.count}".strip()

    def samples(self, segments: int, many: int) -> int:
        """The number that is drawn; the entropic plan has M + 2, with those that hide nothing and all."""
        if not self.count:
            return segments
        if self.count == "M":
            return max(segments + (2 if self.sampling == "entropic" else 0), 2)
        return many if self.count == "many" else int(self.count)


def _listed(text: str) -> list[str]:
    found = [" ".join(one.split()) for one in text.split(",") if one.strip()]
    if not found:
        raise PydanticCustomError("empty", "the list is empty")
    if len(set(found)) < len(found):
        raise PydanticCustomError("twice", "something is listed twice")
    return found


def _one_of(text: str, possible: tuple[str, ...]) -> str:
    if text not in possible:
        raise PydanticCustomError("unknown", "{what}", {"what": f"{text!r} is none of {', '.join(possible)}"})
    return text


def read_cut(text: str) -> tuple[Segmentation, Smoothing]:
    """ "SEGMENTATION+SMOOTHING" as the two."""
    segmentation, _, smoothing = text.partition("+")
    _one_of(segmentation, get_args(Segmentation))
    return cast(Segmentation, segmentation), cast(Smoothing, _one_of(smoothing or "none", get_args(Smoothing)))


def read_plan(text: str) -> Plans:
    """ "SAMPLING COUNT" as both; one by one there is no count."""
    sampling, _, count = text.partition(" ")
    _one_of(sampling, get_args(Sampling))
    if sampling in ONE_BY_ONE and count:
        raise PydanticCustomError("count", "{what}", {"what": f"{sampling} has no number of samples"})
    if sampling not in ONE_BY_ONE and count not in ("many", "M") and not _is_count(count):
        what = f"after {sampling} there must be a number from 2 to 10000, many or M"
        raise PydanticCustomError("count", "{what}", {"what": what})
    return Plans(cast(Sampling, sampling), count)


def _is_count(text: str) -> bool:
    return text.isdecimal() and 2 <= int(text) <= 10_000


def _list_of(read: Callable[[str], Any]) -> Callable[[str], str]:
    def check(text: str) -> str:
        for one in _listed(text):
            read(one)
        return ", ".join(_listed(text))

    return check


@STUDIES.register(
    "pipeline",
    version=2,
    title="Perturbation, stage by stage",
    summary="Takes perturbation methods apart into segmentation and smoothing, sampling, attribution, and maps per "
    "segment or per pixel, and scores every combination by SRG: which choice matters?",
    cites=(
        "Pihlgren and Främling 2025 (S3), Segmentation and smoothing affect explanation quality more than the choice "
        "of perturbation-based XAI method",
    ),
    presets={
        "quick": {
            "cuts": "grid+bilinear, slic+gaussian",
            "samplings": "random 100, only_one",
            "attributions": "rise, lime, ciu",
            "rise": False,
        },
        "balanced": {"samplings": "random 400, entropic 400, only_one", "rise": False},
    },
)
class PipelineStudy(Study):
    """S3's grid: its three segmentations with smoothing times eight samplings, and RISE itself; spec P-7, E-12.

    All maps of one segmentation and sampling are made of the same passes. CIU is only there one by one; S3's inverse
    CIU, which mixes y and 1 - y, is left out.
    """

    of_methods = False

    cuts: str = parameter("grid+bilinear, grid+gaussian, slic+gaussian", "Segmentations with their smoothing.")
    samplings: str = parameter(
        "random many, random M, random 400, entropic many, entropic M, entropic 400, only_one, all_but_one",
        "Samplings with their number of samples; M is as many as segments.",
    )
    attributions: str = parameter("rise, pda, lime, shap, ciu", "What is made of the probabilities.")
    maps: str = parameter("pixel, segment", "Maps per pixel, per segment, or both.")
    segments: int = parameter(49, "Segments to aim at.", unit="segments", ge=2, le=400, step=1)
    many: int = parameter(
        4000, "What many samples are; a ResNet gets twice as many.", unit="samples", ge=2, le=5000, step=1
    )
    fill: PipelineFill = parameter("imagenet_mean", "What shows where a segment is hidden.")
    rise: bool = parameter(True, "RISE itself beside the grid, with many samples.")

    check_cuts = field_validator("cuts")(_list_of(read_cut))
    check_samplings = field_validator("samplings")(_list_of(read_plan))
    check_attributions = field_validator("attributions")(_list_of(lambda text: _one_of(text, get_args(Attribute))))
    check_maps = field_validator("maps")(_list_of(lambda text: _one_of(text, tuple(PER))))

    def _many(self, card: Card) -> int:
        return self.many * (2 if "resnet" in card.architecture else 1)

    def families(self, card: Card) -> Iterator[list[Variant]]:
        """The variants of the method `pipeline`, those together that share their passes."""
        for cut in _listed(self.cuts):
            segmentation, smoothing = read_cut(cut)
            for text in _listed(self.samplings):
                sampled = read_plan(text)
                common = {
                    "segmentation": segmentation,
                    "segments": self.segments,
                    "smoothing": smoothing,
                    "sigma": min(70 / self.segments**0.5, 50.0),
                    "sampling": sampled.sampling,
                    "samples": sampled.samples(self.segments, self._many(card)),
                    "fill": self.fill,
                }
                yield [
                    Variant(
                        "pipeline",
                        METHODS["pipeline"].make({**common, "attribution": attribution, "map_per": per}),
                        SEPARATOR.join((cut, sampled.text, attribution, PER[per])),
                    )
                    for attribution in _listed(self.attributions)
                    for per in _listed(self.maps)
                    if attribution != "ciu" or sampled.sampling in ONE_BY_ONE
                ]

    def units(self, plan: Plan, subject: Subject) -> Iterator[Unit]:
        yield predicted(subject.place, subject.input)
        beside = list(plan.baselines)
        if self.rise:
            published = {"samples": self._many(subject.card), "sampling": "plain"}
            beside.append(Variant("rise", METHODS["rise"].make(published)))
        for variant in beside:
            yield plan.evaluation(subject, plan.explain(subject, variant), variant, SCORE)
        for family in self.families(subject.card):
            source = None
            for variant in family:
                request = plan.explain(subject, variant) if source is None else source.sharing(variant.parameters)
                source = source or request
                yield plan.evaluation(subject, request, variant, SCORE)

    def sections(self, plan: Plan, rows: pd.DataFrame) -> list[Section]:
        from .pipeline_findings import sections

        return sections(rows)
