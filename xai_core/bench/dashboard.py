"""A dashboard of its own for a benchmark: `streamlit run app.py` on a free port."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from ..types import XaiError

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


@contextlib.contextmanager
def dashboard(log: Path) -> Iterator[str]:
    """A running dashboard's address, "127.0.0.1:PORT"; it computes with this process's settings and logs to `log`.

    Raises `XaiError` when it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.address=127.0.0.1"]
    command.append(f"--server.port={address.rpartition(':')[2]}")
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        _wait_for(address, process, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"http://{address}/_stcore/health", timeout=2).read() == b"ok":
                return
        time.sleep(0.2)
    lines = log.read_text().strip().splitlines()
    raise XaiError(f"The dashboard did not start ({lines[-1] if lines else 'it said nothing'}).")
