"""What a study's report says: its sections, and around them what was asked, how it was computed, and by whom it is."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...classifiers.cards import WeightsFile
from ...engine.requests import Explain, Request, Trial
from ...registry import METHODS, SCORES, TRIALS, Spec
from ...studies.exhibits import Exhibit, Section, Table, Words
from ...studies.naming import score_title
from ...studies.plan import Plan
from ...studies.results import Log
from ...studies.running import SETTINGS, is_running, settings_of, standing_of
from ...types import XaiError
from ..export import PACKAGES

if TYPE_CHECKING:
    import pandas as pd

PAUSE = 600.0
"""Seconds without a row after which a study counts as stopped and resumed."""


@dataclass(frozen=True, eq=False)
class Report:
    """A report: what stands on top, and the sections; `facts` are pairs of a name and a value.

    `batches` tells how many batches of rows it has seen, at least.
    """

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    batches: int = 0

    @property
    def tables(self) -> list[Table]:
        """All its tables; a name that comes again gets a number."""
        seen: dict[str, int] = {}
        found = []
        for section in self.sections:
            for one in section.exhibits:
                if isinstance(one, Table):
                    seen[one.name] = seen.get(one.name, 0) + 1
                    number = seen[one.name]
                    found.append(one if number == 1 else replace(one, name=f"{one.name}-{number}"))
        return found


def report_of(plan: Plan, out: Path) -> Report:
    """The report of what is in `out` so far; raises `XaiError` for rows that cannot be read."""
    log = Log(out)
    batches = len(log.files())  # counted first: what comes while the report is written is not in it
    rows = log.read()
    kept = settings_of(out) or {}
    found = list(plan.study.sections(plan, rows)) if len(rows) else []
    if not found:
        found = [Section("Results", (Words(["There are no results yet."]),))]
    done, units = _progress(plan, rows, out)
    standing = _standing(out, done, units)
    facts = [("Study", plan.spec.name), ("Standing", standing)]
    if plan.pictures is not None:
        seen = rows.loc[rows["picture"] != "", "picture"].nunique()
        facts.append(("Pictures", f"{seen} of {len(plan.pictures.entries)}"))
    facts += [
        (title, text)
        for title, text in (
            ("Models", ", ".join(card.title for card in plan.cards)),
            ("Methods", ", ".join(variant.title for variant in plan.variants)),
            ("Preset, seed", f"{plan.choice.preset}, {plan.seed}"),
        )
        if text
    ]
    sections = [
        *found,
        _undefined(rows),
        _settings(plan, kept),
        _models(plan, kept),
        _computed(log, kept),
        _sources(plan, rows),
    ]
    shown = tuple(one for one in (section.filled for section in sections) if one.exhibits)
    return Report(plan.spec.title, plan.spec.summary, tuple(facts), shown, batches)


def _progress(plan: Plan, rows: pd.DataFrame, out: Path) -> tuple[int, int | None]:
    """How many units have results, and how many there are; None where the pictures are gone."""
    done = int(rows.loc[~rows["failed"], "unit"].nunique())
    try:
        return done, plan.size().units
    except XaiError:
        return done, None


def _standing(out: Path, done: int, units: int | None) -> str:
    if units is None:
        return f"{done} results"
    state = "it is running" if is_running(out) else "the same command goes on with it"
    left = standing_of(out)
    if done >= units and left is not None and not left.ended:  # some may be of pictures or labels that have changed
        return f"{done} results, which the last run has not all gone through; {state}"
    if done >= units:
        return f"complete: {done} results"
    return f"{done} of {units} results ({done / units:.0%}); {state}" if units else "nothing to do"


def _undefined(rows: pd.DataFrame) -> Section:
    """Which values are not there, and why."""
    import pandas as pd

    title = "Undefined and failed"
    gaps = rows[rows["value"].isna()]
    if gaps.empty:
        return Section(title, (Words(["Every value is defined, and nothing failed."]),) if len(rows) else ())
    counts = gaps.groupby(["failed", "score", "reason"]).size().reset_index(name="count")
    whole = rows.groupby("score").size()
    frame = pd.DataFrame(
        {
            "Score": [score_title(score) for score in counts["score"]],
            "Why": ["failed" if failed else "undefined" for failed in counts["failed"]],
            "Reason": [reason or "not said" for reason in counts["reason"]],
            "Values": counts["count"],
            "Of": [int(whole[score]) for score in counts["score"]],
        }
    )
    note = (
        "Means, tests and ranks leave undefined values out. What failed is tried again when the study goes on, and "
        "counts as undefined until then."
    )
    return Section(title, (Table("undefined", "Values that are not there", frame, note),))


def _settings(plan: Plan, kept: Mapping[str, Any]) -> Section:
    """Everything that was chosen, and the parameters that came of it."""
    import pandas as pd

    choice = plan.choice.model_dump(mode="json")
    version, now = kept.get("version", plan.spec.version), plan.spec.version
    other = f"; this program has version {now}, whose numbers may differ, and cannot go on" if version != now else ""
    chosen = {
        "Study": f"{plan.spec.name}, version {version}{other}",
        "Pictures": Path(choice["pictures"]).name if choice["pictures"] else "",
        "Limit": choice["limit"] or "none",
        "Preset": choice["preset"],
        "Seed": choice["seed"],
        "Masks": choice["masks"] if plan.pictures is not None else "",
        **{f"Study: {name}": value for name, value in plan.study.model_dump(mode="json").items()},
        **{
            f"Set by hand: {name}.{key}": value
            for part in ("set", "set_score")
            for name, one in choice[part].items()
            for key, value in one.items()
        },
    }
    lines = [(name, str(value)) for name, value in chosen.items() if value != ""]
    exhibits: list[Exhibit] = [Table("choice", "The choice", pd.DataFrame(lines, columns=["Setting", "Value"]))]
    used = _parameters(plan)
    if used:
        exhibits.append(Table("parameters", "Parameters", pd.DataFrame(used)))
    return Section("Settings", exhibits)


def _parameters(plan: Plan) -> list[dict[str, str]]:
    """The parameters of every method, score and trial that the first picture and the trials ask for."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}

    def note(kind: str, name: str, parameters: Mapping[str, Any]) -> None:
        known = found.setdefault((kind, name), [])
        if parameters not in known:
            known.append(parameters)

    for variant in plan.shown:
        note("Method", variant.title, variant.parameters.model_dump(mode="json"))
    chosen = {(variant.method, variant.parameters) for variant in plan.shown}
    try:
        for request in _requests(plan):
            if isinstance(request, Explain):
                if (request.method, request.parameters) not in chosen:
                    note("Method", METHODS[request.method].title, request.parameters.model_dump(mode="json"))
                continue
            said = request.description
            name = str(said.get(said["kind"], ""))
            if name and "parameters" in said:
                known = TRIALS if said["kind"] == "trial" else SCORES
                note(said["kind"].capitalize(), known[name].title if name in known else name, said["parameters"])
    except XaiError:
        pass  # the pictures are gone
    return [{"What": kind, "Name": name, "Parameters": _told(sets)} for (kind, name), sets in found.items()]


