"""The engine of the dashboard: one worker process on this machine; this process only submits and polls."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

from .queued import Message, QueuedEngine


class LocalEngine(QueuedEngine):
    """Implements `Engine` with a worker process; see `xai_core.engine.jobs.Engine`."""

    def __init__(self, warm: Sequence[str] = (), environment: Mapping[str, str] | None = None):
        """`warm` names models to load at the start; `environment` is the worker's, this process's by default."""
        super().__init__()
        self._warm = list(warm)
        self._environment = dict(environment if environment is not None else os.environ)
        self._add_seats(1)

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, for tests and operators."""
        link = self._seats[0].link
        return link.pid if isinstance(link, ProcessLink) else None

    def _open(self) -> ProcessLink:
        return ProcessLink(self._warm, self._environment)


class ProcessLink:
    """A worker process, and the pipe to it; implements `xai_core.engine.queued.Link`."""

    shares_files = True

    def __init__(self, warm: Sequence[str], environment: Mapping[str, str]):
        """Starts the process; raises `OSError` when that is impossible."""
        self._connection, theirs = Pipe(duplex=True)
        environment = {**environment, "PYTHONPATH": python_path(environment)}
        command = [sys.executable, "-m", "xai_core.engine.worker", str(theirs.fileno()), *warm]
        try:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL
            )
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, *message: Any) -> None:
        self._connection.send(message)

    def receive(self) -> list[Message]:
        return [self._connection.recv()]

    def close(self, patience: float) -> str:
        with contextlib.suppress(OSError):
            self.send("stop")
        try:
            self._process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return f"ended with {self._process.returncode}"


def python_path(environment: Mapping[str, str]) -> str:
    """The search path for modules with which another process finds this package."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
