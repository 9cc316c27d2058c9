"""Projects: who draws what next, controls, returned pictures, progress."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from xai_core.masks.strokes import Stroke
from xai_core.store import drafts, pictures, projects, queue, reviews, versions
from xai_core.store.history import history
from xai_core.store.projects import Example, Task
from xai_core.types import Mask, XaiError

from .strokes import SIZE, a_picture, a_stroke

WHOLE = Mask(np.ones(SIZE, dtype=bool))


@pytest.fixture
def photos(store: str) -> list[str]:
    return [pictures.register(a_picture(number)) for number in range(6)]


def a_project(photos: list[str], wanted: int = 1, controls: int = 0) -> int:
    tasks = [
        Task(photo, f"Where is thing {number}?", WHOLE if number < controls else None)
        for number, photo in enumerate(photos)
    ]
    return projects.create_project("Owls", "Boss", tasks, wanted=wanted).id


def draw(project: int, annotator: str, picture: str, seed: int = 0) -> versions.Version:
    draft = drafts.open_draft(annotator, picture, f"{annotator}'s tab", project)
    drafts.add_strokes(draft.id, [a_stroke(draft.number + 1, seed=seed)])
    return drafts.submit(draft.id, 3.0)


def all_of(project: int, annotator: str) -> list[str]:
    """Draws until nothing is left."""
    done = []
    while (found := queue.next_picture(project, annotator)) is not None:
        done.append(found.picture)
        draw(project, annotator, found.picture)
    return done


def test_a_project_says_what_it_was_made_of(photos: list[str]) -> None:
    examples = [Example(photos[0], WHOLE, "with the ears"), Example(photos[0], WHOLE)]
    made = projects.create_project(
        "Owls", "Boss", [Task(photos[1], "owl?"), Task(photos[0], known=WHOLE)],
        instructions="# Draw *all* of it", wanted=2, examples=examples,
    )  # fmt: skip
    assert projects.projects() == (made,) == (projects.project_of(made.id),)
    assert (made.name, made.owner, made.instructions, made.wanted) == ("Owls", "Boss", "# Draw *all* of it", 2)
    one, two = projects.tasks_of(made.id)
    assert (one.picture, one.question, one.known) == (photos[1], "owl?", None)
    assert two.known is not None and two.known.values.all()
    assert [(example.picture, example.caption) for example in projects.examples_of(made.id)] == [
        (photos[0], "with the ears"), (photos[0], ""),
    ]  # fmt: skip


def test_a_project_changes_and_its_history_says_so(photos: list[str]) -> None:
    project = a_project(photos[:2])
    projects.add_tasks(project, [Task(photos[2]), Task(photos[0], "new question")], "Boss")
    projects.remove_task(project, photos[1], "Boss")
    assert [(task.picture, task.question) for task in projects.tasks_of(project)] == [
        (photos[0], "new question"), (photos[2], ""),
    ]  # fmt: skip
    changed = projects.change_project(project, "Eve", wanted=3, instructions="new", closed=True)
    assert (changed.wanted, changed.instructions) == (3, "new") and changed.closed is not None
    assert projects.projects() == () and projects.projects(closed=True) == (changed,)
    with pytest.raises(XaiError, match="closed"):
        queue.next_picture(project, "Ann")
    with pytest.raises(XaiError, match="closed"):
        drafts.open_draft("Ann", photos[0], "tab", project)
    assert projects.change_project(project, "Eve", closed=False).closed is None
    told = [(change.who, change.action, change.detail) for change in history("project", project)]
    assert told[0] == ("Boss", "create", "Owls")
    assert told[3] == ("Eve", "change", "instructions, wanted 1 -> 3, closed")


def test_a_wrong_project_changes_nothing(photos: list[str]) -> None:
    a_project(photos[:1])
    wrong = Mask(np.ones((3, 3), dtype=bool))
    for name, tasks, wanted, words in [
        ("Owls", [], 1, "Owls already"),
        ("a/b", [], 1, "^A project's name"),
        ("Cats", [], 0, "annotators"),
        ("Cats", [Task("0" * 64)], 1, "registered"),
        ("Cats", [Task(photos[0], known=wrong)], 1, "3 x 3 pixels"),
    ]:
        with pytest.raises(XaiError, match=words):
            projects.create_project(name, "Boss", tasks, wanted=wanted)
    assert len(projects.projects(closed=True)) == 1
    for call in (projects.project_of, projects.tasks_of, projects.examples_of, queue.progress):
        with pytest.raises(XaiError, match="no such project"):
            call(99)


def test_everybody_gets_every_picture_in_an_order_of_their_own(photos: list[str]) -> None:
    project = a_project(photos, wanted=2)
    orders = [all_of(project, name) for name in ("Ann", "Bob")]
    assert all(sorted(order) == sorted(photos) for order in orders)
    assert orders[0] != orders[1]
    assert queue.next_picture(project, "Cid") is None, "never more than wanted"
    found = queue.progress(project)
    assert (found.pictures, found.complete, found.submitted, found.wanted) == (6, 6, 12, 12)
    assert [(one.annotator, one.done, one.left) for one in found.annotators] == [("Ann", 6, 0), ("Bob", 6, 0)]


def test_a_picture_stays_before_its_annotator_and_is_kept_from_others(photos: list[str]) -> None:
    project = a_project(photos[:2])
    mine = queue.next_picture(project, "Ann")
    assert mine is not None and mine.state == "new" and mine.question.startswith("Where is thing")
    assert queue.next_picture(project, "Ann") == mine, "a reload shows the same one"
    other = queue.next_picture(project, "Bob")
    assert other is not None and other.picture != mine.picture
    assert queue.next_picture(project, "Cid") is None


def test_a_reservation_ends_after_silence(photos: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    project = a_project(photos[:1])
    queue.next_picture(project, "Ann")
    draft = drafts.open_draft("Ann", photos[0], "tab", project)
    drafts.add_strokes(draft.id, [a_stroke(1)])
    assert queue.next_picture(project, "Bob") is None
    later = queue.now() + queue.SILENCE - timedelta(minutes=1)
    monkeypatch.setattr(queue, "now", lambda: later)
    assert queue.next_picture(project, "Bob") is None
    drafts.add_strokes(draft.id, [])
    later = queue.now() + timedelta(minutes=2)
    monkeypatch.setattr(queue, "now", lambda: later)
    found = queue.next_picture(project, "Bob")
    assert found is not None and found.picture == photos[0]
    assert queue.next_picture(project, "Ann") is None, "it is another's now"
    assert [info.number for info in drafts.drafts("Ann", project=project)] == [1], "and the draft stays"


def test_who_draws_without_having_asked_is_at_work_too(photos: list[str]) -> None:
    project = a_project(photos[:1])
    draft = drafts.open_draft("Ann", photos[0], "tab", project)
    assert queue.own_progress(project, "Bob").left == 1, "looking at a picture keeps it from nobody"
    drafts.add_strokes(draft.id, [a_stroke(1)])
    assert queue.next_picture(project, "Bob") is None
    drafts.discard_draft(draft.id, "Ann")
    assert queue.next_picture(project, "Bob") is not None


def test_own_drafts_come_first_and_skipping_goes_round(photos: list[str]) -> None:
    project = a_project(photos[:4])
    seen = [queue.next_picture(project, "Ann")]
    for _ in range(4):
        assert seen[-1] is not None
        seen.append(queue.next_picture(project, "Ann", after=seen[-1].picture))
    order = [found.picture for found in seen if found]
    assert sorted(order[:4]) == sorted(photos[:4]) and order[4] == order[0]
    others = [
        queue.next_picture(project, "Bob"),
        queue.next_picture(project, "Cid"),
        queue.next_picture(project, "Eve"),
    ]
    assert all(others), "skipped ones were given back"
    assert queue.next_picture(project, "Dan") is None

    second = a_project_of_two(photos)
    begun = drafts.open_draft("Ann", photos[5], "tab", second)
    drafts.add_strokes(begun.id, [a_stroke(1)])
    found = queue.next_picture(second, "Ann")
    assert found is not None and (found.picture, found.state) == (photos[5], "draft")
    after = queue.next_picture(second, "Ann", after=photos[5])
    assert after is not None and after.picture == photos[4]
    assert queue.own_progress(second, "Ann") == queue.OwnProgress("Ann", 0, 1, 0, 2, 2)


def a_project_of_two(photos: list[str]) -> int:
    return projects.create_project("Two", "Boss", [Task(photos[4]), Task(photos[5])]).id


def test_a_picture_that_was_taken_out_is_not_among_those_worked_on(photos: list[str]) -> None:
    project = a_project(photos[:3])
    order = all_of(project, "Ann")
    projects.remove_task(project, order[1], "Boss")
    assert [one.picture for one in queue.worked_on(project, "Ann")] == [order[0], order[2]]
    projects.add_tasks(project, [Task(order[1])], "Boss")
    assert [one.picture for one in queue.worked_on(project, "Ann")] == order


def test_the_fewest_come_first(photos: list[str]) -> None:
    project = a_project(photos[:3], wanted=3)
    draw(project, "Ann", photos[0])
    draw(project, "Bob", photos[0])
    draw(project, "Ann", photos[1])
    order = all_of(project, "Cid")
    assert order == [photos[2], photos[1], photos[0]]


def test_a_returned_picture_comes_first_with_its_comment_until_it_is_drawn_again(photos: list[str]) -> None:
    project = a_project(photos[:3])
    first = draw(project, "Ann", photos[1])
    reviews.return_version(first.id, "Boss", "too coarse")
    found = queue.next_picture(project, "Ann")
    assert found == queue.Assignment(photos[1], "Where is thing 1?", "returned", "too coarse", first.id)
    assert queue.own_progress(project, "Ann").returned == 1
    assert queue.next_picture(project, "Bob") != found, "it is Ann's"
    assert draw(project, "Ann", photos[1], seed=5).number == 2
    again = queue.next_picture(project, "Ann")
    assert again is not None and again.picture != photos[1]
    assert [(one.picture, one.state) for one in queue.worked_on(project, "Ann")] == [(photos[1], "done")]
    assert queue.worked_on(project, "Nobody") == ()


def test_a_deleted_mask_is_to_be_drawn_again(photos: list[str]) -> None:
    project = a_project(photos[:1])
    made = draw(project, "Ann", photos[0])
    assert queue.next_picture(project, "Bob") is None
    versions.delete_version(made.id, "Boss")
    found = queue.next_picture(project, "Bob")
    assert found is not None and found.state == "new"


def test_controls_look_like_all_others_and_everybody_draws_them(photos: list[str]) -> None:
    project = a_project(photos, wanted=1, controls=2)
    names = ["Ann", "Bob", "Cid"]
    drawn: dict[str, list[str]] = {name: [] for name in names}
    going = True
    while going:
        going = False
        for name in names:
            found = queue.next_picture(project, name)
            if found is not None:
                assert (found.state, found.comment) == ("new", "")
                draw(project, name, found.picture)
                drawn[name].append(found.picture)
                going = True
    times = Counter(picture for order in drawn.values() for picture in order)
    assert [times[photo] for photo in photos] == [3, 3, 1, 1, 1, 1]
    assert queue.progress(project).complete == 4 == queue.progress(project).pictures
    results = projects.control_results(project, "Boss")
    assert set(results) == set(names)
    expected = versions.latest_masks(photos[0], project)["Ann"].values.mean()
    assert results["Ann"][photos[0]] == pytest.approx(expected)
    with pytest.raises(XaiError, match="owner"):
        projects.control_results(project, "Ann")


def test_a_control_is_judged_by_the_first_mask_whatever_comes_after_it(photos: list[str]) -> None:
    project = a_project(photos[:1], controls=1)
    first = draw(project, "Ann", photos[0], seed=1)
    expected = {"Ann": {photos[0]: pytest.approx(versions.mask_of(first.id).values.mean())}}
    draft = drafts.open_draft("Ann", photos[0], "tab", project)
    height, width = SIZE
    drafts.add_strokes(draft.id, [Stroke(1, "brush", (0, 0, height, width), (0, height * width))])
    assert versions.mask_of(drafts.submit(draft.id).id).values.all()
    assert projects.control_results(project, "Boss") == expected
    versions.delete_version(first.id, "Ann")
    assert projects.control_results(project, "Boss") == expected


def test_controls_come_early_for_some_and_late_for_others(photos: list[str]) -> None:
    project = a_project(photos, wanted=10, controls=1)
    places = [all_of(project, name).index(photos[0]) for name in "abcdefgh"]
    assert len(set(places)) >= 3 and min(places) < 3


def test_blind_within_a_project_and_open_to_its_owner(photos: list[str]) -> None:
    project = a_project(photos[:1], wanted=3)
    versions.import_mask("Ann", photos[0], WHOLE, "Boss")
    draw(project, "Bob", photos[0])
    assert set(reviews.visible_masks("Ann", photos[0], project)) == set(), "a mask of no project opens none"
    draw(project, "Ann", photos[0])
    assert set(reviews.visible_masks("Ann", photos[0], project)) == {"Ann", "Bob"}
    assert set(reviews.visible_masks("Boss", photos[0], project)) == {"Ann", "Bob"}
    assert reviews.visible_masks("Cid", photos[0], project) == {}


def test_drafts_and_numbers_of_projects_are_apart(photos: list[str]) -> None:
    project, other = a_project(photos[:1]), projects.create_project("B", "Boss", [Task(photos[0])]).id
    assert draw(project, "Ann", photos[0]).number == 1
    assert not drafts.open_draft("Ann", photos[0], "Ann's tab", other).mask.values.any()
    assert draw(other, "Ann", photos[0], seed=4).number == 1
    assert versions.import_mask("Ann", photos[0], WHOLE, "Ann").number == 1
    assert len(versions.versions(photos[0], project=project)) == 1
    assert versions.latest_masks(photos[0])["Ann"].values.all(), "the newest of all projects"
    assert not versions.latest_masks(photos[0], other)["Ann"].values.all()
    assert versions.pictures_with_masks(project) == {photos[0]: 1}


def test_many_who_ask_at_once_never_get_more_than_wanted(photos: list[str]) -> None:
    project = a_project(photos[:4], wanted=1)
    given: list[str] = []
    threads = [
        threading.Thread(
            target=lambda who=who: given.extend(one.picture for one in [queue.next_picture(project, who)] if one)
        )
        for who in "abcdefgh"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == sorted(photos[:4])


def test_entries_are_tasks_without_their_masks(photos: list[str]) -> None:
    project = a_project(photos[:3], controls=1)
    entries = projects.entries_of(project)
    assert [(one.picture, one.question, one.control) for one in entries] == [
        (task.picture, task.question, task.known is not None) for task in projects.tasks_of(project)
    ]
    assert [one.name for one in entries] == ["picture0.png", "picture1.png", "picture2.png"]
    projects.remove_task(project, photos[1], "Boss")
    assert [one.picture for one in projects.entries_of(project)] == [photos[0], photos[2]]


def test_other_questions_leave_known_masks_and_other_pictures_alone(photos: list[str]) -> None:
    project = a_project(photos[:3], controls=1)
    projects.ask(project, {photos[0]: "The beak?", photos[5]: "not in it"}, "Boss")
    one, two, three = projects.tasks_of(project)
    assert one.question == "The beak?" and one.known is not None
    assert (two.question, three.question) == ("Where is thing 1?", "Where is thing 2?")
    assert history("project", project)[-1].detail == "1 questions"
    before = history("project", project)
    projects.ask(project, {photos[0]: "The beak?"}, "Boss")
    assert history("project", project) == before, "nothing has changed"


def test_an_assignment_is_what_the_queue_says_of_it(photos: list[str]) -> None:
    project = a_project(photos[:2])
    given = queue.next_picture(project, "Ann")
    assert given is not None and queue.assignment_of(project, "Ann", given.picture) == given
    made = draw(project, "Ann", given.picture)
    done = queue.assignment_of(project, "Ann", given.picture)
    assert (done.state, done.version) == ("done", made.id)
    reviews.return_version(made.id, "Boss", "again")
    back = queue.assignment_of(project, "Ann", given.picture)
    assert (back.state, back.comment) == ("returned", "again")
    assert queue.assignment_of(project, "Nobody yet", given.picture).state == "new"
    projects.remove_task(project, given.picture, "Boss")
    for picture in (given.picture, photos[5]):
        with pytest.raises(XaiError, match="not in the project"):
            queue.assignment_of(project, "Ann", picture)


def test_adding_a_picture_again_keeps_its_question_and_its_known_mask(photos: list[str]) -> None:
    project = a_project(photos, controls=1)
    projects.add_tasks(project, [Task(photos[0]), Task(photos[1], "And here?")], "Boss")
    first, second = projects.tasks_of(project)[:2]
    assert first.question == "Where is thing 0?" and first.known is not None
    np.testing.assert_array_equal(first.known.values, WHOLE.values)
    assert second.question == "And here?" and second.known is None
