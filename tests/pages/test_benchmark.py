"""The Benchmark page: a study is planned, started, followed, stopped, resumed, looked at and deleted."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.studies.small import small, write_pictures
from xai_core.engine.inline import InlineEngine
from xai_core.engine.jobs import Job
from xai_core.engine.requests import Explain, Request
from xai_core.registry import STUDIES
from xai_core.studies.base import Place, Reading
from xai_core.studies.naming import map_name
from xai_core.studies.plan import Choice, plan_of
from xai_core.studies.results import Log, Row
from xai_core.studies.running import begin, choice_of, run
from xai_core.types import XaiError

NAME = "imagenet50-20261122-120000-abcdef"


@pytest.fixture
def page(tiny_card: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AppTest]:
    """The page with the tiny model, computing in this process, and a folder of three pictures.

    In the end nothing runs any more: two engines in one process would disturb each other.
    """
    import streamlit as st

    from pages.parts import studies

    monkeypatch.setenv("XAI_ENGINE", "inline")
    monkeypatch.setenv("XAI_PICTURES_DIR", str(write_pictures(tmp_path / "pictures")))
    st.cache_resource.clear()
    st.cache_data.clear()
    yield AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).switch_page("pages/benchmark.py")
    desk = studies.desk()
    while pending := [one.name for one in desk.studies() if one.state in ("waiting", "running", "stopping")]:
        for name in pending:
            desk.stop(name)
        time.sleep(0.05)


@pytest.fixture
def done(page: AppTest, tmp_path: Path) -> AppTest:
    """The page with a study that has come to its end."""
    run(plan_of(small(tmp_path / "pictures")), InlineEngine(), tmp_path / "data" / "studies" / NAME)
    return page


def told(test: AppTest) -> str:
    """All sentences on the page, and the words of its progress lines."""
    boxes = [*test.markdown, *test.caption, *test.info, *test.warning, *test.error, *test.toast, *test.subheader]
    lines = [one.proto.text for one in test.get("progress")]
    return "\n".join([str(one.value) for one in boxes] + lines)


def labels(test: AppTest) -> list[str]:
    return [one.label for one in test.button]


def plan_small(test: AppTest, tmp_path: Path) -> AppTest:
    """Fills the form in for the tiny model."""
    test.run()
    test.selectbox(key="study.pictures").set_value(str(tmp_path / "pictures"))
    test.multiselect(key="study.models.imagenet50").set_value(["tiny"])
    test.multiselect(key="study.methods.imagenet50").set_value(["gradcam", "gradient"])
    return test.run()


def until(test: AppTest, true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, told(test)
        time.sleep(0.1)
        test.run()


def test_without_a_study_the_form_stands_there(page: AppTest, tmp_path: Path) -> None:
    page.run()
    assert not page.exception and not page.error
    assert "No study yet" in told(page)
    assert page.selectbox(key="study.pictures").options == ["Photos", "Imagenet50", "pictures"]
    truths = [one.partition(", ")[2] or one for one in page.selectbox(key="study.masks").options]
    assert truths == ["Majority", "STAPLE", "Union", "Intersection", "Starter masks", "None"]
    plan_small(page, tmp_path)
    assert "3 pictures there, without class labels" in told(page)
    assert "**48** results" in told(page) and "passes" in told(page)
    assert not page.button(key="study.start").disabled


@pytest.mark.parametrize("what", ["models", "methods"])
def test_what_is_missing_is_said_and_nothing_starts(page: AppTest, tmp_path: Path, what: str) -> None:
    plan_small(page, tmp_path)
    page.multiselect(key=f"study.{what}.imagenet50").set_value([]).run()
    assert f"Choose a {what[:-1]} first." in told(page)
    assert page.button(key="study.start").disabled and not page.exception


@pytest.mark.parametrize("study", list(STUDIES.entries()))
def test_every_study_can_be_planned(page: AppTest, study: str) -> None:
    page.session_state["study.name"] = study
    page.run()
    assert not page.exception and not page.error
    assert not page.button(key="study.start").disabled, told(page)
    assert STUDIES[study].summary in told(page) and "passes" in told(page)


def test_a_study_takes_a_named_folder_where_it_asks_for_one(page: AppTest, tmp_path: Path) -> None:
    page.session_state["study.name"] = "roar"
    page.run()
    page.selectbox(key="study.roar.dataset.quick").set_value("folder").run()
    assert not page.exception
    assert page.selectbox(key="study.own").options == ["pictures"]


def test_a_study_is_started_followed_and_shown(page: AppTest, tmp_path: Path) -> None:
    plan_small(page, tmp_path)
    page.button(key="study.start").click().run()
    assert not page.exception and not page.error
    name = page.session_state["benchmark.chosen"]
    assert page.query_params["study"] in (name, [name])
    assert name.startswith("imagenet50-")
    until(page, lambda: "Done: 48 results" in told(page))
    assert not page.exception and not page.error
    out = tmp_path / "data" / "studies" / name
    assert Log(out).read()["unit"].nunique() == 48
    assert page.dataframe, "the tables of its sections"
    assert (out / "report.html").exists()
    choice = Choice.model_validate(small(tmp_path / "pictures", set_score={}, limit=10).model_dump())
    assert plan_of(choice).choice == choice
    assert '"limit": 10' in (out / "study.json").read_text()


@pytest.mark.parametrize("name", ["roar", "bam"])
def test_a_study_that_trains_networks_asks_for_methods_and_no_models(page: AppTest, name: str) -> None:
    page.run()
    page.selectbox(key="study.name").set_value(name).run()
    assert not page.exception and "Models" not in [one.label for one in page.multiselect]
    assert "passes through the network" in told(page)
    assert not page.button(key="study.start").disabled
    page.multiselect(key=f"study.methods.{name}").set_value([]).run()
    assert "Choose a method first" in told(page) and page.button(key="study.start").disabled


def test_another_session_sees_it_and_the_address_leads_to_it(done: AppTest, tmp_path: Path) -> None:
    begin(tmp_path / "data" / "studies" / "imagenet50-20261123-120000-fedcba", small(tmp_path / "pictures"))
    done.run()
    assert "Not begun" in told(done), "the newest comes first"
    another = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).switch_page("pages/benchmark.py")
    another.query_params["study"] = NAME
    another.run()
    assert "Done: 48 results" in told(another)
    another.query_params["study"] = "../../etc"
    another.run()
    assert "not there any more" in told(another) and not another.exception


class Slow(InlineEngine):
    """An engine that takes its time."""

    def _job(self, request: Request) -> Job:
        time.sleep(0.3)
        return super()._job(request)


def test_a_study_is_stopped_and_resumed(page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.parts import backend

    slow = Slow()
    monkeypatch.setattr(backend, "engine", lambda: slow)
    begin(tmp_path / "data" / "studies" / NAME, small(tmp_path / "pictures", limit=1))
    page.run()
    assert "Not begun" in told(page)
    page.button(key="study.resume").click().run()
    assert not page.exception
    until(page, lambda: " of 16 results" in told(page))
    page.button(key="study.stop").click().run()
    until(page, lambda: "Stopped at" in told(page))
    before = Log(tmp_path / "data" / "studies" / NAME).read()
    monkeypatch.setattr(slow, "_job", lambda request: InlineEngine._job(slow, request))
    page.button(key="study.resume").click().run()
    until(page, lambda: "Done: 16 results" in told(page))
    assert 0 <= len(before) < len(Log(tmp_path / "data" / "studies" / NAME).read())


def test_a_study_whose_pictures_are_gone_says_so_and_its_rows_stay(done: AppTest, tmp_path: Path) -> None:
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    for view in ("results", "pictures", "scatter", "files"):
        done.session_state["benchmark.view"] = view
        done.run()
        assert not done.exception, view
        assert "Done: 48 results" in told(done)
    done.session_state["benchmark.view"] = "pictures"
    done.run()
    assert "There is no folder" in told(done)
    assert len(done.dataframe[0].value) == 3


def test_a_mistake_in_what_is_shown_leaves_the_page_and_the_means(
    done: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_core.studies.imagenet50 import Imagenet50

    def wrong(self: object, plan: object, rows: object) -> None:
        raise KeyError(0)

    monkeypatch.setattr(Imagenet50, "sections", wrong)
    done.run()
    assert not done.exception and "Not all can be shown (KeyError: 0)" in told(done)
    assert len(done.dataframe[0].value) == 5


def test_a_study_that_fails_says_why(page: AppTest, tmp_path: Path) -> None:
    begin(tmp_path / "data" / "studies" / NAME, small(tmp_path / "nowhere"))
    page.run()
    page.button(key="study.resume").click().run()
    until(page, lambda: "There is no folder" in told(page))
    assert "Resume" in labels(page) and not page.exception


def test_results_that_nobody_has_counted_are_told(done: AppTest, tmp_path: Path) -> None:
    (tmp_path / "data" / "studies" / NAME / "standing.json").unlink()
    done.run()
    assert "Stopped at 48 results" in told(done) and "Not begun" not in told(done)


def test_a_study_is_deleted_when_that_is_confirmed(done: AppTest, tmp_path: Path) -> None:
    done.run()
    done.button(key=f"study.delete.sure.{NAME}").click().run()
    assert not done.exception
    assert list((tmp_path / "data" / "studies").iterdir()) == []
    assert "No study yet" in told(done) and "The study is deleted." in told(done)


def test_two_studies_of_one_minute_or_one_second_are_told_apart(page: AppTest, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "studies"
    names = [NAME, NAME.replace("120000", "120001"), "imagenet50-20261122-120000-fedcba"]
    for count in (2, 3):
        for name in names[:count]:
            if not (folder / name).exists():
                begin(folder / name, small(tmp_path / "pictures"))
        page.run()
        assert not page.exception
        box = page.selectbox(key="benchmark.study")
        assert len(set(box.options)) == count + 1
        for name in names[:count]:
            page.selectbox(key="benchmark.study").set_value(name).run()
            assert page.session_state["benchmark.chosen"] == name
            assert page.button(key=f"study.delete.sure.{name}"), "each has a button of its own"


def test_titles_of_folders_that_somebody_named_are_told_apart_too(page: AppTest, tmp_path: Path) -> None:
    import os

    from pages.parts import studies

    for name in ("a-x", "b-x"):
        begin(tmp_path / "data" / "studies" / name, small(tmp_path / "pictures"))
        os.utime(tmp_path / "data" / "studies" / name, (1e9, 1e9))
    assert len(set(studies.titles(studies.desk().studies()).values())) == 2


def test_every_choice_in_the_box_counts_and_a_study_that_went_away_is_told(page: AppTest, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "studies"
    names = [NAME, NAME.replace("120000", "120001"), NAME.replace("120000", "120002")]
    for name in names:
        begin(folder / name, small(tmp_path / "pictures"))
    page.run()
    box = page.selectbox(key="benchmark.study").proto.id
    for name in (*names, *names):
        page.selectbox(key="benchmark.study").set_value(name).run()
        assert page.session_state["benchmark.chosen"] == name
        assert page.query_params["study"] in (name, [name])
        assert page.selectbox(key="benchmark.study").proto.id == box, "another box forgets what is picked"
    page.button(key="study.new").click().run()
    assert page.selectbox(key="benchmark.study").value == "new" and not page.exception
    page.selectbox(key="benchmark.study").set_value(names[0]).run()
    (folder / names[0]).rename(tmp_path / "gone")
    page.run()
    assert "not there any more" in told(page) and not page.exception
    assert page.session_state["benchmark.chosen"] == names[2]


def test_a_method_under_published_settings_is_what_the_form_says(page: AppTest, tmp_path: Path) -> None:
    from xai_core.registry import METHODS

    plan_small(page, tmp_path)
    page.multiselect(key="study.methods.imagenet50").set_value(["lime@s0", "lime"]).run()
    preset = page.segmented_control(key="study.preset").value
    plain, published = f"study.lime.lime.samples.{preset}", f"study.lime@s0.lime.samples.{preset}"
    page.number_input(key=plain).set_value(300).run()
    assert not page.exception
    own = page.number_input(key=published).value
    assert own == METHODS["lime"].make({}, "s0").model_dump()["samples"] != 300
    page.button(key="study.start").click().run()
    out = tmp_path / "data" / "studies" / page.session_state["benchmark.chosen"]
    choice = choice_of(out)
    assert choice is not None
    made = plan_of(choice)
    assert {one.name: one.parameters.model_dump()["samples"] for one in made.variants} == {"lime": 300, "lime@s0": own}


def test_an_empty_field_takes_all_pictures(page: AppTest, tmp_path: Path) -> None:
    plan_small(page, tmp_path)
    assert page.number_input(key="study.limit").value == 10
    page.number_input(key="study.limit").set_value(2).run()
    assert "**32** results" in told(page)
    page.number_input(key="study.limit").set_value(None).run()
    assert page.number_input(key="study.limit").value is None
    page.button(key="study.start").click().run()
    out = tmp_path / "data" / "studies" / page.session_state["benchmark.chosen"]
    choice = choice_of(out)
    assert choice is not None and choice.limit is None


def test_folders_of_one_name_are_told_apart(page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.parts import picture, planning

    folders = [write_pictures(tmp_path / name / "test", 2) for name in "ab"] + [write_pictures(tmp_path / "Photos", 1)]
    monkeypatch.setenv("XAI_PICTURES_DIR", ":".join(map(str, folders)))
    page.run()
    assert page.selectbox(key="study.pictures").options == ["Photos", "Imagenet50", *map(str, folders)]
    assert len(set(planning.places().values())) == 5
    monkeypatch.setattr(picture.st, "session_state", {})
    picture.start_with(folders[1] / "1.png", "1.png")
    assert picture.st.session_state == {
        "source.kept": f"folder:{folders[1]}",
        f"gallery.folder:{folders[1]}.kept": "1.png",
    }
    assert picture.address() == f"{folders[1]}/1.png"


def test_a_report_that_has_not_seen_all_rows_is_old_whatever_the_clock_says(done: AppTest, tmp_path: Path) -> None:
    import os
    import shutil

    from pages.parts import studies

    out = tmp_path / "data" / "studies" / NAME
    studies.report(plan_of(small(tmp_path / "pictures")), out)
    done.session_state["benchmark.view"] = "files"
    done.run()
    assert "report.write" not in [one.key for one in done.button] and not done.exception
    last = Log(out).files()[-1]
    late = last.with_name(f"batch-{int(last.stem.rpartition('-')[2]) + 1:06d}.parquet")
    shutil.copy(last, late)
    os.utime(late, (1e9, 1e9))  # it came while the report was made
    done.run()
    assert "older than the newest results" in told(done)


def test_a_study_is_not_deleted_while_its_report_is_written(
    done: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.parts import reporting, studies

    done.run()
    monkeypatch.setattr(reporting, "at_work", lambda name: True)
    done.button(key=f"study.delete.sure.{NAME}").click().run()
    assert "report of this study is being written" in told(done)
    out = tmp_path / "data" / "studies" / NAME
    assert (out / "study.json").exists()
    with pytest.raises(XaiError, match="not there any more"):
        studies.report(plan_of(small(tmp_path / "pictures")), tmp_path / "data" / "studies" / "gone")
    assert not (out.parent / "gone").exists(), "it comes not back"


def test_pictures_are_sorted_and_filtered(done: AppTest) -> None:
    done.session_state["benchmark.view"] = "pictures"
    done.run()
    assert not done.exception and not done.error
    table = done.dataframe[0].value
    assert list(table.columns[:2]) == ["", "Picture"] and "Disagreement of methods" in table.columns
    spread = table["Disagreement of methods"].tolist()
    assert spread == sorted(spread, reverse=True)
    assert all(uri.startswith("data:image/") for uri in table[""])
    done.text_input(key=f"pictures.text.{NAME}").set_value("2.PN").run()
    assert done.dataframe[0].value["Picture"].tolist() == ["2.png"]
    done.text_input(key=f"pictures.text.{NAME}").set_value("no such").run()
    assert "No picture is left" in told(done)
    done.text_input(key=f"pictures.text.{NAME}").set_value("").run()
    slider = done.slider[0]
    slider.set_range(spread[1], spread[0]).run()
    assert done.dataframe[0].value["Disagreement of methods"].tolist() == spread[:2]


def seeds(folder: Path) -> dict[str, int]:
    """The seed of every picture of the study that is done."""
    plan = plan_of(small(folder / "pictures"))
    assert plan.pictures is not None
    return {entry.name: plan.seed_of(entry) for entry in plan.pictures.entries}


@pytest.mark.parametrize("target", ["compare", "inspect"])
def test_a_picture_opens_on_another_page(done: AppTest, tmp_path: Path, target: str) -> None:
    from pages.parts import taken

    done.session_state["benchmark.view"] = "pictures"
    done.session_state["pictures.going"] = (taken.COMPARE if target == "compare" else taken.INSPECT, "1.png")
    done.run()
    assert not done.exception and not done.error
    handed = done.session_state["taken"]
    assert (handed.model, list(handed.methods), handed.seed) == (
        "tiny",
        ["gradcam", "gradient"],
        seeds(tmp_path)["1.png"],
    )
    if target == "compare":
        assert done.multiselect(key="methods").value == ["gradcam", "gradient"]
        assert done.multiselect(key="models").value == ["tiny"]
    else:
        assert done.selectbox(key="inspect.method").value == "gradcam"
        assert done.selectbox(key="inspect.model").value == "tiny"
    assert done.session_state[f"gallery.folder:{tmp_path / 'pictures'}.kept"] == "1.png"


def open_dot(test: AppTest, monkeypatch: pytest.MonkeyPatch, name: str, **line: object) -> None:
    """Presses a button of the scatter with the first dot of a map chosen."""
    from pages.parts import exploring

    def chosen(shown: pd.DataFrame, number: object) -> dict[Hashable, object]:
        first: dict[Hashable, object] = shown[shown["map"] == name].iloc[0].to_dict()
        return {**first, **line}

    monkeypatch.setattr(exploring, "_line", chosen)
    test.session_state["benchmark.view"] = "scatter"
    test.run()
    if not test.button(key="scatter.Compare").disabled:
        test.button(key="scatter.Compare").click().run()


@pytest.mark.parametrize("study", ["pipeline", "sampling"])
def test_a_dot_of_a_study_with_maps_of_its_own_opens_that_map(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: str
) -> None:
    plan = plan_of(small(tmp_path / "pictures", study=study, methods=(), limit=1, set_score={}))
    units = [unit for one in plan.openings() for unit in plan.study.units(plan, one.subject(0))]
    made = [unit for unit in units if unit.place.variant][-1]
    out = tmp_path / "data" / "studies" / NAME
    begin(out, plan.choice)
    Log(out).append([Row(made.place, Reading("iou.top", 0.5), "", made.name)])
    open_dot(page, monkeypatch, map_name(made.place.method, made.place.variant))
    assert not page.exception and not page.error
    request = next(one for one in (*made.request.needs, made.request) if isinstance(one, Explain))
    handed = page.session_state["taken"]
    assert next(iter(handed.methods.items())) == (request.method, request.parameters.model_dump())
    assert handed.seed == made.place.seed == request.seed


def test_the_rows_to_take_along_hold_no_formulas(tmp_path: Path) -> None:
    from pages.parts.reporting import rows_zip

    begin(tmp_path, small(tmp_path / "pictures"))
    place = Place("=cmd.png", "d", model="tiny", method="gradcam", variant="-a")
    Log(tmp_path).append([Row(place, Reading("iou.top", -0.5), "k", "u")])
    archive = zipfile.ZipFile(io.BytesIO(rows_zip(tmp_path)))
    line = next(csv.DictReader(io.StringIO(archive.read("rows.csv").decode())))
    assert (line["picture"], line["variant"], line["value"]) == ("'=cmd.png", "'-a", "-0.5")
    assert pd.read_parquet(io.BytesIO(archive.read("rows.parquet")))["picture"].tolist() == ["=cmd.png"]


def test_a_dot_brings_its_own_seed_and_leaves_out_what_is_no_corruption(
    done: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_dot(done, monkeypatch, "gradient", picture="2.png", corruption="forgotten=3")
    assert not done.exception and not done.error
    handed = done.session_state["taken"]
    assert (handed.seed, list(handed.methods), handed.corruptions) == (
        seeds(tmp_path)["2.png"],
        ["gradient", "gradcam"],
        [],
    )
    assert "Forgotten 3 is no corruption of the picture" in told(done)


def test_a_map_that_no_page_can_show_says_so(done: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    open_dot(done, monkeypatch, "gradient", map="retrained")
    assert not done.exception and "taken" not in done.session_state
    assert "other pages cannot show it" in told(done)


def test_pictures_that_are_in_no_folder_cannot_be_opened(done: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    open_dot(done, monkeypatch, "gradient", picture="digits/00001")
    assert done.button(key="scatter.Compare").disabled and done.button(key="scatter.Inspect").disabled
    assert not done.exception and "taken" not in done.session_state


def test_the_scatter_has_a_dot_for_every_map(done: AppTest) -> None:
    done.session_state["benchmark.view"] = "scatter"
    done.run()
    assert not done.exception and not done.error
    assert "15 maps" in told(done)


def test_nothing_but_galleries_and_named_folders_can_be_chosen(page: AppTest, tmp_path: Path) -> None:
    from pages.parts import planning

    write_pictures(tmp_path / "pictures" / "inner", 1)
    write_pictures(tmp_path / "secret", 1)
    page.run()
    page.selectbox(key="study.pictures").set_value(str(tmp_path / "pictures")).run()
    folder = page.selectbox(key=f"study.folder.{tmp_path / 'pictures'}")
    assert folder.options == ["All of it", "inner"]
    folder.set_value("inner").run()
    assert "1 picture there" in told(page)
    assert set(planning.places()) == {"gallery:photos", "gallery:imagenet50", str(tmp_path / "pictures")}


def test_what_happens_to_the_picture_is_handed_over_too(done: AppTest) -> None:
    from pages.parts.taken import Taken
    from xai_core.corruptions.chain import step

    steps = [step("resolution", 4), step("gaussian_noise", 25)]
    done.session_state["taken"] = Taken("tiny", {"gradient": {}}, steps, seed=3, alone=True)
    done.session_state["corruptions"] = [one.name for one in steps]
    done.switch_page("pages/compare.py").run()
    assert not done.exception and not done.error
    assert done.slider(key="corruption.gaussian_noise").value == 25
    assert done.slider(key="corruption.resolution").value == 4
    assert done.multiselect(key="corruptions").value == ["resolution", "gaussian_noise"]
    assert done.number_input(key="seed").value == 3
