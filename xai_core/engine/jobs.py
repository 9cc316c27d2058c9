"""What a caller sees of its requests, and the queue that decides which one is computed next."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy.typing as npt

from .packing import Result
from .requests import Profile, Request

State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, eq=False)
class Partial:
    """What is not finished: a map, float32 (H, W), and whether it is signed, or a picture, uint8 (H, W, 3)."""

    values: npt.NDArray[Any]
    signed: bool


@dataclass(frozen=True, eq=False)
class Job:
    """How one request stands: a snapshot.

    `done` of `total` passes are made; `seconds_left` is an estimate for the running one; `error` is a sentence.
    """

    request: Request
    state: State
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    partial: Partial | None = None
    result: Result | None = None
    error: str = ""

    @property
    def pending(self) -> bool:
        """Whether it may still change by itself."""
        return self.state in ("waiting", "running")


class Engine(Protocol):
    """One way in: the page, the command line and the Python call all use this."""

    @property
    def profile(self) -> Profile | None:
        """What results are bit-equal within, once whoever computes is ready."""

    @property
    def in_background(self) -> bool:
        """Whether `want` returns at once, while others compute."""

    def want(self, session: str, requests: Sequence[Request], background: bool = False) -> list[Job]:
        """Declares all that a session wants now, and returns how each request stands, in the same order.

        Of a `background` session a request is only begun when nobody else waits: studies, warming up.

        What the session wanted before and does not want now is cancelled unless somebody else wants it. Calling it
        again with the same requests is how one polls. Never waits for a computation.
        """

    def wait(self, session: str, seconds: float) -> None:
        """Returns when something of this session has changed, or after this many seconds."""

    def known(self, request: Request) -> Result | None:
        """The result of a request if it is there already; computes nothing."""

    def cancel(self, session: str) -> None:
        """Cancels what the session still waits for; it stays cancelled until `retry` or until it is wanted anew."""

    def retry(self, session: str) -> None:
        """Gives cancelled and failed requests of the session another try."""

    def result(self, request: Request, progress: Callable[[int, int], None] | None = None) -> Result:
        """Computes one request and waits for it; raises `XaiError` with a sentence."""

    def close(self) -> None:
        """Stops computing and frees what was taken."""


def unexpected(request: Request, error: Exception) -> str:
    """The sentence for an error that nobody foresaw; the log has its traceback."""
    reason = str(error).strip().split("\n", 1)[0][:200]
    return f"Computing the {request.title} failed ({type(error).__name__}: {reason}); the log has the details."


LEASE_SECONDS = 120.0
"""A session that has not asked for this long is gone; browsers call background pages once a minute."""


@dataclass(eq=False)
class Task:
    """One computation, shared by every session that wants it."""

    request: Request
    number: int = 0
    """Names the run that computes it now."""
    makes: frozenset[str] = frozenset()
    """Digests of all that this run computes: its own, and those of the maps that were not there before it."""
    waiting: set[str] = field(default_factory=set)
    """Sessions that still wait for it."""
    state: State = "waiting"
    done: int = 0
    started: float = 0.0
    deaths: int = 0
    """How many workers ended while they computed it."""
    partial: Partial | None = None
    result: Result | None = None
    error: str = ""

    @property
    def total(self) -> int:
        return max(self.request.cost.total, self.done)

    def begin(self, number: int, missing: Iterable[str]) -> None:
        """A worker computes it from now on; `missing` are digests of what has to be computed on the way."""
        self.number, self.makes = number, frozenset([self.request.digest, *missing])
        self.state, self.started, self.done, self.partial = "running", time.monotonic(), 0, None

    def job(self, cancelled: bool = False) -> Job:
        """A snapshot for one session."""
        if cancelled and self.state in ("waiting", "running", "cancelled"):
            return Job(self.request, "cancelled", self.done, self.total)
        left = None
        if self.state == "running" and self.done:
            left = (time.monotonic() - self.started) / self.done * max(self.total - self.done, 0)
        return Job(self.request, self.state, self.done, self.total, left, self.partial, self.result, self.error)


@dataclass(eq=False)
class Session:
    """What one browser session wants: request digests in the order of their importance."""

    tasks: OrderedDict[str, Task] = field(default_factory=OrderedDict)
    cancelled: set[str] = field(default_factory=set)
    seen: float = 0.0
    changed: bool = False
    background: bool = False


class Board:
    """Sessions, their tasks, and whose turn it is. Not thread-safe: the engine that owns it holds a lock.

    Sessions take turns, those in the background last; within a session the order of `want` counts. Equal requests share
    one task. Several tasks may run at once, but none that needs what another one is computing now.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._tasks: dict[str, Task] = {}

    def want(
        self,
        name: str,
        requests: Sequence[Request],
        known: Callable[[Request], Result | None],
        background: bool = False,
    ) -> list[Task]:
        """The tasks of these requests; `known` gives results that are there already."""
        session = self._sessions.setdefault(name, Session())
        session.background = background
        session.seen = time.monotonic()
        before = session.tasks
        session.tasks = OrderedDict()
        for request in requests:
            digest = request.digest
            task = before.get(digest) or self._tasks.get(digest) or self._new(request, known)
            session.tasks[digest] = task
            if task.state in ("waiting", "running") and digest not in session.cancelled:
                task.waiting.add(name)
        session.cancelled &= set(session.tasks)
        for digest, task in before.items():
            if digest not in session.tasks:
                task.waiting.discard(name)
        self._forget_unwanted()
        return list(session.tasks.values())

    def snapshot(self, name: str) -> list[Job]:
        session = self._sessions[name]
        session.changed = False
        return [task.job(digest in session.cancelled) for digest, task in session.tasks.items()]

    def _new(self, request: Request, known: Callable[[Request], Result | None]) -> Task:
        task = Task(request)
        task.result = known(request)
        if task.result is not None:
            task.state = "done"
        elif sum(one.state == "waiting" for one in self._tasks.values()) >= self._limit:
            task.state = "failed"
            task.error = (
                f"The engine is busy: {self._limit} requests are waiting already. Try again in a moment, "
                "or choose fewer models and methods."
            )
        else:
            self._tasks[request.digest] = task
        return task

    def cancel(self, name: str) -> None:
        session = self._sessions.get(name)
        if session is not None:
            for digest, task in session.tasks.items():
                if task.state in ("waiting", "running"):
                    session.cancelled.add(digest)
                    task.waiting.discard(name)
            self._forget_unwanted()

    def retry(self, name: str) -> None:
        session = self._sessions.get(name)
        if session is not None:
            session.cancelled.clear()
            session.tasks = OrderedDict(
                (digest, task) for digest, task in session.tasks.items() if task.state not in ("failed", "cancelled")
            )
            for task in session.tasks.values():
                if task.state != "done":
                    task.waiting.add(name)

    def next(self) -> Task | None:
        """The task to compute now; the session it is for goes to the end of the line."""
        self._drop_gone_sessions()
        made = {digest for task in self._tasks.values() if task.state == "running" for digest in task.makes}
        in_turn = sorted(self._sessions.items(), key=lambda item: item[1].background)
        for name, session in in_turn:
            for digest, task in session.tasks.items():
                if task.state == "waiting" and digest not in session.cancelled and not _uses(task, made):
                    self._sessions.move_to_end(name)
                    return task
        return None

    def unwanted(self, task: Task) -> bool:
        """Whether nobody waits for this task any more."""
        self._drop_gone_sessions()
        return not task.waiting

    def finish(self, task: Task) -> None:
        """Takes a task that is done, failed or cancelled off the list."""
        self._tasks.pop(task.request.digest, None)
        self.touch(task)

    def touch(self, task: Task) -> None:
        """Notes that a task has changed, for `wait`."""
        for session in self._sessions.values():
            if session.tasks.get(task.request.digest) is task:
                session.changed = True

    def changed(self, name: str) -> bool:
        session = self._sessions.get(name)
        return session is None or session.changed

    def waiting(self) -> list[Task]:
        """All tasks that are not finished."""
        return list(self._tasks.values())

    def _forget_unwanted(self) -> None:
        for digest, task in list(self._tasks.items()):
            if task.state == "waiting" and not task.waiting:
                task.state = "cancelled"
                del self._tasks[digest]

    def _drop_gone_sessions(self) -> None:
        now = time.monotonic()
        gone = [name for name, session in self._sessions.items() if now - session.seen > LEASE_SECONDS]
        for name in gone:
            for task in self._sessions.pop(name).tasks.values():
                task.waiting.discard(name)
        if gone:
            self._forget_unwanted()


def _uses(task: Task, made: set[str]) -> bool:
    """Whether the task needs one of these results."""
    return task.request.digest in made or any(need.digest in made for need in task.request.needs)


def summary(jobs: Sequence[Job]) -> dict[str, Any]:
    """Passes done and expected, and how many of the jobs are finished, for one progress bar."""
    return {
        "done": sum(job.total if job.state == "done" else job.done for job in jobs),
        "total": sum(job.total for job in jobs),
        "finished": sum(not job.pending for job in jobs),
        "count": len(jobs),
        "pending": any(job.pending for job in jobs),
    }
