"""Drafts: the mask is always the fold of what was acknowledged, whatever is repeated, missing or open twice."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa

from xai_core.masks.strokes import Stroke, drawn
from xai_core.store import drafts, history, versions
from xai_core.store.annotators import annotators
from xai_core.store.database import reading
from xai_core.store.pictures import register
from xai_core.store.schema import StoredDraft, StoredStroke
from xai_core.types import Bools, XaiError

from .strokes import SIZE, a_picture, a_stroke


def strokes(*numbers: int) -> list[Stroke]:
    return [a_stroke(number) for number in numbers]


def folded(*numbers: int) -> Bools:
    return drawn(np.zeros(SIZE, dtype=bool), strokes(*numbers))


def test_a_new_draft_is_empty_and_what_is_saved_comes_back(photo: str) -> None:
    draft = drafts.open_draft("Ann", photo, "tab")
    assert (draft.number, draft.seconds, draft.tools, draft.mask.values.any()) == (0, 0.0, {}, False)
    assert drafts.add_strokes(draft.id, strokes(1, 2), seconds=2.5) == 2
    again = drafts.open_draft("Ann", photo, "tab")
    assert (again.id, again.number, again.seconds, again.tools) == (draft.id, 2, 2.5, {"brush": 2})
    assert np.array_equal(again.mask.values, folded(1, 2))
    assert annotators() == ("Ann",)


def test_strokes_sent_again_are_left_alone_and_none_is_saved_after_a_gap(photo: str) -> None:
    draft = drafts.open_draft("Ann", photo, "tab").id
    assert drafts.add_strokes(draft, strokes(2, 3)) == 0
    assert drafts.add_strokes(draft, strokes(2, 1)) == 2
    assert drafts.add_strokes(draft, strokes(1, 2, 3, 5, 6)) == 3
    assert drafts.add_strokes(draft, []) == 3
    assert np.array_equal(drafts.saved_draft(draft).mask.values, folded(1, 2, 3))
    assert drafts.add_strokes(draft, [Stroke(2**70, "brush", (0, 0, 1, 1), (1,))]) == 3
    assert drafts.add_strokes(draft, strokes(4, 5, 6)) == 6


def test_another_stroke_of_the_same_number_is_never_taken_for_saved(photo: str) -> None:
    draft = drafts.open_draft("Ann", photo, "tab").id
    drafts.add_strokes(draft, strokes(1, 2))
    for other in (a_stroke(2, seed=99), a_stroke(2, tool="eraser")):
        with pytest.raises(drafts.Conflict, match="Another tab"):
            drafts.add_strokes(draft, [a_stroke(1), other, a_stroke(3)])
    with pytest.raises(drafts.Conflict, match="Another tab"):
        drafts.add_strokes(draft, [a_stroke(3), a_stroke(3, seed=98)])
    assert drafts.add_strokes(draft, []) == 2
    assert np.array_equal(drafts.saved_draft(draft).mask.values, folded(1, 2))
    drafts.fold(draft)
    with pytest.raises(drafts.Conflict, match="Another tab"):
        drafts.add_strokes(draft, [a_stroke(2, seed=99)])


def test_a_stroke_that_cannot_be_drawn_is_refused_with_all_that_came_with_it(photo: str) -> None:
    draft = drafts.open_draft("Ann", photo, "tab").id
    for box, counts in [
        ((0, 0, SIZE[0] + 1, 1), (0, SIZE[0] + 1)),
        ((0, SIZE[1], 1, 1), (0, 1)),
        ((-1, 0, 2, 1), (0, 2)),
        ((0, 0, 2, 2), (0, 3)),
        ((0, 0, 2, 2), (-1, 5)),
        ((0, 0, 0, 2), (0,)),
    ]:
        with pytest.raises(XaiError, match="Stroke 2 does not fit"):
            drafts.add_strokes(draft, [a_stroke(1), Stroke(2, "brush", box, counts)])
    with pytest.raises(XaiError, match="Stroke 2 does not fit"):
        drafts.add_strokes(draft, [a_stroke(1), a_stroke(2, tool="a\0b")])
    assert drafts.saved_draft(draft).number == 0


def test_a_second_tab_goes_on_in_a_copy_and_both_stay(photo: str) -> None:
    one = drafts.open_draft("Ann", photo, "one")
    drafts.add_strokes(one.id, strokes(1, 2), seconds=7)
    two = drafts.open_draft("Ann", photo, "two")
    assert (two.parent, two.number, two.tools, two.seconds) == (one.id, 0, {"brush": 2}, 7.0)
    assert two.id != one.id
    assert np.array_equal(two.mask.values, folded(1, 2))
    assert {info.id: (info.continued, info.began) for info in drafts.drafts("Ann", photo)} == {
        two.id: (False, (one.id, 2)),
        one.id: (False, None),
    }
    drafts.add_strokes(one.id, strokes(3))
    drafts.add_strokes(two.id, [a_stroke(1, seed=50)])
    assert np.array_equal(drafts.open_draft("Ann", photo, "one").mask.values, folded(1, 2, 3))
    expected = drawn(folded(1, 2), [a_stroke(1, seed=50)])
    assert np.array_equal(drafts.open_draft("Ann", photo, "two").mask.values, expected)
    third = drafts.open_draft("Ann", photo, "three")
    assert third.parent == two.id, "the newest one is continued"
    chosen = drafts.open_draft("Ann", photo, "three", draft=one.id)
    assert chosen.parent == one.id
    assert drafts.open_draft("Ann", photo, "three").id == chosen.id, "a reload comes back to what was chosen"


def test_other_annotators_and_pictures_have_drafts_of_their_own(photo: str) -> None:
    mine = drafts.open_draft("Ann", photo, "tab")
    drafts.add_strokes(mine.id, strokes(1))
    other = register(a_picture(1))
    for draft in (drafts.open_draft("Bob", photo, "tab"), drafts.open_draft("Ann", other, "tab")):
        assert draft.number == 0 and draft.parent is None and not draft.mask.values.any()
    with pytest.raises(XaiError, match="another annotator"):
        drafts.open_draft("Bob", photo, "tab", draft=mine.id)
    with pytest.raises(XaiError, match="another picture"):
        drafts.open_draft("Ann", other, "tab", draft=mine.id)


def test_a_submitted_draft_gives_its_version_again_and_takes_no_more(photo: str) -> None:
    draft = drafts.open_draft("Ann", photo, "tab")
    with pytest.raises(XaiError, match="empty"):
        drafts.submit(draft.id, 1)
    drafts.add_strokes(draft.id, [a_stroke(1), a_stroke(2, tool="grabcut")], seconds=9)
    with pytest.raises(XaiError, match="Not all strokes"):
        drafts.submit(draft.id, 3, number=3)
    made = drafts.submit(draft.id, 12.5, number=2)
    assert (made.number, made.seconds, made.tools, made.smart) == (1, 12.5, {"brush": 1, "grabcut": 1}, True)
    assert (made.origin, made.submitted_by, made.deleted, made.review) == ("studio", "Ann", None, None)
    assert drafts.submit(draft.id, 99, number=2) == made
    with pytest.raises(XaiError, match="Not all strokes are saved"):
        drafts.submit(draft.id, 99, number=3)
    assert drafts.add_strokes(draft.id, strokes(1)) == 2, "a late repetition changes nothing"
    with pytest.raises(drafts.Conflict, match="submitted"):
        drafts.add_strokes(draft.id, strokes(3))
    assert drafts.drafts("Ann") == ()
    assert np.array_equal(versions.mask_of(made.id).values, folded(1, 2))
    assert [change.action for change in history.history("version", made.id)] == ["submit"]


def test_what_comes_after_a_version_begins_from_it(photo: str) -> None:
    first = drafts.open_draft("Ann", photo, "one")
    drafts.add_strokes(first.id, [a_stroke(1, tool="superpixel")], seconds=4)
    left_behind = drafts.open_draft("Ann", photo, "two")
    v1 = drafts.submit(first.id)
    second = drafts.open_draft("Ann", photo, "one")
    assert (second.version, second.parent, second.seconds) == (v1.id, None, 4.0)
    assert np.array_equal(second.mask.values, drawn(np.zeros(SIZE, bool), [a_stroke(1)]))
    drafts.add_strokes(second.id, strokes(1, 2, 3))
    v2 = drafts.submit(second.id)
    assert (v2.number, v2.tools, v2.smart) == (2, {"brush": 3, "superpixel": 1}, True)
    older = drafts.open_draft("Ann", photo, "one", version=v1.id)
    assert np.array_equal(older.mask.values, versions.mask_of(v1.id).values)
    assert drafts.open_draft("Ann", photo, "two").id == left_behind.id, "a tab comes back to what it had open"
    with pytest.raises(XaiError, match="another annotator"):
        drafts.open_draft("Bob", photo, "tab", version=v1.id)


def test_a_discarded_draft_can_be_brought_back_and_comes_back_with_its_next_stroke(photo: str) -> None:
    draft = drafts.open_draft("Ann", photo, "tab").id
    drafts.add_strokes(draft, strokes(1))
    drafts.discard_draft(draft, "Ann")
    assert drafts.drafts() == ()
    drafts.restore_draft(draft, "Bob")
    assert [info.id for info in drafts.drafts()] == [draft]
    drafts.discard_draft(draft, "Ann")
    assert not drafts.open_draft("Ann", photo, "tab").mask.values.any()
    assert drafts.add_strokes(draft, strokes(2)) == 2
    assert draft in [info.id for info in drafts.drafts()]
    told = [(change.who, change.action) for change in history.history("draft", draft)]
    assert told == [("Ann", "discard"), ("Bob", "restore"), ("Ann", "discard")]


def test_a_copy_of_an_untouched_copy_goes_on_from_what_that_was_copied_from(photo: str) -> None:
    one = drafts.open_draft("Ann", photo, "Monday").id
    drafts.add_strokes(one, strokes(1))
    drafts.open_draft("Ann", photo, "Tuesday")
    three = drafts.open_draft("Ann", photo, "Wednesday").id
    listed = {info.id: info for info in drafts.drafts("Ann", photo)}
    assert listed[three].began == (one, 1) and not listed[one].continued
    drafts.add_strokes(three, strokes(1))
    assert next(info.continued for info in drafts.drafts("Ann") if info.id == one)
    drafts.submit(three)
    assert [info.id for info in drafts.drafts("Ann") if info.number and not info.continued] == []


def test_a_draft_is_continued_only_by_a_copy_that_is_listed_with_strokes_or_submitted(photo: str) -> None:
    one = drafts.open_draft("Ann", photo, "one").id
    drafts.add_strokes(one, strokes(1, 2))

    def continued() -> bool:
        return next(info.continued for info in drafts.drafts("Ann", discarded=True) if info.id == one)

    two = drafts.open_draft("Ann", photo, "two").id
    assert not continued(), "its copy has nothing of its own"
    drafts.add_strokes(two, strokes(1))
    assert continued()
    drafts.discard_draft(two, "Ann")
    assert not continued(), "its copy is not listed"
    listed = {info.id: info.discarded is not None for info in drafts.drafts("Ann", discarded=True)}
    assert listed == {one: False, two: True}
    assert [info.id for info in drafts.drafts("Ann")] == [one]
    drafts.submit(drafts.open_draft("Ann", photo, "three", draft=one).id)
    assert continued(), "an unchanged copy was submitted"
    drafts.add_strokes(one, strokes(3))
    assert not continued()


def test_old_strokes_are_folded_and_nothing_changes(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "FOLD_AFTER", 5)
    monkeypatch.setattr(drafts, "FOLD_AREA", 1000)
    draft = drafts.open_draft("Ann", photo, "tab").id
    for number in range(1, 13):
        assert drafts.add_strokes(draft, strokes(number)) == number
    with reading() as session:
        left = session.scalars(sa.select(StoredStroke.number).where(StoredStroke.counts.is_not(None))).all()
    assert sorted(left) == [11, 12]
    saved = drafts.saved_draft(draft)
    assert (saved.number, saved.tools) == (12, {"brush": 12})
    assert np.array_equal(saved.mask.values, folded(*range(1, 13)))
    assert drafts.add_strokes(draft, strokes(1, 7, 12)) == 12


def test_large_strokes_are_folded_sooner(photo: str) -> None:
    draft = drafts.open_draft("Ann", photo, "tab").id
    whole = (0, 0, *SIZE)
    area = SIZE[0] * SIZE[1]
    for number in range(1, drafts.FOLD_AREA + 3):
        drafts.add_strokes(draft, [Stroke(number, "invert", whole, (0, area) if number % 2 else (area,))])
    with reading() as session:
        assert session.scalar(sa.select(StoredDraft.base_number)) == drafts.FOLD_AREA + 1
    assert not drafts.saved_draft(draft).mask.values.any()


def test_a_name_that_cannot_be_a_folder_is_refused_and_changes_nothing(photo: str) -> None:
    for name in ("", "  ", ".", "..", "a/b", "a\\b", "a\nb", "a\0b", "x" * 81, "\U0001f600" * 70, "\ud800"):
        with pytest.raises(XaiError) as caught:
            drafts.open_draft(name, photo, "tab")
        assert "name" in str(caught.value)
    assert annotators() == ()


def test_names_are_trimmed_and_may_be_of_any_script(photo: str) -> None:
    assert drafts.open_draft(" Zoë 張 ", photo, "tab").annotator == "Zoë 張"
    assert drafts.open_draft("Zoe\u0308 張", photo, "tab").annotator == "Zoë 張"
    assert annotators() == ("Zoë 張",)


def test_what_is_not_there_is_one_sentence(photo: str) -> None:
    for call in (
        lambda: drafts.open_draft("Ann", "0" * 64, "tab"),
        lambda: drafts.open_draft("Ann", photo, ""),
        lambda: drafts.open_draft("Ann", photo, "tab", 77),
        lambda: drafts.open_draft("Ann", photo, "tab", draft=77),
        lambda: drafts.open_draft("Ann", photo, "tab", version=77),
        lambda: drafts.add_strokes(77, strokes(1)),
        lambda: drafts.submit(77),
        lambda: drafts.saved_draft(77),
        lambda: drafts.discard_draft(77, "Ann"),
        lambda: drafts.add_strokes(drafts.open_draft("Ann", photo, "x").id, strokes(1), seconds=float("nan")),
    ):
        with pytest.raises(XaiError) as caught:
            call()
        assert str(caught.value).endswith(".")
