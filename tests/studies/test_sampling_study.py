"""The study `sampling`: what it asks for, and what planted rows say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_core.engine.inline import InlineEngine
from xai_core.engine.requests import Trial
from xai_core.registry import STUDIES
from xai_core.render.report.content import Report
from xai_core.render.report.html import html
from xai_core.render.report.pdf import pdf
from xai_core.studies.exhibits import Gallery, Section
from xai_core.studies.plan import Choice, Plan, plan_of
from xai_core.studies.sampling import AUGMENTATIONS, NATS, NORM, TUNED, SamplingStudy, drop_of, every_other
from xai_core.studies.sampling_findings import claims, drawn, maps_of, peak_share, ratios, sections, table_of
from xai_core.studies.verdicts import FAILS, HOLDS, UNDECIDED, UNTOLD
from xai_core.types import Score, XaiError

from .small import done, exhibits_of, folder_of, plan_for, said
from .test_comparing import row

ACCURACY = "fine_tuning.accuracy_before"
SMALL = {"samples": 4, "drops": "0, 0.5, 0.7", "embedded": 2, "each": 3, "explained": 1, "epochs": 1}


def test_drops_are_numbers_between_0_and_1() -> None:
    assert STUDIES["sampling"].make({"drops": "1,.7, 0"}).model_dump()["drops"] == "0, 0.7, 1"
    for text, sentence in (("a", "these are no numbers"), ("0, 1.1", "between 0 and 1")):
        with pytest.raises(XaiError, match=rf"sampling.drops={text} does not fit: .*{sentence}"):
            STUDIES["sampling"].make({"drops": text})
    assert drop_of("p=0.7") == drop_of("p=0.7 times input") == 0.7 and np.isnan(drop_of("s0"))


def test_the_papers_settings_are_s4s() -> None:
    study = STUDIES["sampling"].make()
    assert isinstance(study, SamplingStudy)
    assert (study.samples, study.noise_level, study.method_seed) == (50, 0.15, 1860867)
    labels = [variant.label for variant in study.variants if variant.method == "feature_suppression"]
    assert labels == [*(f"p={drop / 10:g}" for drop in range(11)), "p=0.7 times input"]


@dataclass(frozen=True)
class Ran:
    """A small run with labels."""

    plan: Plan
    engine: InlineEngine
    out: Path
    rows: pd.DataFrame


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    from ..conftest import write_tiny_card

    folder = tmp_path_factory.mktemp("sampling")
    with pytest.MonkeyPatch.context() as patch:
        write_tiny_card(folder / "models")
        patch.setenv("XAI_DATA", str(folder / "data"))
        patch.setenv("XAI_MODELS_DIR", str(folder / "models"))
        patch.setenv("XAI_THREADS", "1")
        patch.setenv("XAI_DEVICE", "cpu")
        plan = plan_for("sampling", folder_of(folder / "pictures", 4, labels=True), **SMALL)
        engine = InlineEngine()
        standing, rows = done(plan, folder / "out", engine)
        size = plan.size()
        assert standing.done == size.units and standing.failed == 0
        assert standing.passes == size.passes - 4, "all is told before but for what each picture's class takes"
    return Ran(plan, engine, folder / "out", rows)


@pytest.fixture
def ran(small_run: Ran) -> pd.DataFrame:
    """Its rows."""
    return small_run.rows


def test_a_run_has_a_row_for_every_map_and_no_picture_dropped_is_the_gradient(ran: pd.DataFrame) -> None:
    maps = maps_of(ran)
    assert maps["seed"].nunique() == 4, "a picture has its own chance"
    nats, norms = (table_of(maps, score).dropna(axis=1, how="all") for score in (NATS, NORM))
    assert nats.shape == (4, 4 + 3 + 1 + 4) and norms.shape == (4, 4 + 3 + 1)
    for table in (nats, norms):
        np.testing.assert_allclose(table["feature_suppression@p=0"], table["gradient"], rtol=1e-4)
    relative = ran[(ran["score"] == "mutual_information.relative") & (ran["method"] == "integrated_gradients")]["value"]
    assert (relative.dropna() == 1).all()
    ours = ratios(maps).frame.set_index("Method")["Ratio"]
    assert ours["Integrated gradients"] == pytest.approx(1) and ours.idxmax() == "Luminance"


def test_a_run_has_the_embedding_and_fine_tuning(ran: pd.DataFrame) -> None:
    titles = [section.title for section in sections(ran)]
    assert titles == [
        "S4's claims here",
        "What maps tell, by the probability to drop a pixel",
        "Where the samples lie for the network",
        "Before and after fine-tuning",
    ]
    shown = {name: one.frame for name, one in exhibits_of(sections(ran)).items()}
    points = shown["embedding"].groupby("Samples").size()
    assert sorted(points) == [2, 6, 6, 6] and shown["embedding"].notna().all(axis=None)
    assert len(shown["embedding-distances"]) == 4
    accuracy = shown["fine-tuning-accuracy"]
    assert list(accuracy["Learnt with"]) == ["luminance", "noise", "none"] and accuracy["Before"].nunique() == 1
    maps = shown["fine-tuning-maps"]
    assert len(maps) == 4 * 3 and (maps.groupby("Method")["Nats before"].nunique() == 1).all()
    assert (maps["Similarity"] <= 1).all() and (maps["Pictures"] == 1).all()
    text = said(sections(ran))
    assert "resembles the picture" in text and "is not decided here" in text


def galleries_of(found: list[Section]) -> list[Gallery]:
    return [one for section in found for one in section.exhibits if isinstance(one, Gallery)]


def test_maps_before_and_after_fine_tuning_are_shown(small_run: Ran) -> None:
    """All of a picture's maps in a row: those that the trial has, as what is drawn."""
    cache, rows = small_run.engine.executor.cache, small_run.rows
    (gallery,) = galleries_of(sections(rows, {"tiny": ["1.png"]}, cache.get))
    assert gallery.columns == 5 and len(gallery.pictures) == 4 * 5
    captions = [words for _, words in gallery.pictures[5:10]]
    kinds = ["before", *(f"learnt with {one}" for one in AUGMENTATIONS)]
    assert captions == ["1.png", *(f"SmoothGrad, {kind}" for kind in kinds)]
    whole = rows[(rows["method"] == "") & rows["score"].str.startswith("fine_tuning.")]
    for place, augmentation in enumerate(AUGMENTATIONS):
        trial = cache.get(whole.loc[whole["variant"] == augmentation, "key"].iloc[0])
        assert isinstance(trial, Score)
        own = [pixels for pixels, _ in gallery.pictures[5:10]]
        np.testing.assert_array_equal(own[0], trial.details["frames"][0])
        np.testing.assert_array_equal(own[1], drawn(trial.details["maps_before"][1, 0]))
        np.testing.assert_array_equal(own[2 + place], drawn(trial.details["maps_after"][1, 0]))
    report = Report("Sampling", "", (), tuple(sections(rows, {}, cache.get)))
    assert html(report).count("data:image/webp") == 4 * 5 and "Picture 1" in html(report)
    assert pdf(report).count(b"/Subtype /Image") >= 4 * 5


