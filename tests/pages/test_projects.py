"""The Projects page without a browser: every state that it can be in."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.parts import drawn
from tests.conftest import ROOT
from xai_core.images.galleries import bundled
from xai_core.masks.runs import encoded
from xai_core.masks.strokes import Stroke
from xai_core.store import drafts, pictures, projects, reviews, versions
from xai_core.store.projects import Project, Task
from xai_core.types import Mask, Picture

FILES = ("coffee.png", "camera.png", "chelsea.png")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached, and the engine computes in this process."""
    import streamlit as st

    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    st.cache_data.clear()


def opened(name: str = "Anna", **address: str) -> AppTest:
    """The page as this person opens it at an address."""
    test = AppTest.from_file(str(ROOT / "pages" / "projects.py"), default_timeout=60)
    test.session_state["inside_app"] = True
    for key, value in address.items():
        test.query_params[key] = value
    test.run()
    return test.text_input(key="annotator").set_value(name).run()


def texts(test: AppTest) -> str:
    """All that the page says."""
    assert not test.exception, test.exception
    kinds = (
        "title",
        "subheader",
        "markdown",
        "caption",
        "info",
        "warning",
        "error",
        "success",
        "text",
        "code",
        "subheader",
        "toast",
    )
    return "\n".join(str(element.value) for kind in kinds for element in test.get(kind))


def photos() -> list[Picture]:
    found = {sample.name: sample for sample in bundled().samples}
    return [found[name].open() for name in FILES]


def box(picture: Picture, left: int, side: int = 100) -> Mask:
    values = np.zeros(picture.size, dtype=bool)
    values[50 : 50 + side, left : left + side] = True
    return Mask(values)


def draw(annotator: str, picture: Picture, mask: Mask, project: int | None, tool: str = "brush") -> versions.Version:
    """Submits a mask through the studio's own path."""
    digest = pictures.register(picture)
    draft = drafts.open_draft(annotator, digest, f"{annotator}'s tab", project)
    height, width = picture.size
    stroke = Stroke(draft.number + 1, tool, (0, 0, height, width), tuple(encoded(mask.values)))
    drafts.add_strokes(draft.id, [stroke])
    return drafts.submit(draft.id, 12.0)


def made(wanted: int = 2, known: bool = False) -> Project:
    """Anna's project of two photos, and of a control with `known`."""
    found = photos()
    tasks = [Task(pictures.register(one), f"Where is thing {at}?") for at, one in enumerate(found[:2])]
    if known:
        tasks.append(Task(pictures.register(found[2]), "And this?", box(found[2], 100)))
    return projects.create_project("Cups", "Anna", tasks, instructions="Draw *all*", wanted=wanted)


def drawn_by_two() -> tuple[Project, list[versions.Version]]:
    """A project of which the first photo is drawn by Bob and Cleo, whose boxes share half."""
    project, (photo, *_) = made(), photos()
    return project, [draw(name, photo, box(photo, at), project.id) for name, at in (("Bob", 100), ("Cleo", 150))]


def view(test: AppTest, name: str) -> AppTest:
    return test.segmented_control(key="projects.view").set_value(name).run()


def test_without_a_name_it_asks_for_one() -> None:
    assert "Write your name" in texts(opened(""))


def test_a_project_is_made_of_ticked_and_uploaded_pictures() -> None:
    page = opened()
    assert "A new project" in texts(page)
    page.button(key="project.new.make").click().run()
    assert "needs a name" in texts(page)
    page.text_input(key="project.new.name").set_value("Cups").run()
    page.button(key="project.new.make").click().run()
    assert "no pictures yet" in texts(page)
    page.session_state["project.new.photos.thumbnails.1"] = {"selected": ["coffee.png"]}
    mine = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    page.file_uploader(key="project.new.files").set_value(
        [("mine.png", png(mine), "image/png"), ("bad.png", b"no picture", "image/png")]
    )
    known = np.zeros((20, 30), dtype=np.uint8)
    known[5:9, 5:9] = 255
    page.file_uploader(key="project.new.known").set_value([("mine.png", png(known), "image/png")])
    page.text_input(key="project.new.question").set_value("Where is it?")
    page.text_area(key="project.new.instructions").set_value("With its *handle*").run()
    assert "3 pictures chosen, 1 known mask" in texts(page)
    page.button(key="project.new.make").click().run()
    assert "bad.png" in texts(page)
    (project,) = projects.projects()
    assert (project.name, project.owner, project.instructions, project.wanted) == (
        "Cups", "Anna", "With its *handle*", 2,
    )  # fmt: skip
    coffee, own = projects.tasks_of(project.id)
    assert coffee.picture == photos()[0].digest
    assert own.picture == Picture(mine).digest
    assert own.known is not None
    np.testing.assert_array_equal(own.known.values, known > 0)
    assert own.question == "Where is it?"
    assert "**0** of 2 masks submitted" in texts(page), "controls do not count"
    assert f"/annotate?project={project.id}" in texts(page)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_progress_shows_who_has_done_what() -> None:
    project = made(known=True)
    photo, _, control = photos()
    draw("Bob", photo, box(photo, 100), project.id, "grabcut")
    draw("Bob", control, box(control, 150), project.id)
    page = opened()
    people, table = (element.value for element in page.dataframe)
    assert list(people["Annotator"]) == ["Bob"]
    assert (people["Done"][0], people["Left"][0], people["Controls"][0]) == (2, 1, 1)
    assert people["Smart tools"][0] == 0.5
    assert people["IoU on controls"][0] == pytest.approx(1 / 3)
    assert list(table["Masks"]) == ["1 of 2", "0 of 2", "1 of 2"]
    assert list(table["Control"]) == [False, False, True]
    others = opened("Bob", project=str(project.id))
    people, table = (element.value for element in others.dataframe)
    assert "IoU on controls" not in people and "Control" not in table, "for the owner alone"


