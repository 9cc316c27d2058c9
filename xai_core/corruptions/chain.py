"""A chain of corruptions and how it is applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ..registry import CORRUPTIONS, Parameters
from ..seeds import generator
from ..types import Bools, Pixels, XaiError


@dataclass(frozen=True, eq=False)
class Corrupted:
    """A corrupted frame: `pixels` uint8 (H, W, 3), and the bool (H, W) area that was covered, or None."""

    pixels: Pixels
    occluded: Bools | None = None


class Corruption(Parameters):
    """Base of every corruption: its fields are its parameters."""

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        """The corrupted copy of uint8 (H, W, 3) `pixels`; the shape and type stay."""
        raise NotImplementedError


@dataclass(frozen=True)
class Step:
    """One corruption of a chain, with its validated parameters."""

    name: str
    corruption: Corruption
    occurrence: int = 0
    """How often the same corruption came before it in the chain: it names its random stream."""

    @property
    def value(self) -> float:
        """The value of its main parameter."""
        return float(getattr(self.corruption, CORRUPTIONS[self.name].primary))

    @property
    def text(self) -> str:
        """As on the command line, with what is not a default behind the value: `parse` reads it."""
        return f"{self.name}={getattr(self.corruption, CORRUPTIONS[self.name].primary)!r}{self._settings}"

    @property
    def label(self) -> str:
        """The same with a rounded value, as tables have it."""
        return f"{self.name}={self.value:g}{self._settings}"

    @property
    def _settings(self) -> str:
        primary = CORRUPTIONS[self.name].primary
        fields = type(self.corruption).model_fields
        values = self.corruption.model_dump()
        others = [name for name in fields if name != primary and values[name] != fields[name].default]
        return "".join(f",{name}={values[name]}" for name in others)

    @property
    def moves_pixels(self) -> bool:
        """Whether what is in the picture is elsewhere afterwards."""
        return CORRUPTIONS[self.name].moves_pixels and not self.is_neutral

    @property
    def is_neutral(self) -> bool:
        """Whether the step changes nothing."""
        return self.value == CORRUPTIONS[self.name].neutral

    def describe(self) -> dict[str, Any]:
        """JSON values for the key of what is computed from it."""
        return {
            "name": self.name,
            "version": CORRUPTIONS[self.name].version,
            "parameters": self.corruption.model_dump(mode="json"),
            "occurrence": self.occurrence,
        }


def step(name: str, value: float | str | None = None, **parameters: Any) -> Step:
    """One step by name, with the value of its main parameter; raises `XaiError` for what does not fit."""
    spec = CORRUPTIONS[name]
    if value is not None:
        parameters[spec.primary] = value
    return Step(name, cast(Corruption, spec.make(parameters)))


def chain(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps that change something, in order; each keeps its random stream whatever the others do."""
    seen: Counter[str] = Counter()
    kept = []
    for one in steps:
        if not one.is_neutral:
            kept.append(replace(one, occurrence=seen[one.name]))
        seen[one.name] += 1
    return tuple(kept)


def parse(text: str) -> Step:
    """A step from "NAME=VALUE[,PARAMETER=VALUE]...", as on the command line."""
    first, *others = text.split(",")
    name, separator, value = first.partition("=")
    if name.strip() == "region":
        raise XaiError("A covered region cannot be read back from its name: give the step that covers it.")
    spec = CORRUPTIONS[name.strip()]
    if not separator or not value.strip():
        raise XaiError(f"The corruption {name!r} needs a value: write {spec.name}={spec.primary.upper()}.")
    parameters = {}
    for other in others:
        option, separator, chosen = (part.strip() for part in other.partition("="))
        if not (option and separator and chosen):
            raise XaiError(f"{other!r} after {first} is no setting: write {first},PARAMETER=VALUE.")
        parameters[option] = chosen
    return step(spec.name, value.strip(), **parameters)


def label(steps: Sequence[Step]) -> str:
    """What a table calls the chain: "gaussian_noise=25+occlusion=0.1", or "clean"."""
    return "+".join(one.label for one in steps) or "clean"


def moving(steps: Sequence[Step]) -> str:
    """The titles of the steps that move pixels, in words; empty where maps can be compared pixel by pixel."""
    return " and ".join(dict.fromkeys(CORRUPTIONS[one.name].title for one in steps if one.moves_pixels))


def apply(pixels: Pixels, steps: Sequence[Step], seed: int) -> Corrupted:
    """Applies the steps of a `chain` one after the other; the same seed gives the same result.

    The stream of a step is named by the corruption and its occurrence, so that moving the slider of one step leaves
    the others' noise as it was.
    """
    result = Corrupted(pixels)
    for one in steps:
        outcome = one.corruption.apply(result.pixels, generator(seed, "corruption", one.name, one.occurrence))
        covered = [area for area in (result.occluded, outcome.occluded) if area is not None]
        result = Corrupted(outcome.pixels, np.logical_or.reduce(covered) if covered else None)
    return result
