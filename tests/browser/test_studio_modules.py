"""The studio's modules alone: run lengths, shapes and regions against COCO's code, numpy and SciPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route
from scipy import ndimage
from skimage import draw

from tests.conftest import ROOT
from xai_core.masks.runs import decoded, encoded
from xai_core.masks.strokes import Stroke, drawn
from xai_core.masks.tools import enlarged
from xai_core.types import Bools

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

FOLDER = ROOT / "assets" / "studio"
ADDRESS = "http://studio.test/"
HEIGHT, WIDTH = 83, 131  # more than a block of columns, and odd
ACROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A blank page that can import the modules."""
    window = browser.new_page()

    def serve(route: Route) -> None:
        name = route.request.url.removeprefix(ADDRESS)
        if name:
            route.fulfill(body=(FOLDER / name).read_text(encoding="utf-8"), content_type="text/javascript")
        else:
            route.fulfill(body="<html></html>", content_type="text/html")

    window.route(f"{ADDRESS}**", serve)
    window.goto(ADDRESS)
    yield window
    window.close()


def changed(page: Page, mask: Bools, code: str, **values: Any) -> tuple[Bools, dict[str, Any] | None]:
    """The mask after `code`, which has `mask`, all modules and `values`, and returns a box; and the patch of that."""
    found = page.evaluate(
        f"""async ({{ counts, size, values }}) => {{
            const names = ["runs", "mask", "shapes", "regions", "history"];
            const modules = await Promise.all(names.map((name) => import(`./${{name}}.js`)));
            const [runs, masks, shapes, regions, history] = modules;
            const mask = new masks.Mask(size[1], size[0]);
            mask.write(mask.whole, counts);
            const box = await (async () => {{ {code} }})();
            const patch = box && mask.commit(box);
            const after = runs.encode(mask.values, size[1], mask.whole);
            return {{ after, count: mask.count, patch: patch && {{ ...patch, box: runs.sides(patch.box) }} }};
        }}""",
        {"counts": encoded(mask), "size": mask.shape, "values": values},
    )
    after = decoded(found["after"], *mask.shape)
    assert found["count"] == after.sum(), "the area in the status line"
    patch = found["patch"]
    if patch is None:
        np.testing.assert_array_equal(after, mask)
    else:
        for before, result, part in ((mask, after, "after"), (after, mask, "before")):
            stroke = Stroke.read({"number": 1, "tool": "test", "box": patch["box"], "counts": patch[part]})
            np.testing.assert_array_equal(drawn(before, [stroke]), result)
    return after, patch