def test_a_control_looks_as_any_other_picture_to_all_but_the_owner() -> None:
    project = made(wanted=2, known=True)
    photo, _, control = photos()
    people = ("Bob", "Cleo", "Dora", "Emil")
    for at, name in enumerate(people):
        reviews.accept(draw(name, control, box(control, 100 + at), project.id).id, "Anna")
    for name in people[:2]:
        reviews.accept(draw(name, photo, box(photo, 100), project.id).id, "Anna")
    draft = drafts.open_draft("Fay", control.digest, "tab", project.id)
    drafts.add_strokes(draft.id, [Stroke(1, "brush", (0, 0, 1, 1), (0, 1))])
    columns = ["Masks", "Accepted", "Returned", "In work"]

    def rows(name: str) -> list[list[object]]:
        table = opened(name, project=str(project.id)).dataframe[-1].value
        return [list(table[columns].iloc[at]) for at in (0, 2)]

    assert rows("Anna") == [["2 of 2", 2, 0, 0], ["4 of 2", 4, 0, 1]]
    for name in ("Bob", "Emil"):
        first, other = rows(name)
        assert first == other == ["2 of 2", 2, 0, 0]
    assert rows("Fay") == [["2 of 2", 2, 0, 0], ["1 of 2", 1, 0, 0]], "it still comes to her, and must not be full"
    shown = {name: list(drawn.of_pictures(name, project.id).get(control.digest, {})) for name in ("Anna", *people)}
    assert shown == {
        "Anna": list(people),
        "Bob": ["Bob", "Cleo"],
        "Cleo": ["Bob", "Cleo"],
        "Dora": ["Bob", "Dora"],
        "Emil": ["Bob", "Emil"],
    }
    projects.change_project(project.id, "Anna", closed=True)
    assert list(drawn.of_pictures("Bob", project.id)[control.digest]) == list(people)


def test_a_mask_is_accepted_or_returned_with_a_comment() -> None:
    _, (bobs, cleos) = drawn_by_two()
    view(page := opened(), "review")
    assert "Where is thing 0?" in texts(page)
    page.button(key=f"accept.{bobs.id}").click().run()
    review = versions.version(bobs.id).review
    assert review is not None and review.accepted and review.who == "Anna"
    send(page, cleos.id)
    assert "needs a comment" in texts(page)
    assert versions.version(cleos.id).review is None
    page.text_area(key=f"words.{cleos.id}").set_value("The *left* ear")
    send(page, cleos.id)
    review = versions.version(cleos.id).review
    assert review is not None and not review.accepted and review.comment == "The *left* ear"
    assert r"The \*left\* ear" in texts(page)


def send(test: AppTest, version: int) -> None:
    at = [str(one.key) for one in test.button].index(f"teach.{version}") - 1
    assert test.button[at].label == "Return it"
    test.button[at].click().run()


def test_a_good_mask_becomes_an_example() -> None:
    project, (bobs, _) = drawn_by_two()
    view(page := opened(), "review")
    page.button(key=f"teach.{bobs.id}").click().run()
    (example,) = projects.examples_of(project.id)
    np.testing.assert_array_equal(example.mask.values, versions.mask_of(bobs.id).values)
    view(page, "settings")
    page.button(key="example.0").click().run()
    assert projects.examples_of(project.id) == ()
    texts(page)


def test_only_the_owner_reviews_and_who_has_not_drawn_sees_no_mask() -> None:
    project, (bobs, _) = drawn_by_two()
    stranger = view(opened("Dora", project=str(project.id)), "review")
    assert "masks of 1 picture are hidden from you" in texts(stranger)
    assert not [one for one in stranger.button if one.key == f"accept.{bobs.id}"]
    assert "No picture among those that you have drawn" in texts(view(stranger, "agreement"))
    bob = view(opened("Bob", project=str(project.id)), "review")
    assert "hidden from you" not in texts(bob)
    assert not [one for one in bob.button if one.key == f"accept.{bobs.id}"]


