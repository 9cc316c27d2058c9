"""The annotation studio as an annotator uses it: what is stored is what was drawn, pixel by pixel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from scipy import ndimage

from xai_core.images.galleries import bundled
from xai_core.masks.strokes import Stroke
from xai_core.masks.tools import Hints, enlarged, grabcut, superpixels
from xai_core.store import drafts
from xai_core.types import Bools, Picture

from .conftest import Dashboard
from .starters import DRAWINGS
from .test_compare import keep_screenshot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]

LONG = 60_000
FILE = "coffee.png"  # 600 x 400 pixels: larger than half a pixel of the screen each
ACROSS = ndimage.generate_binary_structure(2, 1)
annotators = iter(range(1000))


@pytest.fixture(scope="module")
def coffee() -> Picture:
    return next(sample for sample in bundled().samples if sample.name == FILE).open()


@dataclass
class Easel:
    """The studio in a window: draws at pixels of the picture, and reads what the server has."""

    page: Page
    dashboard: Dashboard
    annotator: str
    picture: Picture

    def open(self) -> None:
        self.page.goto(f"{self.dashboard.url}/annotate?annotator={self.annotator}&picture=Photos/{self.picture.name}")
        self.ready()

    def draft(self) -> str:
        return str(self.page.locator(".studio[data-draft]").get_attribute("data-draft"))

    def next_draft(self, before: str) -> None:
        """Waits for another draft: for a moment the page may hold the canvases of both."""
        expect(self.page.locator(f'.studio[data-draft="{before}"]')).to_have_count(0, timeout=LONG)
        expect(self.page.locator(".studio[data-draft]")).to_be_visible(timeout=LONG)

    def ready(self) -> None:
        expect(self.page.locator(".studio[data-draft]")).to_be_visible(timeout=LONG)
        expect(self.page.locator(".studio .notice")).to_be_hidden(timeout=LONG)

    @property
    def stage(self) -> Locator:
        return self.page.locator(".stage")

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the picture, in its pixels, is in the window."""
        box = self.stage.bounding_box()
        assert box is not None
        scale, left, upper = (
            float(str(self.stage.get_attribute(f"data-{name}"))) for name in ("scale", "left", "upper")
        )
        return box["x"] + left + x * scale, box["y"] + upper + y * scale

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.place(x, y))

    def drag(self, *points: tuple[float, float], steps: int = 12) -> None:
        self.page.mouse.move(*self.place(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.place(*point), steps=steps)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.stage.press(key)

    def size(self, tens: int) -> None:
        """Makes the brush one pixel and so many tens of pixels wide, by its keys."""
        self.press(*["{"] * 40, *["}"] * tens)
        expect(self.page.locator(".field output").first).to_have_text(f"{1 + 10 * tens} px")

    def saved(self) -> None:
        expect(self.page.locator(".saved")).to_have_text("Saved", timeout=LONG)
        expect(self.page.locator(".saved")).to_have_attribute("data-state", "saved")

    def stored(self) -> Bools:
        """The mask that the server has, once it is saved."""
        self.saved()
        return drafts.saved_draft(int(self.draft())).mask.values

    def button(self, name: str) -> Locator:
        return self.page.locator(".studio").get_by_role("button", name=name, exact=True)


@pytest.fixture(autouse=True)
def server_data(isolated: None, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder of the running dashboard."""
    monkeypatch.setenv("XAI_DATA", str(dashboard.log.parent / "data"))


@pytest.fixture
def easel(page: Page, dashboard: Dashboard, coffee: Picture) -> Easel:
    page.wait_for_timeout(500)
    made = Easel(page, dashboard, f"Annotator {next(annotators)}", coffee)
    made.open()
    return made


def grid(picture: Picture) -> tuple[Bools, Bools]:
    """Rows and columns of the pixels' middles."""
    down, right = np.mgrid[: picture.size[0], : picture.size[1]] + 0.5
    return down, right


def segment_distance(picture: Picture, *points: tuple[float, float]) -> np.ndarray:
    """How far each pixel's middle is from a line through points (x, y)."""
    down, right = grid(picture)
    found = np.full(picture.size, np.inf)
    for (ax, ay), (bx, by) in zip(points, points[1:] or points, strict=False):
        dx, dy = bx - ax, by - ay
        t = np.clip(((right - ax) * dx + (down - ay) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        np.minimum(found, np.hypot(right - ax - t * dx, down - ay - t * dy), out=found)
    return found


def same(mask: Bools, distance: np.ndarray, radius: float, rounding: float = 1.5) -> None:
    """A brush's line: exact but for the rounding of the pointer's way to pixels."""
    assert mask[distance <= radius - rounding].all()
    assert not mask[distance > radius + rounding].any()
    assert mask.any()


def test_brush_and_eraser_draw_what_they_cover(easel: Easel) -> None:
    easel.size(3)
    easel.drag((100, 100), (400, 250), (450, 60))
    drawn = easel.stored()
    distance = segment_distance(easel.picture, (100, 100), (400, 250), (450, 60))
    same(drawn, distance, 15.5)
    easel.press("e")
    easel.drag((250, 20), (250, 350))
    erased = segment_distance(easel.picture, (250, 20), (250, 350))
    after = easel.stored()
    assert not after[erased <= 14].any()
    np.testing.assert_array_equal(after[erased > 17], drawn[erased > 17])


def test_a_dot_is_exact(easel: Easel) -> None:
    easel.size(2)
    easel.click(300.4, 200.4)
    down, right = grid(easel.picture)
    np.testing.assert_array_equal(easel.stored(), np.hypot(right - 300.5, down - 200.5) <= 10.5)
    easel.button("Square brush").click()
    easel.click(100.4, 50.4)
    square = (abs(right - 100.5) < 11) & (abs(down - 50.5) < 11)
    np.testing.assert_array_equal(easel.stored() & (right < 150), square)


def test_polygons_add_and_subtract(easel: Easel) -> None:
    outer = [(100, 60), (500, 80), (420, 340), (130, 300)]
    easel.press("p")
    for corner in outer:
        easel.click(*corner)
    easel.press("Enter")
    inner = [(200, 120), (380, 130), (300, 260)]
    easel.press("x")
    for corner in [*inner, (10, 10)]:
        easel.click(*corner)
    easel.press("Backspace")
    easel.click(*inner[0])  # the first corner closes it
    mask = easel.stored()
    down, right = grid(easel.picture)

    def inside(corners: list[tuple[int, int]]) -> Bools:
        found = np.zeros(easel.picture.size, dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            found ^= ((y0 <= down) != (y1 <= down)) & (right < x0 + (down - y0) * (x1 - x0) / ((y1 - y0) or 1))
        return found

    edge = np.minimum(
        segment_distance(easel.picture, *outer, outer[0]), segment_distance(easel.picture, *inner, inner[0])
    )
    sure = edge > 1.5
    np.testing.assert_array_equal(mask[sure], (inside(outer) & ~inside(inner))[sure])
    assert not mask[200, 300] and mask[100, 200]
    easel.press("x")
    easel.click(20, 350)
    easel.click(90, 350)
    easel.press("Escape", "Enter")
    np.testing.assert_array_equal(easel.stored(), mask, "given up")


def test_rectangles_fill_holes_invert_and_clear(easel: Easel) -> None:
    easel.press("r")
    easel.drag((50.5, 40.5), (250.5, 200.5))
    easel.page.keyboard.down("Shift")
    easel.drag((100.5, 80.5), (150.5, 120.5))
    easel.page.keyboard.up("Shift")
    expected = np.zeros(easel.picture.size, dtype=bool)
    expected[40:201, 50:251] = True
    expected[80:121, 100:151] = False
    np.testing.assert_array_equal(easel.stored(), expected)
    menu = easel.page.locator("summary[aria-label='Change the whole mask']")
    menu.click()
    easel.button("Fill holes").click()
    expected[40:201, 50:251] = True
    np.testing.assert_array_equal(easel.stored(), expected)
    easel.page.get_by_label("Pixels to grow or shrink by").fill("5")
    easel.button("Shrink").click()
    expected = ndimage.binary_erosion(expected, np.ones((11, 11)))
    np.testing.assert_array_equal(easel.stored(), expected)
    easel.button("Invert").click()
    np.testing.assert_array_equal(easel.stored(), ~expected)
    easel.button("Clear").click()
    assert not easel.stored().any()


def test_flood_fill_takes_what_is_joined_and_alike(easel: Easel) -> None:
    easel.press("f")
    easel.click(300.5, 200.5)
    pixels = easel.picture.pixels.astype(int)
    alike = (abs(pixels - pixels[200, 300]) <= 24).all(axis=-1)
    labels, _ = ndimage.label(alike, structure=ACROSS)
    np.testing.assert_array_equal(easel.stored(), labels == labels[200, 300])


def test_superpixels_are_painted_whole(easel: Easel) -> None:
    easel.press("s")
    expect(easel.page.locator(".studio[data-level=medium]")).to_be_visible(timeout=LONG)
    places = [(300, 200), (120, 330), (560, 30)]
    for x, y in places:
        easel.click(x + 0.5, y + 0.5)
    labels = enlarged(superpixels(easel.picture.pixels, "medium"), *easel.picture.size)
    expected = np.isin(labels, [labels[y, x] for x, y in places])
    np.testing.assert_array_equal(easel.stored(), expected)
    easel.page.keyboard.down("Shift")
    easel.click(*(one + 0.5 for one in places[1]))
    easel.page.keyboard.up("Shift")
    x, y = places[1]
    np.testing.assert_array_equal(easel.stored(), expected & (labels != labels[y, x]))


def test_grabcut_is_shown_before_it_is_accepted(easel: Easel) -> None:
    easel.press("g")
    easel.drag((120.5, 30.5), (480.5, 330.5))
    accept = easel.button("Accept")
    expect(accept).to_be_enabled(timeout=LONG)
    assert not easel.stored().any(), "a preview is not saved"
    easel.press("Enter")
    nothing = np.zeros(easel.picture.size, dtype=bool)
    box = (30, 120, 301, 361)
    expected = nothing.copy()
    expected[30:331, 120:481] = grabcut(easel.picture.pixels, Hints(box, nothing, nothing, nothing))
    np.testing.assert_array_equal(easel.stored(), expected)
    assert 0.2 < expected[30:331, 120:481].mean() < 0.95
    easel.drag((120.5, 30.5), (480.5, 330.5))
    expect(accept).to_be_enabled(timeout=LONG)
    easel.page.keyboard.down("Shift")
    easel.drag((280, 180), (320, 200))
    easel.page.keyboard.up("Shift")
    expect(easel.page.locator(".studio .notice")).to_be_hidden(timeout=LONG)
    easel.press("Enter")
    before = easel.stored()
    assert not before[segment_distance(easel.picture, (280, 180), (320, 200)) < 10].any(), "marked as background"
    easel.drag((120.5, 30.5), (480.5, 330.5))
    expect(accept).to_be_enabled(timeout=LONG)
    easel.press("Escape")
    np.testing.assert_array_equal(easel.stored(), before, "dropped")


def test_every_stroke_is_undone_and_redone(easel: Easel) -> None:
    masks = [easel.stored()]
    for x in (100, 200, 300):
        easel.drag((x, 100), (x + 60, 300))
        masks.append(easel.stored())
    assert len({mask.tobytes() for mask in masks}) == 4
    for mask in reversed(masks[:-1]):
        easel.press("Control+z")
        np.testing.assert_array_equal(easel.stored(), mask)
    expect(easel.button("Undo")).to_be_disabled()
    for mask in masks[1:3]:
        easel.press("Control+Shift+Z")
        np.testing.assert_array_equal(easel.stored(), mask)
    easel.press("Control+y")
    np.testing.assert_array_equal(easel.stored(), masks[3])


@pytest.mark.slow
def test_a_single_pixel_is_drawn_when_it_is_magnified(easel: Easel) -> None:
    easel.size(0)
    easel.page.mouse.move(*easel.place(450.5, 120.5))
    for _ in range(20):
        easel.page.mouse.wheel(0, -120)
    expect(easel.page.locator(".status .zoom")).to_have_text(re.compile(r"^\d{4} %$"))
    easel.page.wait_for_timeout(200)
    easel.click(450.5, 120.5)
    easel.click(452.1, 119.9)
    expected = np.zeros(easel.picture.size, dtype=bool)
    expected[120, 450] = expected[119, 452] = True
    np.testing.assert_array_equal(easel.stored(), expected)
    before = easel.place(0, 0)
    easel.page.keyboard.down("Space")
    easel.drag((450, 120), (451, 121))
    easel.page.keyboard.up("Space")
    assert easel.place(0, 0) != before, "Space pans"
    np.testing.assert_array_equal(easel.stored(), expected)
    easel.press("0")
    expect(easel.page.locator(".status .zoom")).not_to_have_text(re.compile(r"^\d{4} %$"))


def test_the_mask_is_shown_on_the_picture_alone_while_it_is_zoomed(easel: Easel) -> None:
    easel.size(8)
    easel.drag((100, 300), (500, 390))
    for _ in range(4):
        easel.press("-")
        easel.page.wait_for_timeout(150)
    painted = easel.page.locator(".stage canvas.layer").evaluate(
        """canvas => {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            const rows = [];
            for (let y = 0; y < height; y++) {
              for (let x = 0; x < width; x++) if (data[4 * (y * width + x) + 3]) { rows.push(y); break; }
            }
            return [Math.min(...rows), Math.max(...rows)].map((y) => (y * canvas.clientHeight) / height);
        }"""
    )
    box = easel.stage.bounding_box()
    assert box is not None
    for found, row in zip(painted, (260, 400), strict=True):  # what the brush covers, down to the lower edge
        assert abs(found - (easel.place(0, row)[1] - box["y"])) < 4


@pytest.mark.slow
def test_a_pen_draws_by_its_pressure(easel: Easel) -> None:
    easel.size(4)
    x, y = easel.place(300.4, 200.4)
    pen = {"x": x, "y": y, "button": "left", "pointerType": "pen", "force": 0.5, "clickCount": 1}
    session = easel.page.context.new_cdp_session(easel.page)
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        session.send("Input.dispatchMouseEvent", {"type": kind, **pen})
    down, right = grid(easel.picture)
    distance = np.hypot(right - 300.5, down - 200.5)
    np.testing.assert_array_equal(easel.stored(), distance <= 41 / 4)


def fingers(page: Page) -> Callable[..., None]:
    """Sends a touch event of a kind, with the places in the window of all fingers that are down."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    return touch


@pytest.mark.slow
def test_one_finger_draws_and_two_zoom(easel: Easel) -> None:
    easel.size(2)
    touch = fingers(easel.page)
    start, end = easel.place(150.5, 100.5), easel.place(350.5, 100.5)
    touch("touchStart", start)
    touch("touchMove", end)
    touch("touchEnd")
    drawn = easel.stored()
    same(drawn, segment_distance(easel.picture, (150.5, 100.5), (350.5, 100.5)), 10.5)
    scale = float(str(easel.stage.get_attribute("data-scale")))
    x, y = easel.place(300, 200)
    touch("touchStart", (x - 50, y))
    touch("touchMove", (x - 40, y))
    touch("touchStart", (x - 40, y), (x + 40, y))
    for apart in (60, 90, 120):
        touch("touchMove", (x - apart, y), (x + apart, y))
    touch("touchEnd")
    assert float(str(easel.stage.get_attribute("data-scale"))) == pytest.approx(3 * scale, rel=0.05)
    np.testing.assert_array_equal(easel.stored(), drawn, "the stroke that the second finger ended is taken back")


@pytest.mark.slow
def test_two_fingers_zoom_without_a_click_of_the_first(easel: Easel) -> None:
    touch = fingers(easel.page)

    def tap(x: float, y: float) -> None:
        touch("touchStart", easel.place(x, y))
        touch("touchEnd")

    def zoom(x: float, y: float) -> None:
        x, y = easel.place(x, y)
        scale = float(str(easel.stage.get_attribute("data-scale")))
        touch("touchStart", (x - 40, y))
        touch("touchStart", (x - 40, y), (x + 40, y))
        touch("touchMove", (x - 60, y), (x + 60, y))
        touch("touchEnd")
        assert float(str(easel.stage.get_attribute("data-scale"))) == pytest.approx(1.5 * scale, rel=0.05)
        easel.press("0")

    def cancelled(x: float, y: float) -> None:
        touch("touchStart", easel.place(x, y))
        touch("touchCancel")

    easel.press("f")
    zoom(300.5, 200.5)
    cancelled(300.5, 200.5)
    expect(easel.button("Undo")).to_be_disabled()
    assert not easel.stored().any()
    tap(300.5, 200.5)
    assert easel.stored()[200, 300]
    easel.press("Control+z", "p")
    tap(100, 100)
    zoom(300, 50)
    tap(400, 100)
    cancelled(500, 50)
    tap(400, 300)
    easel.press("Enter")
    down, right = grid(easel.picture)
    expected = (right < 400) & (down > 100) & (3 * (down - 100) < 2 * (right - 100))
    sure = segment_distance(easel.picture, (100, 100), (400, 100), (400, 300), (100, 100)) > 1.5
    np.testing.assert_array_equal(easel.stored()[sure], expected[sure])


def test_a_reload_in_mid_drawing_brings_everything_back(easel: Easel) -> None:
    easel.drag((100, 100), (300, 200))
    easel.drag((300, 100), (100, 200))
    before = easel.stored()
    easel.page.reload()
    easel.ready()
    expect(easel.page.locator(".status .area")).to_have_text(re.compile(r"Mask \d"))
    np.testing.assert_array_equal(easel.stored(), before)
    easel.drag((400, 300), (500, 300))
    after = easel.stored()
    assert after[300, 450] and (after >= before).all()


def test_another_page_and_back(easel: Easel) -> None:
    easel.drag((100, 100), (300, 200))
    before = easel.stored()
    easel.page.get_by_role("link", name="Methods").click()
    expect(easel.page.get_by_role("heading", name="Methods", exact=True)).to_be_visible(timeout=LONG)
    easel.page.get_by_role("link", name="Annotate").click()
    easel.ready()
    np.testing.assert_array_equal(easel.stored(), before)
    easel.drag((400, 300), (500, 300))
    assert easel.stored()[300, 450]


@pytest.mark.slow
def test_strokes_wait_in_the_browser_while_there_is_no_connection(easel: Easel) -> None:
    """What was drawn without a connection is there after the page was closed and opened anew."""
    easel.drag((100, 100), (300, 200))
    before = easel.stored()
    easel.page.evaluate("""() => {  // messages leave the browser no more
        WebSocket.prototype.send = () => {};
        window.fetch = () => Promise.reject(new Error("offline"));
    }""")
    easel.drag((400, 300), (500, 300))
    easel.drag((400, 320), (500, 320))
    expect(easel.page.locator(".saved")).to_have_text("Offline: 2 strokes are kept in this browser", timeout=LONG)
    easel.page.on("dialog", lambda dialog: dialog.accept())
    easel.page.reload()
    easel.ready()
    after = easel.stored()
    assert after[300, 450] and after[320, 450] and (after >= before).all()


@pytest.mark.slow
def test_a_server_that_was_killed_and_restarted_gets_what_it_missed(
    browser: Browser, coffee: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Dashboard.in_folder(tmp_path)
    monkeypatch.setenv("XAI_DATA", str(server.data))
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    try:
        server.start()
        easel = Easel(page, server, "Ann", coffee)
        easel.open()
        easel.drag((100, 100), (300, 200))
        before = easel.stored()
        server.kill()
        easel.drag((400, 300), (500, 300))
        expect(page.locator(".saved")).to_have_text("Offline: 1 stroke is kept in this browser", timeout=LONG)
        server.start()
        easel.saved()
        easel.ready()
        after = easel.stored()
        assert after[300, 450] and (after >= before).all()
        easel.drag((400, 320), (500, 320))
        assert easel.stored()[320, 450], "drawing goes on without a reload"
        for _ in range(2):  # the second time nothing was drawn since the page came back
            server.kill()
            server.start()
            expect(page.locator(".stApp[data-test-connection-state=CONNECTED]")).to_be_visible(timeout=LONG)
            page.wait_for_timeout(1000)
            expect(page.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=LONG)
        easel.drag((400, 340), (500, 340))
        assert easel.stored()[340, 450]
    finally:
        server.stop()
    page.close()


@pytest.fixture
def other(browser: Browser, easel: Easel) -> Iterator[Easel]:
    """The same picture and annotator in a second tab of the same browser."""
    context: BrowserContext = easel.page.context
    page = context.new_page()
    made = Easel(page, easel.dashboard, easel.annotator, easel.picture)
    yield made
    page.close()


@pytest.mark.slow
def test_two_tabs_keep_what_each_has_drawn(easel: Easel, other: Easel) -> None:
    easel.drag((100, 100), (300, 100))
    common = easel.stored()
    other.open()
    np.testing.assert_array_equal(other.stored(), common, "goes on from the newest")
    easel.drag((100, 200), (300, 200))
    other.drag((100, 300), (300, 300))
    one, two = easel.stored(), other.stored()
    assert one[200, 200] and not one[300, 200]
    assert two[300, 200] and not two[200, 200]
    easel.page.reload()
    easel.ready()
    np.testing.assert_array_equal(easel.stored(), one)


def draw_elsewhere(easel: Easel) -> str:
    """Puts another stroke under the number of this draft's next one, as another tab would; returns the draft's id."""
    easel.saved()
    draft = easel.draft()
    number = drafts.saved_draft(int(draft)).number + 1
    drafts.add_strokes(int(draft), [Stroke(number, "brush", (0, 0, 1, 1), (0, 1))])
    return draft


def hold_messages(page: Page) -> None:
    """Keeps what the browser sends until `window.release()`."""
    page.evaluate("""() => {
        const { send } = WebSocket.prototype;
        const held = [];
        WebSocket.prototype.send = function (data) { held.push([this, data]); };
        window.release = () => {
            WebSocket.prototype.send = send;
            for (const [socket, data] of held) send.call(socket, data);
        };
    }""")


def test_what_the_server_refuses_is_drawn_into_a_new_draft(easel: Easel) -> None:
    expected = np.zeros(easel.picture.size, dtype=bool)
    easel.press("r")
    for row in (50, 150):  # the second time it is refused again
        easel.drag((100.5, row + 0.5), (200.5, row + 20.5))
        draft = draw_elsewhere(easel)
        easel.drag((300.5, row + 0.5), (400.5, row + 20.5))
        expected[row : row + 21, 100:201] = expected[row : row + 21, 300:401] = True
        easel.next_draft(draft)
        np.testing.assert_array_equal(easel.stored(), expected)
    easel.drag((500.5, 300.5), (520.5, 320.5))
    expected[300:321, 500:521] = True
    np.testing.assert_array_equal(easel.stored(), expected)
    easel.page.reload()
    easel.ready()
    np.testing.assert_array_equal(easel.stored(), expected)


@pytest.mark.slow
def test_strokes_that_are_refused_after_a_reload_are_said_once_and_kept(easel: Easel) -> None:
    easel.press("r")
    easel.drag((100.5, 50.5), (200.5, 70.5))
    easel.saved()
    hold_messages(easel.page)
    easel.drag((300.5, 50.5), (400.5, 70.5))
    draft = easel.draft()
    drafts.add_strokes(int(draft), [Stroke(2, "brush", (0, 0, 1, 1), (0, 1))])
    easel.page.on("dialog", lambda dialog: dialog.accept())
    easel.page.reload()
    notice = easel.page.locator(".studio .notice")
    expect(notice).to_contain_text("Strokes of an earlier draft are not saved", timeout=LONG)
    easel.ready()
    easel.press("r")
    easel.drag((500.5, 300.5), (520.5, 320.5))
    expected = np.zeros(easel.picture.size, dtype=bool)
    expected[50:71, 100:201] = expected[300:321, 500:521] = expected[0, 0] = True
    np.testing.assert_array_equal(easel.stored(), expected)
    kept = easel.page.evaluate("""() => new Promise((resolve) => {
        indexedDB.open("saliency-studio").onsuccess = ({ target }) => {
            const reading = target.result.transaction("strokes").objectStore("strokes").getAll();
            reading.onsuccess = () => resolve(reading.result);
        };
    })""")
    assert [(one["draft"].startswith(f"refused {draft} "), one["number"]) for one in kept] == [(True, 2)]
    easel.page.reload()
    easel.saved()
    expect(notice).to_be_hidden()


@pytest.mark.slow
def test_nothing_is_drawn_from_submitting_until_the_next_draft_is_there(easel: Easel) -> None:
    easel.press("r")
    easel.drag((100.5, 50.5), (200.5, 70.5))
    drawn = easel.stored()
    before = easel.draft()
    area = easel.page.locator(".area")
    share = str(area.text_content())
    hold_messages(easel.page)
    easel.press("Control+Enter")
    easel.drag((300.5, 50.5), (400.5, 70.5))
    expect(easel.page.locator(".studio .notice")).to_have_text("Submitting the mask")
    expect(area).to_have_text(share)
    easel.press("Control+z")
    expect(area).to_have_text(share)
    easel.page.evaluate("window.release()")
    easel.next_draft(before)
    np.testing.assert_array_equal(easel.stored(), drawn)
    assert drafts.saved_draft(int(before)).number == 1
    easel.drag((300.5, 50.5), (400.5, 70.5))
    assert easel.stored()[60, 350]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_a_half_drawn_mask_is_shown(easel: Easel, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    scheme = request.node.callspec.params["page"]
    drawing = next(one for one in DRAWINGS if one.photo == FILE)
    (outline,) = drawing.steps
    first, last = (outline.points.index(corner) for corner in [(262, 243), (218, 235)])
    cup, handle = outline.points[: first + 1] + outline.points[last:], outline.points[first : last + 1]
    easel.press("p")
    for corner in cup:
        easel.click(*corner)
    easel.press("Enter")
    easel.saved()
    for corner in handle:
        easel.click(*corner)
    colours = easel.page.locator(".studio").evaluate("one => getComputedStyle(one).backgroundColor")
    brightness = np.mean([int(part) for part in re.findall(r"\d+", colours)[:3]])
    assert brightness > 200 if scheme == "light" else brightness < 60
    expect(easel.page.locator(".area")).to_have_text(re.compile(r"Mask [1-9]\d*\.\d %"))
    keep_screenshot(easel.page, f"studio-{scheme}", tmp_path)
    easel.press("Escape")


def test_what_is_begun_is_accepted_or_dropped_before_a_mask_is_submitted(easel: Easel) -> None:
    easel.drag((100, 380), (300, 380))
    draft, drawn = easel.draft(), easel.stored()
    notice = easel.page.locator(".studio .notice")
    accept = easel.button("Accept")

    def refused(*keys: str) -> None:
        """Refuses to submit until these keys are pressed; what is begun stays."""
        easel.press("Control+Enter")
        expect(notice).to_have_text("Accept what you have begun (Enter) or drop it (Esc) before you submit.")
        easel.press(*keys)

    easel.press("p")
    easel.click(20, 20)
    refused()
    easel.click(60, 20)
    easel.click(60, 60)
    refused("Enter")
    polygon = easel.stored()
    for corner in [(520, 20), (560, 20), (560, 60)]:
        easel.click(*corner)
    easel.page.mouse.dblclick(*easel.place(520, 20))  # the first of its clicks closes it
    expect(accept).to_be_disabled()
    expect(easel.button("Drop")).to_be_disabled()
    easel.click(20, 380)
    easel.button("Drop").click()
    expect(easel.button("Drop")).to_be_disabled()
    assert polygon[30, 50] and (polygon >= drawn).all()
    easel.press("g")
    easel.drag((120.5, 30.5), (480.5, 330.5))
    expect(accept).to_be_enabled(timeout=LONG)
    refused("Enter")
    accepted = easel.stored()
    assert accepted[30:331, 120:481].mean() > 0.2
    easel.drag((120.5, 30.5), (480.5, 330.5))
    expect(accept).to_be_enabled(timeout=LONG)
    refused("Escape")
    easel.press("Control+Enter")
    expect(notice).to_have_text("Submitted as version 1", timeout=LONG)
    easel.next_draft(draft)
    np.testing.assert_array_equal(easel.stored(), accepted)


def test_a_pause_is_no_time_of_drawing(easel: Easel) -> None:
    """The time of an hour's pause, half a minute, is kept with the stroke after it."""
    easel.page.evaluate("""() => {
        const now = performance.now.bind(performance);
        window.skipped = 0;
        performance.now = () => now() + window.skipped;
    }""")
    easel.drag((100, 100), (300, 200))
    easel.saved()
    easel.page.evaluate("window.skipped = 3.6e6")
    easel.drag((100, 200), (300, 300))
    easel.saved()
    assert 30 < drafts.saved_draft(int(easel.draft())).seconds < 150


@pytest.mark.slow
def test_keys_are_left_alone_while_somebody_types(easel: Easel) -> None:
    field = easel.page.get_by_role("textbox", name="Your name")
    field.click()
    field.press_sequentially("eps")
    expect(easel.page.locator(".studio")).to_have_attribute("data-tool", "brush")
    expect(field).to_have_value(re.compile("eps"))


def test_submitting_gives_a_version_and_the_arrows_another_picture(easel: Easel) -> None:
    easel.press("Control+Enter")
    expect(easel.page.get_by_text("The mask is empty")).to_be_visible()
    easel.drag((100, 100), (300, 200))
    drawn = easel.stored()
    draft = easel.draft()
    easel.press("Control+Enter")
    expect(easel.page.locator(".studio .notice")).to_have_text("Submitted as version 1", timeout=LONG)
    easel.next_draft(draft)
    np.testing.assert_array_equal(easel.stored(), drawn)
    draft = easel.draft()
    easel.press("ArrowRight")
    expect(easel.page).to_have_url(re.compile("flower"), timeout=LONG)
    easel.next_draft(draft)
    assert not easel.stored().any()
    draft = easel.draft()
    easel.press("ArrowLeft")
    expect(easel.page).to_have_url(re.compile("coffee"), timeout=LONG)
    easel.next_draft(draft)
