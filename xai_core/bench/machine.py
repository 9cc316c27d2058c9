"""The machine that a benchmark ran on: a figure without it means nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

from .. import settings


def machine() -> dict[str, Any]:
    """CPU's name, cores and threads that the settings allow, device and torch's version."""
    now = settings.current()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu_name(),
        "cores": cores,
        "threads": now.cpu_threads,
        "device": device_name(),
        "torch": importlib.metadata.version("torch"),
    }


def cpu_name() -> str:
    """The processor as the system names it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def device_name() -> str:
    """The GPU's name, or "cpu"."""
    import torch

    from ..engine.executor import choose_device

    device = choose_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
