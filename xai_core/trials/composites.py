"""Objects pasted into scenes, for networks that look at the one or at the other (BAM, Yang and Kim 2019).

The bundled set is drawn by code: ten shapes, each of a bright colour, and ten textures in dull ones. A folder of
the user's has `objects` and `scenes`, each with a folder for every class; objects have a transparent background.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..images.decoding import decoded, opened
from ..images.geometry import Preprocess, picture_frame
from ..seeds import generator
from ..types import Bools, Pixels, XaiError
from .datasets import Labelled, Labels, class_folders, reading, split

Grid = npt.NDArray[np.float64]
KINDS = 10
"""Classes of shapes, and of textures."""
OUTLINE = 0.18
"""The width of an object's dark outline."""
EXTENT = (0.4, 0.6)
"""The side of an object, as a part of the picture's."""
PASTING = 2
"""Raised when composites of a user's folder become others; part of their trials' keys."""

Scene = Callable[[int, np.random.Generator, bool], Pixels]
"""A scene of a kind, uint8 (side, side, 3), for training or for testing."""
Object = Callable[[int, np.random.Generator, bool, int], tuple[Pixels, Bools]]
"""An object of a kind, for training or for testing, uint8 (size, size, 3), and where it is, bool (size, size)."""


@dataclass(frozen=True, eq=False)
class Composites:
    """N pictures of an object in a scene, uint8 (N, side, side, 3), the same scenes without it, and where it is."""

    frames: Pixels
    empty: Pixels
    masks: Bools
    objects: Labels
    scenes: Labels
    tested: Bools
    object_names: tuple[str, ...]
    scene_names: tuple[str, ...]

    def labelled(self, what: str) -> Labelled:
        """The pictures as one network learns them: "objects", "scenes", or "empty" scenes."""
        if what == "objects":
            return Labelled(self.frames, self.objects, self.tested, self.object_names)
        frames = self.empty if what == "empty" else self.frames
        return Labelled(frames, self.scenes, self.tested, self.scene_names)


def _ring(x: Grid, y: Grid) -> Grid:
    return np.abs(np.hypot(x, y) - 0.72) - 0.27


SHAPES: Mapping[str, Callable[[Grid, Grid], Grid]] = {
    "disc": lambda x, y: np.hypot(x, y) - 0.95,
    "cross": lambda x, y: np.maximum(np.minimum(np.abs(x), np.abs(y)) - 0.28, np.maximum(np.abs(x), np.abs(y)) - 0.95),
    "triangle": lambda x, y: np.maximum(np.abs(x) * 1.9 - y - 0.9, y - 0.9),
    "ring": _ring,
    "bar": lambda x, y: np.maximum(np.abs(y) - 0.33, np.abs(x) - 0.98),
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) - 0.85,
    "diamond": lambda x, y: np.abs(x) + np.abs(y) - 1.0,
    "crescent": lambda x, y: np.maximum(np.hypot(x, y) - 0.95, 0.75 - np.hypot(x - 0.5, y)),
    "corner": lambda x, y: np.maximum(np.maximum(np.abs(x), np.abs(y)) - 0.9, np.minimum(x, -y) + 0.25),
    "star": lambda x, y: np.hypot(x, y) - 0.62 - 0.34 * np.cos(5 * np.arctan2(x, -y)),
}
"""Shapes within [-1, 1] by their sign: negative inside."""

TEXTURES: Mapping[str, Callable[[Grid, Grid, np.random.Generator], Grid]] = {
    "stripes": lambda x, y, random: np.sin(6 * np.pi * y + random.uniform(0, 6)),
    "checks": lambda x, y, random: np.sign(np.sin(4 * np.pi * x + random.uniform(0, 6)) * np.sin(4 * np.pi * y)),
    "grain": lambda x, y, random: random.uniform(-1, 1, x.shape),
    "waves": lambda x, y, random: np.sin(6 * np.pi * np.hypot(x - random.uniform(-1, 1), y - random.uniform(-1, 1))),
    "slope": lambda x, y, random: np.clip(x * random.choice([-1, 1]), -1, 1),
    "columns": lambda x, y, random: np.sin(6 * np.pi * x + random.uniform(0, 6)),
    "dots": lambda x, y, random: np.sign(
        np.cos(5 * np.pi * x + random.uniform(0, 6)) + np.cos(5 * np.pi * y + random.uniform(0, 6)) - 1.1
    ),
    "diagonals": lambda x, y, random: np.sin(4 * np.pi * (x + y) + random.uniform(0, 6)),
    "net": lambda x, y, random: np.sign(
        np.maximum(np.cos(4 * np.pi * x + random.uniform(0, 6)), np.cos(4 * np.pi * y + random.uniform(0, 6))) - 0.75
    ),
    "clouds": lambda x, y, random: _clouds(x.shape, random),
}
"""Textures over [-1, 1], with values from -1 to 1."""


def _clouds(shape: tuple[int, ...], random: np.random.Generator) -> Grid:
    from scipy.ndimage import zoom

    coarse = random.uniform(-1, 1, (5, 5))
    values: Grid = zoom(coarse, (shape[0] / 5, shape[1] / 5), order=1, mode="nearest", grid_mode=True)
    return np.clip(1.6 * values, -1, 1)


