"""The command line's part for studies: `study NAME ... --out DIR` runs one, and goes on with one that was stopped."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import settings
from .cli_parts import Progress, assignments, check_out, chosen, clear_progress, fetched, names_in
from .registry import PRESETS, STUDIES
from .render.numbers import duration
from .types import Cancelled, XaiError


def add_study(commands: Any) -> None:
    """Adds the command `study` to the subparsers."""
    study = commands.add_parser("study", help="an experiment over many pictures, which can be stopped and resumed")
    study.add_argument("name", metavar="NAME", help="a study by name; see list studies")
    study.add_argument(
        "--pictures",
        metavar="DIR",
        default="",
        help="a folder, flat, in class folders or with labels.csv; or gallery:photos, gallery:imagenet50",
    )
    study.add_argument("--model", metavar="A[,B]", default="", help="models, by name; default: the study's")
    study.add_argument("--method", metavar="A[,B]", default="", help="methods, by name; NAME@STUDY a study's settings")
    study.add_argument("--limit", type=int, metavar="N", help="only the first N pictures")
    study.add_argument("--engine", choices=["local", "ray"], help="default: local, in this process")
    study.add_argument("--preset", choices=PRESETS, default="paper", help="default: paper")
    study.add_argument("--seed", type=int, default=0, metavar="N")
    study.add_argument(
        "--masks", default="all", metavar="WHOSE", help="all (the majority), starter, none, or an annotator's name"
    )
    study.add_argument("--set", action="append", default=[], metavar="METHOD.PARAMETER=VALUE", dest="sets")
    study.add_argument("--set-score", action="append", default=[], metavar="SCORE.PARAMETER=VALUE", dest="score_sets")
    study.add_argument("--set-study", action="append", default=[], metavar="PARAMETER=VALUE", dest="study_sets")
    study.add_argument("--out", required=True, metavar="DIR", help="rows and report; the same command goes on with it")
    study.set_defaults(command=_study)


def _study(options: argparse.Namespace) -> None:
    from .render.report import write_report
    from .studies.pictures import located
    from .studies.plan import Choice, plan_of
    from .studies.running import Standing, check_folder, run

    started = time.monotonic()
    if not options.out.strip():
        raise XaiError("--out names no folder; name one, such as --out results.")
    out = Path(options.out)
    check_out(out)
    check_folder(out)
    if options.seed < 0:
        raise XaiError(f"--seed {options.seed} does not fit: a seed is 0 or greater.")
    name = STUDIES[options.name].name
    plan = plan_of(
        Choice.model_validate(
            {
                "study": name,
                "pictures": located(options.pictures),
                "models": tuple(names_in(options.model)),
                "methods": tuple(names_in(options.method)),
                "limit": options.limit,
                "preset": options.preset,
                "seed": options.seed,
                "masks": options.masks,
                "set": assignments(options.sets, "METHOD"),
                "set_score": assignments(options.score_sets, "SCORE"),
                "set_study": assignments([f"{name}.{text}" for text in options.study_sets], "STUDY").get(name, {}),
            }
        )
    )
    for card in plan.cards:
        fetched(card)
    size = plan.size()
    print(f"{plan.spec.title}: {size.units:,} results, which take at most {size.passes:,} passes.", flush=True)
    shown = Progress()

    def follow(standing: Standing) -> None:
        shown(f"{standing.done} of {standing.units}: {standing.what}", standing.fraction, standing.seconds_left)

    if options.engine:
        os.environ[settings.variable("engine")] = options.engine
    done = None
    with _stopped_by_signals() as stop:
        engine = chosen()
        try:
            done = run(plan, engine, out, follow, stop)
        except (Cancelled, KeyboardInterrupt):
            raise KeyboardInterrupt("Stopped; what was computed is kept, the same command goes on.") from None
        finally:
            engine.close()
    clear_progress()
    report = write_report(plan, out)
    failed = f", {done.failed} without a result" if done.failed else ""
    print(f"{plan.spec.title}: {done.done} results{failed} in {out}; it took {duration(time.monotonic() - started)}.")
    print(f"The report is {report}.")


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[Any]:
    """A question whether SIGTERM has come; it ends a study like Ctrl+C, after the rows are written."""
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGTERM, before)
