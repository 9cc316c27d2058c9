"""A project from its making to a mask that comes back with a comment, by three people."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from xai_core.store import projects, versions

from .conftest import Dashboard

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LONG = 60_000


@pytest.fixture(autouse=True)
def server_data(isolated: None, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder of the running dashboard."""
    monkeypatch.setenv("XAI_DATA", str(dashboard.log.parent / "data"))


@pytest.fixture
def other(browser: Browser, dashboard: Dashboard) -> Iterator[Page]:
    """A second person's window."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    yield context.new_page()
    context.close()


def ready(page: Page) -> None:
    expect(page.locator(".studio[data-draft]")).to_be_visible(timeout=LONG)
    expect(page.locator(".studio .notice")).to_be_hidden(timeout=LONG)


def draw(page: Page, corners: tuple[int, int, int, int]) -> None:
    """A rectangle between two pixels of the picture, which is submitted."""
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    stage.press("r")
    box = stage.bounding_box()
    assert box is not None
    scale, left, upper = (float(str(stage.get_attribute(f"data-{name}"))) for name in ("scale", "left", "upper"))
    ax, ay, bx, by = corners
    page.mouse.move(box["x"] + left + (ax + 0.5) * scale, box["y"] + upper + (ay + 0.5) * scale)
    page.mouse.down()
    page.mouse.move(box["x"] + left + (bx + 0.5) * scale, box["y"] + upper + (by + 0.5) * scale, steps=5)
    page.mouse.up()
    expect(page.locator(".saved")).to_have_text("Saved", timeout=LONG)
    stage.press("Control+Enter")


def test_the_compare_page_leads_to_its_own_picture(page: Page) -> None:
    page.get_by_role("radio", name="Rocket").click(timeout=LONG)
    expect(page.get_by_text(re.compile("^Rocket · "))).to_be_visible(timeout=LONG)
    page.get_by_role("link", name=re.compile("in the studio$")).click(timeout=LONG)
    expect(page).to_have_url(re.compile(r"/annotate\?.*picture=Photos(/|%2F)rocket\.jpg"), timeout=LONG)


def test_a_project_goes_round(page: Page, other: Page, dashboard: Dashboard) -> None:
    page.goto(f"{dashboard.url}/projects?annotator=Anna&project=new")
    page.get_by_role("textbox", name="Name", exact=True).fill("Cups and cats")
    page.get_by_role("checkbox", name="Coffee").click(timeout=LONG)
    page.get_by_role("checkbox", name="Cat", exact=True).click()
    expect(page.get_by_text("2 pictures chosen")).to_be_visible(timeout=LONG)
    page.get_by_role("textbox", name="Question for all pictures").fill("Where is it?")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", name="Cups and cats")).to_be_visible(timeout=LONG)
    (project,) = [one for one in projects.projects() if one.name == "Cups and cats"]
    link = page.get_by_text(re.compile(r"/annotate\?project=\d+$")).inner_text()
    assert link == f"{dashboard.url}/annotate?project={project.id}"

    seen: dict[str, str] = {}
    for person, corners in (("Bob", (100, 100, 199, 199)), ("Cleo", (150, 100, 249, 199))):
        other.goto(f"{link}&annotator={person}")
        expect(other.get_by_role("heading", name="Where is it?")).to_be_visible(timeout=LONG)
        ready(other)
        if seen and str(re.findall(r"picture=(\w+)", other.url)) not in seen.values():
            other.get_by_role("button", name="Next picture").click()  # the same one as Bob
            expect(other).to_have_url(re.compile(re.findall(r"\w+", next(iter(seen.values())))[0]), timeout=LONG)
            ready(other)
        seen[person] = str(re.findall(r"picture=(\w+)", other.url))
        draw(other, corners)
        expect(other.get_by_text("1 of 2 done")).to_be_visible(timeout=LONG)
        expect(other).not_to_have_url(re.compile(re.findall(r"\w+", seen[person])[0]), timeout=LONG)
    digest = re.findall(r"\w+", seen["Bob"])[0]
    bobs, cleos = sorted(versions.versions(project=project.id), key=lambda one: one.annotator)
    assert bobs.picture == cleos.picture and bobs.picture.startswith(digest)
    assert versions.mask_of(bobs.id).values[100:200, 100:200].all()

    page.reload()
    page.get_by_role("radio", name="Agreement").click(timeout=LONG)
    expect(page.get_by_test_id("stMetricValue").filter(has_text="0.333").first).to_be_visible(timeout=LONG)
    expect(page.get_by_alt_text("Where people disagree")).to_be_visible()
    page.get_by_role("radio", name="Review").click()
    page.get_by_role("button", name="Return", exact=False).nth(1).click(timeout=LONG)
    page.get_by_role("textbox", name="What should be drawn otherwise?").fill("Only the cup, please")
    page.get_by_role("button", name="Return it").click()
    expect(page.get_by_text("Only the cup, please")).to_be_visible(timeout=LONG)

    other.goto(f"{link}&annotator=Cleo")
    expect(other.get_by_text("Only the cup, please")).to_be_visible(timeout=LONG)
    assert digest in other.url
    ready(other)
    expect(other.locator(".status .area")).to_have_text(re.compile(r"Mask \d"))
