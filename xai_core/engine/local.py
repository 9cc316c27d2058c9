"""The engine of the dashboard: one worker process per device, and this process only submits and polls.

The process that imports this never imports torch. The queue lives here, so that a worker that dies loses nothing:
it is started again, and its request is given one more try.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

from .. import settings
from ..types import Cancelled, XaiError
from .cache import Cache
from .jobs import Board, Job, Partial, Task
from .packing import Result, unpack
from .requests import Profile, Request

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""How often a request is given to a worker that dies of it."""
START_SECONDS = 180.0
"""A worker that is not ready by then counts as dead."""


class LocalEngine:
    """Implements `Engine` with a worker process; see `xai_core.engine.jobs.Engine`."""

    def __init__(self, warm: Sequence[str] = (), environment: Mapping[str, str] | None = None):
        """`warm` names models to load at the start; `environment` is the worker's, this process's by default."""
        self.cache = Cache.from_settings()
        self._profile: Profile | None = None
        self.problem = ""
        """Why there is no worker, as a sentence, or nothing."""
        self._warm = list(warm)
        self._environment = dict(environment if environment is not None else os.environ)
        self._board = Board(settings.current().queue)
        self._lock = threading.Condition()
        self._running: Task | None = None
        self._closing = self._woken = False
        self._runs = 0
        self._wake_read, self._wake_write = Pipe(duplex=False)
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def profile(self) -> Profile | None:
        """The worker's execution profile, once it is ready."""
        return self._profile

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, for tests and operators."""
        return self._process.pid if self._process is not None else None

    def want(self, session: str, requests: Sequence[Request]) -> list[Job]:
        for request in requests:
            _ = request.digest  # hashed before the lock is taken
        with self._lock:
            self._board.want(session, requests, self.known)
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

    def close(self) -> None:
        atexit.unregister(self.close)
        with self._lock:
            self._closing = True
            self.problem = "The computing process was stopped; restart the dashboard."
            self._fail_waiting(self.problem)
            self._lock.notify_all()
        self._wake()
        self._thread.join(timeout=15)

    def known(self, request: Request) -> Result | None:
        return self.cache.get(request.key(self._profile)) if self._profile is not None else None

    def _wake(self) -> None:
        with self._lock:
            if self._woken:
                return
            self._woken = True
        with contextlib.suppress(OSError):
            self._wake_write.send_bytes(b"1")

    # -- the engine's own thread ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._closing:
            try:
                connection = self._start_worker()
            except OSError as error:
                self._fail_all(f"The computing process cannot be started ({error}); restart the dashboard.")
                time.sleep(1)
                continue
            try:
                self._converse(connection)
            except (EOFError, OSError):
                pass
            except Exception:  # what cannot be sent or read must not end this thread, or every session waits for ever
                log.exception("the conversation with the computing process broke off")
            finally:
                connection.close()
                self._stop_process()
            if not self._closing:
                self._after_death()

    def _start_worker(self) -> Connection[Any, Any]:
        ours, theirs = Pipe(duplex=True)
        root = str(Path(__file__).parents[2])
        environment = {**self._environment}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
        command = [sys.executable, "-m", "xai_core.engine.worker", str(theirs.fileno()), *self._warm]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL)
        theirs.close()
        return ours

    def _stop_process(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.wait(timeout=5 if self._closing else 0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _converse(self, connection: Connection[Any, Any]) -> None:
        """Talks to one worker until it ends."""
        deadline: float | None = time.monotonic() + START_SECONDS
        cancel_sent = 0
        while True:
            with self._lock:
                if self._closing:
                    connection.send(("stop",))
                    return
                task = self._running
                ready = self._profile is not None and deadline is None
                if task is None and ready:
                    task = self._begin_next(connection)
                if task is not None and task.number != cancel_sent and self._board.unwanted(task):
                    connection.send(("cancel", task.number))
                    cancel_sent = task.number
            for source in wait([connection, self._wake_read], timeout=1.0):
                if source is self._wake_read:
                    with self._lock:
                        self._woken = False
                    self._wake_read.recv_bytes()
                    continue
                message = connection.recv()
                if message[0] == "ready":
                    deadline = None
                self._hear(message)
            if deadline is not None and time.monotonic() > deadline:
                raise OSError("the worker did not start")

    def _begin_next(self, connection: Connection[Any, Any]) -> Task | None:
        while (task := self._board.next()) is not None:
            result = self.known(task.request)
            if result is None:
                task.state, task.started, task.done, task.partial = "running", time.monotonic(), 0, None
                self._runs += 1
                task.number = self._runs  # a new one each time: a cancel of the last run is not for this one
                self._running = task
                connection.send(("run", task.number, task.request))
                self._board.touch(task)
                break
            task.state, task.result = "done", result
            self._board.finish(task)
        self._lock.notify_all()
        return task

    def _hear(self, message: tuple[Any, ...]) -> None:
        kind, *rest = message
        with self._lock:
            if kind == "ready":
                self._profile = rest[0]
                self.problem = self.problem if self._closing else ""
            elif kind == "unfit":
                self.problem = rest[0]
                self._fail_waiting(rest[0])
            elif self._running is not None and rest[0] == self._running.number:
                self._hear_of(self._running, kind, rest[1:])
            self._lock.notify_all()

    def _hear_of(self, task: Task, kind: str, rest: list[Any]) -> None:
        if kind == "progress":
            task.done = rest[0]
        elif kind == "partial":
            task.partial = Partial(rest[0], rest[1])
        elif kind == "done":
            result = unpack(rest[0])
            self.cache.remember(result.key, result, len(rest[0]))
            task.state, task.result, task.partial = "done", result, None
        elif kind == "failed":
            task.state, task.error = "failed", rest[0]
        elif kind == "cancelled":
            # somebody may have asked for it again since it was cancelled
            task.state = "waiting" if task.waiting else "cancelled"
        if kind in ("progress", "partial"):
            self._board.touch(task)
            return
        self._running = None
        if task.state == "waiting":
            self._board.touch(task)
        else:
            self._board.finish(task)

    def _after_death(self) -> None:
        code = self._process.returncode if self._process is not None else None
        log.warning("the computing process ended with %s and is started again", code)
        with self._lock:
            started, self._profile = self._profile is not None, None
            task, self._running = self._running, None
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
            elif not started and not self.problem:
                self._fail_waiting("The computing process does not start; look at the log of the dashboard.")
            self._lock.notify_all()
        if not started:
            time.sleep(2)

    def _fail_waiting(self, sentence: str) -> None:
        for task in self._board.waiting():
            task.state, task.error = "failed", sentence
            self._board.finish(task)

    def _fail_all(self, sentence: str) -> None:
        with self._lock:
            self.problem = sentence
            self._fail_waiting(sentence)
            self._lock.notify_all()
