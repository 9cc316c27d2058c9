"""The server's half of the annotation studio: messages, drafts, and the addresses of what a browser fetches."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.parts import modules, studio
from pages.parts.studio import FOLDER, Desk
from tests.conftest import ROOT
from xai_core.masks.runs import decoded, encoded
from xai_core.masks.strokes import Stroke
from xai_core.masks.tools import superpixels
from xai_core.store import database, drafts
from xai_core.store.versions import mask_of
from xai_core.types import Bools, Picture

PAGE = str(ROOT / "pages" / "annotate.py")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What browsers could fetch, by its address."""
    files: dict[str, bytes] = {}

    def address(data: bytes, kind: str, place: str, name: str | None = None) -> str:
        path = f"/media/{len(files)}.{kind.rsplit('/', 1)[-1]}"
        files[path] = data
        return path

    monkeypatch.setattr(modules, "address", address)
    yield files


@pytest.fixture(autouse=True)
def empty_database(isolated: None) -> None:
    database.close()


@pytest.fixture
def desk(picture: Picture) -> Desk:
    return Desk("Ann", picture, submitted=lambda version: None, go=lambda by: None)


def wire(*strokes: Stroke) -> list[dict[str, Any]]:
    """Strokes as a browser sends them."""
    return [orjson.loads(orjson.dumps(vars(stroke))) for stroke in strokes]


def submission(draft: str, number: int, seconds: float = 3.5) -> dict[str, Any]:
    return {"draft": draft, "number": number, "seconds": seconds}


def opened(desk: Desk, client: str = "tab", **more: Any) -> dict[str, Any]:
    answer = studio._answer(desk, {"id": "1", "open": {"nonce": "n", "client": client}, **more})
    return dict(answer["opened"])


def masks(picture: Picture, count: int, seed: int = 0) -> list[Bools]:
    return list(np.random.default_rng(seed).random((count, *picture.size)) < 0.3)


def strokes_of(steps: list[Bools]) -> list[Stroke]:
    before = [np.zeros_like(steps[0]), *steps]
    return [Stroke.between(number, "brush", *pair) for number, pair in enumerate(zip(before, steps, strict=False), 1)]


def test_a_draft_is_opened_with_its_exact_picture_and_its_mask(
    desk: Desk, served: dict[str, bytes], tmp_path: Path
) -> None:
    first = opened(desk)
    assert first["number"] == 0 and first["mask"] == "" and first["size"] == desk.picture.size
    (tmp_path / "picture.png").write_bytes(served[first["picture"]])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "picture.png")), desk.picture.pixels)
    steps = masks(desk.picture, 3)
    answer = studio._answer(desk, {"id": "7", "strokes": {first["draft"]: wire(*strokes_of(steps))}})
    assert answer == {"heard": "7", "saved": {first["draft"]: 3}, "refused": {}}
    again = opened(desk)
    assert (again["draft"], again["number"]) == (first["draft"], 3)
    np.testing.assert_array_equal(decoded(orjson.loads(served[again["mask"]]), *desk.picture.size), steps[-1])


def test_strokes_are_saved_before_the_draft_is_opened(desk: Desk, served: dict[str, bytes]) -> None:
    draft = opened(desk)["draft"]
    steps = masks(desk.picture, 2)
    answer = opened(desk, strokes={draft: wire(*strokes_of(steps))})
    assert answer["number"] == 2
    np.testing.assert_array_equal(decoded(orjson.loads(served[answer["mask"]]), *desk.picture.size), steps[-1])


