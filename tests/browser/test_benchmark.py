"""A study in a browser: it is started, followed, stopped and resumed, and its report is opened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from xai_core.studies.plan import Choice
from xai_core.studies.running import begin

from .conftest import Dashboard
from .test_compare import LONG, keep_screenshot

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]


def look_at(page: Page, view: str) -> None:
    page.get_by_test_id("stMain").get_by_role("radio", name=view).click()


def test_a_study_is_started_stopped_and_resumed_and_its_report_opens(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    page.goto(f"{dashboard.url}/benchmark")
    expect(page.get_by_text("No study yet.")).to_be_visible(timeout=LONG)
    limit = page.get_by_role("spinbutton", name="Pictures at most")
    expect(limit).to_have_value("10")
    expect(page.get_by_text(re.compile(r"\d+ results, at most"))).to_be_visible(timeout=LONG)
    limit.fill("")
    limit.press("Enter")
    expect(page.get_by_text("256 results, at most")).to_be_visible(timeout=LONG)
    expect(limit).to_have_value("")
    limit.fill("2")
    methods = page.get_by_role("combobox", name="Methods")
    methods.click()
    methods.press("Backspace")  # SmoothGrad, the last one
    methods.press("Escape")
    expect(page.get_by_text("26 results, at most")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text(re.compile(r"of 26 results"))).to_be_visible(timeout=LONG)
    page.reload()
    expect(page.get_by_text(re.compile(r"of 26 results"))).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped at")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Done: 26 results")).to_be_visible(timeout=2 * LONG)
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    keep_screenshot(page, "benchmark", tmp_path)
    look_at(page, "Pictures")
    expect(page.get_by_text("2 pictures.")).to_be_visible(timeout=LONG)
    look_at(page, "Scatter")
    expect(page.get_by_text("8 maps.")).to_be_visible(timeout=LONG)
    expect(page.locator(".js-plotly-plot .point").first).to_be_visible(timeout=LONG)
    look_at(page, "Report")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open").click()
    expect(opened.value.get_by_role("heading", name="Models and methods").first).to_be_visible(timeout=LONG)
    expect(opened.value.get_by_text("Grad-CAM").first).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="PDF").click()
    assert saved.value.path().read_bytes().startswith(b"%PDF")
    assert not page.get_by_test_id("stException").count()


def test_every_choice_in_the_box_counts_and_a_question_goes_away_with_its_study(
    page: Page, dashboard: Dashboard
) -> None:
    names = [f"imagenet50-20261122-12000{second}-abcdef" for second in range(3)]
    for name in names:
        begin(dashboard.data / "studies" / name, Choice(study="imagenet50", pictures="gallery:photos"))
    page.goto(f"{dashboard.url}/benchmark?study={names[0]}")
    expect(page.get_by_text("Not begun")).to_be_visible(timeout=LONG)
    box = page.get_by_role("combobox", name="Study")
    for name in (names[1], names[2], names[0], names[1]):
        box.click()
        page.get_by_role("option", name=f"12:00:0{names.index(name)}").click()
        expect(page).to_have_url(re.compile(name), timeout=LONG)
    page.locator(f".st-key-study-delete-{names[1]}").get_by_role("button").click()
    sure = page.get_by_role("button", name="Delete it")
    expect(sure).to_be_visible(timeout=LONG)
    page.keyboard.press("Escape")
    expect(sure).to_have_count(0)
