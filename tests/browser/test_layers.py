"""The Layers page as a user drives it: the strip, the drawing, and the way to the Compare page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Dashboard
from .test_compare import LONG, choose_photo, keep_screenshot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]


def open_layers(page: Page, dashboard: Dashboard, photo: str) -> None:
    """The page at its own address, with every map of the strip there."""
    page.goto(f"{dashboard.url}/layers")
    expect(page.locator(".stage")).to_have_count(8, timeout=LONG)
    choose_photo(page, photo)
    expect(page.get_by_text(f"{photo} ·")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Choose a stage to see it large")).to_be_visible(timeout=LONG)
    expect(page.locator(".stage[data-state=done]")).to_have_count(8, timeout=LONG)


def drawing(page: Page) -> Locator:
    return page.locator(".large").last.locator("img")


def test_a_picture_is_picked_the_strip_is_filled_and_its_class_is_drawn(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    open_layers(page, dashboard, "Coffee")
    expect(page.locator(".stage .size")).to_have_text(
        ["112 x 112", "56 x 56", "28 x 28", "14 x 14", "14 x 14", "7 x 7", "7 x 7", "7 x 7"]
    )
    page.locator(".stage", has_text="blocks.3").click()
    expect(page.get_by_text("80 channels of 14 x 14")).to_be_visible(timeout=LONG)
    before = page.locator(".large").last.bounding_box()
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(page.get_by_text("espresso · ")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("sure of it")).to_be_visible(timeout=LONG)
    assert page.locator(".large").last.bounding_box() == before, "nothing jumps"
    keep_screenshot(page, "layers", tmp_path)


@pytest.mark.slow
def test_a_drawing_changes_while_it_runs_and_stops_between_two_steps(page: Page, dashboard: Dashboard) -> None:
    open_layers(page, dashboard, "Coffee")
    page.get_by_text("Drawing", exact=True).click()
    steps = page.locator(".st-key-drawing-activation_maximisation-steps-quick input")
    steps.fill("4000")
    steps.press("Enter")
    page.get_by_role("radio", name="Layer", exact=True).click()
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(drawing(page)).to_be_visible(timeout=LONG)
    first = str(drawing(page).get_attribute("src"))
    expect(drawing(page)).not_to_have_attribute("src", first, timeout=LONG)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("bn2 · stopped")).to_be_visible(timeout=LONG)
    expect(drawing(page)).to_be_visible()
    expect(page.get_by_role("button", name="Draw", exact=True)).to_be_enabled()
    for _ in range(100):
        if stopped := re.search(r"request \d+ has stopped at (\d+) passes", dashboard.log.read_text()):
            break
        page.wait_for_timeout(100)
    assert stopped and int(stopped[1]) < 8000


@pytest.mark.slow
def test_a_layer_is_taken_to_the_compare_page_with_its_picture(page: Page, dashboard: Dashboard) -> None:
    open_layers(page, dashboard, "Rocket")
    page.locator(".stage", has_text="blocks.4").click()
    expect(page.get_by_text("112 channels of 14 x 14")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator(".cell[data-method=gradcam][data-state=done]")).to_contain_text("blocks.4", timeout=LONG)
    expect(page.get_by_text("Rocket ·")).to_be_visible()
