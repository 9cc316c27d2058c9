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


@dataclass
class Dashboard:
    """A dashboard with an empty data folder and the real EfficientNet-Lite0: its address, and the file it logs to."""

    url: str
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def in_folder(cls, folder: Path) -> Dashboard:
        """One that is not started yet, on a port that is free."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return cls(f"http://127.0.0.1:{port}", folder / "log")

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.log.parent / "data"

    def start(self) -> None:
        """Starts `streamlit run app.py` and waits until it answers."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("XAI_")}
        torch_home = str(self.log.parent / "torch")
        environment |= {"XAI_DATA": str(self.data), "TORCH_HOME": torch_home, "XAI_LOG_LEVEL": "info"}
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
        with self.log.open("a") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        for _ in range(240):
            try:
                if urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2).read() == b"ok":
                    return
            except OSError:
                time.sleep(0.25)
        pytest.fail(f"the dashboard did not start:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)

    def kill(self) -> None:
        """Ends it at once, as a power loss would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=30)


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


@pytest.fixture(scope="session")
def dashboard(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """One that runs for all tests."""
    made = Dashboard.in_folder(tmp_path_factory.mktemp("dashboard"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


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
