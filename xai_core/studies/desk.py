"""Studies that somebody else than the command line runs: one after the other, on a thread, in a folder for each."""

from __future__ import annotations

import atexit
import logging
import shutil
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from ..engine.jobs import Engine
from ..types import Cancelled, XaiError
from .plan import Choice, Plan, plan_of
from .results import Log
from .running import Standing, begin, choice_of, is_running, run, standing_of

log = logging.getLogger(__name__)

State = Literal["waiting", "running", "stopping", "elsewhere", "stopped", "failed", "done"]
"""`elsewhere` is running in another process, such as a command line's."""
DATE = "%Y%m%d-%H%M%S"
GONE = ".deleted-"


@dataclass(frozen=True)
class Kept:
    """A study and how it stands: a snapshot. `name` is its folder's; `problem` says why it failed."""

    name: str
    out: Path
    choice: Choice
    state: State
    standing: Standing
    problem: str
    begun: datetime

    @property
    def pending(self) -> bool:
        """Whether it may change by itself."""
        return self.state in ("waiting", "running", "stopping", "elsewhere")


@dataclass(eq=False)
class _Turn:
    """One run of a study, from when it was asked for until its end."""

    name: str
    stop: threading.Event = field(default_factory=threading.Event)
    standing: Standing | None = None


class Desk:
    """All studies in a folder. Safe for several threads.

    `engine` is asked for when the first study runs; `after` is called when one has come to its end, and gets the plan
    and the folder.
    """

    def __init__(
        self,
        folder: Path,
        engine: Callable[[], Engine],
        after: Callable[[Plan, Path], None] = lambda plan, out: None,
    ):
        self._folder, self._engine, self._after = folder, engine, after
        self._turns: list[_Turn] = []
        self._problems: dict[str, tuple[str, Standing | None]] = {}
        """Why studies failed, and how they stood then: another process may have gone on since."""
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        for gone in folder.glob(f"{GONE}*"):  # somebody was interrupted
            shutil.rmtree(gone, ignore_errors=True)
        atexit.register(self.close)  # which comes before the engine's, as that was started before

    def studies(self) -> list[Kept]:
        """All of them, the newest first; folders that hold no study are left out."""
        folders = [one for one in self._folder.iterdir() if _is_study(one)] if self._folder.is_dir() else []
        found = (self._kept(one) for one in folders)
        return sorted((one for one in found if one is not None), key=lambda one: (one.begun, one.name), reverse=True)

    def study(self, name: str) -> Kept | None:
        """One of them, or None when it is not there any more."""
        return next((self._kept(one.out) for one in self.studies() if one.name == name), None)

    def start(self, choice: Choice) -> str:
        """Puts a study at the end of the line; returns its name. Raises `XaiError` when it cannot be written down."""
        name = f"{choice.study}-{datetime.now().strftime(DATE)}-{uuid.uuid4().hex[:6]}"
        try:
            begin(self._folder / name, choice)
        except OSError as error:
            raise XaiError(f"The study cannot be kept in {self._folder}: {error.strerror or error}.") from None
        self.resume(name)
        return name

    def resume(self, name: str) -> None:
        """Puts a study that does not run at the end of the line; one that is in it already stays where it is."""
        with self._change:
            if all(turn.name != name for turn in self._turns):
                self._problems.pop(name, None)
                self._turns.append(_Turn(name))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="studies", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def stop(self, name: str) -> None:
        """Stops a study, or takes it out of the line; what it has computed is kept."""
        with self._change:
            for turn in self._turns:
                if turn.name == name:
                    turn.stop.set()
            self._turns = [turn for turn in self._turns if turn is self._now or turn.name != name]

    def delete(self, name: str) -> None:
        """Removes a study with all its rows; raises `XaiError` when it runs, or is not there."""
        found = self.study(name)
        if found is None:
            raise XaiError("This study is not there any more.")
        if found.pending:
            raise XaiError("This study is running; stop it before you delete it.")
        gone = self._folder / f"{GONE}{name}"
        try:
            found.out.rename(gone)
        except OSError as error:
            raise XaiError(f"The study cannot be deleted: {error.strerror or error}.") from None
        shutil.rmtree(gone, ignore_errors=True)

    def close(self, patience: float = 10.0) -> None:
        """Stops the study that runs, and waits until its rows are written; those that wait stay as they are."""
        with self._change:
            del self._turns[1:]
            for turn in self._turns:
                turn.stop.set()
            self._change.wait_for(lambda: not self._turns, patience)

    def ahead_of(self, name: str) -> int:
        """How many studies come before one that waits."""
        names = [turn.name for turn in self._turns]
        return names.index(name) if name in names else 0

    @property
    def _now(self) -> _Turn | None:
        """The turn whose study runs."""
        return self._turns[0] if self._turns else None

    def _kept(self, out: Path) -> Kept | None:
        try:
            choice = choice_of(out)
        except XaiError as error:
            log.warning("%s", error)
            return None
        if choice is None:
            return None
        with self._change:
            turn = next((one for one in self._turns if one.name == out.name), None)
            now, (problem, then) = self._now, self._problems.get(out.name, ("", None))
        left = standing_of(out)
        standing = (turn.standing if turn is not None else None) or left or _counted(out)
        problem = (problem if left == then else "") or standing.problem
        state: State = "failed" if problem else "done" if standing.ended else "stopped"
        if turn is not None:
            state = "waiting" if turn is not now else "stopping" if turn.stop.is_set() else "running"
        elif is_running(out):
            state = "elsewhere"
        return Kept(out.name, out, choice, state, standing, problem if turn is None else "", _begun(out))

    def _work(self) -> None:
        while True:
            with self._change:
                while (turn := self._now) is None:
                    self._change.wait()
            problem = self._run(turn)
            with self._change:
                self._turns.remove(turn)
                if problem:
                    self._problems[turn.name] = problem, standing_of(self._folder / turn.name)
                self._change.notify_all()

    def _run(self, turn: _Turn) -> str:
        """Runs a study to its end; returns the sentence that says why it failed."""
        out = self._folder / turn.name

        def follow(standing: Standing) -> None:
            turn.standing = standing

        try:
            choice = choice_of(out)
            if choice is None:
                return "This study is not there any more."
            plan = plan_of(choice)
            run(plan, self._engine(), out, follow, turn.stop.is_set)
            self._after(plan, out)
        except Cancelled:
            return ""
        except XaiError as error:
            return str(error)
        except Exception as error:
            log.exception("the study %s failed", turn.name)
            return f"The study failed ({type(error).__name__}: {error}); the log has the details."
        return ""


def _is_study(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".")


def _counted(out: Path) -> Standing:
    """How a study stands whose `standing.json` is not there: nobody knows how much there is to do."""
    try:
        return Standing(done=len(Log(out).done()))
    except XaiError:
        return Standing()


def _begun(out: Path) -> datetime:
    """When a study was asked for: its name says so, or else its folder."""
    try:
        return datetime.strptime("-".join(out.name.split("-")[-3:-1]), DATE)
    except ValueError:
        return datetime.fromtimestamp(out.stat().st_mtime)
