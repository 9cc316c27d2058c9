"""Runs a study: what is done is kept, what is not is computed, and it may be stopped at any time."""

from __future__ import annotations

import fcntl
import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..classifiers import weights
from ..engine.jobs import Engine, Job
from ..engine.requests import Request
from ..registry import TRIALS
from ..types import Cancelled, Prediction, XaiError
from .base import Unit
from .plan import Choice, Opening, Plan, plan_of
from .results import Log, Row

log = logging.getLogger(__name__)

AHEAD = 48
"""Units that are asked for at once, so that several workers have something to do."""
OPENINGS = 4
"""Pictures that are looked at before their turn, so that nobody waits for a class to explain."""
FLUSH_SECONDS = 5.0
"""What is computed is on the disk after so long."""
START_SECONDS = 300.0
SETTINGS = "study.json"
STANDING = "standing.json"
PATIENCE = 1.0
"""So long somebody may hold the folder to look whether a study is running there."""
BUSY = "The engine is busy"


@dataclass(frozen=True)
class Standing:
    """How a study stands. `seconds_left` is an estimate, None at first; `failed` units are tried again next time.

    `seconds` is what all its runs took together, and `problem` the sentence that ended the last one.
    """

    done: int = 0
    units: int = 0
    passes_done: int = 0
    passes: int = 0
    seconds_left: float | None = None
    failed: int = 0
    what: str = ""
    seconds: float = 0.0
    ended: bool = False
    problem: str = ""

    @property
    def fraction(self) -> float:
        """Of all work, in [0, 1]: by passes where there are any."""
        done, total = (self.passes_done, self.passes) if self.passes else (self.done, self.units)
        return min(done / total, 1.0) if total else 1.0


Progress = Callable[[Standing], None]


def settings_of(out: Path) -> dict[str, Any] | None:
    """What `study.json` in a study's folder says, or None where there is none; raises `XaiError` for a damaged one."""
    try:
        found: dict[str, Any] = json.loads((out / SETTINGS).read_text())
        Choice.model_validate(found["choice"])
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise XaiError(f"{out / SETTINGS} cannot be read ({error}); name another folder.") from None


def choice_of(out: Path) -> Choice | None:
    """What the study in a folder was asked for, or None where there is none."""
    found = settings_of(out)
    return None if found is None else Choice.model_validate(found["choice"])


def check_folder(out: Path) -> None:
    """Raises `XaiError` for a folder that holds something and no study: its files are somebody's."""
    try:
        found = [] if (out / SETTINGS).exists() or not out.exists() else sorted(one.name for one in out.iterdir())
    except OSError as error:
        raise XaiError(f"{out} cannot be used: {error.strerror or error}.") from None
    foreign = [name for name in found if not name.startswith(".") and name != f"{SETTINGS}.part"]
    if foreign:
        raise XaiError(f"{out} holds {foreign[0]!r} and no {SETTINGS}, so it is no study's; name another folder.")


