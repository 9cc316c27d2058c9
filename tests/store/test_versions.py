"""Pictures, submitted masks, imports, and the history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xai_core.store import drafts, pictures, reviews, versions
from xai_core.store.history import history
from xai_core.types import Mask, XaiError

from .strokes import SIZE, a_picture, a_stroke


def a_mask(seed: int = 0) -> Mask:
    values = np.random.default_rng(seed).random(SIZE) < 0.4
    values[0, 0] = True
    return Mask(values)


def test_a_registered_picture_can_be_opened_whatever_becomes_of_its_file(store: str) -> None:
    picture = a_picture(3, (31, 17))
    digest = pictures.register(picture)
    assert pictures.register(a_picture(3, (31, 17))) == digest == picture.digest
    found = pictures.open_registered(digest)
    assert np.array_equal(found.pixels, picture.pixels)
    assert (found.name, found.title, found.digest) == (picture.name, picture.title, digest)
    (known,) = pictures.registered("picture3.png")
    assert (known.size, known.digest) == ((31, 17), digest)
    assert pictures.registered("other.png") == ()
    assert [path.name for path in pictures.file_of(digest).parent.iterdir()] == [f"{digest}.png"]


def test_a_lost_or_damaged_file_is_one_sentence_and_registering_mends_it(store: str) -> None:
    picture = a_picture(3)
    digest = pictures.register(picture)
    path = pictures.file_of(digest)
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(XaiError, match="is gone"):
        pictures.open_registered(digest)
    pictures.register(picture)
    assert path.read_bytes() == whole
    other = pictures.file_of(pictures.register(a_picture(4)))
    path.write_bytes(other.read_bytes())
    with pytest.raises(XaiError, match="damaged"):
        pictures.open_registered(digest)
    path.write_bytes(whole[:100])
    with pytest.raises(XaiError, match="damaged"):
        pictures.open_registered(digest)
    with pytest.raises(XaiError, match="registered"):
        pictures.open_registered("0" * 64)


def test_a_picture_that_cannot_be_kept_is_not_registered(store: str, tmp_path: Path) -> None:
    folder = pictures.file_of("x").parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    with pytest.raises(XaiError, match="cannot be kept"):
        pictures.register(a_picture())
    assert pictures.registered() == ()


def test_an_imported_mask_counts_as_submitted_once(photo: str) -> None:
    made = versions.import_mask("Ann", photo, a_mask(), "Boss")
    assert (made.origin, made.submitted_by, made.annotator, made.project, made.seconds) == (
        "import", "Boss", "Ann", None, None,
    )  # fmt: skip
    assert (made.number, made.tools, made.smart) == (1, {}, False)
    assert versions.import_mask("Ann", photo, a_mask(), "Boss") == made
    other = versions.import_mask("Ann", photo, a_mask(1), "Boss")
    assert other.number == 2
    assert np.array_equal(versions.latest_masks(photo)["Ann"].values, a_mask(1).values)
    assert versions.import_mask("Ann", photo, a_mask(), "Boss").number == 3
    assert versions.import_mask("Bob", photo, a_mask(), "Boss").number == 1
    assert versions.pictures_with_masks() == {photo: 2}
    assert [(change.who, change.action) for change in history("version", made.id)] == [("Boss", "import")]


def test_a_mask_that_does_not_fit_changes_nothing(photo: str) -> None:
    height, width = SIZE
    for mask, picture, words in [
        (Mask(np.ones((width, height), dtype=bool), "owl"), photo, f"{height} x {width} pixels.*{width} x {height}"),
        (Mask(np.zeros(SIZE, dtype=bool)), photo, "empty"),
        (a_mask(), "0" * 64, "registered"),
    ]:
        with pytest.raises(XaiError, match=words):
            versions.import_mask("Ann", picture, mask, "Boss")
    with pytest.raises(XaiError, match="name"):
        versions.import_mask("../Ann", photo, a_mask(), "Boss")
    assert versions.versions(deleted=True) == ()
    assert history() == ()


def test_a_deleted_version_stays_and_comes_back(photo: str) -> None:
    one, two = (versions.import_mask("Ann", photo, a_mask(seed), "Ann") for seed in (1, 2))
    gone = versions.delete_version(two.id, "Boss")
    assert gone.deleted is not None and gone.deleted_by == "Boss"
    assert versions.delete_version(two.id, "Bob") == gone, "deleted once"
    assert np.array_equal(versions.latest_masks(photo)["Ann"].values, a_mask(1).values)
    assert [version.id for version in versions.versions(photo)] == [one.id]
    assert [version.id for version in versions.versions(photo, deleted=True)] == [one.id, two.id]
    assert np.array_equal(versions.mask_of(two.id).values, a_mask(2).values)
    assert versions.import_mask("Ann", photo, a_mask(2), "Ann").number == 3, "a number is never used again"
    back = versions.restore_version(two.id, "Ann")
    assert (back.deleted, back.deleted_by) == (None, None)
    told = [(change.who, change.action) for change in history("version", two.id)]
    assert told == [("Ann", "import"), ("Boss", "delete"), ("Ann", "restore")]
    versions.delete_version(one.id, "Ann")
    for version in versions.versions():
        versions.delete_version(version.id, "Ann")
    assert versions.pictures_with_masks() == {} == versions.latest_masks(photo)


def test_versions_are_found_by_annotator_and_picture(photo: str) -> None:
    other = pictures.register(a_picture(1))
    made = [
        versions.import_mask(name, picture, a_mask(), "Boss") for name in ("Ann", "Bob") for picture in (photo, other)
    ]
    assert versions.versions() == tuple(made)
    assert versions.versions(other, "Bob") == (made[3],)
    assert versions.version(made[2].id) == made[2]
    for call in (versions.version, versions.mask_of):
        with pytest.raises(XaiError, match="no submitted mask 99"):
            call(99)
    for change in (versions.delete_version, versions.restore_version):
        with pytest.raises(XaiError, match="no submitted mask 99"):
            change(99, "Ann")


def test_reviews_add_up_and_the_newest_counts(photo: str) -> None:
    made = versions.import_mask("Ann", photo, a_mask(), "Boss")
    with pytest.raises(XaiError, match="comment"):
        reviews.return_version(made.id, "Boss", "  ")
    returned = reviews.return_version(made.id, "Boss", "the ears are missing").review
    assert returned is not None and (returned.accepted, returned.comment) == (False, "the ears are missing")
    accepted = reviews.accept(made.id, "Eve").review
    assert accepted is not None and (accepted.who, accepted.accepted) == ("Eve", True)
    assert versions.version(made.id).review == accepted
    told = [(change.who, change.action, change.detail) for change in history("version", made.id)]
    assert told[1:] == [("Boss", "return", "the ears are missing"), ("Eve", "accept", "")]
    versions.delete_version(made.id, "Ann")
    with pytest.raises(XaiError, match="deleted"):
        reviews.accept(made.id, "Eve")
    with pytest.raises(XaiError, match="no submitted mask"):
        reviews.accept(99, "Eve")


def test_others_masks_are_hidden_until_one_has_submitted(photo: str) -> None:
    versions.import_mask("Bob", photo, a_mask(), "Boss")
    assert not reviews.may_see("Ann", photo)
    assert reviews.visible_masks("Ann", photo) == {}
    draft = drafts.open_draft("Ann", photo, "tab").id
    drafts.add_strokes(draft, [a_stroke(1)])
    assert reviews.visible_masks("Ann", photo) == {}, "a draft opens nothing"
    drafts.submit(draft)
    assert set(reviews.visible_masks("Ann", photo)) == {"Ann", "Bob"}
    assert not reviews.may_see("Ann", pictures.register(a_picture(1)))
