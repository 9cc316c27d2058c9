"""The lab in a browser: two pipelines are compared, and one stage is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Dashboard
from .test_compare import LONG, keep_screenshot

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(280)]


def test_two_pipelines_are_compared_and_one_is_changed(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    page.goto(f"{dashboard.url}/lab")
    expect(page.get_by_text("Done: 606 passes")).to_be_visible(timeout=LONG)
    expect(page.locator(".strip img")).to_have_count(24)
    expect(page.get_by_text("The whole picture: ")).to_have_count(2)
    page.set_viewport_size({"width": 1280, "height": 2300})
    page.wait_for_timeout(1000)
    keep_screenshot(page, "lab", tmp_path)
    page.get_by_role("combobox", name="Attribution").nth(1).click()
    page.get_by_role("option", name="pda").click()
    expect(page.locator(".strip .empty").first).to_be_attached(timeout=LONG)
    expect(page.get_by_text("Done: 606 passes")).to_be_visible(timeout=LONG)
    expect(page.locator(".strip img")).to_have_count(24)
    expect(page.get_by_test_id("stException")).to_have_count(0)
