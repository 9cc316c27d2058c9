"""The command `study`: what it refuses before anything is computed, how it is stopped, and what it tells."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.checks import hear_ctrl_c, is_sentence
from tests.conftest import ROOT
from tests.studies.small import write_pictures
from xai_core.cli import main
from xai_core.cli_parts import Progress
from xai_core.studies.plan import Choice, Plan
from xai_core.studies.results import Log
from xai_core.types import XaiError

pytestmark = pytest.mark.usefixtures("tiny_card")

NONE = ["--pictures", ""]
REFUSED: dict[str, list[str]] = {
    "another study's parameter": ["suboptimality", "--set-study", "imagenet50.runs=5"],
    "no parameter": ["suboptimality", "--set-study", "runz=5"],
    "no value": ["suboptimality", "--set-study", "runs"],
    "no score": ["suboptimality", "--set-score", "stabilty.pictures=2"],
    "another score": ["imagenet50", "--set-score", "stability.pictures=2"],
    "methods": ["sampling", "--method", "gradcam"],
    "no methods": ["pipeline", "--method", "no_such_method", "--set", "lime.samples=7"],
    "masks of nobody": ["imagenet50", "--masks", "Anna Typo"],
    "pictures of roar": ["roar", "--pictures", "/nowhere", "--model", ""],
    "masks of bam": ["bam", *NONE, "--model", "", "--masks", "nobody"],
    "a great seed": ["imagenet50", "--seed", str(2**63)],
    "a folder's name": ["imagenet50", "--pictures", "caf\udce9"],
    "a name": ["imagenet50", "--out", "caf\udce9"],
}


def study(pictures: Path, out: Path, name: str, *more: str) -> list[str]:
    """The command; what is in `more` goes before what is always there."""
    return ["study", name, "--pictures", str(pictures), "--model", "tiny", "--out", str(out), *more]


@pytest.mark.parametrize("which", REFUSED)
def test_what_has_no_effect_is_refused(which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, *more = REFUSED[which]
    out = tmp_path / "out"
    assert main(study(write_pictures(tmp_path / "pictures", 1), out, name, *more)) == 2
    assert is_sentence(capsys.readouterr().err.strip())
    assert not out.exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paper = tmp_path / "paper"
    paper.mkdir()
    (paper / "thesis.tex").write_text("years of work")
    assert main(study(write_pictures(tmp_path / "pictures", 1), paper, "imagenet50")) == 2
    assert "name another folder" in capsys.readouterr().err
    assert [one.name for one in paper.iterdir()] == ["thesis.tex"]


SLOW = """
import sys, time
from xai_core import cli, cli_study
from xai_core.engine.inline import InlineEngine

class Slow(InlineEngine):
    count = 0

    def _job(self, request):
        self.count += 1
        if self.count == 6:
            print("slow", flush=True)
            time.sleep(120)
        return super()._job(request)

cli_study.chosen = Slow
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_study_within_a_long_computation(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    command = study(write_pictures(tmp_path / "pictures", 1), out, "imagenet50", "--preset", "quick")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    )
    try:
        assert process.stdout is not None
        while "slow" not in (line := process.stdout.readline()):
            assert line, process.communicate()[1]
        started = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert time.monotonic() - started < 20 and process.returncode == 130
    assert said == "Stopped; what was computed is kept, the same command goes on.\n"
    assert Log(out).read()["unit"].nunique() == 4, "five were computed, and one of them was the first look"
    assert json.loads((out / "standing.json").read_text())["done"] == 4


def test_a_parameter_may_be_named_with_its_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def plan_of(choice: Choice) -> Plan:
        seen.append(choice.set_study)
        raise XaiError("That is enough.")

    monkeypatch.setattr("xai_core.studies.plan.plan_of", plan_of)
    for text in ("runs=5", "suboptimality.runs=5"):
        assert main(study(tmp_path, tmp_path / "out", "suboptimality", "--set-study", text)) == 2
    assert seen == [{"runs": "5"}] * 2


def test_the_time_left_of_what_was_begun_before_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for estimates, left in ((True, None), (False, None), (False, 90.0)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        progress = Progress(estimates)
        progress._shown -= 1
        progress("9 of 10", 0.9, left)
        assert ("left" in terminal.getvalue()) == (estimates or left is not None)
