"""The worker: owns the device, the models and every hook of its process, and computes one request after the other.

Started by `LocalEngine` as `python -m xai_core.engine.worker FD [MODEL...]`, with one end of a pipe as FD; it ends when
the other end is closed. A Ray actor (`actor.py`) has one too.

It hears ("run", number, request, packed results that the request needs, batch sizes in force), ("cancel", number) and
("stop",). It says ("ready", profile) or ("unfit", sentence), ("profile", profile) when a batch size has changed, and
of a run ("progress", number, passes), ("partial", number, values, signed) and one of ("done", number, packed result),
("cancelled", number) and ("failed", number, sentence).
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any, Protocol

from .. import settings
from ..types import Cancelled, XaiError
from .jobs import unexpected

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.05
"""Least time between two progress messages."""


class Channel(Protocol):
    """A way to whoever asks; both methods raise `OSError` when nobody is there any more."""

    def recv(self) -> Any:
        """Waits for the next order."""

    def send(self, message: Any, /) -> None:
        """Says something."""


NICENESS = 5
"""The dashboard comes first where both want the same core: a click is answered in half the time."""


class Worker:
    """Hears on one thread, computes on another."""

    def __init__(self, connection: Channel):
        self._connection = connection
        self._orders: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._sending = threading.Lock()
        self._last_progress = 0.0
        self._done = 0

    def send(self, *message: Any) -> None:
        try:
            with self._sending:
                self._connection.send(message)
        except OSError:
            os._exit(0)  # whoever asked is gone

    def listen(self) -> None:
        """Takes orders until the pipe closes; a cancel takes effect at the next batch."""
        try:
            while True:
                kind, *rest = self._connection.recv()
                if kind == "run":
                    self._orders.put(tuple(rest))
                elif kind == "cancel":
                    self._cancelled.add(rest[0])
                    log.info("request %d is cancelled at %d passes", rest[0], self._done)
                else:
                    break
        except (EOFError, OSError):
            os._exit(0)  # whoever asked is gone: nothing that is computed now will be read
        except Exception:
            log.exception("an order cannot be read")
            os._exit(1)  # so that whoever asked hears of it
        self._orders.put(None)

    def work(self, warm: list[str]) -> None:
        """Computes until told to stop."""
        from .executor import Executor

        try:
            executor = Executor()
        except XaiError as error:
            self.send("unfit", str(error))
            with contextlib.suppress(queue.Empty):
                # the engine starts a new worker when this one ends; the reason will still be there
                self._orders.get(timeout=5)
            return
        executor.warm(warm)
        profile = copy.deepcopy(executor.profile)
        self.send("ready", profile)
        from .packing import pack, unpack

        while (order := self._orders.get()) is not None:
            number, request, brought, batches = order
            try:
                executor.batches.known.update(batches)
                for data in brought:
                    needed = unpack(data)
                    executor.cache.remember(needed.key, needed, len(data))
                result = executor.compute(request, self._watch(number))
                if executor.profile != profile:
                    profile = copy.deepcopy(executor.profile)
                    self.send("profile", profile)
                self.send("done", number, pack(result))
            except Cancelled:
                log.info("request %d has stopped at %d passes", number, self._done)
                self.send("cancelled", number)
            except XaiError as error:
                self.send("failed", number, str(error))
            except Exception as error:
                log.exception("cannot compute %s", request.title)
                self.send("failed", number, unexpected(request, error))
            self._cancelled.discard(number)

    def _watch(self, number: int) -> Any:
        from .run import Watch

        self._done = 0

        def progress(done: int, total: int) -> None:
            self._done = done
            now = time.monotonic()
            if now - self._last_progress > PROGRESS_SECONDS:
                self._last_progress = now
                self.send("progress", number, done)

        return Watch(
            progress=progress,
            partial=lambda values, signed: self.send("partial", number, values, signed),
            cancelled=lambda: number in self._cancelled,
        )


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the dashboard, which then stops us
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    logging.basicConfig(level=settings.current().log_level.upper())
    worker = Worker(Connection(int(sys.argv[1])))
    threading.Thread(target=worker.listen, name="orders", daemon=True).start()
    worker.work(sys.argv[2:])


if __name__ == "__main__":
    main()
