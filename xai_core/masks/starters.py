"""Masks that the bundled photos bring along, drawn in the studio; assets/masks/origin.json says of what."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..types import Mask, Picture
from .reading import open_mask

FOLDER = Path(__file__).parents[2] / "assets" / "masks"


def starter(picture: Picture) -> Mask | None:
    """The mask of a bundled photo, or None: found by the picture, whatever its name."""
    return _read(FOLDER / f"{picture.digest[:16]}.png")


@lru_cache(maxsize=64)
def _read(path: Path) -> Mask | None:
    return Mask(open_mask(path).values, "Starter mask") if path.exists() else None
