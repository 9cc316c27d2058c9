"""The Compare page as a user drives it, with a real network, a real server and a real browser."""

from __future__ import annotations

import io
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.conftest import ROOT

from .conftest import Dashboard

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]

LONG = 120_000
"""Milliseconds that a computation may take on a busy machine."""


def cells(page: Page, state: str = "done") -> Locator:
    return page.locator(f".cell[data-state={state}]")


def wait_until_done(page: Page, maps: int = 4) -> None:
    """Waits until every map and every score of the current choice is there."""
    expect(cells(page)).to_have_count(maps, timeout=LONG)
    expect(page.get_by_text("Take it with you")).to_be_visible(timeout=LONG)


def map_ids(page: Page) -> list[str]:
    return [str(cells(page).nth(place).get_attribute("data-map")) for place in range(cells(page).count())]


def scores(page: Page, name: str) -> list[str]:
    return page.locator(f".score.number[data-score='{name}']").all_inner_texts()


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def keep_screenshot(page: Page, name: str, tmp_path: Path) -> None:
    """Into the documents when XAI_TEST_SCREENSHOTS is set (make screenshots), else where the test keeps its files."""
    folder = ROOT / "docs" / "images" if os.environ.get("XAI_TEST_SCREENSHOTS") else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    page.mouse.move(0, 0)
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"{name}.png")


def choose_photo(page: Page, title: str) -> None:
    """Chooses a photo, and waits until the page has begun with it: what was shown before may be done already."""
    page.get_by_role("radio", name=title, exact=True).click()
    expect(page.get_by_text(re.compile(f"^{title} · ")).first).to_be_visible(timeout=LONG)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=LONG)


def move_slider(page: Page, name: str, key: str) -> None:
    slider = page.get_by_role("slider", name=re.compile(name))
    slider.focus()
    slider.press(key)


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_a_picture_is_picked_and_four_maps_with_scores_appear(
    page: Page, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    choose_photo(page, "Coffee")
    wait_until_done(page)
    expect(page.locator(".class.target")).to_contain_text("espresso")
    for name in ("Grad-CAM", "SHAP", "LIME", "SmoothGrad"):
        expect(page.locator(".cell", has_text=name)).to_have_count(1)
    for score in ("occlusion.background_drop", "occlusion.subject_drop", "road.combined"):
        assert all(re.search(r"\d", text) for text in scores(page, score))
    baselines = page.locator(".score.name", has_text="ROAD, combined").locator(".baselines span")
    expect(baselines).to_have_count(3)
    keep_screenshot(page, f"compare-{request.node.callspec.params['page']}", tmp_path)


def test_moving_a_slider_changes_prediction_maps_and_scores(page: Page) -> None:
    choose_photo(page, "Coffee")
    wait_until_done(page)
    before = map_ids(page), scores(page, "road.combined"), page.locator(".class.target .percent").inner_text()
    move_slider(page, "Gaussian noise", "End")
    expect(page.locator(".class.target .percent")).to_contain_text("→", timeout=LONG)
    wait_until_done(page)
    after = map_ids(page), scores(page, "road.combined"), page.locator(".class.target .percent").inner_text()
    assert all(old != new for old, new in zip(before[0], after[0], strict=True))
    assert before[1] != after[1]
    clean, seen = after[2].split("→")
    assert before[2].strip() == clean.strip() != seen.strip()


def test_an_uploaded_mask_gives_iou(page: Page) -> None:
    choose_photo(page, "Moon")
    wait_until_done(page)
    assert not scores(page, "iou.area_matched")
    mask = np.zeros((512, 512), dtype=np.uint8)
    mask[60:330, 130:440] = 255
    file = {"name": "crater.png", "mimeType": "image/png", "buffer": png(mask)}
    page.locator("[data-testid=stFileUploader] input").last.set_input_files(file)
    expect(page.get_by_text("of the picture is object")).to_be_visible(timeout=LONG)
    shown = page.locator(".score.number[data-score='iou.area_matched']")
    for number in range(4):
        expect(shown.nth(number)).not_to_have_text("", timeout=LONG)
    values = scores(page, "iou.area_matched")
    assert len(values) == 4
    assert all(0 <= float(value) <= 1 for value in values)


def test_a_long_lime_run_stops_within_two_batches(page: Page, dashboard: Dashboard) -> None:
    choose_photo(page, "Flower")
    wait_until_done(page)
    page.get_by_text("Parameters", exact=True).click()
    samples = page.locator(".st-key-lime-samples-quick input")
    samples.fill("9000")
    samples.press("Enter")
    running = page.locator(".cell[data-method=lime][data-state=running]")
    expect(running).to_be_visible(timeout=LONG)
    expect(running).to_contain_text(re.compile(r"[1-9]\d* of 9000 passes"), timeout=LONG)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".cell[data-method=lime][data-state=cancelled]")).to_be_visible(timeout=LONG)
    stopped = None
    for _ in range(100):
        stopped = re.search(r"request (\d+) has stopped at (\d+) passes", dashboard.log.read_text())
        if stopped:
            break
        time.sleep(0.1)
    assert stopped, "the worker never stopped"
    asked = re.search(rf"request {stopped[1]} is cancelled at (\d+) passes", dashboard.log.read_text())
    assert asked
    assert int(stopped[2]) - int(asked[1]) <= 2 * 8
    page.get_by_role("button", name="Go on").click()
    expect(running).to_be_visible(timeout=LONG)
    samples.fill("64")
    samples.press("Enter")
    wait_until_done(page)


