"""What runs in a Ray actor: a worker whose orders and news go through two queues."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import threading
from collections.abc import Sequence
from typing import Any

from .. import settings
from .queued import Message
from .worker import Worker

log = logging.getLogger(__name__)


class Actor:
    """Computes what it is told to; whoever made it asks for the news. Its methods run on several threads."""

    def __init__(self, warm: Sequence[str] = ()):
        """`warm` names models to load at the start."""
        self._orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[Message] = queue.SimpleQueue()
        logging.basicConfig(
            level=settings.current().log_level.upper(), handlers=[LogToNews(self._news)], format="%(message)s"
        )
        worker = Worker(self)
        threading.Thread(target=worker.listen, name="orders", daemon=True).start()
        threading.Thread(target=_compute, args=[worker, list(warm)], name="computing", daemon=True).start()

    def place(self) -> tuple[int, str]:
        """The process that computes, and Ray's name of its machine."""
        import ray

        return os.getpid(), ray.get_runtime_context().get_node_id()

    def hear(self, order: bytes) -> None:
        """Takes an order, pickled; what cannot be read ends the worker."""
        self._orders.put(order)

    def speak(self) -> list[Message]:
        """Waits until there is news, and gives all of it."""
        news = [self._news.get()]
        while not self._news.empty():
            news.append(self._news.get())
        return news

    def recv(self) -> Any:
        return pickle.loads(self._orders.get())

    def send(self, message: Message) -> None:
        self._news.put(message)


class LogToNews(logging.Handler):
    """Sends log records to whoever made the actor: nobody looks into the log files of Ray."""

    def __init__(self, news: queue.SimpleQueue[Message]):
        super().__init__()
        self._news = news

    def emit(self, record: logging.LogRecord) -> None:
        self._news.put(("log", record.name, record.levelno, self.format(record)))


def _compute(worker: Worker, warm: list[str]) -> None:
    """Computes until the worker ends, and ends the process with it, so that whoever made it hears of it."""
    try:
        worker.work(warm)
    except BaseException:
        log.exception("the worker broke off")
    finally:
        os._exit(1)
