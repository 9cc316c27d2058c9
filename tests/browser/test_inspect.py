"""The Inspect page as a user drives it: a region is drawn and hidden, and what it does is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Dashboard
from .test_compare import LONG, choose_photo, keep_screenshot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]


def open_inspect(page: Page, dashboard: Dashboard, photo: str) -> None:
    """The page at its own address, with the map and the effect of the first region there."""
    page.goto(f"{dashboard.url}/inspect")
    choose_photo(page, photo)
    expect(page.get_by_text(f"{photo} ·")).to_be_visible(timeout=LONG)
    expect(page.locator(".cell[data-state=done]")).to_have_count(1, timeout=LONG)
    expect(page.get_by_text("random regions of the same size")).to_be_visible(timeout=LONG)


def drag(page: Page, tile: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draws from one relative place of a tile to another."""
    box = tile.bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=5)
    page.mouse.up()


def sides(page: Page) -> list[int]:
    fields = [page.get_by_role("spinbutton", name=name, exact=True) for name in ("Top", "Left", "Height", "Width")]
    return [int(one.input_value()) for one in fields]


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_a_region_is_drawn_and_hidden_and_its_percentile_is_read(
    page: Page, dashboard: Dashboard, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    open_inspect(page, dashboard, "Coffee")
    tiles = page.locator(".tile")
    before = tiles.first.bounding_box()
    assert sides(page) == [74, 74, 74, 74], "a region in the middle to begin with"
    drag(page, tiles.nth(1), (0.15, 0.2), (0.75, 0.7))
    expect(page.get_by_role("spinbutton", name="Top", exact=True)).to_have_value(re.compile("^4[3-6]$"), timeout=LONG)
    top, left, height, width = sides(page)
    assert abs(left - 34) <= 2 and abs(height - 112) <= 3 and abs(width - 135) <= 3 and abs(top - 45) <= 2
    sentence = page.get_by_text(
        re.compile(r"Hiding this region takes the probability of espresso from .* \(percentile")
    )
    expect(sentence).to_be_visible(timeout=LONG)
    expect(page.get_by_text(re.compile("^Done: "))).to_be_visible(timeout=LONG)
    assert tiles.first.bounding_box() == before, "nothing jumps"
    percentile = re.search(r"percentile (\d+)", sentence.inner_text())
    assert percentile and int(percentile[1]) >= 80
    page.set_viewport_size({"width": 1280, "height": 1000})
    if request.node.callspec.params["page"] == "light":
        keep_screenshot(page, "inspect", tmp_path)


def test_the_value_under_the_cursor_is_shown_and_both_tiles_zoom_together(page: Page, dashboard: Dashboard) -> None:
    open_inspect(page, dashboard, "Coffee")
    tiles = page.locator(".tile")
    tiles.first.hover(position={"x": 100, "y": 120})
    expect(page.locator(".tile.pointed")).to_have_count(2)
    expect(page.locator(".cell[data-state=done] .value")).to_have_text(re.compile(r"\d"))
    before = sides(page)
    tiles.first.dblclick(position={"x": 100, "y": 120})
    expect(page.locator(".tile.zoomed")).to_have_count(2)
    drag(page, tiles.first, (0.3, 0.3), (0.6, 0.6))
    assert sides(page) == before, "while it is zoomed, dragging moves the view"


def test_seeds_values_and_randomised_networks_have_their_maps(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    open_inspect(page, dashboard, "Coffee")
    page.get_by_role("radio", name="Randomised network").click()
    images = page.locator(".strip img")
    expect(images).to_have_count(2, timeout=LONG)
    slider = page.get_by_role("slider", name=re.compile("initialised anew"))
    slider.press("ArrowRight")
    expect(images).to_have_count(3, timeout=LONG)
    expect(page.get_by_text(re.compile("^Done: "))).to_be_visible(timeout=LONG)
    alike = re.compile(r" · (−?[\d.]+)$")
    expect(page.locator(".strip figcaption", has_text=alike)).to_have_count(2, timeout=LONG)
    captions = [alike.search(text) for text in page.locator(".strip figcaption").all_inner_texts()]
    fallen = [float(found[1].replace("−", "-")) for found in captions if found]
    assert all(value < 0.9 for value in fallen), "the similarity falls from 1 with the first layer that forgets"
    page.set_viewport_size({"width": 1280, "height": 1080})
    keep_screenshot(page, "inspect-randomised", tmp_path)
    page.get_by_role("radio", name="Parameter").click()
    expect(page.locator(".strip figcaption", has_text=re.compile(r"SRG −?\d"))).to_have_count(5, timeout=LONG)
    keep_screenshot(page, "inspect-parameter", tmp_path)
    page.get_by_role("radio", name="Seeds").click()
    expect(page.get_by_text("The 5 maps are equal")).to_be_visible(timeout=LONG)
    keep_screenshot(page, "inspect-seeds", tmp_path)
