"""The Annotate page without a browser: what stands around the canvas, in free drawing and in a project."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import studio
from tests.conftest import ROOT
from xai_core.images.galleries import bundled
from xai_core.masks.runs import encoded
from xai_core.masks.strokes import Stroke
from xai_core.store import drafts, pictures, projects, queue, reviews, versions
from xai_core.store.projects import Example, Project, Task
from xai_core.types import Mask, Picture

PHOTOS = [sample.open() for sample in bundled().samples if sample.name in ("coffee.png", "camera.png", "chelsea.png")]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached, and the engine computes in this process."""
    import streamlit as st

    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    st.cache_data.clear()


def opened(name: str = "Bob", project: Project | None = None) -> AppTest:
    """The page as this person opens it by a project's link."""
    test = AppTest.from_file(str(ROOT / "pages" / "annotate.py"), default_timeout=60)
    test.session_state["inside_app"] = True
    if project is not None:
        test.query_params["project"] = str(project.id)
    test.session_state["annotator"] = name
    return test.run()


def texts(test: AppTest) -> str:
    """All that the page says."""
    assert not test.exception, test.exception
    kinds = ("title", "markdown", "caption", "info", "warning", "error", "toast")
    return "\n".join(str(element.value) for kind in kinds for element in test.get(kind))


def box(picture: Picture, left: int = 100) -> Mask:
    values = np.zeros(picture.size, dtype=bool)
    values[50:150, left : left + 100] = True
    return Mask(values)


def made(count: int = 2, wanted: int = 2, **more: object) -> Project:
    tasks = [Task(pictures.register(one), f"Where is *thing* {at}?") for at, one in enumerate(PHOTOS[:count])]
    return projects.create_project("Cups", "Anna", tasks, wanted=wanted, **more)


def begun(annotator: str, digest: str, project: int | None, tab: str = "tab", left: int = 100) -> drafts.Draft:
    """A draft with one stroke."""
    draft = drafts.open_draft(annotator, digest, f"{annotator}'s {tab}", project)
    values = box(pictures.open_registered(digest), left).values
    height, width = values.shape
    drafts.add_strokes(draft.id, [Stroke(draft.number + 1, "brush", (0, 0, height, width), tuple(encoded(values)))])
    return draft


def draw(annotator: str, digest: str, project: int | None, left: int = 100) -> versions.Version:
    return drafts.submit(begun(annotator, digest, project, left=left).id, 12.0)


def asked(test: AppTest) -> str:
    """The digest of the picture that is asked for."""
    (found,) = [one.picture for one in projects.entries_of(1) if one.picture.startswith(test.query_params["picture"])]
    return found


def test_it_asks_for_a_name_first() -> None:
    assert "Write your name" in texts(opened(""))


def test_free_drawing_shows_nothing_but_the_canvas() -> None:
    page = opened()
    assert "done" not in texts(page) and "project" not in page.query_params
    assert page.query_params["picture"] == f"{bundled().title}/{bundled().samples[0].name}"
    assert not page.expander and not page.toggle


def test_a_link_leads_to_the_project_s_next_picture_with_its_question_and_instructions() -> None:
    photo = PHOTOS[0]
    example = Example(pictures.register(photo), box(photo), "With its handle")
    project = made(instructions="Draw **all** of it", examples=[example])
    page = opened(project=project)
    said = texts(page)
    assert r"Where is \*thing\*" in said and "**0** of 2 done" in said and "Draw **all** of it" in said
    assert page.expander[0].label == "Instructions" and page.expander[0].proto.expanded
    assert page.query_params["project"] == str(project.id)
    draw("Bob", asked(page), project.id)
    assert not opened(project=project).expander[0].proto.expanded, "read already"


def test_the_queue_goes_on_and_back_and_says_when_nothing_is_left() -> None:
    project = made()
    page = opened(project=project)
    first = asked(page)
    page.button(key="task.next").click().run()
    second = asked(page)
    assert second != first, "what is not begun can be left for later"
    draw("Bob", second, project.id)
    page.session_state["annotate.at.1.Bob"] = None  # as submitting does
    assert asked(page.run()) == first
    page.button(key="task.previous").click().run()
    assert asked(page) == second and ":green-badge[submitted]" in texts(page)
    page.button(key="task.next").click().run()
    assert asked(page) == first
    draw("Bob", first, project.id)
    page.session_state["annotate.at.1.Bob"] = None
    page.run()
    assert "Nothing is left to draw in Cups" in texts(page) and "You have submitted 2 pictures" in texts(page)
    page.button(key="task.back").click().run()
    assert asked(page) == first


