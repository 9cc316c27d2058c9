"""Requests on the tiny card, and what every entry of a registry is asked in the same words."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from xai_core.corruptions import chain
from xai_core.engine.executor import Executor
from xai_core.engine.requests import Input, prepare_input
from xai_core.engine.run import Watch
from xai_core.registry import MODELS, Option, Parameters, Registry, Spec
from xai_core.types import Picture

CLASSES = 5


def seen_by_tiny(picture: Picture, *corruptions: str, seed: int = 0) -> Input:
    return prepare_input(picture, MODELS["tiny"], tuple(chain.parse(text) for text in corruptions), seed)


def fresh_executor(monkeypatch: pytest.MonkeyPatch, **settings: int) -> Executor:
    """An executor that remembers no result."""
    monkeypatch.setenv("XAI_CACHE_MB", "0")
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    for name, value in settings.items():
        monkeypatch.setenv(f"XAI_{name.upper()}", str(value))
    return Executor()


def cheap(spec: Spec, **values: Any) -> Parameters:
    """The quick preset with few samples or steps, where it has any: enough for three batches."""
    few = {"samples": 20, "steps": 8, "positions": 4}
    known = {name: value for name, value in few.items() if name in spec.parameters.model_fields}
    return spec.make({**known, **values}, "quick")


def another_value(option: Option) -> Any:
    """A valid value that is not the default."""
    if option.kind == "choice":
        return next(choice for choice in option.choices if choice != option.default)
    if option.kind == "bool":
        return not option.default
    if option.kind == "text":
        return f"{option.default}2"
    ends = [end for end in (option.low, option.high) if end is not None]
    middle = (option.default + next((end for end in ends if end != option.default), option.default + 2)) / 2
    return round(middle) if option.kind == "int" and round(middle) != option.default else middle


def check_facts(spec: Spec) -> None:
    """What the pickers, the method cards and the command line need to know of an entry."""
    from importlib import import_module

    module, _, name = spec.build.partition(":")
    assert getattr(import_module(module), name) is spec.parameters
    assert spec.name.isidentifier()
    assert spec.name == spec.name.lower()
    assert spec.title
    assert spec.summary.endswith(".")
    assert spec.summary.count(". ") >= 1, "two sentences: the idea, and how to read it"
    assert spec.parameters.__doc__
    assert spec.version >= 1
    for option in spec.options:
        assert option.help.endswith("."), option.name
        assert option.default is not None, option.name
        if option.kind in ("int", "float"):
            assert option.low is not None, option.name
            assert option.high is not None, option.name
            assert option.low <= option.default <= option.high
        if option.kind == "choice":
            assert option.default in option.choices
            assert len(option.choices) > 1
    assert not {option.name for option in spec.options} & RESERVED


RESERVED = {
    *("model", "picture", "method", "target", "against", "seed"),
    *("corruptions", "saliency", "scores", "mask", "preset"),
}
"""Keywords of the Python interface, which method and score parameters stand beside."""


@contextmanager
def with_next_version(registry: Registry[Spec], name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    spec = registry[name]
    with monkeypatch.context() as patched:
        patched.setitem(registry._entries, name, replace(spec, version=spec.version + 1))
        yield


def global_random_state() -> list[Any]:
    """What the global generators would draw next; entries have generators of their own."""
    numpy_state = np.random.get_state()  # noqa: NPY002
    return [random.getstate(), numpy_state[1].tolist(), numpy_state[2], torch.get_rng_state().tolist()]  # type: ignore[index]


def cancelled_at(check: int) -> Watch:
    """A watch that is asked whether to go on, and says no from the given check on; the first one is number 0."""
    asked = iter(range(10**9))
    return Watch(cancelled=lambda: next(asked) >= check)


def checks_of(compute: Any) -> int:
    """How often a computation asks whether it is still wanted."""
    asked: list[int] = []

    def keep_going() -> bool:
        asked.append(1)
        return False

    compute(Watch(cancelled=keep_going))
    return len(asked)
