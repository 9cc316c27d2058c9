"""The server is killed while somebody draws: what the browser called saved is in the database."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect

from xai_core.images.galleries import bundled
from xai_core.store import database, drafts
from xai_core.types import Bools

from .conftest import Dashboard
from .test_annotate import FILE, LONG, Easel

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1500)]

SAVES = 200
KILLS = 12
COLUMNS = 20


@pytest.fixture
def easel(browser: Browser, isolated: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Easel]:
    """The studio of a server of its own, which can be killed and started again."""
    server = Dashboard.in_folder(tmp_path)
    monkeypatch.setenv("XAI_DATA", str(server.data))
    server.start()
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    picture = next(sample for sample in bundled().samples if sample.name == FILE).open()
    made = Easel(context.new_page(), server, "Ada", picture)
    try:
        made.open()
        yield made
    finally:
        context.close()
        database.close()
        server.stop()


def middle(number: float) -> tuple[int, int]:
    """Where stroke `number`, from 0 on, is drawn: x and y in the picture's pixels, none near another."""
    return 20 + int(28 * (number % COLUMNS)), 20 + 35 * int(number // COLUMNS)


def is_saved(easel: Easel) -> bool:
    try:
        return easel.page.locator(".saved").get_attribute("data-state", timeout=200) == "saved"
    except Error:
        return False


def draw(easel: Easel, number: float) -> bool:
    """A dot; whether it was drawn on a canvas that stayed: when a server has come back, the page is made anew."""
    expect(easel.page.locator(".studio[data-draft]")).to_be_visible(timeout=LONG)
    try:
        easel.ready()
        stage = easel.stage.element_handle(timeout=LONG)
        easel.click(*middle(number))
    except (AssertionError, ValueError, Error):
        return False
    return bool(stage and stage.evaluate("one => one.isConnected"))


def stored(easel: Easel, draft: str) -> Bools:
    """The mask in the database, which must be whole."""
    database.close()
    with sqlite3.connect(easel.dashboard.data / "saliency.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return drafts.saved_draft(int(draft)).mask.values


def test_whatever_was_called_saved_outlives_two_hundred_saves_and_a_dozen_kills(easel: Easel) -> None:
    chance = random.Random(0)
    kills = set(chance.sample(range(5, SAVES - 5), KILLS))
    draft = easel.draft()
    easel.size(10)
    called_saved, sure = 0, []
    for number in range(SAVES):
        killer = None
        if number in kills:
            killer = threading.Timer(chance.uniform(0, 0.25), easel.dashboard.kill)
            killer.start()
        if draw(easel, number):
            sure.append(number)
        until = time.monotonic() + chance.uniform(0, 0.3)
        while time.monotonic() < until and called_saved <= number:
            if number in sure and is_saved(easel):
                called_saved = number + 1
        if killer is None:
            continue
        killer.join()
        mask = stored(easel, draft)
        assert all(mask[y, x] for x, y in (middle(one) for one in sure if one < called_saved)), (number, called_saved)
        if chance.random() < 0.5:
            draw(easel, number + 0.5)  # while nobody is there
        easel.dashboard.start()
        easel.ready()
    expect(easel.page.locator(".saved")).to_have_attribute("data-state", "saved", timeout=LONG)
    draft = easel.draft()
    mask = stored(easel, draft)
    assert len(sure) > SAVES - 2 * KILLS
    missing = [number for number in sure if not mask[middle(number)[::-1]]]
    assert not missing, "what was drawn while the server was away has come back too"
    easel.page.reload()
    easel.ready()
    assert (easel.stored() == mask).all()