def test_a_picture_that_has_all_its_annotators_is_given_to_nobody_else() -> None:
    project = made(count=1, wanted=1)
    draw("Cleo", PHOTOS[0].digest if PHOTOS[0].digest == projects.entries_of(project.id)[0].picture else "", project.id)
    assert "All its pictures have as many annotators as are wanted" in texts(opened(project=project))


def test_a_returned_picture_comes_first_with_the_comment() -> None:
    project = made()
    version = draw("Bob", PHOTOS[1].digest, project.id)
    reviews.return_version(version.id, "Anna", "The [left] ear")
    page = opened(project=project)
    assert asked(page) == PHOTOS[1].digest
    assert r"The \[left\] ear" in page.warning[0].value
    assert ":orange-badge[returned]" in texts(page)


def test_others_are_hidden_until_the_own_mask_is_submitted() -> None:
    project = made(count=1)
    (digest,) = [one.picture for one in projects.entries_of(project.id)]
    draw("Cleo", digest, project.id, left=150)
    page = opened(project=project)
    assert not page.toggle, "blind"
    assert "Cleo" not in texts(page)
    draw("Bob", digest, project.id)
    page.session_state["annotate.at.1.Bob"] = digest
    page.run()
    page.toggle[0].set_value(True).run()
    assert "kappa" in texts(page)
    table = page.dataframe[0].value
    assert list(table["With"]) == ["Cleo"] and table["IoU"][0] == pytest.approx(1 / 3)
    assert "<img" in "".join(one.proto.body for one in page.get("html"))


def test_free_drawing_shows_no_mask_of_a_project_that_is_not_drawn_yet() -> None:
    project = made(count=1)
    (digest,) = [one.picture for one in projects.entries_of(project.id)]
    draw("Cleo", digest, project.id)
    draw("Bob", digest, None)
    page = AppTest.from_function(others, args=("Bob", digest))
    assert not page.run().toggle
    projects.change_project(project.id, "Anna", closed=True)
    assert [one.label for one in page.run().toggle] == ["Compare with 1 other"]


def others(name: str, digest: str) -> None:
    from pages.parts import compared
    from xai_core.store import pictures

    compared.with_others(name, pictures.open_registered(digest), None)


def test_a_draft_of_another_tab_is_offered_and_opened_as_a_copy() -> None:
    project = made(count=1)
    (digest,) = [one.picture for one in projects.entries_of(project.id)]
    draft = begun("Bob", digest, project.id)
    other = begun("Bob", digest, project.id, tab="second tab")
    assert begun("Bob", digest, project.id, left=200).id == draft.id, "the first tab has gone on meanwhile"
    page = opened(project=project)
    assert not page.expander, "the canvas may be about to open one of them"
    page.session_state["studio.draft"] = f"studio.{digest[:16]}.Bob.{project.id}", other.id
    page.run()
    assert page.expander[-1].label == "Earlier work: 1 draft"
    assert "A draft of" in texts(page) and "with 2 strokes" in texts(page)
    page.button(key=f"discard.{draft.id}").click().run()
    assert [one.id for one in drafts.drafts("Bob")] == [other.id] and ", discarded" in texts(page)
    page.button(key=f"restore.draft.{draft.id}").click().run()
    assert len(drafts.drafts("Bob")) == 2 and ", discarded" not in texts(page)
    page.button(key=f"open.draft.{draft.id}").click().run()
    origin = page.session_state[f"studio.origin.Bob.{digest[:16]}.1"]
    assert (origin.kind, origin.id) == ("draft", draft.id)


