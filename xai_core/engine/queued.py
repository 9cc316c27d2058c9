"""What the engines have in common whose workers are other processes: queue, cache, and a conversation with each worker.

The process that imports this never imports torch. The queue lives here, so that a worker that dies loses nothing: it
is started again, and its request is given one more try.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .. import settings
from ..settings import Settings
from ..types import Cancelled, XaiError
from .cache import Cache
from .jobs import Board, Job, Partial, Task
from .packing import Result, pack, unpack
from .requests import Profile, Request

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""How often a request is given to a worker that dies of it."""
START_SECONDS = 180.0
"""A worker that is not ready by then counts as dead."""

Message = tuple[Any, ...]


class Link(Protocol):
    """The way to one worker, which may still be starting; `xai_core.engine.worker` has the messages."""

    @property
    def shares_files(self) -> bool:
        """Whether the worker reads and writes the files of this process's cache."""

    def send(self, *message: Any) -> None:
        """Gives the worker an order."""

    def receive(self) -> list[Message]:
        """Waits for what the worker says next; raises `EOFError` or `OSError` when it has ended."""

    def close(self, patience: float) -> str:
        """Tells the worker to end, by force after so many seconds; returns how it ended, for the log."""


class Misfit(Exception):
    """A worker whose results would have other keys than those of its colleagues."""


@dataclass(eq=False)
class Seat:
    """The place of one worker; when the worker ends, the next one takes it."""

    link: Link | None = None
    news: queue.SimpleQueue[Message | None] = field(default_factory=queue.SimpleQueue)
    """What the worker has said; None only wakes whoever listens."""
    woken: bool = False
    ready: bool = False
    running: Task | None = None
    cancelled: int = 0
    """The number of the last run that was cancelled."""


