"""A study goes on where it was stopped or killed, loses and repeats no row, and is the same from every engine."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, write_tiny_card
from tests.studies.small import small, write_pictures, written
from xai_core.engine.inline import InlineEngine
from xai_core.engine.jobs import Board, Job
from xai_core.engine.local import LocalEngine
from xai_core.engine.requests import Evaluate, Request
from xai_core.studies import running
from xai_core.studies.comparing import by_method
from xai_core.studies.plan import MOST_SEED, Choice, plan_of
from xai_core.studies.results import PLACE, Log, Row
from xai_core.studies.running import Standing, choice_of, is_running, only_one, resume, run, standing_of
from xai_core.types import Cancelled, XaiError

pytestmark = pytest.mark.usefixtures("tiny_card")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def engine() -> InlineEngine:
    return InlineEngine()


def stopped_after(units: int) -> tuple[Callable[[Standing], None], Callable[[], bool]]:
    """A pair of progress and stop that ends a run after so many units."""
    done: list[int] = [0]
    return lambda standing: done.append(standing.done), lambda: done[-1] >= units


def check_whole(rows: pd.DataFrame, out: Path) -> None:
    """That a study's folder holds each of these rows once."""
    pd.testing.assert_frame_equal(Log(out).read(), rows)
    assert not written(out).duplicated([*PLACE, "score"]).any()


