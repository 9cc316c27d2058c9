"""The study `pipeline`: its grid, the passes that its maps share, and what planted rows say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_core.engine.inline import InlineEngine
from xai_core.explainers.superpixels import segments
from xai_core.registry import MODELS, STUDIES
from xai_core.render.report.content import Report
from xai_core.render.report.html import html
from xai_core.render.report.pdf import pdf
from xai_core.studies.comparing import effects
from xai_core.studies.pipeline import PipelineStudy
from xai_core.studies.pipeline_findings import (
    EXACT_RULE,
    FACTORS,
    SCORE,
    claims,
    difference,
    grid_of,
    sections,
    spread_one_by_one,
)
from xai_core.studies.plan import Plan
from xai_core.studies.verdicts import FAILS, HOLDS, RULE, UNDECIDED, UNTOLD
from xai_core.types import XaiError

from .small import done, exhibits_of, folder_of, plan_for, said
from .test_comparing import row

SMALL = {
    "cuts": "grid+bilinear, slic+gaussian",
    "samplings": "random 20, only_one",
    "segments": 9,
    "many": 24,
}
STEPS = 10
"""Of `srg`, which takes two passes at its ends and two for each step between."""


# -- the grid ----------------------------------------------------------------------------------------------------------


def test_the_papers_grid_is_s3s(tiny_card: Path) -> None:
    study = STUDIES["pipeline"].make()
    assert isinstance(study, PipelineStudy) and study.rise
    families = list(study.families(MODELS["tiny"]))
    assert len(families) == 3 * 8
    assert {len(family) for family in families} == {4 * 2, 5 * 2}
    labels = {variant.label for family in families for variant in family}
    assert "slic+gaussian / entropic many / shap / per segment" in labels
    assert len(labels) == sum(len(family) for family in families) == 3 * (6 * 8 + 2 * 10)
    counts = sorted({family[0].parameters.model_dump()["samples"] for family in families})
    assert counts == [49, 51, 400, 4000]
    assert all(variant.parameters.model_dump()["sigma"] == 10 for family in families for variant in family)
    resnet = MODELS["tiny"].model_copy(update={"architecture": "torchvision/resnet50"})
    assert max(family[0].parameters.model_dump()["samples"] for family in study.families(resnet)) == 8000


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"cuts": "grid+gauss"}, "'gauss' is none of none, bilinear, gaussian"),
        ({"cuts": "cubes"}, "'cubes' is none of slic"),
        ({"samplings": "random"}, "after random there must be a number from 2 to 10000, many or M"),
        ({"samplings": "random 1"}, "after random there must be a number"),
        ({"samplings": "only_one 9"}, "only_one has no number of samples"),
        ({"attributions": "rise, rise"}, "something is listed twice"),
        ({"maps": " , "}, "the list is empty"),
    ],
)
def test_a_grid_that_does_not_exist_is_refused_in_a_sentence(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(XaiError, match=rf"pipeline\.{next(iter(values))}=.* does not fit: .*{sentence}"):
        STUDIES["pipeline"].make(values)


def test_lists_are_told_alike_however_they_are_written() -> None:
    study = STUDIES["pipeline"].make({"samplings": " random   20 ,only_one,"})
    assert study.model_dump()["samplings"] == "random 20, only_one"


# -- a run -------------------------------------------------------------------------------------------------------------


def slic_segments(plan: Plan) -> int:
    """How many segments SLIC finds in the only picture."""
    (opening,) = plan.openings()
    return int(segments(opening.clean.input.frame, "slic", 9).max()) + 1


def test_every_family_of_maps_takes_its_passes_once(tmp_path: Path, tiny_card: Path) -> None:
    plan = plan_for("pipeline", folder_of(tmp_path / "pictures", 1), **SMALL, attributions="pda, shap, ciu")
    engine = InlineEngine()
    standing, rows = done(plan, tmp_path / "out", engine)
    maps = 2 * (2 * 2 + 3 * 2)
    scored = maps + 1 + 3  # RISE, and three baselines
    assert standing.units == standing.done == 1 + scored
    grid = rows[(rows["method"] == "pipeline") & (rows["score"] == SCORE)]
    assert len(grid) == maps and grid["value"].notna().all()
    sampled = 2 * (1 + 20 + 1 + 9) + 24
    expected = 1 + sampled + scored * 2 * (STEPS - 1)
    taken = engine.executor.classifier("tiny").passes.total
    assert taken == expected - (9 - slic_segments(plan)), "SLIC finds fewer segments, all else is exact"
    assert plan.size().passes == expected + 1, "the picture's own class is asked for before, and read again"


def test_one_segment_at_a_time_makes_all_attributions_one(tmp_path: Path, tiny_card: Path) -> None:
    """S3's exact property, which single precision blurs for maps per pixel."""
    given = {**SMALL, "samplings": "only_one, all_but_one", "rise": False}
    _, rows = done(plan_for("pipeline", folder_of(tmp_path / "pictures", 1), **given), tmp_path / "out")
    grid = grid_of(rows)
    for per, largest in (("per segment", 1e-9), ("per pixel", 0.01)):
        spread = spread_one_by_one(grid, per)
        assert len(spread) == 2 * 2 and spread.max() <= largest
    verdict, why = next(iter(claims(grid).values()))
    assert verdict == HOLDS and "Per segment 4 of 4 families" in why
    text = said(sections(rows))
    assert "“With one segment hidden at a time, or shown alone, every attribution has the same SRG” holds here" in text