def standing_of(out: Path) -> Standing | None:
    """How the study in a folder stood a few seconds ago, or when it was left; None where nobody knows."""
    try:
        return Standing(**json.loads((out / STANDING).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def begin(out: Path, choice: Choice) -> None:
    """Makes the folder of a study that has still to wait for its turn, so that `resume` finds it."""
    out.mkdir(parents=True, exist_ok=True)
    _write(out / SETTINGS, {"format": 1, "choice": choice.model_dump(mode="json")})


def _write(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.replace(path)


@contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Holds the folder, so that no two processes write to it; raises `XaiError` when another one does."""
    out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + PATIENCE
    with (out / ".running").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    words = "wait for its end, or name another folder"
                    raise XaiError(f"A study is running in {out} already; {words}.") from None
                time.sleep(0.02)
        yield


def is_running(out: Path) -> bool:
    """Whether some process is computing the study in this folder."""
    try:
        with (out / ".running").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def run(
    plan: Plan,
    engine: Engine,
    out: Path,
    progress: Progress = lambda standing: None,
    stop: Callable[[], bool] = lambda: False,
) -> Standing:
    """Computes what of the study is not in `out` yet, and returns how it stands at the end.

    `stop` is asked again and again. Raises `XaiError` when `out` holds another study, one that was computed on another
    kind of machine, or files that are no study's, and `Cancelled` when it was stopped; what is computed is kept in any
    case.
    """
    check_folder(out)
    plan.check_scores()
    with only_one(out):
        return _Runner(plan, engine, out, progress, stop).run()


class _Runner:
    def __init__(self, plan: Plan, engine: Engine, out: Path, progress: Progress, stop: Callable[[], bool]):
        self._plan, self._engine, self._stop, self._tell = plan, engine, stop, progress
        self._log = Log(out)
        self._session = f"study {uuid.uuid4().hex}"
        self._rows: list[Row] = []
        self._flushed = time.monotonic()
        _keep_settings(plan, out, self._profile())
        self._known = self._log.done()
        size = plan.size()
        self._units, self._passes = size.units, size.passes
        self._done = self._passes_done = self._failed = 0
        self._fresh_passes, self._fresh_seconds = 0, 0.0
        self._needed: set[str] = set()
        self._what = ""
        earlier = standing_of(out)
        self._earlier, self._started = 0.0 if earlier is None else earlier.seconds, time.monotonic()
        self._before = min(self._surely_done(), self._units)
        self._standing = Standing(self._before, self._units, 0, self._passes, seconds=self._earlier)

    def run(self) -> Standing:
        try:
            self._work()
            done, passes = self._done, self._passes_done
            self._report(replace(self._standing, units=done, passes=passes, seconds_left=0.0, what="", ended=True))
        except XaiError as error:
            self._report(replace(self._standing, problem=str(error)))
            raise
        finally:
            self._engine.want(self._session, [])
            self._flush()
        return self._standing

    # -- what there is to do --------------------------------------------------------------------------------------

    def _profile(self) -> dict[str, Any]:
        """The engine's, when whoever computes is ready."""
        until = time.monotonic() + START_SECONDS
        while (profile := self._engine.profile) is None:
            self._check()
            problem = getattr(self._engine, "problem", "")
            if problem or time.monotonic() > until:
                raise XaiError(problem or "The computing process does not start; the log says more.")
            time.sleep(0.1)
        return dict(profile)

    def _work(self) -> None:
        openings = self._plan.openings()
        opening: deque[Opening] = deque()
        units: deque[Unit] = deque()
        for unit in self._plan.study.trials(self._plan):
            self._take(unit, units)
        exhausted = False
        while True:
            while not exhausted and len(opening) < OPENINGS and len(units) < AHEAD:
                found = next(openings, None)
                exhausted = found is None
                if found is not None:
                    opening.append(found)
            if not opening and not units and exhausted:
                return
            self._check()
            self._step(opening, units)
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self._flush()

    def _take(self, unit: Unit, units: deque[Unit]) -> None:
        if unit.name in self._known:
            self._count(unit)
        else:
            units.append(unit)

    def _check(self) -> None:
        if self._stop():
            raise Cancelled

    # -- asking, and what comes back ------------------------------------------------------------------------------

    def _step(self, opening: deque[Opening], units: deque[Unit]) -> None:
        """Asks for what is next, takes what is there, and waits a moment where nothing is."""
        first = [one.request for one in opening]
        asked = list(units)[:AHEAD]
        if not self._engine.in_background:  # it computes while one waits: one thing at a time
            first, asked = (first[:1], []) if not asked else ([], asked[:1])
        started = time.monotonic()
        wanted: list[Request] = [*first, *(unit.request for unit in asked)]
        jobs = self._engine.want(self._session, wanted, background=True)
        busy = any(job.error.startswith(BUSY) for job in jobs)
        self._what = next((job.request.title for job in jobs if job.state == "running"), self._what)
        arrived = False
        for one, job in zip(list(opening), jobs[: len(first)], strict=False):
            if not job.pending and not job.error.startswith(BUSY):
                arrived = True
                opening.remove(one)
                self._open(one, job, units)
        for unit, job in zip(asked, jobs[len(first) :], strict=True):
            if not job.pending and not job.error.startswith(BUSY):
                arrived = True
                units.remove(unit)
                self._settle(unit, job)
        if not arrived:
            self._engine.wait(self._session, 0.5)
        if busy:  # what was refused is asked for once more
            self._engine.retry(self._session)
        self._fresh_seconds += time.monotonic() - started
        self._progress()

    def _open(self, opening: Opening, job: Job, units: deque[Unit]) -> None:
        if job.result is None:
            raise XaiError(job.error or f"{opening.clean.card.title} could not look at {opening.clean.picture.name}.")
        target = cast(Prediction, job.result).top
        for unit in self._plan.study.units(self._plan, opening.subject(target)):
            self._take(unit, units)

    def _settle(self, unit: Unit, job: Job) -> None:
        failed = job.result is None
        problem = getattr(self._engine, "problem", "")
        if failed and problem:
            raise XaiError(problem)  # nothing can be computed any more, which is not this unit's fault
        if job.result is None:
            readings, key = unit.failed(job.error or "it was stopped"), ""
            self._failed += 1
        else:
            readings, key = unit.readings(job.result), job.result.key
        self._rows += [Row(reading.place or unit.place, reading, key, unit.name, failed) for reading in readings]
        self._fresh_passes += self._count(unit)

    def _count(self, unit: Unit) -> int:
        """Counts a unit as done; returns its passes. A result that several units need counts once."""
        passes = unit.passes(self._needed)
        self._done += 1
        self._passes_done += passes
        return passes

    def _surely_done(self) -> int:
        """Units of pictures that are done and still asked for, as names and labels tell; trials are come by soon."""
        if self._plan.pictures is None:
            return 0
        rows = self._log.read()
        own = rows[~rows["failed"] & ~rows["score"].str.split(".").str[0].isin([spec.name for spec in TRIALS])]
        kept = {
            (entry.name, card.name, entry.truth(card))
            for entry in self._plan.pictures.entries
            for card in self._plan.cards
        }
        places = zip(own["picture"], own["model"], own["truth"], strict=True)
        return int(own["unit"][[place in kept for place in places]].nunique())

    def _progress(self) -> None:
        left = None
        if self._fresh_passes:
            left = self._fresh_seconds / self._fresh_passes * max(self._passes - self._passes_done, 0)
        done = max(self._done, self._before)  # what is there is there before it is come by
        units, passes = max(self._units, done), max(self._passes, self._passes_done)
        self._report(Standing(done, units, self._passes_done, passes, left, self._failed, self._what))

    def _report(self, standing: Standing) -> None:
        seconds = self._earlier + time.monotonic() - self._started
        self._standing = replace(standing, seconds=seconds)
        self._tell(self._standing)

    def _flush(self) -> None:
        """Writes the rows, and keeps them for another try where that fails."""
        self._flushed = time.monotonic()
        out = self._log.folder.parent
        try:
            rows, self._rows = self._rows, []  # first: whoever interrupts the writing must not have them written twice
            try:
                self._log.append(rows)
            except OSError:
                self._rows = rows + self._rows
                raise
            _write(out / STANDING, asdict(self._standing))
        except OSError as error:
            raise XaiError(f"The rows cannot be written to {out}: {error.strerror or error}.") from None


def _keep_settings(plan: Plan, out: Path, profile: dict[str, Any]) -> None:
    """Writes `study.json`, or compares with the one that is there; only more pictures than then are fine."""
    now: dict[str, Any] = {
        "format": 1,
        "choice": plan.choice.model_dump(mode="json"),
        "version": plan.spec.version,
        "models": {card.name: card.digest(weights.digest(card)) for card in plan.cards},
        "profile": {name: value for name, value in profile.items() if name not in ("batch", "batches")},
    }
    now = json.loads(json.dumps(now))
    before = settings_of(out)
    if before is not None:
        _compare(before, now, out)
    if before != now:
        _write(out / SETTINGS, now)


def _compare(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    then, limit = before["choice"]["limit"], now["choice"]["limit"]
    if limit is not None and (then is None or then > limit):
        raise XaiError(f"{out} holds a study of {then or 'all'} pictures; name another folder for {limit}.")
    same = {**now, **before, "choice": {**before["choice"], "limit": limit}}  # which `begin` has not written all of
    for name, what in {"choice": "choice of settings", "version": "version of the study", "models": "weights"}.items():
        if same[name] != now[name]:
            raise XaiError(
                f"{out} holds a study with another {what}; name another folder, or go on as {SETTINGS} says."
            )
    profile = same["profile"]
    different = [name for name, value in now["profile"].items() if profile.get(name) != value]
    if different:
        told = ", ".join(f"{name} was {profile.get(name)!r}, is {now['profile'][name]!r}" for name in different)
        raise XaiError(f"{out} was computed otherwise ({told}); go on as it was begun, or name another folder.")


def resume(out: Path, engine: Engine, **how: Any) -> Standing:
    """Goes on with the study in a folder; raises `XaiError` where there is none."""
    choice = choice_of(out)
    if choice is None:
        raise XaiError(f"There is no study in {out}.")
    return run(plan_of(choice), engine, out, **how)