def test_a_study_has_a_row_for_every_value_and_says_how_it_stands(
    pictures: Path, tmp_path: Path, engine: InlineEngine
) -> None:
    plan, seen = plan_of(small(pictures)), []
    end = run(plan, engine, tmp_path / "out", seen.append)
    rows = Log(tmp_path / "out").read()
    assert end.ended and end.failed == 0 and end.done == end.units == rows["unit"].nunique()
    assert end.fraction == 1 and end.seconds > 0
    fractions = [one.fraction for one in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert plan.size().units == end.units and plan.size().passes >= end.passes_done
    assert set(rows["picture"]) == {"0.png", "1.png", "2.png"}
    assert set(rows["method"]) == {"", "gradcam", "gradient", "random", "centre", "sobel"}
    iou = rows[rows["score"].str.startswith("iou.")]
    assert iou["value"].isna().all() and iou["reason"].str.len().gt(0).all() and not iou["failed"].any()
    assert standing_of(tmp_path / "out") == end
    assert choice_of(tmp_path / "out") == plan.choice
    assert not (tmp_path / "out" / "standing.json.part").exists()


def test_a_study_that_is_done_computes_nothing(pictures: Path, tmp_path: Path, engine: InlineEngine) -> None:
    choice = small(pictures, limit=1)
    run(plan_of(choice), engine, tmp_path / "out")
    files = Log(tmp_path / "out").files()
    asked: list[Request] = []
    wanted = engine.want
    engine.want = lambda session, requests, background=False: (  # type: ignore[method-assign]
        asked.extend(requests) or wanted(session, requests, background)
    )
    end = resume(tmp_path / "out", engine)
    assert end.ended and end.units == end.done
    assert not any(isinstance(one, Evaluate) for one in asked)
    assert Log(tmp_path / "out").files() == files


@pytest.mark.parametrize("units", [0, 1, 7])
def test_a_study_that_is_stopped_goes_on(pictures: Path, tmp_path: Path, engine: InlineEngine, units: int) -> None:
    run(plan_of(small(pictures)), engine, tmp_path / "whole")
    out = tmp_path / "out"
    progress, stop = stopped_after(units)
    with pytest.raises(Cancelled):
        run(plan_of(small(pictures)), engine, out, progress, stop)
    assert Log(out).read()["unit"].nunique() == units
    left = standing_of(out)
    assert left is not None and left.done == units and not left.ended and not left.problem
    end = resume(out, engine)
    assert end.seconds > left.seconds
    check_whole(Log(tmp_path / "whole").read(), out)


def killed(pictures: Path, out: Path, moment: Callable[[], bool]) -> None:
    """Runs a study in another process, and kills it at that moment."""
    command = [sys.executable, "-m", "tests.studies.worker", str(pictures), str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        while process.poll() is None and not moment():
            time.sleep(0.001)
    finally:
        process.kill()
    assert process.stderr is not None
    assert process.wait() in (-signal.SIGKILL, 0), process.stderr.read().decode()


def survives_kills(kills: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    pictures = write_pictures(tmp_path / "pictures", 5)
    run(plan_of(small(pictures)), InlineEngine(), tmp_path / "whole")
    out, chance = tmp_path / "out", random.Random()
    for _ in range(kills):
        batches, later = len(Log(out).files()) + chance.randint(1, max(1, 12 // kills)), chance.uniform(0, 0.05)

        def moment(batches: int = batches, later: float = later) -> bool:
            if len(Log(out).files()) < batches:
                return False
            time.sleep(later)
            return True

        killed(pictures, out, moment)
        assert not is_running(out)
    before = written(out)
    assert 0 < len(before) < len(Log(tmp_path / "whole").read()), "it was not killed on its way"
    end = resume(out, InlineEngine())
    assert end.ended
    after = written(out)
    pd.testing.assert_frame_equal(after.head(len(before)), before)
    check_whole(Log(tmp_path / "whole").read(), out)


def test_a_killed_study_loses_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survives_kills(1, tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_study_that_is_killed_often_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survives_kills(6, tmp_path, monkeypatch)


def test_two_engines_give_the_same_rows(pictures: Path, tmp_path: Path, engine: InlineEngine) -> None:
    run(plan_of(small(pictures)), engine, tmp_path / "inline")
    local = LocalEngine()
    try:
        run(plan_of(small(pictures)), local, tmp_path / "local")
    finally:
        local.close()
    check_whole(Log(tmp_path / "inline").read(), tmp_path / "local")
    assert Log(tmp_path / "local").read()["key"].str.len().gt(0).all()


class Refusing(InlineEngine):
    """An engine that cannot compute requests of which `refuse` says so."""

    problem = ""

    def __init__(self, refuse: Callable[[Request], str]):
        super().__init__()
        self.refuse = refuse

    def _job(self, request: Request) -> Job:
        sentence = self.refuse(request)
        return Job(request, "failed", error=sentence) if sentence else super()._job(request)


def test_what_fails_is_told_and_tried_again(pictures: Path, tmp_path: Path, engine: InlineEngine) -> None:
    def road(request: Request) -> str:
        return "It rains." if isinstance(request, Evaluate) and request.score == "road" else ""

    out, plan = tmp_path / "out", plan_of(small(pictures))
    end = run(plan, Refusing(road), out)
    rows = Log(out).read()
    failed = rows[rows["failed"]]
    assert end.ended and end.failed == failed["unit"].nunique() == 3 * 5
    assert set(failed["score"]) == {"road.morf", "road.lerf", "road.combined"}
    assert set(failed["reason"]) == {"It rains."} and failed["value"].isna().all()
    assert resume(out, engine).failed == 0
    run(plan, engine, tmp_path / "whole")
    pd.testing.assert_frame_equal(Log(out).read(), Log(tmp_path / "whole").read())


def test_an_engine_that_ends_ends_the_study_and_makes_no_failures(
    pictures: Path, tmp_path: Path, engine: InlineEngine
) -> None:
    ended = Refusing(lambda request: ended.problem)

    def follow(standing: Standing) -> None:
        if standing.done == 5:
            ended.problem = "The computing process was stopped."

    out = tmp_path / "out"
    with pytest.raises(XaiError, match="was stopped"):
        run(plan_of(small(pictures)), ended, out, follow)
    rows = Log(out).read()
    assert rows["unit"].nunique() == 5 and not rows["failed"].any()
    left = standing_of(out)
    assert left is not None and not left.ended and left.failed == 0 and "was stopped" in left.problem
    run(plan_of(small(pictures)), engine, tmp_path / "whole")
    resume(out, engine)
    check_whole(Log(tmp_path / "whole").read(), out)


class Crowded(InlineEngine):
    """An engine whose queue holds three requests, and which computes one of them between two questions."""

    in_background = True

    def __init__(self) -> None:
        super().__init__()
        self.board, self.refused = Board(3), 0

    def want(self, session: str, requests: Sequence[Request], background: bool = False) -> list[Job]:
        self.board.want(session, requests, lambda request: None, background)
        jobs = self.board.snapshot(session)
        self.refused += sum(job.state == "failed" for job in jobs)
        return jobs

    def wait(self, session: str, seconds: float) -> None:
        task = self.board.next()
        if task is not None:
            task.result, task.state = self.result(task.request), "done"
            self.board.finish(task)

    def retry(self, session: str) -> None:
        self.board.retry(session)


@pytest.mark.timeout(60)
def test_a_busy_engine_is_asked_again(pictures: Path, tmp_path: Path, engine: InlineEngine) -> None:
    run(plan_of(small(pictures, limit=1)), engine, tmp_path / "whole")
    crowded = Crowded()
    end = run(plan_of(small(pictures, limit=1)), crowded, tmp_path / "out")
    assert crowded.refused > 0 and end.failed == 0
    check_whole(Log(tmp_path / "whole").read(), tmp_path / "out")


CHANGES: dict[str, dict[str, object]] = {
    "methods": {"methods": ("gradient",)},
    "seed": {"seed": 1},
    "preset": {"preset": "paper"},
    "a score's parameter": {"set_score": {"road": {"steps": 3}}},
    "masks": {"masks": "none"},
    "fewer pictures": {"limit": 1},
}


@pytest.mark.parametrize("which", CHANGES)
def test_another_choice_is_refused(pictures: Path, tmp_path: Path, engine: InlineEngine, which: str) -> None:
    out = tmp_path / "out"
    running.begin(out, small(pictures, limit=2))
    before = (out / "study.json").read_bytes()
    with pytest.raises(XaiError, match=r"^[^\n]*holds a study [^\n]*name another folder[^\n]*\.$"):
        run(plan_of(Choice.model_validate({**small(pictures, limit=2).model_dump(), **CHANGES[which]})), engine, out)
    assert (out / "study.json").read_bytes() == before
    assert not Log(out).files() and standing_of(out) is None


def test_more_pictures_are_added(pictures: Path, tmp_path: Path, engine: InlineEngine) -> None:
    out = tmp_path / "out"
    run(plan_of(small(pictures, limit=1)), engine, out)
    before = len(Log(out).read())
    run(plan_of(small(pictures)), engine, out)
    assert len(Log(out).read()) == 3 * before
    run(plan_of(small(pictures)), engine, tmp_path / "whole")
    check_whole(Log(tmp_path / "whole").read(), out)


def test_labels_and_pictures_that_change_leave_one_version_of_each_row(
    pictures: Path, tmp_path: Path, engine: InlineEngine
) -> None:
    out = tmp_path / "out"
    run(plan_of(small(pictures)), engine, out)
    before = Log(out).read()
    first, last = (pictures / "0.png").read_bytes(), (pictures / "2.png").read_bytes()
    for labels, bytes_ in (("1.png,2", last), ("1.png,3", first)):
        (pictures / "labels.csv").write_text(f"file,label\n0.png,\n{labels}\n2.png,\n")
        (pictures / "0.png").write_bytes(bytes_)
        run(plan_of(small(pictures)), engine, out)
        rows = Log(out).read()
        assert (rows["score"] == "prediction.correct").sum() == 1
        table = by_method(rows, "road.combined")
        assert len(table) == 3 and table.notna().all(axis=None), "no picture is left out"
        again = tmp_path / labels
        run(plan_of(small(pictures)), engine, again)
        pd.testing.assert_frame_equal(rows, Log(again).read())
    (pictures / "labels.csv").unlink()
    run(plan_of(small(pictures)), engine, out)
    pd.testing.assert_frame_equal(Log(out).read(), before)


def test_what_is_there_counts_from_the_start_and_what_has_other_labels_does_not(
    pictures: Path, tmp_path: Path, engine: InlineEngine
) -> None:
    def stopped_at_once() -> int:
        with pytest.raises(Cancelled):
            run(plan_of(small(pictures)), engine, tmp_path / "out", stop=lambda: True)
        standing = standing_of(tmp_path / "out")
        assert standing is not None and not standing.ended
        return standing.done

    done = run(plan_of(small(pictures)), engine, tmp_path / "out").done
    assert stopped_at_once() == done > 0
    (pictures / "labels.csv").write_text("file,label\n0.png,1\n1.png,2\n2.png,\n")
    assert stopped_at_once() == done // 3, "of one picture, whose label is as it was"


def test_a_folder_that_holds_other_things_is_refused(pictures: Path, tmp_path: Path, engine: InlineEngine) -> None:
    out = tmp_path / "paper"
    (out / "tables").mkdir(parents=True)
    with pytest.raises(XaiError, match=r"holds 'tables' and no study\.json.*name another folder\.$"):
        run(plan_of(small(pictures)), engine, out)
    assert [one.name for one in out.iterdir()] == ["tables"]
    (out / "tables").rmdir()
    for name in (".running", ".DS_Store", "study.json.part"):  # of somebody who was killed early, or of nobody
        (out / name).write_text("")
    running.check_folder(out)
    running.check_folder(tmp_path / "none")


def test_rows_that_cannot_be_written_are_kept_for_another_try(
    pictures: Path, tmp_path: Path, engine: InlineEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out, append, full = plan_of(small(pictures, limit=1)), tmp_path / "out", Log.append, [True]

    def fails_once(log: Log, rows: Sequence[Row]) -> None:
        if rows and full:
            raise OSError(full.clear() or 28, "No space left on device")
        append(log, rows)

    monkeypatch.setattr(running, "FLUSH_SECONDS", 0)
    monkeypatch.setattr(Log, "append", fails_once)
    with pytest.raises(XaiError, match="cannot be written"):
        run(plan, engine, out)
    assert Log(out).read()["unit"].nunique() == 1, "what was computed is there by the second try"


def test_a_background_that_is_not_here_is_said_at_the_start(
    pictures: Path, tmp_path: Path, engine: InlineEngine
) -> None:
    plan = plan_of(small(pictures, methods=("shap",), set={"shap": {"background": "imagenet50"}}))
    for start in (plan.size, lambda: run(plan, engine, tmp_path / "out")):
        with pytest.raises(XaiError, match=r"^[^\n]+\.$"):
            start()
    assert not Log(tmp_path / "out").files()


@pytest.mark.parametrize(
    "choice",
    [
        {"set_score": {"stabilty": {"pictures": 2}}},
        {"set_score": {"stability": {"pictures": 2}}},
        {"set_score": {"road": {"stepz": 2}}},
        {"masks": "Anna Typo"},
        {"study": "pipeline"},
        {"study": "sampling", "methods": (), "set": {"lime": {"samples": 7}}},
    ],
)
def test_what_a_study_does_not_use_is_refused(
    pictures: Path, tmp_path: Path, engine: InlineEngine, choice: dict[str, object]
) -> None:
    with pytest.raises(XaiError, match=r"^[^\n]+\.$"):
        run(plan_of(small(pictures, **{"set_score": {}, **choice})), engine, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_choice_that_does_not_fit_is_a_sentence() -> None:
    for wrong in ({"seed": 2**63}, {"seed": -1}, {"limits": 3}):
        with pytest.raises(XaiError, match=r"^The study's settings do not fit: [^\n]+\.$"):
            Choice.of({"study": "imagenet50", **wrong})
    assert Choice.of({"study": "imagenet50", "seed": MOST_SEED}).seed == MOST_SEED


def test_other_weights_and_another_profile_are_refused(
    pictures: Path, tmp_path: Path, engine: InlineEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    progress, stop = stopped_after(1)
    with pytest.raises(Cancelled):
        run(plan_of(small(pictures)), engine, out, progress, stop)
    with monkeypatch.context() as patched:
        patched.setattr(InlineEngine, "profile", {**engine.profile, "device": "another"})
        with pytest.raises(XaiError, match=r"was computed otherwise \(device was 'cpu', is 'another'\)"):
            resume(out, engine)
    settings = json.loads((out / "study.json").read_text())
    write_tiny_card(tmp_path / "models", seed=7)
    with pytest.raises(XaiError, match="another weights"):
        resume(out, InlineEngine())
    assert json.loads((out / "study.json").read_text()) == settings
    left = standing_of(out)
    assert left is not None and not left.problem, "it may go on as it was begun"


def test_one_folder_belongs_to_one_process(
    pictures: Path, tmp_path: Path, engine: InlineEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.05)
    out = tmp_path / "out"
    holder = (
        "import sys, pathlib; from xai_core.studies.running import only_one\n"
        "with only_one(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", holder, str(out)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        assert is_running(out)
        with pytest.raises(XaiError, match=r"is running in [^ ]* already"):
            run(plan_of(small(pictures)), engine, out)
    finally:
        other.kill()
        other.wait()
    assert not is_running(out) and not (out / "study.json").exists()
    with only_one(out):
        assert is_running(out)


def test_whoever_looks_whether_it_runs_keeps_nobody_from_running(tmp_path: Path) -> None:
    import threading

    out, stop = tmp_path / "out", threading.Event()
    out.mkdir()

    def look() -> None:
        while not stop.is_set():
            is_running(out)

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for one in lookers:
        one.start()
    try:
        for _ in range(50):
            with only_one(out):
                pass
    finally:
        stop.set()
        for one in lookers:
            one.join()


def test_a_picture_that_cannot_be_read_ends_it_and_what_is_done_is_kept(
    pictures: Path, tmp_path: Path, engine: InlineEngine
) -> None:
    whole = (pictures / "2.png").read_bytes()
    (pictures / "2.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    with pytest.raises(XaiError, match=r"2\.png"):
        run(plan_of(small(pictures)), engine, out)
    left = standing_of(out)
    assert left is not None and "2.png" in left.problem and not left.ended
    (pictures / "2.png").write_bytes(whole)
    assert resume(out, engine).problem == ""
    run(plan_of(small(pictures)), engine, tmp_path / "whole")
    check_whole(Log(tmp_path / "whole").read(), out)


def test_there_is_nothing_to_resume_where_no_study_is(tmp_path: Path, engine: InlineEngine) -> None:
    with pytest.raises(XaiError, match="There is no study"):
        resume(tmp_path, engine)
    for text in ("{", "[]", '{"choice": {"study": "imagenet50", "limits": 3}}', "{}"):
        (tmp_path / "study.json").write_text(text)
        with pytest.raises(XaiError, match=r"study\.json cannot be read"):
            resume(tmp_path, engine)
    (tmp_path / "standing.json").write_text('{"units": 3, "unknown": 1}')
    assert standing_of(tmp_path) is None