def _requests(plan: Plan) -> list[Request]:
    units = list(plan.study.trials(plan))
    if plan.pictures is not None:
        for one in plan.openings(plan.pictures.entries[:1]):
            units += plan.study.units(plan, one.subject(0))
    return [request for unit in units for request in (*unit.request.needs, unit.request)]


def _told(sets: list[Mapping[str, Any]]) -> str:
    """ "samples 50, noise 0.15"; a parameter that differs has all its values."""
    parts = []
    for name in dict.fromkeys(name for one in sets for name in one):
        values = list(dict.fromkeys(_plain(one[name]) for one in sets if name in one))
        parts.append(f"{name} {' | '.join(values)}")
    return ", ".join(parts) or "none"


def _plain(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _models(plan: Plan, kept: Mapping[str, Any]) -> Section:
    import pandas as pd

    if not plan.cards:
        return Section("Models")
    digests = kept.get("models", {})
    lines = [
        {
            "Model": card.title,
            "Name": card.name,
            "Architecture": card.architecture,
            "Weights": card.weights.file if isinstance(card.weights, WeightsFile) else card.weights,
            "Digest": str(digests.get(card.name, ""))[:16] or "–",
            "Map layer": card.cam_layer,
            "Licence": card.licence or "–",
        }
        for card in plan.cards
    ]
    note = (
        "Digest: the first digits of the SHA-256 of the weights, and of all in the card that decides what is computed."
    )
    return Section("Models", (Table("models", "Models", pd.DataFrame(lines), note),))


def _computed(log: Log, kept: Mapping[str, Any]) -> Section:
    """On what, with which versions, and when."""
    import pandas as pd

    exhibits: list[Exhibit] = []
    sittings = _sittings(log)
    if sittings:
        note = f"A new line begins after {PAUSE / 60:.0f} minutes without a result. Times are UTC."
        exhibits.append(Table("sittings", "What was computed when", pd.DataFrame(sittings), note))
    if kept.get("profile"):
        lines = [(str(name), str(value)) for name, value in kept["profile"].items()]
        note = f"Results are equal bit by bit within one profile; {SETTINGS} keeps it."
        exhibits.append(Table("profile", "Execution profile", pd.DataFrame(lines, columns=["Name", "Value"]), note))
    versions = [("python", platform.python_version()), *((name, importlib.metadata.version(name)) for name in PACKAGES)]
    packages = pd.DataFrame(versions, columns=["Package", "Version"])
    exhibits.append(Table("versions", "Versions", packages, "When this report was written."))
    return Section("How it was computed", exhibits)


def _sittings(log: Log) -> list[dict[str, Any]]:
    """When rows were written, in stretches without a long pause."""
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = []
    last = float("-inf")
    for file in log.files():
        when, count = file.stat().st_mtime, pq.read_metadata(file).num_rows
        if when - last > PAUSE:
            found.append({"From": _time(when), "To": _time(when), "Batches": 0, "Values": 0})
        found[-1] |= {"To": _time(when), "Batches": found[-1]["Batches"] + 1, "Values": found[-1]["Values"] + count}
        last = when
    return found


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _sources(plan: Plan, rows: pd.DataFrame) -> Section:
    """Who has thought of what."""
    import pandas as pd

    methods = {variant.method for variant in plan.shown} | {name for name in rows["method"] if name in METHODS}
    scores = dict.fromkeys(score.partition(".")[0] for score in rows["score"])
    specs: list[tuple[str, Spec]] = [("Study", plan.spec)]
    specs += [("Method", METHODS[name]) for name in sorted(methods)]
    specs += [("Score", SCORES[name]) for name in scores if name in SCORES]
    trials = {unit.request.trial: None for unit in plan.study.trials(plan) if isinstance(unit.request, Trial)}
    specs += [("Trial", TRIALS[name]) for name in trials]
    lines = [{"What": kind, "Name": spec.title, "Source": cite} for kind, spec in specs for cite in spec.cites]
    statistics = {
        "Ranks and critical difference": "Demšar 2006, Statistical comparisons of classifiers over multiple data sets",
        "Correction for many tests": "Holm 1979, A simple sequentially rejective multiple test procedure",
        "Bootstrap interval (BCa)": "Efron 1987, Better bootstrap confidence intervals",
        "Rank-biserial correlation": "Kerby 2014, The simple difference formula",
    }
    lines += [{"What": "Statistics", "Name": name, "Source": cite} for name, cite in statistics.items()]
    return Section("Sources", (Table("sources", "Sources", pd.DataFrame(lines)),))