def test_another_tab_goes_on_in_a_copy(desk: Desk, served: dict[str, bytes]) -> None:
    one = opened(desk, "one")["draft"]
    steps = masks(desk.picture, 2)
    drafts.add_strokes(int(one), strokes_of(steps[:1]))
    two = opened(desk, "two")
    assert two["draft"] != one and two["number"] == 0
    drafts.add_strokes(int(one), [Stroke.between(2, "brush", *steps)])
    np.testing.assert_array_equal(drafts.saved_draft(int(two["draft"])).mask.values, steps[0])
    np.testing.assert_array_equal(drafts.saved_draft(int(one)).mask.values, steps[1])
    assert opened(desk, "one")["draft"] == one
    other = Desk("Bob", desk.picture, desk.submitted, desk.go)
    assert opened(other, "one")["mask"] == "", "nobody sees another one's"


def test_saving_twice_or_with_a_gap_changes_nothing(desk: Desk, served: dict[str, bytes]) -> None:
    draft = opened(desk)["draft"]
    steps = masks(desk.picture, 4)
    strokes = strokes_of(steps)
    assert drafts.add_strokes(int(draft), strokes[:2]) == 2
    assert drafts.add_strokes(int(draft), strokes[:2]) == 2
    assert drafts.add_strokes(int(draft), [strokes[3]]) == 2, "the third is missing"
    assert drafts.add_strokes(int(draft), strokes[::-1]) == 4
    np.testing.assert_array_equal(drafts.saved_draft(int(draft)).mask.values, steps[-1])


def test_submitting_counts_versions(desk: Desk, served: dict[str, bytes]) -> None:
    versions = []
    desk = Desk("Ann", desk.picture, versions.append, desk.go)
    draft = opened(desk)["draft"]
    (mask,) = masks(desk.picture, 1)
    message = {"id": "5", "strokes": {draft: wire(*strokes_of([mask]))}, "submit": submission(draft, 1)}
    answer = studio._answer(desk, message)
    assert answer["said"] == {"id": "5", "words": "Submitted as version 1", "kind": "submitted"}
    np.testing.assert_array_equal(mask_of(versions[0].id).values, mask)