@lru_cache(maxsize=2)
def drawn(kinds: int, copies: int, side: int) -> Composites:
    """The bundled set: every one of `kinds` shapes in every one of as many textures, `copies` times."""
    shapes, textures = list(SHAPES)[:kinds], list(TEXTURES)[:kinds]
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")

    def scene(kind: int, random: np.random.Generator, tested: bool) -> Pixels:
        return _coloured(TEXTURES[textures[kind]](x, y, random), random)

    def object_(kind: int, random: np.random.Generator, tested: bool, size: int) -> tuple[Pixels, Bools]:
        inner = (np.arange(size) + 0.5) / size * 2 - 1
        v, u = np.meshgrid(inner, inner, indexing="ij")
        distance = SHAPES[shapes[kind]](u, v)
        fill = colorsys.hsv_to_rgb((kind / KINDS + random.uniform(-0.03, 0.03)) % 1, 0.9, random.uniform(0.75, 1))
        pixels = np.rint(255 * np.where(distance[..., None] < -OUTLINE, fill, 0)).astype(np.uint8)
        return pixels, distance < 0

    return _pasted(scene, object_, tuple(shapes), tuple(textures), copies, side)


def _coloured(values: Grid, random: np.random.Generator) -> Pixels:
    """A texture from -1 to 1 between a dark and a light colour, both dull."""
    dark, light = random.uniform(20, 90), random.uniform(150, 235)
    first, second = dark + random.uniform(-20, 20, 3), light + random.uniform(-20, 20, 3)
    if random.random() < 0.5:
        first, second = second, first
    share = (np.clip(values, -1, 1)[..., None] + 1) / 2
    return np.rint(first * (1 - share) + second * share).astype(np.uint8)


def _pasted(
    scene: Scene,
    object_: Object,
    object_names: tuple[str, ...],
    scene_names: tuple[str, ...],
    copies: int,
    side: int,
) -> Composites:
    """Every object in every scene, `copies` times, at random places and in random sizes."""
    pairs = [(o, s) for o in range(len(object_names)) for s in range(len(scene_names)) for _ in range(copies)]
    empty = np.empty((len(pairs), side, side, 3), dtype=np.uint8)
    frames = np.empty_like(empty)
    masks = np.zeros((len(pairs), side, side), dtype=bool)
    objects, scenes = np.array(pairs, dtype=np.int64).T.copy()
    tested = split(objects * len(scene_names) + scenes, "composites")
    for place, (which, where) in enumerate(pairs):
        random = generator(0, "composite", place)
        empty[place] = frames[place] = scene(where, random, bool(tested[place]))
        size = round(side * random.uniform(*EXTENT))
        top, left = random.integers(0, side - size + 1, 2)
        pixels, inside = object_(which, random, bool(tested[place]), size)
        masks[place, top : top + size, left : left + size] = inside
        frames[place, top : top + size, left : left + size][inside] = pixels[inside]
    return Composites(frames, empty, masks, objects, scenes, tested, object_names, scene_names)


def folders(folder: str) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """The pictures of objects and of scenes in a folder of the user's, by class; raises `XaiError`."""
    place = Path(folder).expanduser()
    with reading(place):
        there = (place / "objects").is_dir() and (place / "scenes").is_dir()
    if not there:
        raise XaiError(
            f"{place} needs the folders objects, with pictures on a transparent background, and scenes; "
            "each with a folder for every class."
        )
    return class_folders(str(place / "objects")), class_folders(str(place / "scenes"))


@lru_cache(maxsize=2)
def pasted(folder: str, digest: str, copies: int, side: int) -> Composites:
    """The user's objects in the user's scenes; `digest` tells that the folder is as it was.

    A composite for testing is made of files that no composite for training has.
    """
    objects, scenes = folders(folder)
    object_files, scene_files = (
        [_parts(files, f"{what}/{name}") for name, files in found.items()]
        for what, found in (("objects", objects), ("scenes", scenes))
    )
    preprocess = Preprocess(resize=side, crop=side)
    frames: dict[Path, Pixels] = {}

    def scene(kind: int, random: np.random.Generator, tested: bool) -> Pixels:
        files = scene_files[kind][tested]
        file = files[int(random.integers(len(files)))]
        if file not in frames:
            image, name = opened(file)
            frames[file] = picture_frame(
                decoded(image, name, lambda upright: np.asarray(upright.convert("RGB"), dtype=np.uint8)), preprocess
            )
        return frames[file]

    def object_(kind: int, random: np.random.Generator, tested: bool, size: int) -> tuple[Pixels, Bools]:
        files = object_files[kind][tested]
        pixels = cut_out(files[int(random.integers(len(files)))], size)
        return pixels[..., :3], pixels[..., 3] > 127

    return _pasted(scene, object_, tuple(objects), tuple(scenes), copies, side)


def _parts(files: list[Path], name: str) -> tuple[list[Path], list[Path]]:
    """The files of a class for training, and those for testing."""
    tested = split(np.zeros(len(files), dtype=np.int64), name)
    trained = [file for file, kept in zip(files, tested, strict=True) if not kept]
    return trained, [file for file, kept in zip(files, tested, strict=True) if kept]


def cut_out(file: Path, size: int) -> Pixels:
    """An object's picture within its own outline, fit into `size` pixels, uint8 (size, size, 4) with transparency.

    Raises `XaiError` for a picture without anything transparent, or with nothing else.
    """
    from PIL import Image

    def convert(upright: Image.Image) -> Pixels:
        return np.asarray(upright.convert("RGBA"), dtype=np.uint8)

    image, name = opened(file)
    pixels = decoded(image, name, convert)
    inside = pixels[..., 3] > 127
    if not inside.any() or inside.all():
        raise XaiError(f"{name} shows no object on a transparent background; cut the object out and save it as PNG.")
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    cut = Image.fromarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = size / max(cut.size)
    cut = cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))), Image.Resampling.LANCZOS)
    found = np.zeros((size, size, 4), dtype=np.uint8)
    top, left = (size - cut.height) // 2, (size - cut.width) // 2
    found[top : top + cut.height, left : left + cut.width] = np.asarray(cut)
    return found
