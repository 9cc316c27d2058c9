"""The queue: whose turn it is, what is shared, and what happens to what nobody wants any more."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_core.engine import jobs
from xai_core.engine.jobs import LEASE_SECONDS, Board, Job, Partial, Task, summary
from xai_core.engine.packing import Result
from xai_core.engine.requests import Request
from xai_core.types import Cost

from ..checks import is_sentence


@dataclass(frozen=True, eq=False)
class Ask(Request):
    """A request that is only a name."""

    name: str
    passes: int = 10

    @property
    def description(self) -> dict[str, Any]:
        return {"name": self.name}

    @property
    def cost(self) -> Cost:
        return Cost(self.passes)

    @property
    def title(self) -> str:
        return self.name


RESULT = cast(Result, object())
"""Stands for any result; the board never looks into one."""


def asks(names: str) -> list[Request]:
    """New requests with one letter each; the same letter is an equal request."""
    return [Ask(name) for name in names]


def nothing(request: Request) -> Result | None:
    return None


def want(board: Board, session: str, names: str) -> list[Task]:
    return board.want(session, asks(names), nothing)


def begin(board: Board) -> Task | None:
    """Starts the next task, as an engine does."""
    task = board.next()
    if task is not None:
        assert task.state == "waiting"
        task.state = "running"
    return task


def end(board: Board, task: Task, state: str = "done") -> None:
    """Ends a task, as an engine does when its worker answers."""
    if state == "cancelled" and task.waiting:
        task.state = "waiting"  # somebody has asked for it again
        return
    task.state = cast(jobs.State, state)
    task.result = RESULT if state == "done" else None
    board.finish(task)


def run_all(board: Board) -> str:
    """Computes everything; the names in the order in which they were computed."""
    order = ""
    while (task := begin(board)) is not None:
        order += task.request.title
        end(board, task)
    return order


def states(board: Board, session: str) -> dict[str, str]:
    return {job.request.title: job.state for job in board.snapshot(session)}


def test_the_order_of_want_counts_within_a_session() -> None:
    board = Board(100)
    want(board, "A", "cabd")
    assert run_all(board) == "cabd"


def test_a_new_order_of_the_same_requests_counts_from_now_on() -> None:
    board = Board(100)
    want(board, "A", "abc")
    want(board, "A", "cba")
    assert run_all(board) == "cba"


def test_sessions_take_turns() -> None:
    board = Board(100)
    want(board, "A", "abc")
    want(board, "B", "vwx")
    want(board, "C", "mno")
    assert run_all(board) == "avmbwncxo"


def test_a_late_session_does_not_wait_for_all_of_the_first() -> None:
    board = Board(100)
    want(board, "A", "abcdefgh")
    first = begin(board)
    want(board, "B", "x")
    assert first is not None
    end(board, first)
    second = begin(board)
    third = begin(board)
    assert second is not None and third is not None
    assert "x" in (second.request.title, third.request.title)


def test_equal_requests_share_one_task_and_its_result() -> None:
    board = Board(100)
    (ours,) = want(board, "A", "a")
    (theirs,) = want(board, "B", "a")
    assert ours is theirs
    assert run_all(board) == "a"
    for session in ("A", "B"):
        (job,) = board.snapshot(session)
        assert job.state == "done" and job.result is RESULT


def test_a_request_that_is_running_is_shared_too() -> None:
    board = Board(100)
    want(board, "A", "a")
    begin(board)
    want(board, "B", "a")
    assert begin(board) is None
    assert states(board, "B") == {"a": "running"}


def test_a_known_result_is_there_at_once_and_is_not_computed() -> None:
    board = Board(100)
    board.want("A", asks("ab"), lambda request: RESULT if request.title == "a" else None)
    assert states(board, "A") == {"a": "done", "b": "waiting"}
    assert run_all(board) == "b"


def test_a_newer_want_supersedes_what_nobody_else_waits_for() -> None:
    board = Board(100)
    old = want(board, "A", "ab")
    want(board, "B", "b")
    want(board, "A", "c")
    assert [task.state for task in old] == ["cancelled", "waiting"]
    assert run_all(board) in ("cb", "bc")
    assert states(board, "A") == {"c": "done"}


def test_a_running_task_is_unwanted_once_its_only_session_wants_something_else() -> None:
    board = Board(100)
    want(board, "A", "a")
    running = begin(board)
    assert running is not None and not board.unwanted(running)
    want(board, "A", "b")
    assert board.unwanted(running)
    want(board, "B", "a")
    assert not board.unwanted(running)


def test_cancel_affects_only_the_session_that_asked_for_it() -> None:
    board = Board(100)
    want(board, "A", "abc")
    want(board, "B", "bcd")
    running = begin(board)
    board.cancel("A")
    assert states(board, "A") == dict.fromkeys("abc", "cancelled")
    assert states(board, "B") == dict.fromkeys("bcd", "waiting")
    assert running is not None and board.unwanted(running)
    end(board, running, "cancelled")
    assert sorted(run_all(board)) == ["b", "c", "d"]


def test_what_a_session_cancelled_but_another_got_is_shown_to_both() -> None:
    board = Board(100)
    want(board, "A", "a")
    want(board, "B", "a")
    board.cancel("A")
    run_all(board)
    assert states(board, "A") == states(board, "B") == {"a": "done"}


def test_cancelled_requests_stay_cancelled_while_they_are_wanted_again_and_again() -> None:
    board = Board(100)
    want(board, "A", "ab")
    board.cancel("A")
    for _ in range(3):
        want(board, "A", "ab")
    assert run_all(board) == ""
    assert states(board, "A") == {"a": "cancelled", "b": "cancelled"}


def test_a_session_that_polls_what_it_cancelled_does_not_keep_it_running() -> None:
    board = Board(100)
    want(board, "A", "a")
    want(board, "B", "a")
    running = begin(board)
    assert running is not None
    board.cancel("A")
    want(board, "A", "a")
    assert not board.unwanted(running)
    board.cancel("B")
    assert board.unwanted(running)


def test_what_is_added_after_a_cancel_is_computed() -> None:
    board = Board(100)
    want(board, "A", "ab")
    board.cancel("A")
    want(board, "A", "abc")
    assert run_all(board) == "c"


def test_wanting_a_cancelled_request_anew_computes_it() -> None:
    board = Board(100)
    want(board, "A", "a")
    board.cancel("A")
    want(board, "A", "")
    want(board, "A", "a")
    assert run_all(board) == "a"


def test_finished_results_outlive_a_cancel() -> None:
    board = Board(100)
    want(board, "A", "ab")
    task = begin(board)
    assert task is not None
    end(board, task)
    board.cancel("A")
    assert states(board, "A") == {"a": "done", "b": "cancelled"}


def test_retry_gives_cancelled_and_failed_requests_another_try() -> None:
    board = Board(100)
    want(board, "A", "abc")
    failed = begin(board)
    assert failed is not None
    end(board, failed, "failed")
    board.cancel("A")
    assert states(board, "A") == {"a": "failed", "b": "cancelled", "c": "cancelled"}
    board.retry("A")
    want(board, "A", "abc")
    assert run_all(board) == "abc"
    assert set(states(board, "A").values()) == {"done"}


def test_a_failed_request_stays_failed_until_retry() -> None:
    board = Board(100)
    want(board, "A", "a")
    task = begin(board)
    assert task is not None
    end(board, task, "failed")
    want(board, "A", "a")
    assert run_all(board) == ""
    assert states(board, "A") == {"a": "failed"}


def test_retry_counts_even_when_the_worker_answers_the_cancel_only_now() -> None:
    board = Board(100)
    want(board, "A", "a")
    running = begin(board)
    assert running is not None
    board.cancel("A")
    board.retry("A")
    end(board, running, "cancelled")
    want(board, "A", "a")
    assert run_all(board) == "a"
    assert states(board, "A") == {"a": "done"}


def test_cancel_and_retry_of_a_session_that_is_unknown_do_nothing() -> None:
    board = Board(100)
    board.cancel("A")
    board.retry("A")
    assert board.changed("A")


def test_a_full_queue_refuses_with_a_sentence_that_says_what_to_do() -> None:
    board = Board(3)
    want(board, "A", "abc")
    (refused,) = want(board, "B", "d")
    assert refused.state == "failed"
    assert is_sentence(refused.error)
    assert "3 requests" in refused.error and "Try again" in refused.error
    assert sorted(run_all(board)) == ["a", "b", "c"]


def test_a_full_queue_still_shares_what_is_in_it_and_frees_its_places() -> None:
    board = Board(2)
    want(board, "A", "ab")
    assert states(board, "A") == {"a": "waiting", "b": "waiting"}
    assert want(board, "B", "b")[0].state == "waiting"
    want(board, "A", "")
    assert [task.state for task in want(board, "C", "xy")] == ["waiting", "failed"]
    run_all(board)
    board.retry("C")
    assert [task.state for task in want(board, "C", "xy")] == ["done", "waiting"]


def test_a_session_that_does_not_ask_for_its_lease_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now[0]))
    board = Board(100)
    gone = want(board, "A", "ab")
    want(board, "B", "bc")
    now[0] += LEASE_SECONDS - 1
    want(board, "B", "bc")
    now[0] += 2
    assert run_all(board) == "bc"
    assert gone[0].state == "cancelled" and gone[1].state == "done"


def test_a_session_that_came_back_after_its_lease_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now[0]))
    board = Board(100)
    want(board, "A", "a")
    now[0] += LEASE_SECONDS + 1
    assert board.next() is None
    want(board, "A", "a")
    assert run_all(board) == "a"


def test_a_running_task_is_unwanted_once_its_session_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now[0]))
    board = Board(100)
    want(board, "A", "a")
    running = begin(board)
    assert running is not None
    now[0] += LEASE_SECONDS - 1
    assert not board.unwanted(running)
    now[0] += 2
    assert board.unwanted(running)


def test_only_the_sessions_of_a_task_hear_that_it_changed() -> None:
    board = Board(100)
    want(board, "A", "a")
    want(board, "B", "b")
    for session in ("A", "B"):
        board.snapshot(session)
        assert not board.changed(session)
    task = begin(board)
    assert task is not None
    board.touch(task)
    assert board.changed("A") and not board.changed("B")
    board.snapshot("A")
    assert not board.changed("A")
    end(board, task)
    assert board.changed("A")


def test_a_snapshot_tells_passes_partial_map_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now[0]))
    board = Board(100)
    want(board, "A", "a")
    task = begin(board)
    assert task is not None
    (job,) = board.snapshot("A")
    assert (job.state, job.done, job.total, job.seconds_left) == ("running", 0, 10, None)
    task.started, task.done, task.partial = now[0], 4, Partial(np.zeros((2, 2), dtype=np.float32), True)
    now[0] += 2
    (job,) = board.snapshot("A")
    assert (job.done, job.total, job.seconds_left, job.partial) == (4, 10, 3.0, task.partial)
    assert job.pending
    task.done = 12  # more than was foreseen
    (job,) = board.snapshot("A")
    assert (job.done, job.total, job.seconds_left) == (12, 12, 0.0)


def test_the_summary_counts_finished_jobs_in_full() -> None:
    requests = asks("abcd")
    some = [
        Job(requests[0], "done", 9, 10, result=RESULT),
        Job(requests[1], "running", 3, 10),
        Job(requests[2], "failed", 0, 10, error="It failed."),
        Job(requests[3], "waiting", 0, 10),
    ]
    assert summary(some) == {"done": 13, "total": 40, "finished": 2, "count": 4, "pending": True}
    assert not summary(some[:1])["pending"]


SESSIONS = ("A", "B")
steps = st.one_of(
    st.tuples(st.just("want"), st.sampled_from(SESSIONS), st.lists(st.sampled_from("abc"), unique=True, max_size=3)),
    st.tuples(st.sampled_from(("cancel", "retry", "poll")), st.sampled_from(SESSIONS), st.none()),
    st.tuples(st.sampled_from(("next", "answer", "fail")), st.none(), st.none()),
)


@given(st.lists(steps, max_size=60))
@settings(deadline=None, max_examples=500)
def test_whatever_happens_nothing_runs_twice_and_all_that_is_wanted_is_computed(script: list[Any]) -> None:
    board = Board(100)
    wanted: dict[str, str] = {}
    stopped: dict[str, set[str]] = {session: set() for session in SESSIONS}
    failed: set[str] = set()
    running: Task | None = None

    def poll(session: str) -> dict[str, str]:
        want(board, session, wanted[session])
        found = states(board, session)
        assert list(found) == list(wanted[session])
        assert {name for name, state in found.items() if state == "cancelled"} <= stopped[session]
        return found

    for action, session, names in script:
        if action == "want":
            wanted[session] = "".join(names)
            stopped[session] &= set(names)
            poll(session)
        elif action == "poll" and session in wanted:
            poll(session)
        elif action == "cancel" and session in wanted:
            stopped[session] |= {name for name, state in poll(session).items() if state in ("waiting", "running")}
            board.cancel(session)
        elif action == "retry":
            stopped[session].clear()
            board.retry(session)
        elif action == "next" and running is None:
            running = begin(board)
        elif action in ("answer", "fail") and running is not None:
            if board.unwanted(running):  # the engine has sent a cancel
                end(board, running, "cancelled")
            else:
                failed |= {running.request.title} if action == "fail" else set()
                end(board, running, "done" if action == "answer" else "failed")
            running = None
        alive = [task.request.title for task in board.waiting()]
        assert len(alive) == len(set(alive)), "two tasks for one request"
        assert [task for task in board.waiting() if task.state == "running"] == ([running] if running else [])

    for session in wanted:
        poll(session)
    if running is not None:
        end(board, running, "cancelled" if board.unwanted(running) else "done")
    run_all(board)
    for session in wanted:
        for name, state in poll(session).items():
            if name in stopped[session]:
                assert state in ("cancelled", "done", "failed")
            else:
                assert state == "done" or (state == "failed" and name in failed), (session, name, state)
    for session in wanted:
        board.retry(session)
        poll(session)
    run_all(board)
    for session in wanted:
        assert set(poll(session).values()) <= {"done"}
    assert board.waiting() == []


def test_a_session_in_the_background_waits_until_nobody_else_does() -> None:
    board = Board(100)
    board.want("study", asks("abc"), nothing, background=True)
    board.want("user", asks("xy"), nothing)
    assert run_all(board) == "xyabc"
    board.want("study", asks("pq"), nothing, background=True)
    board.want("user", asks("q"), nothing)
    assert run_all(board) == "qp", "what both want comes in the user's turn, and once"