def test_a_database_that_does_not_answer_has_not_heard(
    desk: Desk, served: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser sends everything again, and nothing counts as refused."""
    draft = opened(desk)["draft"]
    strokes = strokes_of(masks(desk.picture, 1))

    def silent(*_: Any) -> int:
        raise database.Unanswered("The database does not answer (locked); nothing was changed.")

    with monkeypatch.context() as silenced:
        silenced.setattr(drafts, "add_strokes", silent)
        answer = studio._answer(desk, {"id": "1", "strokes": {draft: wire(*strokes)}})
    assert answer.get("heard") is None and answer["saved"] == {} and answer["refused"] == {}
    assert answer["said"]["kind"] == "problem"
    assert studio._answer(desk, {"id": "2", "strokes": {draft: wire(*strokes)}})["saved"] == {draft: 1}


def test_a_database_that_cannot_be_opened_has_not_heard(
    desk: Desk, served: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the server is there again before its database: what the browser has kept must not count as refused."""
    draft = opened(desk)["draft"]
    message = {"id": "1", "strokes": {draft: wire(*strokes_of(masks(desk.picture, 1)))}}
    with monkeypatch.context() as absent:
        absent.setenv("XAI_DATABASE_URL", "postgresql://u:p@127.0.0.1:1/d")
        answer = studio._answer(desk, message)
    assert "heard" not in answer and answer["refused"] == {} and "cannot be opened" in answer["said"]["words"]
    assert studio._answer(desk, message)["saved"] == {draft: 1}


def test_a_draft_is_submitted_only_with_all_that_was_drawn(desk: Desk, served: dict[str, bytes]) -> None:
    draft = opened(desk)["draft"]
    strokes = strokes_of(masks(desk.picture, 3))
    first = {"id": "1", "strokes": {draft: wire(*strokes[:2])}, "submit": submission(draft, 3)}
    answer = studio._answer(desk, first)
    assert answer["saved"] == {draft: 2} and "Not all strokes are saved" in answer["said"]["words"]
    other = Stroke(2, "eraser", (0, 0, 1, 1), (1,))
    again = {"id": "2", "strokes": {draft: wire(other)}, "submit": submission(draft, 2)}
    answer = studio._answer(desk, again)
    assert answer["said"]["words"] == f"The mask was not submitted: {answer['refused'][draft]}"
    assert answer["said"]["kind"] == "problem"
    assert [one.id for one in drafts.drafts("Ann")] == [int(draft)], "still unfinished"
    answer = studio._answer(desk, {"id": "3", "strokes": {draft: wire(strokes[2])}, "submit": submission(draft, 3)})
    assert answer["said"]["kind"] == "submitted"
    answer = studio._answer(desk, {"id": "4", "submit": submission(draft, 4)})
    assert answer["said"]["kind"] == "problem", "a stroke that came after the submission is not in it"


@pytest.mark.parametrize("name", ["open", "submit", "go"])
def test_a_request_that_the_database_does_not_answer_is_not_heard(
    name: str, desk: Desk, served: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = opened(desk)["draft"]
    drafts.add_strokes(int(draft), strokes_of(masks(desk.picture, 1)))
    requests = {"open": {"nonce": "n", "client": "tab"}, "submit": submission(draft, 1), "go": 1}

    def silent(*_: Any, **__: Any) -> Any:
        raise database.Unanswered("The database does not answer (locked); nothing was changed.")

    message = {"id": "1", name: requests[name]}
    with monkeypatch.context() as silenced:
        for function in ("open_draft", "submit"):
            silenced.setattr(drafts, function, silent)
        answer = studio._answer(Desk("Ann", desk.picture, desk.submitted, go=silent), message)
    assert "heard" not in answer and answer["said"]["kind"] == "problem"
    assert studio._answer(desk, message)["heard"] == "1"


def test_a_submission_that_was_not_heard_to_its_end_is_repeated(desk: Desk, served: dict[str, bytes]) -> None:
    draft = opened(desk)["draft"]
    drafts.add_strokes(int(draft), strokes_of(masks(desk.picture, 1)))
    told = []

    def submitted(version: Any) -> None:
        told.append(version)
        if len(told) == 1:
            raise database.Unanswered("The database does not answer (locked); nothing was changed.")

    desk = Desk("Ann", desk.picture, submitted, desk.go)
    message = {"id": "1", "submit": submission(draft, 1)}
    assert "heard" not in studio._answer(desk, message)
    assert studio._answer(desk, message)["said"]["words"] == "Submitted as version 1"
    assert told[0] == told[1]


def test_the_time_of_drawing_goes_on_after_a_reload(desk: Desk, served: dict[str, bytes]) -> None:
    first = opened(desk)
    assert first["seconds"] == 0
    strokes = wire(*strokes_of(masks(desk.picture, 2)))
    for stroke, seconds in zip(strokes, (4.5, 7.25), strict=True):
        stroke["seconds"] = seconds
    assert studio._answer(desk, {"id": "1", "strokes": {first["draft"]: strokes}})["saved"] == {first["draft"]: 2}
    assert opened(desk)["seconds"] == 7.25


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("of a library")])
def test_a_tool_that_fails_is_answered_and_logged(
    error: Exception,
    desk: Desk,
    served: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(studio, "_superpixels", fails)
    answer = studio._answer(desk, {"id": "1", "ask": {"id": "q", "kind": "superpixels", "level": "coarse"}})
    assert answer["heard"] == "1"
    assert answer["answer"] == {"id": "q", "kind": "superpixels", "problem": studio.FAILED}
    assert "superpixels" in caplog.text and type(error).__name__ in caplog.text


@pytest.mark.parametrize(
    "strokes",
    [
        {"x": [1]},
        {"../../x-y-z": []},
        {"a-b-c": [{"number": 1, "tool": "brush", "box": [0, 0, 1, 1], "counts": [1]}]},
        {"a": 5},
        {"1": [{"number": 1, "tool": "brush", "box": [0, 0, 1, 1], "counts": [1], "seconds": "long"}]},
    ],
)
def test_what_cannot_be_saved_is_refused_with_a_sentence(strokes: Any, desk: Desk, served: dict[str, bytes]) -> None:
    answer = studio._answer(desk, {"id": "1", "strokes": strokes})
    assert answer["saved"] == {} and answer["heard"] == "1"
    assert all(re.fullmatch(r"The browser .*\.|This draft .*\.", why) for why in answer["refused"].values())
    assert set(answer["refused"]) == set(strokes)


def test_a_stroke_beyond_the_picture_is_refused_and_nothing_is_saved(desk: Desk, served: dict[str, bytes]) -> None:
    draft = opened(desk)["draft"]
    beyond = Stroke(1, "brush", (0, 0, desk.picture.size[0] + 1, 1), (desk.picture.size[0] + 1,))
    answer = studio._answer(desk, {"id": "1", "strokes": {draft: wire(beyond)}})
    assert "does not fit the picture" in answer["refused"][draft]
    assert drafts.saved_draft(int(draft)).number == 0


@pytest.mark.parametrize(
    "message", [{"open": 5}, {"submit": {}}, {"ask": {"id": 1}}, {"go": "x"}, {"strokes": 7, "open": []}]
)
def test_messages_that_make_no_sense_are_answered_with_a_sentence(
    message: Any, desk: Desk, served: dict[str, bytes]
) -> None:
    answer = studio._answer(desk, {"id": "1", **message})
    assert answer["said"]["kind"] == "problem" and answer["said"]["words"].endswith(".")


def test_tools_are_answered(desk: Desk, served: dict[str, bytes]) -> None:
    answer = studio._answer(desk, {"id": "1", "ask": {"id": "q", "kind": "superpixels", "level": "coarse"}})["answer"]
    labels = np.frombuffer(zlib.decompress(served[answer["labels"]]), "<u2").reshape(answer["size"])
    np.testing.assert_array_equal(labels, superpixels(desk.picture.pixels, "coarse"))
    nothing = encoded(np.zeros((24, 24), dtype=bool))
    question = {
        "id": "q",
        "kind": "grabcut",
        "box": [6, 14, 24, 24],
        "mask": nothing,
        "foreground": nothing,
        "background": nothing,
    }
    answer = studio._answer(desk, {"id": "2", "ask": question})["answer"]
    found = decoded(answer["counts"], 24, 24)
    down, right = np.mgrid[6:30, 14:38]
    disc = (down - 18) ** 2 + (right - 26) ** 2 < 90
    assert (found & disc).sum() / (found | disc).sum() > 0.9
    answer = studio._answer(desk, {"id": "3", "ask": {**question, "box": [30, 40, 24, 24]}})["answer"]
    assert answer["problem"] == "The box is not within the picture: draw it again."


def test_every_module_imports_others_by_the_address_that_they_are_served_at(served: dict[str, bytes]) -> None:
    main = modules.script(FOLDER, "studio.js")
    assert {path.name for path in FOLDER.iterdir()} == set(modules._order(FOLDER, "studio.js")), "none is left over"
    seen = set()
    waiting = [main]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            text = served[path].decode()
            waiting += ["/media/" + name for name in re.findall(r'from "\./([\w.]+)";', text)]
            assert not re.search(r'from "(?!\./\d+\.javascript")', text)
    assert seen == set(served)


def test_modules_in_a_circle_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";')
    with pytest.raises(ValueError, match=r"a\.js, b\.js, a\.js"):
        modules._order(tmp_path, "a.js")


def test_the_page_asks_for_a_name_and_then_shows_the_canvas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_ENGINE", "inline")
    test = AppTest.from_file(PAGE, default_timeout=60)
    test.session_state["inside_app"] = True
    test.run()
    assert not test.exception and "Write your name" in test.info[0].value
    test.text_input(key="annotator").set_value("  Ann   B. ").run()
    assert not test.exception and not test.info
    assert [one for one in test.main if "studio" in str(one)]
