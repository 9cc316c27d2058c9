"""Model cards: what a classifier is, as YAML, read without torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from .. import settings
from ..images.geometry import Preprocess
from ..types import digest_of
from . import torchvision_facts

log = logging.getLogger(__name__)

BUILT_IN = Path(__file__).parent / "cards"

_RESNETS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
)
_DENSENETS = ("densenet121", "densenet161", "densenet169", "densenet201")
STAGES: Mapping[str, tuple[str, ...]] = {
    **{f"torchvision/{name}": ("relu", "layer1", "layer2", "layer3", "layer4") for name in _RESNETS},
    **{
        f"torchvision/{name}": ("features.relu0", *(f"features.denseblock{place}" for place in (1, 2, 3)), "relu")
        for name in _DENSENETS
    },
}
"""The stages of architectures that name them alike at every depth, for cards that say nothing."""


class WeightsFile(BaseModel):
    """Weights in a file of their own: safetensors, or a state dict that torch reads with `weights_only=True`.

    `file` is relative to the card, or to an installed `package`. With a `url` the file is downloaded when it is
    not there. `keys: in_order` renames the file's keys to the network's, one after the other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    package: str = ""
    url: str = ""
    size: int = Field(0, ge=0, description="Size in bytes, to be shown before a download.")
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    keys: Literal["same", "in_order"] = "same"


class Card(BaseModel):
    """A classifier. `weights` is the name of torchvision's enum member, or a `WeightsFile`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    title: str
    architecture: str = Field(
        pattern=r"^(torchvision/\w+|timm/[\w.]+|[\w.]+:[\w.]+)$",
        description="torchvision/NAME, timm/NAME, or module:callable of an installed package.",
    )
    weights: str | WeightsFile
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Dotted attribute -> value, set after building."
    )
    preprocess: Preprocess = Preprocess()
    categories: Literal["imagenet1k"] | list[str] = "imagenet1k"
    cam_layer: str = Field(description="Dotted path of the layer whose output the CAM methods use.")
    stages: tuple[str, ...] = Field(
        (), description="Dotted paths of layers from early to late whose outputs are maps of channels."
    )
    licence: str = ""

    _folder: Path = PrivateAttr(default=BUILT_IN)

    @property
    def folder(self) -> Path:
        """The folder that the card was read from; files are relative to it."""
        return self._folder

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The name of every class, by index."""
        return torchvision_facts.imagenet_categories() if self.categories == "imagenet1k" else tuple(self.categories)

    @property
    def layers(self) -> tuple[str, ...]:
        """Where one can look into the network, from early to late: the card's own `stages`, or those that its
        architecture is known to have, or its `cam_layer` alone."""
        return self.stages or STAGES.get(self.architecture) or (self.cam_layer,)

    def digest(self, weights_digest: str) -> str:
        """SHA-256 of all that decides what the network computes; title, licence and stages do not."""
        facts = self.model_dump(mode="json", include={"architecture", "overrides", "preprocess", "cam_layer"})
        return digest_of(json.dumps(facts, sort_keys=True), weights_digest)


def read_card(path: Path) -> Card:
    """Reads one card; raises `ValueError` with a sentence when it is broken."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        card = Card.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the card"
        raise ValueError(f"The model card {path} is wrong at {where}: {first['msg']}.") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"The model card {path} cannot be read: {reason}.") from None
    card._folder = path.parent
    return card


@lru_cache(maxsize=16)
def _read_folder(folder: Path, stamp: tuple[Any, ...]) -> tuple[dict[str, Card], list[str]]:
    found: dict[str, Card] = {}
    problems = []
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        try:
            card = read_card(path)
        except ValueError as error:
            problems.append(str(error))
            continue
        if card.name in found:
            problems.append(f"The model card {path} repeats the name {card.name!r}; rename one of the two.")
        else:
            found[card.name] = card
    return found, problems


def _stamp(file: Path) -> tuple[str, int, int]:
    try:
        facts = file.stat()
    except OSError:  # a link to nothing, which reading reports
        return file.name, 0, 0
    return file.name, facts.st_mtime_ns, facts.st_size


def _read_all() -> tuple[dict[str, Card], list[str]]:
    cards: dict[str, Card] = {}
    problems: list[str] = []
    for folder in [BUILT_IN, *settings.current().model_folders]:
        if not folder.is_dir():
            problems.append(f"XAI_MODELS_DIR names {folder}, which is not a folder.")
            continue
        found, wrong = _read_folder(folder, tuple(sorted(_stamp(file) for file in folder.glob("*.y*ml"))))
        problems += wrong
        for name, card in found.items():
            if name in cards:
                problems.append(f"The model card {name!r} in {folder} repeats a name that is taken; it is not used.")
            else:
                cards[name] = card
    return cards, problems


def cards() -> Mapping[str, Card]:
    """All cards by name: the built-in ones, then those of `XAI_MODELS_DIR`. A broken card hides no other."""
    return _read_all()[0]


def problems() -> list[str]:
    """One sentence for every card that could not be used."""
    return _read_all()[1]
