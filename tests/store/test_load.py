"""Twenty annotators who save strokes at once, each through the function that the page calls with a message."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from pages.parts import studio
from pages.parts.studio import Desk
from xai_core.masks.strokes import Stroke
from xai_core.store import drafts
from xai_core.store.pictures import register

from .strokes import a_picture

SECONDS = float(os.environ.get("XAI_TEST_LOAD_SECONDS", "60"))
ANNOTATORS = 20
PAUSE = 0.25
"""Seconds between two strokes of one annotator: faster than anybody draws."""
SIDE = 1024


def a_disc(number: int, random: np.random.Generator) -> Stroke:
    """A line of a round brush, as a browser sends it."""
    height, width = 40, int(random.integers(40, 300))
    top, left = int(random.integers(0, SIDE - height)), int(random.integers(0, SIDE - width))
    down, right = np.mgrid[0:height, 0:width]
    nearest = np.clip(right, 20, width - 20)
    part = (down - 20) ** 2 + (right - nearest) ** 2 < 400
    whole = np.zeros((SIDE, SIDE), dtype=bool)
    after = whole.copy()
    after[top : top + height, left : left + width] = part
    return Stroke.between(number, "brush", whole, after)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("pause", [PAUSE, 0.0])
def test_twenty_annotators_save_without_an_error_a_loss_or_a_wait(
    store: str, pause: float, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = a_picture(1, (SIDE, SIDE))
    taken: list[float] = []
    errors: list[BaseException] = []
    saved: dict[int, int] = {}
    strokes = [[a_disc(number, np.random.default_rng([number, who])) for number in range(1, 41)] for who in range(5)]
    opened = [drafts.open_draft(f"Annotator {who}", register(photo), "tab").id for who in range(ANNOTATORS)]
    until = time.monotonic() + SECONDS

    def draw(who: int) -> None:
        time.sleep(pause * who / ANNOTATORS)
        number = 0
        try:
            while time.monotonic() < until:
                number += 1
                stroke = {**vars(strokes[who % 5][number % 40]), "number": number}
                message = {"id": str(number), "strokes": {str(opened[who]): [stroke]}}
                start = time.perf_counter()
                answer = studio._answer(Desk(f"Annotator {who}", photo, print, print), message)
                assert answer["saved"] == {str(opened[who]): number}, answer
                taken.append(time.perf_counter() - start)
                saved[who] = number
                time.sleep(pause)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=draw, args=(who,)) for who in range(ANNOTATORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p95, most = np.quantile(taken, [0.5, 0.95, 1.0]) * 1000
    with capsys.disabled():
        print(f"\n{store}, pause {pause} s: {len(taken)} saves in {SECONDS:.0f} s, p50 {p50:.0f} ms, p95 {p95:.0f} ms, "
              f"longest {most:.0f} ms")  # fmt: skip
    assert errors == []
    assert {who: drafts.saved_draft(opened[who]).number for who in saved} == saved
    assert len(saved) == ANNOTATORS
    if pause:  # without a pause the threads wait for each other's processor, whatever the database does
        assert p95 < 150