# -- planted rows ------------------------------------------------------------------------------------------------------

CUT = {"grid+bilinear": 0.0, "grid+gaussian": 0.0, "slic+gaussian": 0.3}
PER = {"per pixel": 0.2, "per segment": 0.0}
SAMPLING = {"random 400": 0.1, "only_one": 0.0}
ATTRIBUTION = {"rise": 0.0, "lime": 0.01, "ciu": 5.0}


def planted(
    pictures: int = 8, cut: dict[str, float] = CUT, per: dict[str, float] = PER, attribution: Any = ATTRIBUTION
) -> pd.DataFrame:
    """SRG as the sum of what each stage gives, with a little noise and easy and hard pictures."""
    random = np.random.default_rng(0)
    lines = []
    for picture in range(pictures):
        hard = random.normal()
        for pieces, first in cut.items():
            for sampling, second in SAMPLING.items():
                noise = random.normal(scale=0.01, size=len(per))
                for name, third in attribution.items():
                    for (map_per, fourth), blur in zip(per.items(), noise, strict=True):
                        if name == "ciu" and sampling != "only_one":
                            continue
                        apart = 0.0 if sampling == "only_one" else third
                        value = hard + first + second + apart + fourth + blur
                        label = f"{pieces} / {sampling} / {name} / {map_per}"
                        lines.append(row(picture, "pipeline", value, SCORE, variant=label))
        lines.append(row(picture, "random", random.normal(), SCORE))
    return pd.DataFrame(lines)


def test_planted_effects_are_found() -> None:
    found = claims(grid_of(planted()))
    assert [verdict for verdict, _ in found.values()] == [HOLDS] * 4
    gap = difference(grid_of(planted()), "Segments", "slic+gaussian", "grid+bilinear")
    assert gap.mean == pytest.approx(0.3, abs=0.02) and gap.low < 0.3 < gap.high + 0.02
    tables = {name: one.frame for name, one in exhibits_of(sections(planted())).items()}
    stages = tables["stages-tiny"].set_index("Factor")["Eta squared"]
    assert list(stages.sort_values(ascending=False).index) == ["Segments", "Map", "Sampling", "Attribution"]
    means = tables["srg-tiny"].set_index(["Segments", "Sampling", "Map"])
    assert np.isnan(means.loc[("grid+bilinear", "random 400", "per pixel"), "ciu"])
    levels = tables["levels-tiny"].set_index(["Stage", "First", "Second"])["Difference"]
    assert levels["Map", "per pixel", "per segment"] == pytest.approx(0.2, abs=0.02)
    assert levels["Attribution", "lime", "rise"] == pytest.approx(0.005, abs=1e-9)
    assert "random" not in {str(one) for one in tables["srg-heat"]["Combination"]}


