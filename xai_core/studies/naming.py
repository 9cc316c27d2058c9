"""What rows' names are called in tables and charts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..explainers.baselines import BASELINES
from ..registry import ARROWS, CORRUPTIONS, METHODS, MODELS, SCORES, TRIALS, Better, Value

OTHERS = {
    "prediction.probability": "Probability of the class",
    "prediction.top": "Most probable class",
    "prediction.correct": "Accuracy",
}
"""Values that no score yields."""


def value_of(score: str) -> Value | None:
    """What the registries know of "score.part", which a score yields or a trial."""
    name, _, part = score.partition(".")
    return next((registry[name].values.get(part) for registry in (SCORES, TRIALS) if name in registry), None)


def better(score: str) -> Better | None:
    """Which way "score.part" is better; None where nobody says."""
    known = value_of(score)
    return "higher" if score == "prediction.correct" else known.better if known else None


def score_title(score: str) -> str:
    """ "ROAD, combined" for "road.combined"; other names are made readable."""
    known = value_of(score)
    return known.title if known else OTHERS.get(score) or _plain(score.replace(".", ", "))


def heading(score: str) -> str:
    """The title with its unit and the arrow for which way is better."""
    known = value_of(score)
    unit = f" ({known.unit})" if known and known.unit else ""
    way = better(score)
    return f"{score_title(score)}{unit}{f' {ARROWS[way]}' if way else ''}"


def map_name(method: str, variant: str) -> str:
    """ "method", or "method@variant"."""
    return f"{method}@{variant}" if variant else method


def map_title(name: str) -> str:
    """The title of "method@variant"."""
    method, _, variant = name.partition("@")
    title = METHODS[method].title if method in METHODS else _plain(method)
    return f"{title} · {variant}" if variant else title


def is_baseline(name: str) -> bool:
    """Whether "method@variant" is a map that explains nothing."""
    method = name.partition("@")[0]
    return method in METHODS and METHODS[method].family == "baseline"


def in_order(names: Iterable[str]) -> list[str]:
    """Every name of a map once: methods by name, then baselines as everywhere."""
    places = {name: place for place, name in enumerate(BASELINES)}
    return sorted(set(names), key=lambda name: (is_baseline(name), places.get(name, len(places)), name))


def model_title(name: str) -> str:
    return MODELS[name].title if name in MODELS else name


def corruption_title(label: str) -> str:
    """ "Gaussian noise 25" for the label of a chain."""
    return " + ".join(_step_title(step) for step in label.split("+"))


def _step_title(step: str) -> str:
    name, _, value = step.partition("=")
    title = CORRUPTIONS[name].title if name in CORRUPTIONS else _plain(name)
    return f"{title} {value}".strip()


def natural(label: str) -> tuple[bool, list[tuple[float, str]]]:
    """A key by which labels of corruptions are sorted: clean first, then by name and number."""
    parts = re.findall(r"\d+(?:\.\d+)?|[^\d]+", label)
    return label != "clean", [(float(part), "") if part[0].isdigit() else (-1.0, part) for part in parts]


def slug(text: str) -> str:
    """Lower case, digits and hyphens, for the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def listed(names: Iterable[str]) -> str:
    """ "A, B and C"."""
    *most, last = list(names) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _plain(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]
