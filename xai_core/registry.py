"""One registry for everything that can be chosen: methods, scores, corruptions and models.

Importing this module, and asking it what there is, loads neither torch nor scikit-image: a `Spec` is data, and the
modules that register one import the heavy libraries inside their functions. The page's widgets, the command line's
options, the method cards and the contract tests are all made from the Specs.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticUndefined

from .types import Cost, XaiError


class Parameters(BaseModel):
    """Base of every registered class: its fields are its parameters, with type, default, bounds, unit and help."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost_is_exact: ClassVar[bool] = True
    """False where the picture or the network decides how many passes there are; then the run corrects `cost`."""
    after_passes: ClassVar[frozenset[str]] = frozenset()
    """Fields that only say what is made of the passes: maps that differ in nothing else can share them."""

    def cost(self) -> Cost:
        """Passes through the network that these parameters ask for."""
        return Cost()

    def dependencies(self) -> dict[str, Any]:
        """What the result depends on beside the parameters, as JSON values; part of the result's key."""
        return {}


def parameter(default: Any, help: str, *, unit: str = "", step: float | None = None, **bounds: Any) -> Any:  # noqa: A002
    """A field of a `Parameters` class: default, help line, unit, slider step and pydantic bounds (`ge`, `le`)."""
    return Field(default, description=help, json_schema_extra={"unit": unit, "step": step}, **bounds)


@dataclass(frozen=True)
class Option:
    """One parameter as a widget or a command line option needs it."""

    name: str
    kind: Literal["int", "float", "bool", "choice", "text"]
    default: Any
    low: float | None
    high: float | None
    step: float | None
    choices: tuple[str, ...]
    unit: str
    help: str


Better = Literal["higher", "lower"]
"""Which way a score is better."""
ARROWS: Mapping[Better, str] = {"higher": "↑", "lower": "↓"}


@dataclass(frozen=True)
class Value:
    """One number that a score yields: its title, which way is better, its bounds, its unit."""

    title: str
    better: Better
    low: float
    high: float
    unit: str = ""
    help: str = ""
    headline: bool = False


@dataclass(frozen=True)
class Published:
    """What a published study set: a title for it, and the parameters where they differ from the defaults."""

    title: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Spec:
    """What can be known of an entry without running it."""

    name: str
    title: str
    summary: str
    """Two sentences: the idea, and how to read it."""
    build: str
    """Where the code is: "module:Class"."""
    parameters: type[Parameters]
    version: int = 1
    """Raised when a mended bug changes results; part of every key."""
    family: str = ""
    cites: tuple[str, ...] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Parameters of "quick", "balanced" and "paper" where they differ from the defaults."""
    studies: Mapping[str, Published] = field(default_factory=dict)
    """Further settings, by name, which can be chosen in the place of a preset."""
    reference: str = ""
    """The library that this entry is checked against and that can be chosen instead."""
    primary: str = ""
    """The parameter that `--corrupt NAME=VALUE` sets."""
    neutral: float | None = None
    """The value of `primary` that changes nothing."""
    severities: tuple[float, ...] = ()
    """Values of `primary` that studies use, from mild to worst."""
    moves_pixels: bool = False
    """Whether a corruption moves what is in the picture: maps before and after it cannot be compared pixel by pixel."""
    values: Mapping[str, Value] = field(default_factory=dict)
    """What a score yields, by part."""
    needs_mask: bool = False
    extra_maps: bool = False
    """Whether a score asks for further maps."""

    @property
    def contrasts(self) -> bool:
        """Whether the method can explain one class against another: it follows a logit, or a difference of two."""
        return self.family in ("gradient", "cam", "shap")

    @property
    def options(self) -> list[Option]:
        """The parameters in the order of their declaration."""
        return [_option(name, info) for name, info in self.parameters.model_fields.items()]

    def make(self, values: Mapping[str, Any] | None = None, preset: str = "paper") -> Parameters:
        """The parameters of a preset or study with `values` on top, validated; raises `XaiError` with a sentence."""
        if preset not in (*PRESETS, *self.studies):
            raise XaiError(f"There is no preset {preset!r}; choose from {', '.join((*PRESETS, *self.studies))}.")
        start = self.studies[preset].values if preset in self.studies else self.presets.get(preset, {})
        values = {**start, **(values or {})}
        for name in values:
            if name not in self.parameters.model_fields:
                possible = ", ".join(self.parameters.model_fields) or "none"
                raise XaiError(f"{self.title} ({self.name}) has no parameter {name!r}; it has: {possible}.")
        try:
            return self.parameters.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = str(first["loc"][0]) if first["loc"] else ""
            given = f"={first['input']}" if where else ""
            raise XaiError(f"{self.name}.{where}{given} does not fit: {first['msg']}.") from None


PRESETS = ("quick", "balanced", "paper")
"""Presets from fast to the literature's numbers."""


