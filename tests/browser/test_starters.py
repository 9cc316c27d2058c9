"""The starter masks are drawn in the studio, and are what lies in assets/masks.

With XAI_TEST_STARTERS=1 the drawings are stored there instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy as np
import orjson
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from xai_core.images.galleries import bundled
from xai_core.masks.reading import open_mask
from xai_core.masks.starters import FOLDER
from xai_core.store.versions import latest_masks
from xai_core.types import Bools

from .conftest import Dashboard
from .starters import DRAWINGS, Drawing, Step
from .test_annotate import LONG, Easel

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

ASIDE = np.array([0.1247, 0.274])
"""Moves corners off the pixels' grid, so that hardly a pixel's middle lies on an edge."""
ROUNDED = 0.002
"""Part of the object that may differ by the pointer's rounding, where the studio is of another size on the screen."""
ANNOTATOR = "Starter"
LICENCE = "CC0 1.0, public domain dedication"


@pytest.fixture(autouse=True)
def server_data(isolated: None, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder of the running dashboard."""
    monkeypatch.setenv("XAI_DATA", str(dashboard.data))


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    """A large one, in which the hand is steady."""
    context = browser.new_context(viewport={"width": 1800, "height": 1200})
    yield context.new_page()
    context.close()


def do(easel: Easel, step: Step) -> None:
    """One step of a drawing, by hand."""
    places = [tuple(np.add(point, ASIDE)) for point in step.points]
    match step.tool:
        case "polygon":
            easel.press("p")
            easel.button("Subtract" if step.cuts else "Add").click()
            for place in places:
                easel.click(*place)
            easel.press("Enter")
        case "ellipse":
            easel.press("o")
            easel.button("Add").click()
            easel.drag(*places)
        case "brush":
            easel.press("b", *["{"] * 40, *["]"] * (step.size - 1))
            expect(easel.page.locator(".field output").first).to_have_text(f"{step.size} px")
            easel.drag(*places)
        case "grabcut":
            easel.press("g")
            easel.drag(*places)
            expect(easel.button("Accept")).to_be_enabled(timeout=LONG)
            easel.press("Enter")
        case "fill holes":
            easel.page.locator("summary[aria-label='Change the whole mask']").click()
            easel.button("Fill holes").click()
        case _:
            raise AssertionError(f"no such tool: {step.tool}")


def keep(mask: Bools, name: str, drawing: Drawing) -> None:
    """Stores a mask with its origin."""
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(FOLDER / name, optimize=True)
    index = FOLDER / "origin.json"
    origin = orjson.loads(index.read_bytes()) if index.exists() else {}
    title = next(sample.title for sample in bundled().samples if sample.name == drawing.photo)
    origin[name] = {
        "photo": drawing.photo,
        "title": title,
        "object": drawing.object,
        "tools": drawing.tools,
        "origin": "Drawn by hand in the annotation studio; tests/browser/starters.py has every stroke",
        "licence": LICENCE,
        "date": time.strftime("%Y-%m-%d"),
    }
    index.write_bytes(orjson.dumps(origin, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.photo)
def test_a_starter_mask_is_what_its_strokes_draw(window: Page, dashboard: Dashboard, drawing: Drawing) -> None:
    picture = next(sample for sample in bundled().samples if sample.name == drawing.photo).open()
    easel = Easel(window, dashboard, ANNOTATOR, picture)
    easel.open()
    for step in drawing.steps:
        do(easel, step)
    shown = easel.stored()
    easel.press("Control+Enter")
    expect(window.locator(".studio .notice")).to_contain_text("Submitted as version", timeout=LONG)
    mask = latest_masks(picture.digest)[ANNOTATOR].values
    np.testing.assert_array_equal(mask, shown)
    name = f"{picture.digest[:16]}.png"
    if os.environ.get("XAI_TEST_STARTERS"):
        keep(mask, name, drawing)
    kept = open_mask(FOLDER / name).values
    assert (mask & kept).sum() > 0.99 * (mask | kept).sum()
    if "grabcut" not in drawing.tools:
        assert (mask != kept).sum() <= ROUNDED * kept.sum()
