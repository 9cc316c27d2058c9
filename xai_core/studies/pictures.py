"""The pictures of a study: a folder, flat, in class folders, or with a `labels.csv`; or a gallery."""

from __future__ import annotations

import csv
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..classifiers.cards import Card
from ..images import galleries
from ..images.decoding import SUFFIXES, open_picture
from ..types import Picture, XaiError

LABELS = "labels.csv"
GALLERY = "gallery:"
"""What the address of a gallery begins with: the bundled photos are `gallery:photos`."""


@dataclass(frozen=True)
class Entry:
    """A picture that is not decoded yet; `name` is its path below the folder, `label` what the folder calls its class.

    `label` is a class index, a WordNet id, a class's name, or nothing.
    """

    path: Path
    name: str
    label: str = ""

    def open(self) -> Picture:
        """Decodes the picture; raises `XaiError`."""
        return open_picture(self.path, name=self.name)

    def truth(self, card: Card) -> int:
        """The index of its class in a model, or -1 where the model has none of that name."""
        return _index(self.label, card.labels) if self.label else -1


@dataclass(frozen=True)
class PictureSet:
    """The pictures of a folder in the order of their names, or those of a gallery, whose `folder` is None."""

    folder: Path | None
    entries: tuple[Entry, ...]

    @property
    def labelled(self) -> bool:
        return any(entry.label for entry in self.entries)


def located(text: str) -> str:
    """The address of pictures that somebody has named, wherever it is read again: a gallery's, or a whole path.

    Raises `XaiError` for a name that cannot be written down.
    """
    _check_name(text, "folder of pictures")
    return text if text.startswith(GALLERY) or not text else str(Path(text).expanduser().resolve())


def open_set(where: str | Path, limit: int | None = None) -> PictureSet:
    """The first `limit` pictures of a folder, or of a gallery by its address.

    A `labels.csv` with the columns `file` and `label` names a folder's pictures and their classes; without one,
    pictures in folders have the folder's name as their label. Raises `XaiError` for a folder or a gallery that is not
    there, holds no picture, or whose list or names cannot be read.
    """
    if limit is not None and limit < 1:
        raise XaiError(f"A limit of {limit} pictures leaves none; write 1 or more.")
    if str(where).startswith(GALLERY):
        return PictureSet(None, _named(_gallery(str(where).removeprefix(GALLERY))[:limit]))
    folder = Path(where).expanduser()
    try:
        if not folder.is_dir():
            raise XaiError(f"There is no folder {folder}; name a folder with pictures.")
        entries = _listed(folder) if (folder / LABELS).exists() else _found(folder)
    except OSError as error:
        raise XaiError(f"The folder {folder} cannot be read: {error.strerror or error}.") from None
    if not entries:
        raise XaiError(f"The folder {folder} holds no pictures; put JPEG or PNG files there.")
    return PictureSet(folder, _named(entries[:limit]))


def _named(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries, when their names can be written into a table; raises `XaiError`."""
    for entry in entries:
        _check_name(entry.name, "picture")
    return tuple(entries)


def _check_name(name: str, what: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        told = name.encode(errors="replace").decode()
        raise XaiError(f"The name of the {what} {told!r} is not UTF-8; rename it.") from None


def _gallery(name: str) -> list[Entry]:
    known = {one.name: one for one in galleries.galleries()}
    if name not in known:
        raise XaiError(f"There is no gallery {name!r}; choose from {', '.join(known)}.")
    found = known[name]
    if not found.samples:
        raise XaiError(found.hint)
    return [Entry(sample.path, sample.name) for sample in found.samples]


def _found(folder: Path) -> list[Entry]:
    files = [file for file in folder.iterdir() if _is_picture(file)]
    inside = [inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith(".")]
    files += [file for inner in inside for file in inner.iterdir() if _is_picture(file)]
    return sorted(
        (Entry(file, file.relative_to(folder).as_posix(), _folder_label(file, folder)) for file in files),
        key=lambda entry: entry.name,
    )


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")


def _folder_label(file: Path, folder: Path) -> str:
    return "" if file.parent == folder else file.parent.name


def _listed(folder: Path) -> list[Entry]:
    path = folder / LABELS
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise XaiError(f"{path} cannot be read as a table: {error}.") from None
    if not rows or not {"file", "label"} <= set(rows[0]):
        raise XaiError(f"{path} needs a heading with the columns file and label, and a line for every picture.")
    entries: dict[str, Entry] = {}
    for line, row in enumerate(rows, start=2):
        given, label = (row["file"] or "").strip(), (row["label"] or "").strip()
        name = Path(os.path.normpath(given)).as_posix()
        if not given or name.startswith(("/", "../")) or not _is_picture(folder / name):
            raise XaiError(f"{path}, line {line}: there is no picture {given!r} in the folder.")
        if name in entries:
            raise XaiError(f"{path}, line {line}: {given!r} is named twice.")
        entries[name] = Entry(folder / name, name, label)
    return list(entries.values())


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split())


@lru_cache(maxsize=8)
def _names(labels: tuple[str, ...]) -> Mapping[str, int]:
    """Class indices by plain name; a name that two classes have is left out."""
    plain = [_plain(label) for label in labels]
    return {name: index for index, name in enumerate(plain) if plain.count(name) == 1}


@lru_cache(maxsize=1)
def _synsets() -> Mapping[str, int]:
    """Indices of ImageNet-1k's classes by WordNet id."""
    spec = importlib.util.find_spec("timm")
    assert spec is not None and spec.origin is not None
    lines = (Path(spec.origin).parent / "data" / "_info" / "imagenet_synsets.txt").read_text().split()
    return {line: index for index, line in enumerate(lines)}


def _index(label: str, labels: tuple[str, ...]) -> int:
    if label.isdecimal():
        index = int(label[-9:]) if len(label.lstrip("0")) < 9 else len(labels)
        return index if index < len(labels) else -1
    if len(labels) == len(_synsets()) and label in _synsets():
        return _synsets()[label]
    return _names(labels).get(_plain(label), -1)
