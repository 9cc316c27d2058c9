"""The Robustness page as a user drives it: a corruption is chosen, maps fill in, curves and words follow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Dashboard
from .test_compare import LONG, choose_photo, keep_screenshot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_maps_drift_with_the_severity_and_words_say_beyond_which_noise(
    page: Page, dashboard: Dashboard, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    page.goto(f"{dashboard.url}/robustness")
    choose_photo(page, "Coffee")
    images = page.locator(".sheet img")
    expect(images).to_have_count(12, timeout=LONG)
    expect(page.get_by_text(re.compile("^Done: "))).to_be_visible(timeout=LONG)
    expect(page.get_by_text(re.compile("Grad-CAM (drifts beyond its own noise|does not drift)"))).to_be_visible()
    expect(page.get_by_text(re.compile("two seeds agree by"))).to_be_visible()
    expect(page.locator(".stPlotlyChart .main-svg").first).to_be_visible()
    scheme = request.node.callspec.params["page"]
    if scheme == "light":
        keep_screenshot(page, "robustness", tmp_path)
    page.get_by_role("combobox", name="Kind of corruption").click()
    page.get_by_role("option", name="ImageNet-C: blur").click()
    page.get_by_role("radio", name="Zoom blur").click()
    expect(images).to_have_count(18, timeout=LONG)
    expect(page.get_by_text("zoom blur moves pixels")).to_be_visible(timeout=LONG)
    expect(page.get_by_text(re.compile("^Done: "))).to_be_visible(timeout=LONG)
