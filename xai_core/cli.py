"""The command line: the same functions as the page, without a browser."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from . import settings
from .bench import BENCHMARKS
from .classifiers import cards as card_module
from .classifiers import weights
from .classifiers.cards import Card
from .cli_masks import add_masks
from .cli_parts import Progress, assignments, check_out, chosen, clear_progress, fetched, names_in, write_folder
from .cli_study import add_study
from .corruptions import chain
from .images.decoding import open_picture
from .masks.reading import open_mask
from .registry import CORRUPTIONS, METHODS, MODELS, PRESETS, SCORES, STUDIES, Registry, Spec
from .render.numbers import duration
from .types import Cancelled, XaiError

USAGE_ERROR = 2
DEFAULT_MODEL = "efficientnet_lite0"
"""The model that every machine has: its weights come with a package."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise XaiError(f"{message[0].upper()}{message[1:]}; {self.prog} --help lists what is possible.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0, 2 for what the user can mend, 130 for Ctrl+C."""
    try:
        logging.basicConfig(level=settings.current().log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
        for name in settings.unknown(os.environ):
            print(f"warning: there is no setting {name}; it is ignored.", file=sys.stderr)
        options = _parser().parse_args(arguments)
        options.command(options)
        sys.stdout.flush()
    except XaiError as error:
        clear_progress()
        print(" ".join(str(error).split()), file=sys.stderr)
        return USAGE_ERROR
    except (KeyboardInterrupt, Cancelled) as stop:
        clear_progress()
        print(str(stop) or "Stopped; nothing was written.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads has read enough; Python would complain when it flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> Parser:
    parser = Parser(prog="python -m xai_core", description="Compare saliency maps of ImageNet classifiers.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)

    what = commands.add_parser("list", help="what there is: models, methods, scores, corruptions, studies")
    what.add_argument("kind", choices=["models", "methods", "scores", "corruptions", "studies"])
    what.add_argument("--json", action="store_true", help="for programs: everything that is known")
    what.set_defaults(command=_list)

    explain = commands.add_parser("explain", help="maps and scores of a picture, written to a folder")
    explain.add_argument("picture", metavar="PICTURE", help="a picture file")
    explain.add_argument("--model", required=True, metavar="A[,B]", help="models, by name")
    explain.add_argument(
        "--method",
        required=True,
        metavar="A[,B]",
        help="methods, by name; NAME@LABEL is a variant, NAME@STUDY a study's",
    )
    explain.add_argument("--target", type=int, metavar="N", help="class index; default: each model's top class")
    explain.add_argument("--against", type=int, metavar="N", help="explain why the target and not this class")
    explain.add_argument(
        "--corrupt",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="in the order given; NAME=VALUE,PARAMETER=VALUE has other parameters too",
    )
    explain.add_argument("--seed", type=int, default=0, metavar="N")
    explain.add_argument("--preset", choices=PRESETS, default="paper", help="default: paper")
    explain.add_argument("--set", action="append", default=[], metavar="METHOD.PARAMETER=VALUE", dest="sets")
    explain.add_argument("--set-score", action="append", default=[], metavar="SCORE.PARAMETER=VALUE", dest="score_sets")
    explain.add_argument("--mask", metavar="FILE", help="ground truth, white on black, at the picture's size")
    explain.add_argument(
        "--score",
        metavar="A[,B]|all|full",
        default="",
        help="scores, by name; all need no extra maps, full is every one",
    )
    explain.add_argument("--out", required=True, metavar="DIR")
    explain.set_defaults(command=_explain)

    add_masks(commands)
    add_study(commands)

    files = commands.add_parser("weights", help="what is downloaded, and downloads")
    actions = files.add_subparsers(title="actions", required=True, metavar="ACTION", parser_class=Parser)
    actions.add_parser("list", help="every model and where its weights are").set_defaults(command=_weights_list)
    fetch = actions.add_parser("fetch", help="download weights")
    fetch.add_argument("names", nargs="+", metavar="NAME")
    fetch.set_defaults(command=_weights_fetch)

    ahead = commands.add_parser("warm", help="compute the gallery ahead, for the page to show at once")
    ahead.add_argument("--model", metavar="A[,B]", default="", help="default: every model that is ready")
    ahead.add_argument("--preset", choices=PRESETS, default="quick", help="default: quick, as on the page")
    ahead.set_defaults(command=_warm)

    measure = commands.add_parser("bench", help="measure speed, load and leaks")
    measure.add_argument("name", metavar="NAME", help=", ".join(BENCHMARKS))
    measure.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME", help=f"default: {DEFAULT_MODEL}")
    measure.add_argument("--json", metavar="FILE", help="write the result as JSON too")
    measure.set_defaults(command=_bench)
    return parser


# -- list ----------------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> None:
    if options.kind == "models":
        rows = [_model_facts(card) for card in MODELS]
        problems = card_module.problems()
    else:
        registries = {"methods": METHODS, "scores": SCORES, "corruptions": CORRUPTIONS, "studies": STUDIES}
        registry: Registry[Spec] = registries[options.kind]
        rows = [_spec_facts(spec) for spec in registry]
        problems = []
    if options.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            print(f"{row['name']:<{width}}  {row['line']}")
    for problem in problems:
        print(problem, file=sys.stderr)


def _model_facts(card: Card) -> dict[str, Any]:
    found = weights.status(card)
    return {
        "name": card.name,
        "line": f"{card.title}, {found.sentence}",
        "title": card.title,
        "state": found.state,
        "bytes": found.size,
        "architecture": card.architecture,
        "cam_layer": card.cam_layer,
        "licence": card.licence,
    }


def _bound(value: float) -> float | None:
    """A bound as JSON has it, which knows no infinity."""
    return value if math.isfinite(value) else None


def _spec_facts(spec: Spec) -> dict[str, Any]:
    parameters = [
        {
            "name": option.name,
            "type": option.kind,
            "default": option.default,
            "low": option.low,
            "high": option.high,
            "choices": list(option.choices),
            "unit": option.unit,
            "help": option.help,
        }
        for option in spec.options
    ]
    values = {
        part: {
            "title": one.title,
            "better": one.better,
            "low": _bound(one.low),
            "high": _bound(one.high),
            "unit": one.unit,
        }
        for part, one in spec.values.items()
    }
    return {
        "name": spec.name,
        "line": f"{spec.title}. {spec.summary}",
        "title": spec.title,
        "summary": spec.summary,
        "family": spec.family,
        "version": spec.version,
        "parameters": parameters,
        "presets": {name: dict(preset) for name, preset in spec.presets.items()},
        "studies": {name: {"title": one.title, **one.values} for name, one in spec.studies.items()},
        "values": values,
        "severities": list(spec.severities),
        "moves_pixels": spec.moves_pixels,
        "cites": list(spec.cites),
        "reference": spec.reference,
    }


# -- explain -------------------------------------------------------------------------------------------------------


def _explain(options: argparse.Namespace) -> None:
    from .engine.comparison import Comparison, check_used, compute, scores_for, variants_for

    started = time.monotonic()
    if not options.out.strip():
        raise XaiError("--out names no folder; name one, such as --out results.")
    out = Path(options.out)
    check_out(out)
    if not names_in(options.model):
        raise XaiError("No model was named: write --model followed by names from python -m xai_core list models.")
    models: list[Card] = [MODELS[name] for name in names_in(options.model)]
    sets = assignments(options.sets, "METHOD")
    variants = variants_for(names_in(options.method), options.preset, sets)
    if not variants:
        raise XaiError("No method was named: write --method followed by names from python -m xai_core list methods.")
    score_sets = assignments(options.score_sets, "SCORE")
    scores = scores_for(names_in(options.score), options.preset, score_sets)
    check_used(score_sets, set(scores), "score")
    corruptions = tuple(chain.parse(text) for text in options.corrupt)
    picture = open_picture(options.picture)
    mask = open_mask(options.mask) if options.mask is not None else None
    if mask is not None:
        from .engine.requests import check_mask

        check_mask(mask, picture)
    if options.seed < 0:
        raise XaiError(f"--seed {options.seed} does not fit: a seed is 0 or greater.")
    for card in models:
        fetched(card)
    comparison = Comparison(
        picture, models, variants, corruptions, scores, mask, options.target, options.seed, options.against
    )
    for card in models:
        comparison.checked_target(card)

    outcome = compute(comparison, chosen(), Progress())
    clear_progress()
    from .render import export
    from .render.figure import figure_png

    files: dict[str, bytes] = {
        "figure.png": figure_png(outcome),
        "maps.npz": export.maps_npz(outcome),
        "scores.csv": export.scores_csv(outcome).encode(),
        "manifest.json": export.manifest_json(outcome).encode(),
    }
    errors = export.errors_npz(outcome)
    if errors is not None:
        files["errors.npz"] = errors
    write_folder(out, files, obsolete={"errors.npz"} - files.keys())
    for card in models:
        target, clean = outcome.targets[card.name], outcome.clean[card.name]
        print(f"{card.title}: {card.labels[target]} ({target}), {clean.probabilities[target]:.1%}")
    print(f"Wrote {', '.join(files)} to {out} in {duration(time.monotonic() - started)}.")


# -- weights -------------------------------------------------------------------------------------------------------


def _weights_list(options: argparse.Namespace) -> None:
    width = max(len(card.name) for card in MODELS)
    for card in MODELS:
        found = weights.status(card)
        print(f"{card.name:<{width}}  {found.sentence}{f'  {found.path}' if found.path else ''}")
    for problem in card_module.problems():
        print(problem, file=sys.stderr)


def _weights_fetch(options: argparse.Namespace) -> None:
    chosen = [cast(Card, MODELS[name]) for name in options.names]
    failures = []
    for card in chosen:
        try:
            path = fetched(card)
        except XaiError as error:  # the others are still fetched
            clear_progress()
            failures.append(str(error))
            continue
        print(f"{card.name}  {path}")
    if failures:
        raise XaiError(" ".join(failures))


# -- warm ----------------------------------------------------------------------------------------------------------


def _warm(options: argparse.Namespace) -> None:
    from .api import engine
    from .engine.warming import measure_batches, warm

    started = time.monotonic()
    if not settings.current().disk_cache_mb:
        raise XaiError("Nothing can be computed ahead with XAI_DISK_CACHE_MB=0; give the disk cache some megabytes.")
    names = names_in(options.model)
    cards: list[Card] = [MODELS[name] for name in names] or list(MODELS)
    for card in cards if names else ():
        weights.located(card)
    ready = [card for card in cards if weights.status(card).state == "ready"]
    try:
        measure_batches(ready)
        count = warm(ready, engine(), options.preset, Progress())
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Stopped; what was computed is kept.") from None
    clear_progress()
    titles = ", ".join(card.title for card in ready)
    print(f"The page shows {count} views of {titles} at once; it took {duration(time.monotonic() - started)}.")


# -- bench ---------------------------------------------------------------------------------------------------------


def _bench(options: argparse.Namespace) -> None:
    from .bench import benchmark, machine, table

    run = benchmark(options.name)
    card: Card = MODELS[options.model]
    file = Path(options.json) if options.json is not None else None
    if file is not None:
        _check_file(file)
    fetched(card)
    result = {**run(card.name), "machine": machine.machine()}
    if file is not None:
        write_folder(file.absolute().parent, {file.name: json.dumps(result, indent=2).encode()})
    print(table.table(result))


def _check_file(file: Path) -> None:
    """Refuses before anything is measured where the result could not be written."""
    if not file.name or file.is_dir():
        raise XaiError(f"--json {file} is a folder; name a file, such as --json result.json.")
    check_out(file.absolute().parent, "--json")
