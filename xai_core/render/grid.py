"""What the grid on the Compare page shows, as JSON: everything is decided here, the browser only draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..classifiers.cards import Card
from ..engine.comparison import Variant
from ..engine.following import Standing
from ..engine.jobs import Job
from ..registry import ARROWS, METHODS, SCORES, Value
from ..scores.ranking import rank_correlation
from ..types import Floats, Prediction, SaliencyMap, array_digest
from .colours import DIVERGING, SEQUENTIAL, Mode, Scale, lookup_table, shades
from .encoding import indices_uri, photo_uri, table_text
from .numbers import duration, number

TOP_CLASSES = 5


@dataclass(frozen=True)
class Look:
    """How maps are shown."""

    sequential: str = SEQUENTIAL[0]
    diverging: str = DIVERGING[0]
    mode: Mode = "value"
    opacity: float = 0.75
    grey: bool = True


def grid(standing: Standing, look: Look) -> dict[str, Any]:
    """The grid of models x maps with predictions, scores and baselines, as the browser's script draws it."""
    comparison = standing.outcome.comparison
    return {
        "look": {
            "opacity": look.opacity,
            "grey": look.grey,
            "tables": {
                "sequential": table_text(lookup_table(look.sequential)),
                "diverging": table_text(lookup_table(look.diverging)),
                "bwr": table_text(lookup_table("bwr")),
            },
        },
        "columns": [{"name": one.name, "title": one.title} for one in comparison.variants],
        "baselines": [METHODS[one.method].title for one in comparison.shown_baselines],
        "rows": [_row(standing, card, look) for card in comparison.cards],
    }


def _row(standing: Standing, card: Card, look: Look) -> dict[str, Any]:
    outcome = standing.outcome
    comparison = outcome.comparison
    target = outcome.targets.get(card.name)
    prediction = outcome.predictions.get(card.name)
    failure = next(
        (job.error for kind in ("clean", "prediction") if (job := standing.jobs[kind, card.name]).state == "failed"), ""
    )
    return {
        "model": card.name,
        "title": card.title,
        "failure": failure,
        "frame": None if prediction is None else _frame(prediction),
        "target": None if target is None else {"index": target, "label": card.labels[target]},
        "predictions": _predictions(standing, card),
        "cells": [_cell(standing, card, variant, look) for variant in comparison.variants],
        "baselines": [_thumbnail(standing, card, one, look) for one in comparison.shown_baselines],
        "scores": score_lines(standing, card),
    }


def _frame(prediction: Prediction) -> dict[str, str]:
    return {"id": prediction.key, "src": _photo(_Shown(prediction.key, prediction.frame))}


def _predictions(standing: Standing, card: Card) -> list[dict[str, Any]]:
    """The classes that matter: the top ones of the clean and of the corrupted picture, and the target."""
    outcome = standing.outcome
    clean, seen = outcome.clean.get(card.name), outcome.predictions.get(card.name)
    if clean is None or seen is None:
        return []
    target = outcome.targets.get(card.name)
    ranked = [*clean.ranking(TOP_CLASSES), *seen.ranking(2)]
    classes = list(dict.fromkeys(ranked[:3] + ranked[TOP_CLASSES:] + ranked))[:TOP_CLASSES]
    if target is not None and target not in classes:
        classes[-1] = target
    classes.sort(key=lambda index: -max(clean.probabilities[index], seen.probabilities[index]))
    return [
        {
            "index": index,
            "label": card.labels[index],
            "clean": float(clean.probabilities[index]),
            "seen": float(seen.probabilities[index]),
            "corrupted": bool(outcome.comparison.inputs[card.name].corruptions),
            "target": index == target,
        }
        for index in classes
    ]


def _cell(standing: Standing, card: Card, variant: Variant, look: Look) -> dict[str, Any]:
    cell = map_cell(variant.name, variant.title, standing.jobs.get(("map", card.name, variant.name)), look)
    saliency = standing.outcome.maps.get((card.name, variant.name))
    agreement = _agreement(standing, card, variant, saliency) if saliency is not None else ""
    if agreement:
        cell["notes"].insert(0, agreement)
    return cell


def map_cell(name: str, title: str, job: Job | None, look: Look) -> dict[str, Any]:
    """A cell of the grid for one map: how far its job is, the map or the part of it that is there, and its facts."""
    cell: dict[str, Any] = {"name": name, "title": title, "state": "waiting", "map": None, "notes": []}
    cell["message"] = "waiting"
    if job is None:
        return cell
    cell["state"] = job.state
    cell.update(_progress(job))
    saliency = job.result
    if isinstance(saliency, SaliencyMap):
        cell["map"] = _map(saliency.key, saliency.values, saliency.signed, look)
        cell["notes"] = list(saliency.notes)
        cell["caption"] = _caption(saliency)
    elif job.partial is not None:
        partial = job.partial
        cell["map"] = _map(array_digest(partial.values), partial.values, partial.signed, look)
    return cell


