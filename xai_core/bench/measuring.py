"""What benchmarks share: quantiles, memory in use, and a data folder of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import settings


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """{"p50_ms", "p95_ms"} of durations in seconds; not-a-number where there are none."""
    if not seconds:
        return {"p50_ms": float("nan"), "p95_ms": float("nan")}
    middle, high = np.percentile(np.asarray(seconds) * 1000, (50, 95))
    return {"p50_ms": round(float(middle), 3), "p95_ms": round(float(high), 3)}


def resident_bytes() -> int:
    """Bytes of memory that this process holds now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux
        done = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
        return int(done.stdout) * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def own_data() -> Iterator[Path]:
    """An empty `XAI_DATA` for this process and its children, with the weights that are already on this machine."""
    weights = settings.current().weights_dir
    before = os.environ.get("XAI_DATA")
    with tempfile.TemporaryDirectory(prefix="saliency-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if weights.is_dir():
            (folder / "weights").symlink_to(weights, target_is_directory=True)
        os.environ["XAI_DATA"] = name
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["XAI_DATA"]
            else:
                os.environ["XAI_DATA"] = before
