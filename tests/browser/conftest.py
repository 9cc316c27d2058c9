"""A running dashboard and a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass(frozen=True)
class Dashboard:
    """A running dashboard: its address, and the file that it logs to."""

    url: str
    log: Path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips where none is installed."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium is installed; make browser installs Debian's")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(folder: Path, port: int) -> Iterator[tuple[Dashboard, subprocess.Popen[bytes]]]:
    """`streamlit run app.py` with its data in a folder; the process may be killed by whoever uses it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XAI_")}
    environment |= {"XAI_DATA": str(folder / "data"), "TORCH_HOME": str(folder / "torch"), "XAI_LOG_LEVEL": "info"}
    log = folder / "log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    with log.open("a") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                if urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).read() == b"ok":
                    break
            except OSError:
                time.sleep(0.25)
        else:
            pytest.fail(f"the dashboard did not start:\n{log.read_text()[-2000:]}")
        yield Dashboard(url, log), process
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def dashboard(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """`streamlit run app.py` with an empty data folder and the real EfficientNet-Lite0."""
    with serving(tmp_path_factory.mktemp("dashboard"), free_port()) as (running, _):
        yield running


@pytest.fixture
def page(browser: Browser, dashboard: Dashboard, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The dashboard in a fresh window of 1280 x 720; the test fails when its scripts raise or a traceback shows."""
    scheme = getattr(request, "param", "light")
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme=scheme, accept_downloads=True)
    window = context.new_page()
    errors: list[str] = []
    window.on("pageerror", lambda error: errors.append(str(error)))
    window.goto(dashboard.url)
    yield window
    shown = window.locator("body").inner_text()
    context.close()
    assert not errors, errors
    assert "Traceback" not in shown
    assert "Traceback" not in dashboard.log.read_text()