def test_what_is_planted_the_other_way_does_not_hold() -> None:
    rows = planted(
        cut={"grid+bilinear": 0.3, "grid+gaussian": 0.3, "slic+gaussian": 0.0},
        per={"per pixel": 0.0, "per segment": 0.2},
        attribution={"rise": 0.0, "lime": 3.0},
    )
    rows.loc[rows["variant"].str.contains("only_one / lime"), "value"] += 0.02
    assert [verdict for verdict, _ in claims(grid_of(rows)).values()] == [FAILS] * 4


def test_the_difference_decides_where_the_intervals_of_two_stages_overlap() -> None:
    """Stages may explain more of one picture than of another, both of them."""
    random = np.random.default_rng(0)
    rows = planted(12, attribution={"rise": 0.0, "lime": 0.3})
    hard = rows["picture"].isin([f"{number}.jpg" for number in range(6)])
    rows["value"] += np.where(hard, random.normal(scale=0.7, size=len(rows)), 0.0)
    table = effects(grid_of(rows), FACTORS, SCORE).frame.set_index("Factor")
    assert table["Eta squared high"]["Attribution"] > table["Eta squared low"]["Segments"]
    verdict, why = claims(grid_of(rows))["The attribution hardly matters beside segments and smoothing"]
    assert verdict == HOLDS and "more than by attribution" in why


def test_every_verdict_stands_beside_its_own_rule() -> None:
    rows = planted(5)
    text = said(sections(rows))
    assert "the same SRG” holds here. An exact property, which was checked map by map." in text
    assert f"{RULE} {EXACT_RULE}" in text


def test_of_few_pictures_nothing_is_told_about_means() -> None:
    verdicts = [verdict for verdict, _ in claims(grid_of(planted(5))).values()]
    assert verdicts == [HOLDS, UNDECIDED, UNDECIDED, UNDECIDED]


def test_what_was_not_tried_is_not_told() -> None:
    rows = planted(cut={"grid+bilinear": 0.0}, per={"per pixel": 0.0}, attribution={"rise": 0.0})
    found = claims(grid_of(rows))
    assert {verdict for verdict, _ in found.values()} == {UNTOLD}
    assert "per segment was not tried" in " ".join(why for _, why in found.values())
    assert sections(rows)


def test_a_picture_that_is_not_finished_does_not_count() -> None:
    rows = planted()
    missing = (rows["picture"] == "3.jpg") & rows["variant"].str.startswith("slic")
    assert set(grid_of(rows[~missing])["picture"]) == set(grid_of(rows)["picture"]) - {"3.jpg"}
    assert sections(rows[rows["method"] == "random"]) == []


def test_a_choice_that_is_nowhere_defined_is_not_decided() -> None:
    rows = planted()
    for place, choice in (("Sampling", "only_one"), ("Map", "per pixel"), ("Segments", "slic+gaussian")):
        gone = rows["variant"].str.contains(choice, regex=False)
        mended = rows.assign(value=rows["value"].where(~gone))
        gap = difference(grid_of(mended), place, choice, sorted(set(grid_of(rows)[place]) - {choice})[0])
        assert gap.n == 0
        tables = exhibits_of(sections(mended))
        levels = tables["levels-tiny"].frame.set_index(["Stage", "First", "Second"])["Difference"]
        assert levels[place].isna().any() and levels["Attribution"].notna().all()
        report = Report("Pipeline", "", (), tuple(sections(mended)))
        assert "S3" in html(report) and pdf(report).startswith(b"%PDF")
    verdict, why = claims(grid_of(mended))["SLIC with a Gaussian is better than the grid"]
    assert verdict == UNDECIDED and "On no picture" in why and "nan" not in said(sections(mended))
