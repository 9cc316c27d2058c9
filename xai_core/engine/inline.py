"""The engine inside this process: for the command line, for Python callers and for tests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from ..types import Cancelled, XaiError
from .executor import Executor
from .jobs import Job, unexpected
from .packing import Result
from .requests import Profile, Request
from .run import Watch

log = logging.getLogger(__name__)


class InlineEngine:
    """Implements `Engine`: `want` computes all that is wanted before it returns."""

    in_background = False

    def __init__(self, executor: Executor | None = None):
        self.executor = executor or Executor()
        self._lock = threading.Lock()

    @property
    def profile(self) -> Profile:
        return self.executor.profile

    def want(self, session: str, requests: Sequence[Request], background: bool = False) -> list[Job]:
        return [self._job(request) for request in requests]

    def _job(self, request: Request) -> Job:
        total = request.cost.total
        try:
            return Job(request, "done", total, total, result=self.result(request))
        except XaiError as error:
            return Job(request, "failed", 0, total, error=str(error))
        except Cancelled:
            return Job(request, "cancelled", 0, total)
        except Exception as error:
            log.exception("cannot compute %s", request.title)
            return Job(request, "failed", 0, total, error=unexpected(request, error))

    def wait(self, session: str, seconds: float) -> None:
        return

    def known(self, request: Request) -> Result | None:
        return self.executor.cache.get(request.key(self.profile))

    def cancel(self, session: str) -> None:
        return

    def retry(self, session: str) -> None:
        return

    def result(self, request: Request, progress: Callable[[int, int], None] | None = None) -> Result:
        with self._lock:
            return self.executor.compute(request, Watch(progress=progress) if progress else None)

    def close(self) -> None:
        return