def test_maps_that_are_gone_are_told(small_run: Ran) -> None:
    rows, get = small_run.rows, small_run.engine.executor.cache.get
    assert not galleries_of(sections(rows)) and "none, noise and luminance cannot be shown" in said(sections(rows))
    whole = rows[(rows["method"] == "") & rows["score"].str.startswith("fine_tuning.")]
    lost = set(whole.loc[whole["variant"] == "noise", "key"])
    some = sections(rows, {}, lambda key: None if key in lost else get(key))
    assert galleries_of(some)[0].columns == 4 and "learning with noise cannot be shown" in said(some)


def test_the_study_names_what_it_shows(small_run: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_DATA", str(small_run.out.parent / "data"))
    (gallery,) = galleries_of(small_run.plan.study.sections(small_run.plan, small_run.rows))
    explained = small_run.rows[small_run.rows["score"] == TUNED[2]]["picture"].unique()
    assert {words for _, words in gallery.pictures[::5]} == set(explained)


def test_maps_are_drawn_by_their_absolute_values() -> None:
    values = np.linspace(0, 1, 1000, dtype=np.float32).reshape(20, 50)
    pixels = drawn(values)
    assert pixels.shape == (20, 50, 3) and pixels.dtype == np.uint8
    np.testing.assert_array_equal(drawn(-3 * values), pixels)
    assert (np.diff(pixels.sum(axis=2).ravel().astype(int)) >= 0).mean() > 0.99
    assert len(np.unique(drawn(np.zeros((4, 4), dtype=np.float32)).reshape(-1, 3), axis=0)) == 1
    spike = np.zeros((20, 20), dtype=np.float32)
    spike[3, 4] = 1
    assert drawn(spike)[3, 4].sum() > drawn(spike)[0, 0].sum()


def test_without_labels_nothing_is_tuned(tmp_path: Path, tiny_card: Path) -> None:
    plan = plan_for("sampling", folder_of(tmp_path / "pictures", 3), **SMALL)
    assert {unit.request.title for unit in plan.study.trials(plan)} == {"Samples in the embedding"}
    plan = plan_for("sampling", tmp_path / "pictures", **{**SMALL, "embedded": 0})
    assert list(plan.study.trials(plan)) == []


@given(st.lists(st.integers(0, 4), max_size=30), st.lists(st.integers(0, 4), max_size=10))
def test_every_class_is_learnt_from_and_tested_whatever_comes_later(classes: list[int], later: list[int]) -> None:
    tested = every_other(classes)
    assert tested.dtype == bool and (every_other([*classes, *later])[: len(classes)] == tested).all()
    for one in set(classes):
        own = tested[np.array(classes) == one]
        assert abs(own.sum() - (~own).sum()) <= 1
    if len(classes) > 1:
        assert tested.any() and not tested.all()
    assert abs(tested.sum() - (~tested).sum()) <= max(len(set(classes)), 1)


def test_more_pictures_leave_the_split_as_it_is(tmp_path: Path, tiny_card: Path) -> None:
    """And explain all that were explained before, so that no row of an earlier network stays."""
    folder = folder_of(tmp_path / "pictures", 9, labels=True)
    choice = Choice(study="sampling", pictures=str(folder), models=("tiny",), set_study={**SMALL, "explained": 3})
    kept: tuple[list[str], list[str]] = ([], [])
    for limit in range(2, 10):
        plan = plan_of(choice.model_copy(update={"limit": limit}))
        units = [unit for unit in plan.study.trials(plan) if unit.place.variant == "noise"]
        first = units[0].request
        assert isinstance(first, Trial)
        explained = list(dict.fromkeys(unit.place.picture for unit in units[1:]))
        tested = [f"{number}.png" for number in np.flatnonzero(first.data["tested"])]
        assert explained == tested[:3] and tested[: len(kept[0])] == kept[0] and explained[: len(kept[1])] == kept[1]
        kept = tested, explained


def test_rows_of_an_earlier_network_do_not_count(ran: pd.DataFrame) -> None:
    own = ran[ran["score"].str.startswith("fine_tuning.") & (ran["picture"] != "")]
    stale = own.assign(picture="stale.png", value=0.123, key="earlier")
    there, whole = (exhibits_of(sections(one)) for one in (pd.concat([ran, stale], ignore_index=True), ran))
    for name in ("fine-tuning-accuracy", "fine-tuning-maps"):
        pd.testing.assert_frame_equal(there[name].frame, whole[name].frame)


# -- planted rows ------------------------------------------------------------------------------------------------------

HEIGHTS = {0.0: 0.1, 0.3: 0.15, 0.5: 0.2, 0.7: 0.3, 0.9: 0.2, 1.0: 0.05}


def planted(
    pictures: int = 24, heights: dict[float, float] = HEIGHTS, others: float = 0.12, times: float = 0.4
) -> pd.DataFrame:
    random = np.random.default_rng(1)
    lines = []
    for picture in range(pictures):
        easy = random.normal(scale=0.05)
        values: dict[tuple[str, str], float] = {
            ("feature_suppression", f"p={drop:g}"): height for drop, height in heights.items()
        }
        values |= {(name, ""): others for name in ("smoothgrad", "integrated_gradients", "gradient")}
        values["luminance", ""] = 3.0
        values["smoothgrad", "absolute"] = others + 0.1
        values["feature_suppression", "p=0.7 times input"] = times
        for (method, variant), value in values.items():
            noisy = value + easy + random.normal(scale=0.01)
            lines.append(row(picture, method, noisy, NATS, variant=variant))
            lines.append(row(picture, method, 10 * noisy, NORM, variant=variant))
    return pd.DataFrame(lines)


def verdicts(rows: pd.DataFrame) -> list[str]:
    return [verdict for verdict, _ in claims(maps_of(rows)).values()]


def test_planted_claims_hold_or_do_not() -> None:
    assert verdicts(planted()) == [HOLDS] * 4
    assert verdicts(planted(others=0.5)) == [FAILS, FAILS, FAILS, HOLDS]
    assert verdicts(planted(times=0.05)) == [HOLDS, FAILS, HOLDS, HOLDS]
    assert verdicts(planted(heights={**HEIGHTS, 0.3: 0.4})) == [HOLDS, HOLDS, HOLDS, FAILS]
    assert verdicts(planted(5)) == [UNDECIDED] * 4
    assert verdicts(planted(19)) == [HOLDS] * 3 + [UNDECIDED]
    coarse = {0.0: 0.1, 0.5: 0.2, 1.0: 0.1}
    assert verdicts(planted(heights=coarse)) == [UNTOLD, HOLDS, UNTOLD, UNTOLD]
    assert verdicts(planted(heights={**HEIGHTS, 0.7: 0.2, 0.5: 0.2}))[-1] == UNDECIDED
    for one_sided in ((0.6, 0.7, 0.8), (0.5, 0.6, 0.7), (0.7, 0.8, 0.9)):
        heights = {drop: HEIGHTS.get(drop, 0.2) for drop in one_sided}
        assert verdicts(planted(heights=heights)) == [HOLDS, HOLDS, HOLDS, UNTOLD]
    assert verdicts(planted(heights={0.59: 0.2, 0.6: 0.3, 0.7: 0.1, 0.81: 0.2}))[-1] == HOLDS
    text = said(sections(planted()))
    assert "holds here. At p = 0.7 it tells, in nats, 0.1" in text and "brightness has 3" in text


def test_curves_have_a_line_for_each_method_and_means_that_were_planted() -> None:
    charts = exhibits_of(sections(planted()))
    curve = charts["mutual-information"]
    lines = curve.frame.groupby("Method").size()
    assert set(lines) == {len(HEIGHTS)} and len(lines) == 4
    own = curve.frame[curve.frame["Method"] == "Feature suppression"].set_index("Dropped")[curve.y]
    level = curve.frame[curve.frame["Method"] == "Gradient"][curve.y]
    assert level.nunique() == 1
    for drop, height in HEIGHTS.items():
        assert own[drop] - level.iloc[0] == pytest.approx(height - 0.12, abs=0.02)
    norms = charts["gradient-norm"].frame
    np.testing.assert_allclose(norms[charts["gradient-norm"].y] / curve.frame[curve.y], 10)


def test_peaks_are_counted_over_draws() -> None:
    values = np.array([[0.0, 1.0, 0.5], [0.0, 0.4, 0.5]])
    inside = np.array([False, True, False])
    assert peak_share(values[:1], inside) == 1
    assert peak_share(values, inside) == pytest.approx(0.75, abs=0.04)  # all but twice the second picture
    assert peak_share(values, ~inside) == pytest.approx(0.25, abs=0.04)


# -- what failed -------------------------------------------------------------------------------------------------------


def failed(rows: pd.DataFrame, start: str, names: list[str]) -> pd.DataFrame:
    """The rows as they are when the trials whose scores begin with `start` failed: `names` alone, and undefined."""
    there = rows[rows["score"].str.startswith(start)]
    places = there.drop_duplicates(["picture", "model", "target", "method", "variant", "seed"])
    lost = [places.assign(score=name, value=np.nan, reason="it failed", key="", failed=True) for name in names]
    return pd.concat([rows.drop(there.index), *lost], ignore_index=True)


def test_a_failed_trial_takes_nothing_else_from_the_report(ran: pd.DataFrame) -> None:
    rows = failed(failed(ran, "embedding.", ["embedding.distance"]), "fine_tuning.", [ACCURACY, TUNED[2]])
    there, whole = (exhibits_of(sections(one)) for one in (rows, ran))
    assert "embedding" not in there and len(there["embedding-distances"].frame) == 4
    assert there["mutual-information"].frame.equals(whole["mutual-information"].frame)
    report = Report("Sampling", "", (), tuple(sections(rows)))
    assert "How far samples are" in html(report) and pdf(report).startswith(b"%PDF")


def test_one_failed_embedding_leaves_the_others(ran: pd.DataFrame) -> None:
    other = failed(ran.assign(model="other"), "embedding.", ["embedding.distance"])
    shown = exhibits_of(sections(pd.concat([ran, other], ignore_index=True)))["embedding"].frame
    pd.testing.assert_frame_equal(shown, exhibits_of(sections(ran))["embedding"].frame)