def blobs(seed: int, shape: tuple[int, int] = (HEIGHT, WIDTH), share: float = 0.5) -> Bools:
    """A mask with holes and many parts."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.asarray(noise > np.quantile(noise, 1 - share))


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (64, 64), (65, 129), (HEIGHT, WIDTH)])
def test_run_lengths_are_those_of_the_server(page: Page, shape: tuple[int, int]) -> None:
    for seed, share in enumerate((0.1, 0.5, 0.9)):
        mask = np.random.default_rng(seed).random(shape) < share
        after, _ = changed(page, mask, "return null")
        np.testing.assert_array_equal(after, mask)


def test_a_patch_is_the_smallest_box(page: Page) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    _, patch = changed(page, mask, "mask.span(7, 20, 25, 1); mask.span(9, 3, 4, 1); return mask.whole")
    assert patch is not None and patch["box"] == [7, 3, 3, 22]
    _, patch = changed(page, ~mask, "mask.span(7, 20, 25, 1); return mask.whole")
    assert patch is None, "nothing has changed"


@pytest.mark.parametrize("size", [1, 2, 3, 8, 21, 40])
@pytest.mark.parametrize("square", [False, True])
def test_a_brush_is_the_pixels_whose_middles_it_covers(page: Page, size: int, square: bool) -> None:
    code = """
        const seat = (point) => ({ ...shapes.seat(point, values.size), r: values.size / 2 });
        const [from, to] = [values.from, values.to].map(seat);
        return shapes.sweep(mask, from, to, 1, values.square);"""
    down, right = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    generator = np.random.default_rng(size)
    for _ in range(6):
        x0, x1, y0, y1 = generator.uniform(-15, 1.1 * WIDTH, 4) * [1, 1, HEIGHT / WIDTH, HEIGHT / WIDTH]
        empty = np.zeros((HEIGHT, WIDTH), dtype=bool)
        values = {"from": {"x": x0, "y": y0}, "to": {"x": x1, "y": y1}, "size": size, "square": square}
        after, _ = changed(page, empty, code, **values)
        seat = (lambda v: np.floor(v) + 0.5) if size % 2 else (lambda v: np.floor(v + 0.5))
        (ax, ay), (bx, by) = (seat(x0), seat(y0)), (seat(x1), seat(y1))
        distance = np.full(empty.shape, np.inf)
        for t in np.linspace(0, 1, 2000):  # steps of less than 0.1 pixels
            dx, dy = abs(right - ax - t * (bx - ax)), abs(down - ay - t * (by - ay))
            np.minimum(distance, np.maximum(dx, dy) if square else np.hypot(dx, dy), out=distance)
        assert after[distance <= size / 2].all() and not after[distance > size / 2 + 0.1].any()


def test_a_brush_of_one_pixel_leaves_no_gap(page: Page) -> None:
    code = "return shapes.sweep(mask, { x: 5.5, y: 5.5, r: 0.5 }, { x: 90.5, y: 40.5, r: 0.5 }, 1, false);"
    after, _ = changed(page, np.zeros((HEIGHT, WIDTH), dtype=bool), code)
    _, parts = ndimage.label(after, structure=np.ones((3, 3)))
    assert parts == 1 and after[5, 5] and after[40, 90]


def test_polygons_are_even_odd_at_the_middles(page: Page) -> None:
    down, right = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for seed in range(8):
        corners = np.random.default_rng(seed).uniform((-10, -10), (WIDTH + 10, HEIGHT + 10), (5 + seed, 2))
        inside = np.zeros((HEIGHT, WIDTH), dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            crosses = (y0 <= down) != (y1 <= down)
            inside ^= crosses & (right < x0 + (down - y0) * (x1 - x0) / (y1 - y0))
        code = "return shapes.polygon(mask, values.corners, 1);"
        after, _ = changed(page, np.zeros_like(inside), code, corners=corners.tolist())
        np.testing.assert_array_equal(after, inside)
        code = "return shapes.polygon(mask, values.corners, 0);"
        without, _ = changed(page, np.ones_like(inside), code, corners=corners.tolist())
        np.testing.assert_array_equal(without, ~inside)


def test_rectangles_and_ellipses_fill_their_box(page: Page) -> None:
    for top, left, bottom, right in ((3, 5, 40, 90), (10, 10, 11, 11), (0, 0, HEIGHT, WIDTH), (-9, -4, 20, 30)):
        box = {"top": top, "left": left, "bottom": bottom, "right": right}
        empty = np.zeros((HEIGHT, WIDTH), dtype=bool)
        expected = empty.copy()
        expected[max(0, top) : bottom, max(0, left) : right] = True
        np.testing.assert_array_equal(
            changed(page, empty, "return shapes.rectangle(mask, values, 1);", **box)[0], expected
        )
        centre, radii = ((top + bottom - 1) / 2, (left + right - 1) / 2), ((bottom - top) / 2, (right - left) / 2)
        rows, columns = draw.ellipse(*centre, *radii, shape=empty.shape)
        expected = empty.copy()
        expected[rows, columns] = True
        after, _ = changed(page, empty, "return shapes.ellipse(mask, values, 1);", **box)
        assert (after != expected).sum() <= 4, "scikit-image leaves out what lies on the edge itself"


@pytest.mark.parametrize("seed", range(4))
def test_holes_are_those_of_scipy(page: Page, seed: int) -> None:
    mask = blobs(seed)
    after, _ = changed(page, mask, "return regions.fillHoles(mask);")
    np.testing.assert_array_equal(after, ndimage.binary_fill_holes(mask))
    assert (after != mask).any()


@pytest.mark.parametrize("reach", [1, 2, 5, 17])
def test_growing_and_shrinking_are_by_a_disc(page: Page, reach: int) -> None:
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = down**2 + right**2 <= reach**2
    mask = blobs(reach, share=0.2)
    mask[0, 0] = mask[-1, -1] = True
    grown, _ = changed(page, mask, "return regions.spreadOut(mask, 1, values.reach);", reach=reach)
    np.testing.assert_array_equal(grown, ndimage.binary_dilation(mask, disc))
    mask = blobs(reach, share=0.8)
    shrunk, _ = changed(page, mask, "return regions.spreadOut(mask, 0, values.reach);", reach=reach)
    np.testing.assert_array_equal(shrunk, ndimage.binary_erosion(mask, disc, border_value=1))


@pytest.mark.parametrize("tolerance", [0, 12, 40, 255])
def test_a_flood_fills_what_is_joined_and_alike(page: Page, tolerance: int) -> None:
    noise = np.random.default_rng(3).normal(size=(HEIGHT, WIDTH, 3))
    smooth = ndimage.gaussian_filter(noise, (4, 4, 0))
    pixels = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    rgba = np.dstack([pixels, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    code = "return regions.flood(mask, Uint8ClampedArray.from(values.rgba), values.x, values.y, values.tolerance, 1);"
    for x, y in ((0, 0), (60, 40), (WIDTH - 1, HEIGHT - 1)):
        alike = (np.abs(pixels.astype(int) - pixels[y, x].astype(int)) <= tolerance).all(axis=-1)
        labels, _ = ndimage.label(alike, structure=ACROSS)
        empty = np.zeros((HEIGHT, WIDTH), dtype=bool)
        after, _ = changed(page, empty, code, rgba=rgba.ravel().tolist(), x=x, y=y, tolerance=tolerance)
        np.testing.assert_array_equal(after, labels == labels[y, x])


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (31, 50)])
def test_superpixels_are_laid_out_as_on_the_server(page: Page, size: tuple[int, int]) -> None:
    labels = np.random.default_rng(1).integers(0, 9, (5, 7)).repeat(20, 0).repeat(20, 1)[: size[0], : size[1]]
    whole = enlarged(labels.astype(np.uint16), HEIGHT, WIDTH)
    code = """
        const superpixels = new regions.Superpixels(Uint16Array.from(values.labels), ...values.size, mask);
        return superpixels.paint(superpixels.at(values.x, values.y), 1);"""
    for x, y in ((3, 4), (60, 40), (WIDTH - 1, HEIGHT - 1)):
        empty = np.zeros((HEIGHT, WIDTH), dtype=bool)
        after, _ = changed(page, empty, code, labels=labels.ravel().tolist(), size=size, x=x, y=y)
        np.testing.assert_array_equal(after, whole == whole[y, x])


def test_a_hundred_strokes_and_more_can_be_undone_and_redone(page: Page) -> None:
    mask = blobs(5)
    problem = page.evaluate(
        """async ({ counts, start, width, height }) => {
            const modules = await Promise.all(["mask", "shapes", "history"].map((name) => import(`./${name}.js`)));
            const [{ Mask }, { sweep }, { History }] = modules;
            const mask = new Mask(width, height);
            mask.write(mask.whole, counts);
            const past = new History();
            for (let index = 0; index < 300; index++) {
                const from = { x: index % 130, y: (7 * index) % 80, r: 4 };
                const patch = mask.commit(sweep(mask, from, { x: 60, y: 40, r: 4 }, index % 3 ? 1 : 0, false));
                if (patch) past.push(patch);
            }
            const full = mask.values.slice();
            if (past.done.length < 100) return "not deep enough";
            for (let patch; (patch = past.undo()); ) mask.write(patch.box, patch.before);
            if (mask.values.join() !== start.join()) return "undo";
            for (let patch; (patch = past.redo()); ) mask.write(patch.box, patch.after);
            return mask.values.join() === full.join() ? "" : "redo";
        }""",
        {"counts": encoded(mask), "start": mask.astype(int).ravel().tolist(), "width": WIDTH, "height": HEIGHT},
    )
    assert not problem


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"saved": {"5": 1}}, True),  # the second is nowhere: sending the third again would never end
        ({"saved": {"5": 2}}, False),
        ({"saved": {}, "refused": {"5": "Why."}}, True),
        ({"saved": {"5": 1}, "heard": None}, False),  # not the answer to this message
        ({"saved": {}, "refused": {"5": "Why."}, "heard": "another"}, False),
    ],
)
def test_strokes_after_a_gap_count_as_refused(page: Page, answer: dict[str, Any], refused: bool) -> None:
    found = page.evaluate(
        """async (answer) => {
            const { Outbox } = await import("./saving.js");
            const sent = [];
            const outbox = new Outbox(() => {});
            await outbox.ready;
            outbox.receive({}, (message) => sent.push(message));
            for (const number of [3, 4]) outbox.add("5", { number, tool: "brush", box: [0, 0, 1, 1], counts: [1] });
            const first = sent.length;
            outbox.receive({ heard: sent[0].id, ...answer }, outbox.trigger);
            const found = { first, then: sent.length, refused: outbox.refused.has("5"), waiting: outbox.waiting };
            outbox.forget("5");
            outbox.close();
            return found;
        }""",
        answer,
    )
    heard = "heard" not in answer
    assert found == {
        "first": 1,
        "then": 2 if heard and not refused else 1,
        "refused": refused,
        "waiting": 0 if refused else 2,
    }


def test_the_time_of_drawing_is_without_long_pauses_and_hidden_tabs(page: Page) -> None:
    found = page.evaluate(
        """async () => {
            const { Clock } = await import("./clock.js");
            const now = performance.now;
            let time = 0;
            let hidden = false;
            performance.now = () => 1000 * time;
            Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
            const root = document.createElement("div");
            const clock = new Clock(root);
            const found = [];
            const after = (seconds, event = null, target = root) => {
                time += seconds;
                if (event) target.dispatchEvent(new Event(event));
                found.push(clock.seconds);
            };
            const show = (shown, seconds) => {
                hidden = !shown;
                after(seconds, "visibilitychange", document);
            };
            time = 500;
            clock.start(7);
            after(10); // since the picture is there
            after(2, "pointermove");
            after(29.5, "keydown");
            after(29);
            after(3600); // lunch
            after(100, "pointerdown");
            after(1, "wheel");
            show(false, 4);
            after(50);
            show(true, 600);
            after(5, "pointerup");
            after(40);
            show(false, 0);
            clock.start(1); // another draft comes while nobody looks
            after(20);
            show(true, 20);
            after(3);
            clock.close();
            show(false, 2); // is heard no more
            after(1);
            delete document.hidden;
            performance.now = now;
            return found;
        }"""
    )
    assert found == [17, 19, 48.5, 77.5, 78.5, 78.5, 79.5, 83.5, 83.5, 83.5, 88.5, 118.5, 118.5, 1, 1, 4, 6, 7]
