"""A computed comparison of tiny networks, for tests of what is made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xai_core.corruptions import chain
from xai_core.engine.comparison import Comparison, Outcome, Variant, compute, scores_for
from xai_core.engine.inline import InlineEngine
from xai_core.registry import METHODS, MODELS
from xai_core.types import Picture, Score

FEW: Mapping[str, Mapping[str, Any]] = {"smoothgrad": {"samples": 3}}
"""Parameters that make a method quick."""


def variant(name: str, **parameters: Any) -> Variant:
    """A variant from "method" or "method@label"."""
    method, _, label = name.partition("@")
    return Variant(method, METHODS[method].make({**FEW.get(method, {}), **parameters}), label)


def outcome_of(
    picture: Picture,
    methods: Sequence[str] = ("gradcam", "smoothgrad"),
    models: Sequence[str] = ("tiny",),
    scores: Sequence[str] = (),
    corrupt: Sequence[str] = (),
    **facts: Any,
) -> Outcome:
    """All maps and scores of a comparison, computed in this process."""
    comparison = Comparison(
        picture=picture,
        cards=[MODELS[name] for name in models],
        variants=[variant(name) for name in methods],
        corruptions=tuple(chain.parse(text) for text in corrupt),
        scores=scores_for(scores, "paper"),
        **facts,
    )
    return compute(comparison, InlineEngine(), lambda what, fraction: None)


def with_score(outcome: Outcome, model: str, method: str, name: str, **changes: Any) -> Outcome:
    """The outcome with other facts of one score."""
    key = (model, method, name)
    changed: Score = replace(outcome.scores[key], **changes)
    return Outcome(
        outcome.comparison,
        outcome.clean,
        outcome.predictions,
        outcome.targets,
        outcome.maps,
        outcome.baseline_maps,
        {**outcome.scores, key: changed},
    )
