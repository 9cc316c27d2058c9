"""What a comparison leaves behind: maps, standard errors, scores, and a manifest that says how they were made."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import math
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..classifiers import weights
from ..corruptions.chain import chain
from ..engine.comparison import Outcome, Variant
from ..registry import METHODS, SCORES
from ..types import Cost, Floats
from .figure import map_scale
from .sheets import as_text

COLUMNS = ("picture", "corruption", "model", "target", "method", "variant", "seed", "score", "value")
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "scikit-image",
    "pillow",
    "captum",
    "shap",
    "lime",
    "grad-cam",
)


def maps_npz(outcome: Outcome) -> bytes:
    """One float32 array (H, W) per requested map, under "model/method" or "model/method@variant"."""
    return _npz({f"{model}/{variant}": saliency.values for (model, variant), saliency in outcome.maps.items()})


def errors_npz(outcome: Outcome) -> bytes | None:
    """The standard errors of the sampled maps under the same names; None when no map has one."""
    errors = {
        f"{model}/{variant}": saliency.errors
        for (model, variant), saliency in outcome.maps.items()
        if saliency.errors is not None
    }
    return _npz(errors) if errors else None


def _npz(arrays: Mapping[str, Floats]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def score_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """Every score in long form, a row per value; the baselines appear as methods, undefined is nan."""
    comparison = outcome.comparison
    variants: dict[str, Variant] = {one.name: one for one in (*comparison.variants, *comparison.baselines)}
    rows = []
    for (model, variant, name), score in outcome.scores.items():
        for part, value in score.values.items():
            rows.append(
                {
                    "picture": comparison.picture.name,
                    "corruption": comparison.corruption_label,
                    "model": model,
                    "target": outcome.targets[model],
                    "method": variants[variant].method,
                    "variant": variants[variant].label,
                    "seed": comparison.seed,
                    "score": f"{name}.{part}",
                    "value": "nan" if math.isnan(value) else repr(value),
                }
            )
    return rows


def scores_csv(outcome: Outcome) -> str:
    """The rows of `score_rows` as CSV with a header, which stands alone when no score was asked for."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: as_text(value) for name, value in row.items()} for row in score_rows(outcome))
    return buffer.getvalue()


def manifest(outcome: Outcome) -> dict[str, Any]:
    """Versions, digests, seeds, parameters, profile, passes, seconds and keys of everything in the outcome."""
    comparison = outcome.comparison
    picture = comparison.picture
    some = next(iter(outcome.clean.values()), None)
    return {
        "format": 1,
        "picture": {
            "name": picture.name,
            "digest": picture.digest,
            "height": picture.size[0],
            "width": picture.size[1],
            "licence": picture.licence,
        },
        "mask": None if comparison.mask is None else {"name": comparison.mask.name, "digest": comparison.mask.digest},
        "corruptions": [step.describe() for step in chain(comparison.corruptions)],
        "seed": comparison.seed,
        "models": {card.name: _model(outcome, card.name) for card in comparison.cards},
        "maps": {
            f"{model}/{variant}": {
                "method": saliency.method,
                "title": METHODS[saliency.method].title,
                "version": METHODS[saliency.method].version,
                "parameters": dict(saliency.parameters),
                "target": saliency.target,
                "against": saliency.against,
                "layer": saliency.layer,
                "signed": saliency.signed,
                "seed": saliency.seed,
                "scale": map_scale(saliency),
                "notes": list(saliency.notes),
                "completeness_error": saliency.completeness,
                "passes": _passes(saliency.passes),
                "seconds": round(saliency.seconds, 4),
                "key": saliency.key,
            }
            for (model, variant), saliency in outcome.maps.items()
        },
        "scores": {
            f"{model}/{variant}/{name}": {
                "version": SCORES[name].version,
                "parameters": dict(score.parameters),
                "values": {part: _finite(value) for part, value in score.values.items()},
                "undefined": dict(score.reasons),
                "passes": _passes(score.passes),
                "seconds": round(score.seconds, 4),
                "key": score.key,
            }
            for (model, variant, name), score in outcome.scores.items()
        },
        "profile": dict(some.profile) if some is not None else {},
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
    }


def _model(outcome: Outcome, name: str) -> dict[str, Any]:
    card = next(card for card in outcome.comparison.cards if card.name == name)
    facts: dict[str, Any] = {
        "title": card.title,
        "architecture": card.architecture,
        "card": outcome.comparison.inputs[name].card,
        "weights": weights.digest(card),
        "preprocess": card.preprocess.model_dump(mode="json"),
        "licence": card.licence,
        "target": outcome.targets.get(name),
    }
    for title, predictions in (("clean", outcome.clean), ("corrupted", outcome.predictions)):
        if name in predictions:
            facts[title] = [
                {
                    "class": index,
                    "label": card.labels[index],
                    "probability": _finite(float(predictions[name].probabilities[index])),
                }
                for index in predictions[name].ranking(5)
            ]
    return facts


def _finite(value: float) -> float | None:
    """The value as JSON can hold it: what is no finite number is null."""
    return value if math.isfinite(value) else None


def _passes(cost: Cost) -> dict[str, int]:
    return {"forward": cost.forward, "backward": cost.backward}


def manifest_json(outcome: Outcome) -> str:
    """The manifest as indented JSON."""
    return json.dumps(manifest(outcome), indent=2, ensure_ascii=False) + "\n"