def _progress(job: Job) -> dict[str, Any]:
    words = {"waiting": "waiting", "cancelled": "stopped", "failed": job.error}
    if job.state == "running":
        left = f", {duration(job.seconds_left)} left" if job.seconds_left is not None else ""
        return {"message": f"{job.done} of {job.total} passes{left}", "fraction": job.done / max(job.total, 1)}
    return {"message": words.get(job.state, ""), "fraction": 0.0}


def _caption(saliency: SaliencyMap) -> str:
    """What was computed, in a line: samples or steps where there are some, layer, how well it adds up, seconds."""
    parts = [f"{saliency.parameters[unit]} {unit}" for unit in ("samples", "steps") if unit in saliency.parameters]
    if saliency.layer is not None:
        parts.append(f"layer {saliency.layer}")
    if saliency.against is not None:
        parts.append("against the other class")
    if saliency.completeness is not None:
        parts.append(f"sum off by {saliency.completeness:.1%}")
    parts.append(duration(saliency.seconds))
    return " · ".join(parts)


def _agreement(standing: Standing, card: Card, variant: Variant, saliency: SaliencyMap) -> str:
    """How a map of the reference library agrees with ours beside it."""
    if saliency.parameters.get("implementation") != "reference":
        return ""
    own = standing.outcome.maps.get((card.name, variant.method))
    if own is None:
        return ""
    agreement = _correlation(_Shown(own.key, own.values), _Shown(saliency.key, saliency.values))
    return f"Rank correlation with ours: {number(agreement)}"


def _thumbnail(standing: Standing, card: Card, variant: Variant, look: Look) -> dict[str, Any]:
    place = (card.name, variant.name)
    saliency = standing.outcome.baseline_maps.get(place) or standing.outcome.maps.get(place)
    shown = None if saliency is None else _map(saliency.key, saliency.values, saliency.signed, look)
    return {"title": METHODS[variant.method].title, "map": shown}


def _map(key: str, values: Floats, signed: bool, look: Look) -> dict[str, Any]:
    src, scale = _encoded(_Shown(key, values), signed, look.mode)
    rank = scale.unit == "rank"
    table = "bwr" if look.mode == "minmax" else "diverging" if signed and not rank else "sequential"
    return {
        "id": f"{key}/{look.mode}",
        "src": src,
        "table": table,
        "low": scale.low,
        "high": scale.high,
        "ends": ["lowest", "highest"] if rank else [number(scale.low), number(scale.high)],
        "zero": scale.low < 0 < scale.high,
        "clipped": look.mode == "value",
    }


class _Shown:
    """A map that is remembered by its key."""

    def __init__(self, key: str, values: Any):
        self.key, self.values = key, values

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shown) and other.key == self.key


@lru_cache(maxsize=256)
def _correlation(left: _Shown, right: _Shown) -> float:
    return rank_correlation(left.values, right.values)


@lru_cache(maxsize=256)
def _encoded(shown: _Shown, signed: bool, mode: Mode) -> tuple[str, Scale]:
    indices, scale = shades(shown.values, signed, mode)
    return indices_uri(indices), scale


@lru_cache(maxsize=64)
def _photo(shown: _Shown) -> str:
    return photo_uri(shown.values)


def score_lines(standing: Standing, card: Card) -> list[dict[str, Any]]:
    """A line for every value: its title and direction, the maps' values with the best marked, the baselines'."""
    comparison = standing.outcome.comparison
    lines = []
    for name in comparison.scores:
        spec = SCORES[name]
        if spec.needs_mask and comparison.mask is None:
            continue
        for part, value in spec.values.items():
            shown = [_value(standing, card, one, name, part) for one in comparison.variants]
            best = _best([one["value"] for one in shown], value)
            for number_, one in enumerate(shown):
                one["best"] = number_ in best
            lines.append(
                {
                    "id": f"{name}.{part}",
                    "title": value.title,
                    "arrow": ARROWS[value.better],
                    "unit": value.unit,
                    "help": f"{value.title}: {value.better} is better. {value.help} {spec.summary}",
                    "headline": value.headline,
                    "values": shown,
                    "baselines": [_value(standing, card, one, name, part) for one in comparison.baselines],
                }
            )
    return lines


def _value(standing: Standing, card: Card, variant: Variant, name: str, part: str) -> dict[str, Any]:
    job = standing.jobs.get(("score", card.name, variant.name, name))
    score = standing.outcome.scores.get((card.name, variant.name, name))
    if score is not None:
        value = score.values[part]
        reason = score.reasons.get(part, "")
        undefined = math.isnan(value)
        return {
            "text": number(value),
            "value": None if undefined else value,
            "state": "done",
            "title": f"undefined: {reason}" if undefined and reason else "",
        }
    state = "waiting" if job is None else job.state
    text = {"waiting": "", "running": "", "cancelled": "–", "failed": "!"}.get(state, "")
    return {"text": text, "value": None, "state": state, "title": job.error if job is not None else ""}


def _best(values: list[float | None], value: Value) -> set[int]:
    """Which of several values are the best; nobody is when there is only one."""
    numbers = [one for one in values if one is not None]
    if len(numbers) < 2:
        return set()
    top = max(numbers) if value.better == "higher" else min(numbers)
    return {place for place, one in enumerate(values) if one == top}