def test_a_draft_stays_within_reach_after_a_copy_of_it_was_left_for_a_version() -> None:
    project = made(count=1)
    (digest,) = [one.picture for one in projects.entries_of(project.id)]
    version = draw("Bob", digest, project.id)
    left = begun("Bob", digest, project.id, left=200)
    copy = drafts.open_draft("Bob", digest, "a new tab", project.id)
    assert copy.parent == left.id and not copy.number
    page = opened(project=project)
    page.session_state["studio.draft"] = f"studio.{digest[:16]}.Bob.{project.id}", copy.id
    page.session_state[f"annotate.at.{project.id}.Bob"] = digest
    page.run()
    assert page.expander[-1].label == "Earlier work: 1 version", "the canvas shows an untouched copy of it"
    third = drafts.open_draft("Bob", digest, "a new tab", project.id, version=version.id)
    page.session_state["studio.draft"] = f"studio.{digest[:16]}.Bob.{project.id}", third.id
    page.run()
    assert page.expander[-1].label == "Earlier work: 1 draft, 1 version"
    assert page.button(key=f"open.draft.{left.id}")


def test_an_origin_is_taken_once() -> None:
    """What was drawn on a copy comes back after going elsewhere, not the copy's beginning."""

    digest = pictures.register(PHOTOS[0])
    old = draw("Bob", digest, None)
    draw("Bob", digest, None, left=200)

    def page(version: int) -> None:
        import streamlit as st

        from pages.parts.studio import Desk, Origin, _opened
        from xai_core.store import drafts, pictures
        from xai_core.store.versions import versions

        picture = pictures.open_registered(versions()[0].picture)
        desk = Desk("Bob", picture, lambda _: None, lambda _: None, origin=Origin("version", version, 1))
        found = _opened(desk, {"client": "tab", "nonce": "1"})
        st.session_state["area"] = int(drafts.saved_draft(int(found["draft"])).mask.values.sum())
        st.session_state["found"] = [*st.session_state.get("found", []), found["draft"]]

    assert studio.Origin  # the module is there before the page is run from text
    test = AppTest.from_function(page, args=(old.id,)).run().run()
    assert not test.exception
    one, other = test.session_state["found"]
    assert one == other
    assert test.session_state["area"] == 100 * 100


def test_versions_are_deleted_and_restored_by_their_author() -> None:
    digest = pictures.register(PHOTOS[0])
    name = PHOTOS[0].name
    version = draw("Bob", digest, None)
    page = AppTest.from_file(str(ROOT / "pages" / "annotate.py"), default_timeout=60)
    page.session_state["inside_app"] = True
    page.session_state["annotator"] = "Bob"
    page.query_params["picture"] = f"{bundled().title}/{name}"
    page.run()
    assert "Version 1 of" in texts(page)
    page.button(key=f"delete.{version.id}").click().run()
    assert versions.version(version.id).deleted_by == "Bob" and ", deleted" in texts(page)
    page.button(key=f"restore.{version.id}").click().run()
    assert versions.version(version.id).deleted is None


def test_a_closed_project_leads_to_free_drawing() -> None:
    project = made()
    projects.change_project(project.id, "Anna", closed=True)
    page = opened(project=project)
    assert "This project is closed" in texts(page) and page.selectbox[0].value == "free"


def test_a_project_that_is_closed_meanwhile_leads_to_free_drawing_and_says_so() -> None:
    project = made()
    page = opened(project=project)
    assert page.selectbox[0].value == str(project.id) and not page.warning
    projects.change_project(project.id, "Anna", closed=True)
    page.run()
    assert "This project is closed" in texts(page) and page.selectbox[0].value == "free"


def test_a_picture_that_was_taken_out_is_left_for_the_next() -> None:
    project = made()
    page = opened(project=project)
    projects.remove_task(project.id, first := asked(page), "Anna")
    assert asked(page.run()) != first
    assert queue.own_progress(project.id, "Bob").pictures == 1


def test_without_the_database_free_drawing_keeps_its_canvas(monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_core.store.database import Unanswered

    page = opened()

    def unanswered(**_: object) -> None:
        raise Unanswered("The database does not answer; try again in a moment.")

    monkeypatch.setattr(projects, "projects", unanswered)
    page.run()
    assert "does not answer" in texts(page)
    assert page.query_params["picture"], "the canvas's picture stays"