def test_agreement_of_a_picture_and_the_set() -> None:
    drawn_by_two()
    view(page := opened(), "agreement")
    assert "1 picture with several masks" in texts(page)
    metrics = {one.label: one.value for one in page.metric[:5]}
    assert metrics["IoU"] == "0.333" and metrics["Dice"] == "0.500"
    people, pairs, _ = (element.value for element in page.dataframe)
    assert list(people["Annotator"]) == ["Bob", "Cleo"]
    assert list(people["Sensitivity"]) == [1, 1], "a tie is no: the common half"
    assert pairs["IoU"][0] == pytest.approx(1 / 3)
    page.segmented_control(key="accord.way").set_value("union").run()
    assert list(page.dataframe[0].value["Sensitivity"]) == pytest.approx([2 / 3, 2 / 3])
    texts(page)


def test_a_project_is_changed_and_closed() -> None:
    project = made()
    view(page := opened(), "settings")
    page.text_area(key=f"project.{project.id}.instructions").set_value("Otherwise").run()
    page.number_input(key=f"project.{project.id}.wanted").set_value(3).run()
    page.button(key="project.save").click().run()
    found = projects.project_of(project.id)
    assert (found.instructions, found.wanted) == ("Otherwise", 3)
    page.button(key="project.close").click().run()
    assert projects.project_of(project.id).closed is not None
    assert "closed" in texts(page)
    page.button(key="project.reopen").click().run()
    assert projects.project_of(project.id).closed is None
    texts(page)


def test_all_masks_can_be_taken_out_and_brought_back() -> None:
    photo = photos()[0]
    for name, at in (("Bob", 100), ("Cleo", 150)):
        draw(name, photo, box(photo, at), None)
    page = opened()
    page.selectbox[0].set_value("all").run()
    assert "All masks" in texts(page)
    view(page, "exchange")
    from pages.parts.drawn import where
    from pages.parts.exchanging import _archive

    newest = tuple(one.id for one in versions.versions())
    with zipfile.ZipFile(io.BytesIO(_archive(newest, "png", where()))) as archive:
        assert sorted(archive.namelist()) == ["Bob/coffee.png", "Cleo/coffee.png"]
    page.button(key="export.prepare").click().run()
    assert page.session_state["export.ready"] == (newest, "png")
    for one in versions.versions():
        versions.delete_version(one.id, "Anna")
    page.run()
    data = _archive(newest, "png", where())
    flat = png(np.full((9, 9), 255, dtype=np.uint8))
    page.file_uploader(key="import.files").set_value(
        [("masks.zip", data, "application/zip"), ("coffee.png", flat, "image/png"), ("x.zip", b"no", "application/zip")]
    ).run()
    page.button(key="import.start").click().run()
    said = texts(page)
    assert "Took 2 masks by Bob, Cleo." in said
    assert "9 x 9 pixels" in said and "x.zip is damaged" in said
    for name, at in (("Bob", 100), ("Cleo", 150)):
        np.testing.assert_array_equal(versions.latest_masks(photo.digest)[name].values, box(photo, at).values)


def test_a_reviewed_project_of_many_pictures_stays_light() -> None:
    """No mask is decoded for a picture that is not shown."""
    project, (bobs, _) = drawn_by_two()
    reviews.accept(bobs.id, "Anna")
    with pytest.MonkeyPatch.context() as patch:
        for place in ("xai_core.store.versions.unpacked", "xai_core.store.projects.unpacked"):
            patch.setattr(place, lambda *_: pytest.fail("a mask was opened"))
        assert "**2** of 4 masks submitted" in texts(opened(project=str(project.id)))


def test_many_pictures_are_compared_when_it_is_asked_for() -> None:
    found = [sample.open() for sample in bundled().samples if sample.name in (*FILES, "flower.jpg")]
    project = projects.create_project("Many", "Anna", [Task(pictures.register(one)) for one in found], wanted=2)
    for one in found:
        for name, at in (("Bob", 100), ("Cleo", 150)):
            draw(name, one, box(one, at), project.id)
    page = view(opened(), "agreement")
    assert "4 of them are not compared yet" in texts(page)
    assert len(page.metric) == 5, "those of one picture"
    page.run()
    assert "4 of them" not in texts(page) and len(page.metric) == 10, "one was shown, three are left"
    draw("Dora", found[0], box(found[0], 120), project.id)
    page.segmented_control(key="accord.way").set_value("staple").run()
    page.button(key="accord.compute").click().run()
    assert len(page.metric) == 10 and "not compared" not in texts(page)
    assert list(page.dataframe[0].value["Pictures"]) == [4, 4, 1]
