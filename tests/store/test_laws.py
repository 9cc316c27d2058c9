"""Tabs that draw, repeat, skip, reload, submit and delete in any order: a mask is the fold of what was acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from xai_core.masks.strokes import Stroke, drawn
from xai_core.store import drafts, versions
from xai_core.store.pictures import register
from xai_core.types import Bools, XaiError

from .strokes import a_picture, a_stroke

TABS = st.sampled_from(["one", "two", "three"])
fresh = count(1000)


@dataclass
class Drawn:
    """What a draft should be: the mask it began with, and the strokes that were acknowledged."""

    client: str
    start: Bools
    changed: int
    strokes: list[Stroke] = field(default_factory=list)
    open: bool = True
    submitted: bool = False

    @property
    def mask(self) -> Bools:
        return drawn(self.start, self.strokes)


@dataclass
class Submitted:
    mask: Bools
    at: int
    deleted: bool = False


class Tabs(RuleBasedStateMachine):
    """Three tabs of one annotator on one picture, against lists in memory."""

    @initialize()
    def picture(self) -> None:
        self.photo = register(a_picture(next(fresh), (9, 12)))
        self.tick = count()
        self.drafts: dict[int, Drawn] = {}
        self.at: dict[str, int] = {}
        self.versions: dict[int, Submitted] = {}

    def expected_start(self) -> Bools:
        kept = [version for version in self.versions.values() if not version.deleted]
        since = kept[-1].at if kept else -1
        going = [draft for draft in self.drafts.values() if draft.open and draft.changed > since]
        if going:
            return max(going, key=lambda draft: draft.changed).mask
        return kept[-1].mask if kept else np.zeros((9, 12), dtype=bool)

    @rule(client=TABS)
    def open(self, client: str) -> None:
        """A new tab, or a reload."""
        own = self.at.get(client)
        if own is not None and self.drafts[own].open:
            found = drafts.open_draft("Ann", self.photo, client)
            assert found.id == own
        else:
            start = self.expected_start()
            found = drafts.open_draft("Ann", self.photo, client)
            assert found.id not in self.drafts
            assert np.array_equal(found.mask.values, start)
            self.drafts[found.id] = Drawn(client, start, next(self.tick))
            self.at[client] = found.id
        assert np.array_equal(found.mask.values, self.drafts[found.id].mask)
        assert found.number == len(self.drafts[found.id].strokes)

    @precondition(lambda self: self.at)
    @rule(client=TABS, offset=st.integers(-3, 2), more=st.integers(1, 4))
    def send(self, client: str, offset: int, more: int) -> None:
        """Strokes from somewhere before the next one (repeated) or after it (a gap)."""
        if client not in self.at:
            return
        draft = self.drafts[self.at[client]]
        first = max(1, len(draft.strokes) + 1 + offset)
        sent = [
            draft.strokes[number - 1] if number <= len(draft.strokes) else a_stroke(number, seed=next(fresh))
            for number in range(first, first + more)
        ]
        taken = [stroke for stroke in sent if stroke.number > len(draft.strokes)] if offset <= 0 else []
        if taken and draft.submitted:
            with pytest.raises(drafts.Conflict):
                drafts.add_strokes(self.at[client], sent)
            return
        assert drafts.add_strokes(self.at[client], sent) == len(draft.strokes) + len(taken)
        if taken:
            draft.strokes += taken
            draft.changed, draft.open = next(self.tick), True

    @precondition(lambda self: self.at)
    @rule(client=TABS)
    def fold(self, client: str) -> None:
        if client in self.at:
            drafts.fold(self.at[client])

    @precondition(lambda self: self.at)
    @rule(client=TABS)
    def submit(self, client: str) -> None:
        if client not in self.at:
            return
        draft = self.drafts[self.at[client]]
        if draft.submitted:
            assert drafts.submit(self.at[client]).id in self.versions
            return
        if not draft.mask.any():
            with pytest.raises(XaiError, match="empty"):
                drafts.submit(self.at[client])
            return
        made = drafts.submit(self.at[client])
        assert made.number == len(self.versions) + 1
        self.versions[made.id] = Submitted(draft.mask, next(self.tick))
        draft.open, draft.submitted = False, True

    @precondition(lambda self: self.at)
    @rule(client=TABS)
    def discard(self, client: str) -> None:
        if client in self.at and not self.drafts[self.at[client]].submitted:
            drafts.discard_draft(self.at[client], "Ann")
            self.drafts[self.at[client]].open = False

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), deleted=st.booleans())
    def delete_or_restore(self, data: st.DataObject, deleted: bool) -> None:
        which = data.draw(st.sampled_from(sorted(self.versions)))
        change = versions.delete_version if deleted else versions.restore_version
        assert (change(which, "Bob").deleted is not None) == deleted
        self.versions[which].deleted = deleted

    @invariant()
    def all_that_was_acknowledged_is_there(self) -> None:
        if not hasattr(self, "photo"):
            return
        for number, draft in self.drafts.items():
            assert np.array_equal(drafts.saved_draft(number).mask.values, draft.mask)
        unfinished = {number for number, draft in self.drafts.items() if draft.open}
        assert {info.id for info in drafts.drafts("Ann", self.photo)} == unfinished
        for number, version in self.versions.items():
            assert np.array_equal(versions.mask_of(number).values, version.mask)
        kept = [version for version in self.versions.values() if not version.deleted]
        latest = versions.latest_masks(self.photo)
        assert set(latest) == ({"Ann"} if kept else set())
        if kept:
            assert np.array_equal(latest["Ann"].values, kept[-1].mask)


def test_every_mask_is_the_fold_of_what_was_acknowledged(store: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Tabs,
        settings=settings(
            max_examples=5, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
