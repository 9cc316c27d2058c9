"""The Robustness page as a user drives it: a corruption is chosen, maps fill in, curves and words follow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Dashboard
from .test_compare import LONG, choose_photo, keep_screenshot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]


def test_maps_drift_with_the_severity_and_words_say_beyond_which_noise(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    page.goto(f"{dashboard.url}/robustness")
    choose_photo(page, "Coffee")
    images = page.locator(".sheet img")
    expect(images).to_have_count(12, timeout=LONG)
    said = page.get_by_text(re.compile("Grad-CAM (drifts beyond its own noise|does not drift)"))
    expect(said).to_be_visible(timeout=LONG)
    expect(page.locator(".stPlotlyChart .main-svg").first).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 1080})
    keep_screenshot(page, "robustness", tmp_path)
    box = page.get_by_role("combobox", name="Kind of corruption")
    box.focus()
    box.press("ArrowDown")
    page.get_by_role("option", name="ImageNet-C: blur").click()
    page.get_by_text("Zoom blur").click()
    expect(page.get_by_text("zoom blur moves pixels")).to_be_visible(timeout=LONG)
    expect(page.locator(".sheet .head")).to_have_text(["severity (of 5)", "clean", "1", "2", "3", "4", "5"])
    expect(page.locator(".sheet img[alt^='Picture']")).to_have_count(6, timeout=LONG)
    keep_screenshot(page, "robustness-zoom", tmp_path)