class QueuedEngine:
    """Implements `xai_core.engine.jobs.Engine`; who inherits says how a worker is started, and how many there are."""

    in_background = True

    def __init__(self, now: Settings | None = None) -> None:
        """`now` are the settings of cache and queue, by default those in force."""
        now = now or settings.current()
        self.cache = Cache(now.cache_dir, now.cache_mb * settings.MEGABYTE, now.disk_cache_mb * settings.MEGABYTE)
        self.problem = ""
        """Why nothing can be computed, as a sentence, or nothing."""
        self._profile: Profile | None = None
        self._board = Board(now.queue)
        self._lock = threading.Condition()
        self._seats: list[Seat] = []
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()
        self._runs = 0
        atexit.register(self.close)

    def _open(self) -> Link:
        """Starts a worker; raises `OSError` when that is impossible."""
        raise NotImplementedError

    @property
    def profile(self) -> Profile | None:
        """The workers' execution profile, once one is ready."""
        return self._profile

    def want(self, session: str, requests: Sequence[Request], background: bool = False) -> list[Job]:
        for request in requests:  # hashed before the lock is taken
            _ = request.digest, [need.digest for need in request.needs]
        with self._lock:
            self._board.want(session, requests, self.known, background)
            if self.problem:
                self._fail_waiting(self.problem)
            jobs = {job.request.digest: job for job in self._board.snapshot(session)}
            self._wake()
        return [jobs[request.digest] for request in requests]  # equal ones share a task, but each has its answer

    def wait(self, session: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._lock:
            while not self._board.changed(session):
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._lock.wait(left)

    def cancel(self, session: str) -> None:
        with self._lock:
            self._board.cancel(session)
            self._wake()

    def retry(self, session: str) -> None:
        with self._lock:
            self._board.retry(session)

    def result(self, request: Request, progress: Callable[[int, int], None] | None = None) -> Result:
        session = f"result of {threading.get_ident()} {id(request)}"
        try:
            while True:
                job = self.want(session, [request])[0]
                if progress is not None:
                    progress(job.done, job.total)
                if not job.pending:
                    break
                self.wait(session, 1.0)
        finally:
            self.want(session, [])
        if job.state == "failed":
            raise XaiError(job.error)
        if job.result is None:
            raise Cancelled
        return job.result

    def known(self, request: Request) -> Result | None:
        return self.cache.get(request.key(self._profile)) if self._profile is not None else None

    def close(self) -> None:
        atexit.unregister(self.close)
        with self._lock:
            self._closed.set()
            self.problem = "The computing process was stopped; restart the dashboard."
            self._fail_waiting(self.problem)
            self._wake()
            self._lock.notify_all()
        until = time.monotonic() + 15
        for thread in self._threads:
            thread.join(timeout=max(until - time.monotonic(), 0))

    def _wake(self) -> None:
        for seat in self._seats:
            if not seat.woken:
                seat.woken = True
                seat.news.put(None)

    # -- a thread for each worker -----------------------------------------------------------------------------------

    def _add_seats(self, count: int) -> None:
        with self._lock:
            for _ in range(0 if self._closed.is_set() else count):
                seat = Seat()
                thread = threading.Thread(target=self._serve, args=[seat], name="engine", daemon=True)
                self._seats.append(seat)
                self._threads.append(thread)
                thread.start()

    def _serve(self, seat: Seat) -> None:
        while not self._closed.is_set():
            try:
                link = self._open()
            except OSError as error:
                self._fail_all(f"The computing process cannot be started ({error}); restart the dashboard.")
                self._closed.wait(1)
                continue
            try:
                self._converse(seat, link)
            except (EOFError, OSError):
                pass
            except Misfit as misfit:
                log.warning("%s", misfit)
                with self._lock:
                    self._seats.remove(seat)
                return
            except Exception:  # what cannot be sent or read must not end this thread, or every session waits for ever
                log.exception("the conversation with a worker broke off")
            finally:
                end = link.close(5 if self._closed.is_set() else 0.5)
            if not self._closed.is_set():
                self._after_death(seat, end)

    def _converse(self, seat: Seat, link: Link) -> None:
        """Talks to one worker until it ends."""
        deadline = time.monotonic() + START_SECONDS
        news: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        with self._lock:
            seat.link, seat.news, seat.woken = link, news, False
        threading.Thread(target=_listen, args=[link, news], name="news", daemon=True).start()
        while True:
            with self._lock:
                if self._closed.is_set():
                    return
                if seat.ready and seat.running is None:
                    self._begin_next(seat, link)
                task = seat.running
                if task is not None and task.number != seat.cancelled and self._board.unwanted(task):
                    link.send("cancel", task.number)
                    seat.cancelled = task.number
            try:
                message = news.get(timeout=1.0)
            except queue.Empty:
                message = None
            if message is None:
                with self._lock:
                    seat.woken = False
            elif message[0] == "gone":
                return
            else:
                self._hear(seat, link, message)
            if not seat.ready and time.monotonic() > deadline:
                raise OSError("the worker did not start")

    def _begin_next(self, seat: Seat, link: Link) -> None:
        while (task := self._board.next()) is not None:
            result = self.known(task.request)
            if result is None:
                needs = {need.digest: self.known(need) for need in task.request.needs}
                self._runs += 1  # a new number each time: a cancel of the last run is not for this one
                task.begin(self._runs, [digest for digest, found in needs.items() if found is None])
                seat.running = task
                brought = [] if link.shares_files else [pack(found) for found in needs.values() if found is not None]
                link.send("run", task.number, task.request, brought, (self._profile or {}).get("batches", {}))
                self._board.touch(task)
                break
            task.state, task.result = "done", result
            self._board.finish(task)
        self._lock.notify_all()

    def _hear(self, seat: Seat, link: Link, message: Message) -> None:
        kind, *rest = message
        with self._lock:
            if kind == "ready":
                self._profile = _merged(rest[0], self._profile or rest[0])
                self.problem = self.problem if self._closed.is_set() else ""
                seat.ready = True
            elif kind == "profile":
                self._profile = _merged(self._profile or rest[0], rest[0])
            elif kind == "unfit":
                if not any(one.ready for one in self._seats):
                    self.problem = rest[0]
                    self._fail_waiting(rest[0])
            elif kind == "log":
                logging.getLogger(rest[0]).log(rest[1], "%s", rest[2])
            elif seat.running is not None and rest[0] == seat.running.number:
                self._hear_of(seat, link, seat.running, kind, rest[1:])
            self._lock.notify_all()

    def _hear_of(self, seat: Seat, link: Link, task: Task, kind: str, rest: list[Any]) -> None:
        if kind == "progress":
            task.done = rest[0]
        elif kind == "partial":
            task.partial = Partial(rest[0], rest[1])
        elif kind == "done":
            result = unpack(rest[0])
            if link.shares_files:
                self.cache.remember(result.key, result, len(rest[0]))
            else:
                self.cache.put(result.key, result, rest[0])
            task.state, task.result, task.partial = "done", result, None
        elif kind == "failed":
            task.state, task.error = "failed", rest[0]
        elif kind == "cancelled":
            # somebody may have asked for it again since it was cancelled
            task.state = "waiting" if task.waiting else "cancelled"
        if kind in ("progress", "partial"):
            self._board.touch(task)
            return
        seat.running = None
        if task.state == "waiting":
            self._board.touch(task)
        else:
            self._board.finish(task)
        self._wake()  # what has waited for this result may now be computed by any worker

    def _after_death(self, seat: Seat, end: str) -> None:
        log.warning("a computing process %s and is started again", end)
        with self._lock:
            started, seat.ready = seat.ready, False
            alone = not any(one.ready for one in self._seats)
            if alone:
                self._profile = None
            task, seat.running = seat.running, None
            if task is not None:
                task.deaths += 1
                if task.deaths >= ATTEMPTS:
                    task.state = "failed"
                    task.error = (
                        f"The computing process ended twice while it computed {task.request.title}; "
                        "try fewer samples, or a smaller model."
                    )
                    self._board.finish(task)
                else:
                    task.state, task.partial = "waiting", None
                    self._board.touch(task)
                self._wake()
            elif not started and alone and not self.problem:
                self._fail_waiting("The computing process does not start; look at the log of the dashboard.")
            self._lock.notify_all()
        if not started:
            self._closed.wait(2)

    def _fail_waiting(self, sentence: str) -> None:
        for task in self._board.waiting():
            task.state, task.error = "failed", sentence
            self._board.finish(task)

    def _fail_all(self, sentence: str) -> None:
        with self._lock:
            self.problem = sentence
            self._fail_waiting(sentence)
            self._lock.notify_all()


def _listen(link: Link, news: queue.SimpleQueue[Message | None]) -> None:
    """Passes on what a worker says until it ends."""
    try:
        while True:
            for message in link.receive():
                news.put(message)
    except (EOFError, OSError):
        pass
    except Exception:
        log.exception("what a worker says cannot be read")
    finally:
        news.put(("gone",))


def _merged(first: Profile, second: Profile) -> Profile:
    """One profile with the batch sizes of both, those of the second where they differ.

    Raises `Misfit` when anything else differs.
    """
    batches = {**first.get("batches", {}), **second.get("batches", {})}
    if {**first, "batches": batches} != {**second, "batches": batches}:
        raise Misfit(f"a worker is left out whose results are not those of the others: {first} against {second}")
    return {**second, "batches": batches} if "batches" in second else second
