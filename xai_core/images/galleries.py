"""Galleries to pick a picture from: bundled photos, Imagenet50, and any folder."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .. import settings
from ..types import Picture, XaiError
from . import imagenet50
from .decoding import SUFFIXES, open_picture

CC0 = "CC0 1.0, public domain dedication"
PUBLIC = "Public domain"


@dataclass(frozen=True)
class Sample:
    """A picture of a gallery that is not decoded yet; `licence` and `credit` are shown with it."""

    path: Path
    title: str
    licence: str = ""
    credit: str = ""

    @property
    def name(self) -> str:
        """The file's name, unique in its gallery."""
        return self.path.name

    def open(self) -> Picture:
        """Decodes the picture; raises `XaiError` as `open_picture` does."""
        decoded = open_picture(self.path)
        return Picture(decoded.pixels, name=self.name, title=self.title, licence=self.licence, source=self.credit)


@dataclass(frozen=True)
class Gallery:
    """A named list of pictures; an empty one has a `hint` that says how to fill it."""

    name: str
    title: str
    samples: tuple[Sample, ...]
    hint: str = ""


# name in the package's folder of pictures, title, licence, who made it
_SCIKIT_IMAGE = [
    ("chelsea.png", "Cat", CC0, "Stefan van der Walt, through scikit-image"),
    ("coffee.png", "Coffee", CC0, "Rachel Michetti, Pikolo Espresso Bar, through scikit-image"),
    (
        "motorcycle_left.png",
        "Motorcycle",
        "Middlebury 2014 stereo data",
        "D. Scharstein et al., through scikit-image",
    ),
    ("rocket.jpg", "Rocket", PUBLIC, "SpaceX, through scikit-image"),
    ("camera.png", "Photographer", CC0, "Lav Varshney, through scikit-image"),
    ("astronaut.png", "Astronaut", PUBLIC, "NASA, through scikit-image"),
    ("clock_motion.png", "Clock in motion", PUBLIC, "Stefan van der Walt, through scikit-image"),
    ("coins.png", "Greek coins", "No known copyright restrictions", "Brooklyn Museum, through scikit-image"),
    ("retina.jpg", "Retina", CC0, "Mikael Häggström, through scikit-image"),
    ("hubble_deep_field.jpg", "Hubble deep field", PUBLIC, "NASA, through scikit-image"),
    ("moon.png", "Moon", PUBLIC, "NASA, through scikit-image"),
    ("brick.png", "Brick wall", CC0, "CC0Textures, through scikit-image"),
    ("grass.png", "Grass", CC0, "linolafett, through scikit-image"),
    ("gravel.png", "Gravel", CC0, "CC0Textures, through scikit-image"),
]
_SCIKIT_LEARN = [
    ("flower.jpg", "Flower", "CC BY 2.0", "vultilion, through scikit-learn"),
    ("china.jpg", "Summer palace", "CC BY 2.0", "danielbuechele, through scikit-learn"),
]


def _package_folder(package: str) -> Path:
    """Where a package is installed, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise XaiError(f"The package {package} is not installed; run make run again.")
    return Path(next(iter(spec.submodule_search_locations)))


@lru_cache(maxsize=1)
def bundled() -> Gallery:
    """The photos that scikit-image and scikit-learn bring along: always there, no network needed."""
    image, learn = _package_folder("skimage") / "data", _package_folder("sklearn") / "datasets" / "images"
    photos = [Sample(image / file, *facts) for file, *facts in _SCIKIT_IMAGE]
    more = [Sample(learn / file, *facts) for file, *facts in _SCIKIT_LEARN]
    order = [*photos[:2], *more, *photos[2:]]
    return Gallery("photos", "Photos", tuple(sample for sample in order if sample.path.exists()))


def folder(path: Path, name: str | None = None, title: str | None = None) -> Gallery:
    """The pictures of a folder, sorted by name; raises `XaiError` when there is no such folder."""
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    except OSError as error:
        raise XaiError(f"The folder {path} cannot be read: {error.strerror or error}.") from None
    samples = tuple(Sample(file, title=file.stem.replace("_", " ")) for file in files)
    hint = "" if samples else f"The folder {path} holds no pictures; put JPEG or PNG files there."
    return Gallery(name or path.name, title or path.name, samples, hint)


def imagenet50_gallery() -> Gallery:
    """Imagenet50 from `XAI_IMAGENET50_DIR` or from an earlier download; it has no class labels, so none are shown."""
    title = "Imagenet50"
    path = settings.current().imagenet50_dir
    if path is not None:
        try:
            found = folder(path)
        except XaiError as error:
            return Gallery("imagenet50", title, (), f"XAI_IMAGENET50_DIR: {error}")
        samples = [Sample(s.path, f"Imagenet50, {s.path.stem}", imagenet50.LICENCE) for s in found.samples]
        return Gallery("imagenet50", title, tuple(samples), found.hint)
    files = imagenet50.downloaded()
    samples = [Sample(file, f"Imagenet50, {file.stem}", imagenet50.LICENCE) for file in files]
    hint = (
        ""
        if files
        else "Imagenet50 is not here yet: download it, or name a folder with its pictures by XAI_IMAGENET50_DIR."
    )
    return Gallery("imagenet50", title, tuple(samples), hint)


def galleries() -> list[Gallery]:
    """Every gallery, the always present first; a folder that cannot be read is an empty gallery with a hint."""
    found = [bundled(), imagenet50_gallery()]
    for path, title in titles(settings.current().picture_folders, [gallery.title for gallery in found]).items():
        name = f"folder:{path}"
        try:
            found.append(folder(path, name, title))
        except XaiError as error:
            found.append(Gallery(name, title, (), str(error)))
    return found


def titles(folders: Iterable[Path], others: Iterable[str]) -> dict[Path, str]:
    """The names of folders; one that another folder has, or that is one of `others`, gives way to the whole path."""
    paths = dict.fromkeys(folders)
    named = Counter([*others, *(path.name for path in paths)])
    return {path: path.name if path.name and named[path.name] == 1 else str(path) for path in paths}


BACKGROUNDS = ("photos", "imagenet50")
"""Names of the background sets that explainers may average over."""


def background(name: str) -> tuple[Picture, ...]:
    """The pictures of a background set: the 16 bundled photos, or the whole of Imagenet50.

    Raises `XaiError` when the set is not on this machine.
    """
    if name not in BACKGROUNDS:
        raise XaiError(f"There are no background pictures {name!r}; choose from {', '.join(BACKGROUNDS)}.")
    gallery = bundled() if name == "photos" else imagenet50_gallery()
    if not gallery.samples:
        raise XaiError(f"The background pictures {name!r} are missing. {gallery.hint}")
    return _decoded(gallery.samples)


@lru_cache(maxsize=2)
def _decoded(samples: tuple[Sample, ...]) -> tuple[Picture, ...]:
    return tuple(sample.open() for sample in samples)
