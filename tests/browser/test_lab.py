"""The lab in a browser: two pipelines are compared, and one stage is changed."""

from __future__ import annotations

import os

from playwright.sync_api import Browser, expect

from tests.conftest import ROOT

from .conftest import Dashboard

SHOTS = ROOT / "docs" / "images"


def test_two_pipelines_are_compared_and_one_is_changed(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{dashboard.url}/lab")
    expect(page.get_by_role("heading", name="Perturbation lab")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Done: 606 passes")).to_be_visible(timeout=120_000)
    expect(page.locator(".strip img")).to_have_count(24)
    expect(page.get_by_text("The whole picture: ")).to_have_count(2)
    if os.environ.get("XAI_TEST_SCREENSHOTS"):
        page.set_viewport_size({"width": 1280, "height": 2750})
        page.wait_for_timeout(1500)
        page.screenshot(path=SHOTS / "lab.png")
        page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("combobox", name="Attribution").nth(1).click()
    page.get_by_role("option", name="pda").click()
    expect(page.get_by_text("Done: 606 passes")).to_be_visible(timeout=120_000)
    expect(page.locator(".strip img")).to_have_count(24)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.close()