def test_a_broken_upload_is_answered_with_a_sentence(page: Page) -> None:
    page.get_by_role("radio", name="Upload").click()
    expect(page.get_by_text("It goes to this server and nowhere else")).to_be_visible(timeout=LONG)
    upload = page.locator("[data-testid=stFileUploader] input").first
    upload.set_input_files({"name": "owl.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff\xe0 no picture"})
    expect(page.get_by_text("owl.jpg is damaged or cut off")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Choose a picture on the left to begin")).to_be_visible()


def test_a_click_on_a_class_explains_it(page: Page) -> None:
    choose_photo(page, "Cat")
    wait_until_done(page)
    before = map_ids(page)
    page.locator(".class", has_text="Egyptian cat").click()
    expect(page.locator(".class.target")).to_contain_text("Egyptian cat", timeout=LONG)
    wait_until_done(page)
    assert all(old != new for old, new in zip(before, map_ids(page), strict=True))


def test_the_cross_hair_and_the_zoom_are_linked_over_all_maps(page: Page) -> None:
    choose_photo(page, "Coffee")
    wait_until_done(page)
    tiles = page.locator(".cell .tile")
    tiles.first.hover(position={"x": 60, "y": 60})
    expect(page.locator(".cell .tile.pointed")).to_have_count(4)
    values = page.locator(".cell .value")
    expect(values).to_have_text([re.compile(r"\d")] * 4)
    tiles.first.dblclick(position={"x": 60, "y": 60})
    expect(page.locator(".cell .tile.zoomed")).to_have_count(4)
    transforms = {tiles.nth(place).locator("canvas").get_attribute("style") for place in range(4)}
    assert len(transforms) == 1


@pytest.mark.slow
def test_results_can_be_downloaded(page: Page) -> None:
    choose_photo(page, "Coffee")
    wait_until_done(page)
    with page.expect_download() as caught:
        page.get_by_test_id("stDownloadButton").filter(has_text="Scores").get_by_role("button").click()
    text = Path(caught.value.path()).read_text()
    assert text.startswith("picture,corruption,model,target,method,variant,seed,score,value\n")
    assert "coffee.png,clean,efficientnet_lite0" in text
    with page.expect_download() as caught:
        page.get_by_test_id("stDownloadButton").filter(has_text="Maps").get_by_role("button").click()
    maps = np.load(caught.value.path())
    assert set(maps.files) == {f"efficientnet_lite0/{name}" for name in ("gradcam", "shap", "lime", "smoothgrad")}
    with page.expect_download() as caught:
        page.get_by_test_id("stDownloadButton").filter(has_text="Figure").get_by_role("button").click()
    with Image.open(caught.value.path()) as figure:
        assert figure.format == "PNG" and figure.width > 1500


@pytest.mark.slow
def test_nothing_jumps_while_results_arrive(page: Page) -> None:
    choose_photo(page, "Rocket")
    expect(page.locator(".cell .tile").first).to_be_visible(timeout=LONG)
    expect(page.locator(".class")).to_have_count(5, timeout=LONG)
    before = page.locator(".cell .tile").first.bounding_box()
    wait_until_done(page)
    assert page.locator(".cell .tile").first.bounding_box() == before
