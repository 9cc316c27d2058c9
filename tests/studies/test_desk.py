"""Studies run one after the other, can be stopped and resumed, and are there again after a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.studies.small import small, write_pictures
from xai_core.engine.inline import InlineEngine
from xai_core.engine.jobs import Job
from xai_core.engine.requests import Request
from xai_core.studies.desk import Desk, Kept
from xai_core.studies.results import Log
from xai_core.studies.running import only_one, resume
from xai_core.types import XaiError

pytestmark = pytest.mark.usefixtures("tiny_card")


class Gated(InlineEngine):
    """An engine that computes nothing while its gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.asked = threading.Event(), threading.Event()

    def _job(self, request: Request) -> Job:
        self.asked.set()
        self.gate.wait()
        return super()._job(request)


@pytest.fixture
def engine() -> Iterator[Gated]:
    made = Gated()
    yield made
    made.gate.set()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 2)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def states(desk: Desk) -> dict[str, str]:
    return {one.name: one.state for one in desk.studies()}


def found(desk: Desk, name: str) -> Kept:
    kept = desk.study(name)
    assert kept is not None
    return kept


def ended(desk: Desk, name: str) -> Kept:
    until(lambda: not found(desk, name).pending)
    return found(desk, name)


def test_studies_run_one_after_the_other(tmp_path: Path, pictures: Path, engine: Gated) -> None:
    told: list[str] = []
    desk = Desk(tmp_path / "studies", lambda: engine, lambda plan, out: told.append(out.name))
    assert desk.studies() == []
    first = desk.start(small(pictures, limit=1))
    assert engine.asked.wait(30)
    second, third = desk.start(small(pictures, seed=1)), desk.start(small(pictures, seed=2))
    assert states(desk) == {first: "running", second: "waiting", third: "waiting"}
    assert [desk.ahead_of(name) for name in (first, second, third)] == [0, 1, 2]
    assert found(desk, third).choice == small(pictures, seed=2)
    desk.stop(second)
    assert states(desk)[second] == "stopped" and desk.ahead_of(third) == 1
    desk.resume(third)
    assert desk.ahead_of(third) == 1, "it is in the line already"
    engine.gate.set()
    assert ended(desk, third).state == "done"
    assert states(desk) == {first: "done", second: "stopped", third: "done"}
    assert told == [first, third]
    assert not Log(tmp_path / "studies" / second).files()
    assert found(desk, first).standing.ended and found(desk, first).begun.year > 2000


def test_a_study_is_stopped_and_goes_on_even_after_a_restart(tmp_path: Path, pictures: Path, engine: Gated) -> None:
    desk = Desk(tmp_path / "studies", lambda: engine)
    name = desk.start(small(pictures))
    assert engine.asked.wait(30)
    desk.stop(name)
    assert found(desk, name).state == "stopping"
    with pytest.raises(XaiError, match="is running; stop it"):
        desk.delete(name)
    engine.gate.set()
    assert ended(desk, name).state == "stopped"
    another = Desk(tmp_path / "studies", lambda: engine)
    assert states(another) == {name: "stopped"}
    another.resume(name)
    assert ended(another, name).state == "done"
    assert states(desk) == {name: "done"}


def test_a_server_that_is_stopped_leaves_its_studies_stopped(tmp_path: Path, pictures: Path, engine: Gated) -> None:
    desk = Desk(tmp_path / "studies", lambda: engine)
    first, second = desk.start(small(pictures)), desk.start(small(pictures, seed=1))
    assert engine.asked.wait(30)
    threading.Timer(0.2, engine.gate.set).start()
    desk.close()
    assert states(desk) == states(Desk(tmp_path / "studies", lambda: engine)) == {first: "stopped", second: "stopped"}


def test_a_study_that_cannot_be_run_says_why(tmp_path: Path, pictures: Path, engine: Gated) -> None:
    engine.gate.set()
    desk = Desk(tmp_path / "studies", lambda: engine)
    gone, broken = desk.start(small(tmp_path / "gone")), desk.start(small(pictures))
    assert ended(desk, gone).state == "failed" and "There is no folder" in found(desk, gone).problem
    assert ended(desk, broken).state == "done"
    (tmp_path / "gone").symlink_to(pictures)
    desk.resume(gone)
    assert ended(desk, gone).state == "done" and not found(desk, gone).problem