def _option(name: str, info: Any) -> Option:
    extra = info.json_schema_extra or {}
    bounds: dict[str, Any] = {}
    for constraint in info.metadata:
        if hasattr(constraint, "gt") or hasattr(constraint, "lt"):
            raise TypeError(f"the bounds of {name} are excluded; use ge and le, which a widget can offer")
        for bound in ("ge", "le"):
            if hasattr(constraint, bound):
                bounds[bound] = getattr(constraint, bound)
    annotation = info.annotation
    choices: tuple[str, ...] = ()
    if getattr(annotation, "__origin__", None) is Literal:
        choices = tuple(str(choice) for choice in annotation.__args__)
    kinds: dict[Any, Literal["int", "float", "bool", "text"]] = {int: "int", float: "float", bool: "bool", str: "text"}
    return Option(
        name=name,
        kind="choice" if choices else kinds[annotation],
        default=None if info.default is PydanticUndefined else info.default,
        low=bounds.get("ge"),
        high=bounds.get("le"),
        step=extra.get("step"),
        choices=choices,
        unit=extra.get("unit", ""),
        help=info.description or "",
    )


class Entry(Protocol):
    """What every kind of entry has."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...


E = TypeVar("E", bound=Entry)


class Registry(Generic[E]):
    """Entries of one kind by name, found on first use by importing a package's modules or by asking `discover`."""

    instances: ClassVar[dict[str, Registry[Any]]] = {}

    def __init__(self, kind: str, package: str, discover: str = ""):
        self.kind = kind
        self._package = package
        self._discover = discover
        self._entries: dict[str, E] = {}
        self._found = False
        Registry.instances[kind] = self

    def add(self, entry: E) -> None:
        if entry.name in self._entries:
            raise ValueError(f"the {self.kind} {entry.name!r} is registered twice")
        self._entries[entry.name] = entry

    def register(self, name: str, title: str, summary: str, **facts: Any) -> Callable[[type[Any]], type[Any]]:
        """Class decorator that adds a Spec built from the class: its fields are the parameters."""

        def decorate(cls: type[Any]) -> type[Any]:
            spec = Spec(
                name=name,
                title=title,
                summary=summary,
                build=f"{cls.__module__}:{cls.__qualname__}",
                parameters=cls,
                **facts,
            )
            self.add(spec)  # type: ignore[arg-type]
            return cls

        return decorate

    def entries(self) -> Mapping[str, E]:
        """All entries, in the order of their registration."""
        if self._discover:
            module, _, function = self._discover.partition(":")
            found: Mapping[str, E] = getattr(importlib.import_module(module), function)()
            return found
        if not self._found:
            package = importlib.import_module(self._package)
            for module_info in pkgutil.iter_modules(package.__path__, self._package + "."):
                importlib.import_module(module_info.name)
            self._found = True
        return self._entries

    def __getitem__(self, name: str) -> E:
        entries = self.entries()
        if name not in entries:
            raise XaiError(f"There is no {self.kind} {name!r}; choose from {', '.join(entries)}.")
        return entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries()

    def __iter__(self) -> Iterator[E]:
        return iter(self.entries().values())

    def __len__(self) -> int:
        return len(self.entries())


FAMILIES = {
    "gradient": "Gradients",
    "cam": "Class activation maps",
    "propagation": "Propagation",
    "shap": "Shapley values",
    "superpixel": "Superpixels",
    "perturbation": "Perturbation",
    "baseline": "Baselines",
}
"""The families of methods in the order in which they are shown, and their titles."""

SCORE_FAMILIES = {
    "faithfulness": "Faithfulness",
    "localisation": "Localisation",
    "robustness": "Robustness and stability",
    "information": "Information and complexity",
    "sanity": "Sanity checks",
}
"""The families of scores in the order in which they are shown, and their titles."""

CORRUPTION_FAMILIES = {
    "quality": "Quality",
    "light": "Light",
    "imagenetc_noise": "ImageNet-C: noise",
    "imagenetc_blur": "ImageNet-C: blur",
    "imagenetc_weather": "ImageNet-C: weather",
    "imagenetc_digital": "ImageNet-C: digital",
    "imagenetc_extra": "ImageNet-C: extra",
}
"""The families of corruptions in the order in which they are shown, and their titles."""

METHODS: Registry[Spec] = Registry("method", "xai_core.explainers")
DRAWERS: Registry[Spec] = Registry("drawer", "xai_core.explainers")
"""Ways to draw what a part of a network answers to."""
SCORES: Registry[Spec] = Registry("score", "xai_core.scores")
TRIALS: Registry[Spec] = Registry("trial", "xai_core.trials")
"""Experiments that train networks of their own: what studies ask for beside maps and scores."""
STUDIES: Registry[Spec] = Registry("study", "xai_core.studies")
"""Experiments over many pictures."""
CORRUPTIONS: Registry[Spec] = Registry("corruption", "xai_core.corruptions")
MODELS: Registry[Any] = Registry("model", "xai_core.classifiers", discover="xai_core.classifiers.cards:cards")
"""Model cards; their facts are in YAML, so they are found by reading folders."""
