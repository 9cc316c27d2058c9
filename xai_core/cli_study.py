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
from .masks.consensus import CONSENSUS
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
        "--masks",
        default="all",
        metavar="WHOSE",
        help=f"people's consensus ({', '.join(CONSENSUS)}; all is the majority), starter, none, or an annotator's name",
    )
    study.add_argument("--set", action="append", default=[], metavar="METHOD.PARAMETER=VALUE", dest="sets")
    study.add_argument("--set-score", action="append", default=[], metavar="SCORE.PARAMETER=VALUE", dest="score_sets")
    study.add_argument("--set-study", action="append", default=[], metavar="PARAMETER=VALUE", dest="study_sets")
    study.add_argument("--out", required=True, metavar="DIR", help="rows and report; the same command goes on with it")
    study.set_defaults(command=_study)


def _study(options: argparse.Namespace) -> None:
    from .engine.comparison import check_used
    from .render.report import write_report
    from .studies.pictures import located
    from .studies.plan import MOST_SEED, Choice, plan_of
    from .studies.running import Standing, check_folder, run

    started = time.monotonic()
    if not options.out.strip():
        raise XaiError("--out names no folder; name one, such as --out results.")
    out = Path(options.out)
    check_out(out)
    check_folder(out)
    if not 0 <= options.seed <= MOST_SEED:
        raise XaiError(f"--seed {options.seed} does not fit: a seed is between 0 and {MOST_SEED}.")
    name = STUDIES[options.name].name
    study_sets = assignments([_of_study(text, name) for text in options.study_sets], "STUDY")
    check_used(study_sets, {name}, "study")
    plan = plan_of(
        Choice.of(
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
                "set_study": study_sets.get(name, {}),
            }
        )
    )
    for card in plan.cards:
        fetched(card)
    size = plan.size()
    print(f"{plan.spec.title}: {size.units:,} results, which take at most {size.passes:,} passes.", flush=True)
    shown = Progress(estimates=False)

    def follow(standing: Standing) -> None:
        shown(f"{standing.done} of {standing.units}: {standing.what}", standing.fraction, standing.seconds_left)

    if options.engine:
        os.environ[settings.variable("engine")] = options.engine
    engine = chosen()
    try:
        with _terminated_as_interrupted():
            done = run(plan, engine, out, follow)
    except (Cancelled, KeyboardInterrupt):
        raise KeyboardInterrupt("Stopped; what was computed is kept, the same command goes on.") from None
    finally:
        engine.close()
    clear_progress()
    report = write_report(plan, out)
    failed = f", {done.failed} without a result" if done.failed else ""
    print(f"{plan.spec.title}: {done.done} results{failed} in {out}; it took {duration(time.monotonic() - started)}.")
    print(f"The report is {report}.")


def _of_study(text: str, name: str) -> str:
    """ "STUDY.PARAMETER=VALUE" from that, or from PARAMETER=VALUE."""
    return text if "." in text.partition("=")[0] else f"{name}.{text}"


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a study as Ctrl+C does: at once, also within a long computation; then the rows are written."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