def test_a_study_that_failed_here_and_was_finished_elsewhere_is_done(
    tmp_path: Path, pictures: Path, engine: Gated
) -> None:
    engine.gate.set()
    last = (pictures / "1.png").read_bytes()
    (pictures / "1.png").write_bytes(b"no picture")
    desk = Desk(tmp_path / "studies", lambda: engine)
    read, gone = desk.start(small(pictures)), desk.start(small(tmp_path / "gone"))
    assert ended(desk, gone).state == ended(desk, read).state == "failed"
    (pictures / "1.png").write_bytes(last)
    (tmp_path / "gone").symlink_to(pictures)
    for name in (read, gone):
        resume(tmp_path / "studies" / name, InlineEngine())
        assert found(desk, name).state == "done" and not found(desk, name).problem


def test_rows_without_a_standing_are_counted(tmp_path: Path, pictures: Path, engine: Gated) -> None:
    engine.gate.set()
    desk = Desk(tmp_path / "studies", lambda: engine)
    name = desk.start(small(pictures, limit=1))
    whole = ended(desk, name)
    (whole.out / "standing.json").unlink()
    kept = found(Desk(tmp_path / "studies", lambda: engine), name)
    assert kept.state == "stopped" and kept.standing.done == whole.standing.done > 0 == kept.standing.units
    Log(whole.out).files()[0].write_bytes(b"damaged")
    assert found(desk, name).standing.done == 0


def test_a_mistake_of_the_program_keeps_no_other_study_from_running(
    tmp_path: Path, pictures: Path, engine: Gated
) -> None:
    engine.gate.set()

    def after(plan: object, out: Path) -> None:
        raise RuntimeError("no paper")

    desk = Desk(tmp_path / "studies", lambda: engine, after)
    first, second = desk.start(small(pictures, limit=1)), desk.start(small(pictures, limit=1))
    for name in (first, second):
        kept = ended(desk, name)
        assert kept.problem == "The study failed (RuntimeError: no paper); the log has the details."
        assert len(Log(kept.out).read())


def test_a_study_is_deleted_with_its_rows_and_no_other(tmp_path: Path, pictures: Path, engine: Gated) -> None:
    engine.gate.set()
    desk = Desk(tmp_path / "studies", lambda: engine)
    first, second = desk.start(small(pictures, limit=1)), desk.start(small(pictures, limit=1))
    assert ended(desk, first).state == ended(desk, second).state == "done"
    for wrong in ("", ".", "..", "../pictures", "none", str(pictures)):
        with pytest.raises(XaiError, match="not there any more"):
            desk.delete(wrong)
    desk.delete(first)
    assert [one.name for one in (tmp_path / "studies").iterdir()] == [second]
    assert len(list(pictures.iterdir())) == 2
    (tmp_path / "studies" / ".deleted-half").mkdir()
    assert states(Desk(tmp_path / "studies", lambda: engine)) == {second: "done"}
    assert [one.name for one in (tmp_path / "studies").iterdir()] == [second]


def test_what_runs_elsewhere_is_seen_and_left_alone(tmp_path: Path, pictures: Path, engine: Gated) -> None:
    desk, elsewhere = Desk(tmp_path / "studies", lambda: engine), Desk(tmp_path / "studies", lambda: engine)
    name = desk.start(small(pictures))
    assert engine.asked.wait(30)
    assert found(elsewhere, name).state == "elsewhere"
    with pytest.raises(XaiError, match="is running"):
        elsewhere.delete(name)
    desk.stop(name)
    engine.gate.set()
    ended(desk, name)
    until(lambda: found(elsewhere, name).state == "stopped")
    with only_one(tmp_path / "studies" / name):
        assert found(desk, name).state == "elsewhere"


def test_folders_that_are_no_studies_are_left_out(tmp_path: Path, engine: Gated) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "study.json").write_text("{")
    assert Desk(tmp_path, lambda: engine).studies() == []
