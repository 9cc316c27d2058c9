"""The studies that train networks: what they ask for, what comes of it, and what planted rows make them say."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import ttest_rel

from xai_core.engine.inline import InlineEngine
from xai_core.registry import STUDIES, TRIALS
from xai_core.render.report import write_report
from xai_core.studies.base import Place
from xai_core.studies.exhibits import Chart, Section, Table, Words
from xai_core.studies.plan import Choice, Plan, plan_of
from xai_core.studies.results import Log
from xai_core.studies.roar import Contrasts, area, told_apart
from xai_core.studies.running import run
from xai_core.studies.sanity import erratum
from xai_core.types import XaiError

from ..checks import is_sentence

QUICK: dict[str, dict[str, Any]] = {
    "roar": {"pictures": 50, "epochs": 1, "runs": 2, "fractions": "70%", "order": "both"},
    "bam": {"kinds": 2, "copies": 5, "explained": 3, "epochs": 1},
    "sanity": {"epochs": 1, "explained": 3, "blocks": 2},
}


def computed(name: str, out: Path, **choice: Any) -> tuple[Plan, pd.DataFrame]:
    plan = plan_of(Choice(study=name, methods=("gradient",), set_study=QUICK[name], **choice))
    standing = run(plan, InlineEngine(), out)
    assert not standing.failed
    again = run(plan, InlineEngine(), out)  # nothing is left to do
    assert again.units == standing.units
    return plan, Log(out).read()


def words(sections: list[Section]) -> str:
    return " ".join(
        sentence
        for one in sections
        for shown in one.exhibits
        if isinstance(shown, Words)
        for sentence in shown.sentences
    )


def exhibits(sections: list[Section], kind: type) -> dict[str, Any]:
    return {shown.name: shown for one in sections for shown in one.exhibits if isinstance(shown, kind)}


def row(score: str, value: float, **place: Any) -> dict[str, Any]:
    columns = {**{name: getattr(Place(), name) for name in Place.__dataclass_fields__}, **place}
    return {**columns, "score": score, "value": value, "reason": "", "key": "", "unit": "", "failed": False}


# -- they run --------------------------------------------------------------------------------------------------------


def test_roar_retrains_for_every_method_fraction_and_run(tmp_path: Path) -> None:
    plan, rows = computed("roar", tmp_path)
    found = rows[rows["score"] == "retraining.accuracy"]
    methods = {"gradient", "random", "centre", "sobel"}
    expected = set(product(methods, ("roar=0.7", "kar=0.7"), (0, 1)))
    assert (
        set(zip(found["method"], found["corruption"], found["seed"], strict=True))
        == expected
        == set(zip(found["method"], found["corruption"], found["seed"], strict=True))
    )
    assert len(found) == len(expected) and found["value"].between(0, 1).all()
    assert (rows["score"] == "training.accuracy").sum() == 2
    sections = plan.study.sections(plan, rows)
    assert {"roar-curves", "kar-curves"} <= set(exhibits(sections, Chart))


def test_bam_has_a_row_for_every_picture(tmp_path: Path) -> None:
    plan, rows = computed("bam", tmp_path)
    found = rows[rows["score"] == "bam.mcs"]
    assert found.groupby("method").size().to_dict() == {"gradient": 3, "random": 3, "centre": 3, "sobel": 3}
    assert found["picture"].nunique() == 3
    assert (rows.loc[rows["value"].isna() & rows["score"].str.startswith("bam"), "reason"] != "").all()
    pictures = found[found["method"].isin(["sobel", "centre"])]["value"].dropna()
    assert (pictures == 0).all()  # they never look at the network
    sections = plan.study.sections(plan, rows)
    assert "networks" in exhibits(sections, Table)
    assert write_report(plan, tmp_path).exists()


def test_sanity_has_every_stage_and_the_permuted_labels(tmp_path: Path, tiny_card: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    for number in range(2):
        Image.fromarray(np.roll(pixels, 9 * number)).save(tmp_path / "pictures" / f"{number}.png")
    plan, rows = computed("sanity", tmp_path / "out", pictures=str(tmp_path / "pictures"), models=("tiny",))
    stages = rows[rows["score"] == "stage.spearman"]
    assert set(stages["corruption"]) == {"forgotten=1", "forgotten=2"}
    assert np.allclose(stages[stages["method"] == "sobel"]["value"], 1)
    means = stages.groupby(["picture", "method"])["value"].mean()
    whole = rows[rows["score"] == "randomisation.spearman"].set_index(["picture", "method"])["value"]
    assert np.allclose(means, whole.loc[means.index], atol=1e-6)
    labels = rows[rows["score"] == "labels.spearman"]
    assert np.allclose(labels[labels["method"].isin(["sobel", "centre", "random"])]["value"], 1)
    assert labels[labels["method"] == "gradient"]["value"].max() < 0.999
    sections = plan.study.sections(plan, rows)
    assert {"stages-spearman", "stages-ssim"} <= set(exhibits(sections, Chart))
    assert "Random, Centre and Edges: the same map at every stage (rank correlation 1.00)" in words(sections)
    assert "Gradient: the maps change" in words(sections)


# -- they refuse -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [
        {"set_study": {"fractions": "ten"}},
        {"set_study": {"fractions": "0,50"}},
        {"set_study": {"dataset": "folder"}},
        {"models": ("efficientnet_lite0",)},
        {"limit": 3},
        {"study": "bam", "set_study": {"composites": "folder"}},
        {"pictures": "/nowhere"},
        {"study": "bam", "pictures": "gallery:photos"},
        {"study": "bam", "masks": "nobody"},
        {"set_score": {"road": {"steps": 3}}},
        {"set_score": {"rode": {}}},
        {"set": {"lime": {"samples": 7}}},
    ],
)
def test_what_does_not_fit_is_said_before_anything_starts(choice: dict[str, Any]) -> None:
    with pytest.raises(XaiError) as error:
        plan_of(Choice.model_validate({"study": "roar", **choice})).check_scores()
    assert is_sentence(str(error.value))


def test_who_names_pictures_is_told_how_they_are_taken() -> None:
    with pytest.raises(XaiError, match="name none, or add --set-study dataset=folder"):
        plan_of(Choice(study="roar", pictures="gallery:photos"))
    with pytest.raises(XaiError, match="name none, or add --set-study composites=folder"):
        plan_of(Choice(study="bam", pictures="gallery:photos"))


def test_the_cost_is_known_without_any_data() -> None:
    for name in ("roar", "bam"):
        plan = plan_of(Choice(study=name, preset="quick"))
        size = plan.size()
        assert size.units == len(list(plan.study.trials(plan))) and size.passes > 30_000
    assert {"training", "ranking", "retraining", "bam", "patches", "labels"} <= set(TRIALS.entries())
    assert {"roar", "bam", "sanity"} <= set(STUDIES.entries())


# -- what they say ---------------------------------------------------------------------------------------------------


def accuracies(means: dict[str, tuple[float, float]], spread: float, runs: int = 5) -> pd.DataFrame:
    """Rows of ROAR at 30 % and 70 %, with a spread between runs that is the same for no two methods."""
    lines = [row("training.accuracy", 0.95, seed=run, model="small") for run in range(runs)]
    random = np.random.default_rng(0)
    for method, values in means.items():
        for label, value in zip(("roar=0.3", "roar=0.7"), values, strict=True):
            noise = random.normal(0, spread, runs)
            for run_, moved in enumerate(noise - noise.mean()):
                place = {"corruption": label, "method": method, "seed": run_, "model": "small"}
                lines.append(row("retraining.accuracy", value + moved, **place))
    return pd.DataFrame(lines)


def roar_sections(rows: pd.DataFrame) -> list[Section]:
    plan = plan_of(Choice(study="roar", set_study={"fractions": "30,70", "order": "roar"}))
    return plan.study.sections(plan, rows)


def test_the_area_is_the_mean_height() -> None:
    assert area([10, 90], [80, 20]) == 50
    assert area([10, 50, 90], [60, 60, 60]) == 60
    assert area([0, 10, 100], [1, 1, 0]) == pytest.approx(0.55)
    assert area([30], [7]) == 7


def test_methods_that_differ_by_more_than_retraining_are_told_apart() -> None:
    rows = accuracies({"gradient": (0.8, 0.5), "gradcam": (0.6, 0.3), "random": (0.9, 0.7)}, spread=0.01)
    said = words(roar_sections(rows))
    assert "which is larger than the spread of a single retraining" in said
    assert "Gradient and Grad-CAM are better than random pixels" in said or "Grad-CAM and Gradient are better" in said
    assert "The networks trained on whole pictures reach 95.0 %" in said
    tables = exhibits(roar_sections(rows), Table)
    assert set(tables["roar-pairs"].frame["Verdict"]) == {"differ"}
    areas = tables["roar-areas"].frame.set_index("Method")["Area (%)"]
    assert areas.tolist() == pytest.approx([45, 65, 80])  # in the order Grad-CAM, Gradient, Random


def test_methods_within_the_spread_of_retraining_are_not() -> None:
    rows = accuracies({"gradient": (0.8, 0.5), "gradcam": (0.801, 0.501), "random": (0.8, 0.5)}, spread=0.05)
    sections = roar_sections(rows)
    assert "which is smaller than the spread of a single retraining" in words(sections)
    assert "not to be told from random pixels" in words(sections)
    assert "Of 3 pairs 0 differ" in words(sections)


def test_one_run_tells_no_spread_and_no_rows_are_no_error() -> None:
    rows = accuracies({"gradient": (0.8, 0.5), "random": (0.9, 0.7)}, spread=0, runs=1)
    assert "takes two runs" in words(roar_sections(rows))
    assert "No network has been retrained yet" in words(roar_sections(rows.iloc[:0]))


def of_nothing(random: np.random.Generator, maps: int = 7, runs: int = 2, fractions: int = 2) -> pd.DataFrame:
    """Areas of maps that do not differ: accuracies in whole test pictures, of which digits have 359."""
    right = random.binomial(359, random.uniform(0.5, 0.9, fractions), (runs, maps, fractions))
    names = ["random", *(f"map{place}" for place in range(maps - 1))]
    return pd.DataFrame((100 * right / 359).mean(axis=2), columns=names)


@pytest.mark.parametrize("runs", [2, 3])
def test_where_nothing_differs_few_reports_say_that_something_does(runs: int) -> None:
    random = np.random.default_rng(0)
    tables = [of_nothing(random, runs=runs) for _ in range(150)]
    wrong = [(told_apart(table)["Verdict"] == "differ").any() for table in tables]
    assert np.mean(wrong) < 0.08  # 5 %, and what 150 reports may add by chance


def test_two_maps_are_judged_by_the_paired_t_test() -> None:
    values = np.random.default_rng(1).normal(70, 3, (5, 2))
    gap, low, high, p = Contrasts(pd.DataFrame(values, columns=["gradient", "random"])).of("gradient", "random")
    expected = ttest_rel(*values.T)
    assert p == pytest.approx(expected.pvalue) and gap == pytest.approx(np.diff(values[:, ::-1]).mean())
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_a_run_that_is_better_throughout_is_no_error_of_the_maps() -> None:
    values = np.random.default_rng(2).normal([70, 71, 60], 0.5, (4, 3))
    plain, moved = (
        told_apart(pd.DataFrame(one, columns=["gradient", "gradcam", "random"]))
        for one in (values, values + np.array([[0], [9], [-5], [2]]))
    )
    pd.testing.assert_frame_equal(plain, moved)
    assert plain["Verdict"].tolist()[1:] == ["differ", "differ"]


def test_without_any_spread_nothing_is_told_apart() -> None:
    """Two runs with the same gaps say nothing of how large chance is."""
    runs = np.array([[200, 203, 251], [202, 205, 253]]) * (100 / 359)  # which leaves 1e-14 to rounding
    found = told_apart(pd.DataFrame(runs, columns=["gradient", "gradcam", "random"]))
    assert set(found["Verdict"]) == {"cannot be told apart"} and (found["p, Holm"] == 1).all()
    assert found["Difference low"].isna().all()


def staged(values: list[float]) -> pd.DataFrame:
    stages = range(1, len(values) + 1)
    return pd.DataFrame({"model": "m", "map": "guided_backprop", "stage": stages, "mean": values, "low": 0, "high": 1})


def guided(values: list[float], order: str = "cascading", blocks: int = 32) -> str:
    return erratum(staged(values), "m", "guided_backprop", order, blocks)


def test_guided_backprop_is_called_invariant_to_higher_layers_only_where_it_is() -> None:
    said = guided([0.98, 0.95, 0.9, 0.6])
    assert "nearly invariant to the higher layers only, not completely" in said and "0.60 when all have" in said
    assert "nearly" not in guided([0.3, 0.2, 0.1, 0.1])
    assert "nearly" not in guided([0.6, 0.5, 0.4, 0.1]), "half changed is not nearly the same"
    assert erratum(staged([0.9, 0.1]).assign(map="gradient"), "m", "gradient", "cascading", 32) == ""


def test_what_is_said_of_all_blocks_is_said_where_all_have_forgotten() -> None:
    values = [0.98, 0.96, 0.9, 0.6]
    few = guided(values, blocks=4)  # there may be more of them
    assert "0.60 when the upper 4 blocks have forgotten" in few
    assert "nearly" not in few and "all have" not in few
    alone = guided(values, order="independent")
    assert "0.97 where one of the upper 2 of 4 blocks forgets alone, and of 0.75" in alone
    assert "nearly" not in alone and "all have" not in alone
    edges = staged([1, 1, 1, 1, 1]).assign(map="sobel")  # of Guided Backprop the last map was flat
    flat = erratum(pd.concat([staged(values), edges]), "m", "guided_backprop", "cascading", 32)
    assert "when the upper 4 blocks have forgotten" in flat
    for said in (few, alone, flat):
        assert is_sentence(said)


# -- what they find --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_edges_stay_the_gradient_and_grad_cam_change_and_guided_backprop_far_less(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EfficientNet-Lite0 over three of the shared pictures, as it forgets from the logits down."""
    monkeypatch.setenv("XAI_THREADS", "2")
    choice = {
        "pictures": str(shared / "data" / "imagenet50"),
        "limit": 3,
        "models": ("efficientnet_lite0",),
        "methods": ("gradient", "gradcam", "guided_backprop"),
        "set_study": {"data": "none"},
    }
    plan = plan_of(Choice(study="sanity", **choice))
    run(plan, InlineEngine(), tmp_path)
    rows = Log(tmp_path).read()
    stages = rows[rows["score"] == "stage.spearman"]
    means = stages.groupby(["method", "corruption"])["value"].mean().unstack("corruption")
    assert (means.loc["sobel"] > 0.999).all()
    whole = means.mean(axis=1)
    assert whole["gradient"] < 0.5 and whole["gradcam"] < 0.5
    assert whole["guided_backprop"] > max(whole["gradient"], whole["gradcam"]) + 0.2
    assert "erratum" in words(plan.study.sections(plan, rows))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_roar_on_digits_removes_more_than_one_retraining_differs_from_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every curve falls as pixels go, and what Grad-CAM keeps is worth more than random pixels."""
    monkeypatch.setenv("XAI_THREADS", "2")
    few = {"runs": 2, "fractions": "10,50,90"}
    plan = plan_of(Choice(study="roar", methods=("gradcam",), set_study=few))
    run(plan, InlineEngine(), tmp_path)
    rows = Log(tmp_path).read()
    assert rows[rows["score"] == "training.accuracy"]["value"].min() > 0.97
    found = rows[rows["score"] == "retraining.accuracy"].groupby(["method", "corruption"])["value"].mean()
    for method in ("gradcam", "random"):
        assert found[method]["roar=0.1"] > found[method]["roar=0.5"] > found[method]["roar=0.9"]
        assert found[method]["kar=0.1"] < found[method]["kar=0.5"] < found[method]["kar=0.9"]
    assert found["gradcam"]["kar=0.1"] > found["random"]["kar=0.1"] + 0.2
    assert write_report(plan, tmp_path).exists()
