"""A page's own address, which may be the first that a new server is asked for."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from .conftest import Dashboard

pytestmark = pytest.mark.browser


def test_the_methods_page_has_the_apps_navigation_and_style_at_its_own_address(
    browser: Browser, dashboard: Dashboard
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(f"{dashboard.url}/methods")
    expect(page.get_by_role("heading", name="Methods", exact=True)).to_be_visible(timeout=60_000)
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(9)
    expect(page.get_by_role("link", name="Compare")).to_be_visible()
    expect(page.get_by_test_id("stHeaderLogo").or_(page.get_by_test_id("stSidebarLogo")).first).to_be_visible()
    page.close()
