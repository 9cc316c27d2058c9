"""Labelled pictures that trials train on: known data sets, a folder of the user's, or arrays that came along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import settings
from ..images.decoding import SUFFIXES, open_picture
from ..images.geometry import Preprocess, picture_frame
from ..seeds import generator
from ..types import Bools, Pixels, XaiError, digest_of

Labels = npt.NDArray[np.int64]
TESTED = 0.2
"""The part of the pictures of every class that is kept for testing, where the data set itself does not say."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Pictures uint8 (N, side, side, 3), their classes int64 (N,), and which are for testing, bool (N,)."""

    frames: Pixels
    labels: Labels
    tested: Bools
    classes: tuple[str, ...]

    @property
    def side(self) -> int:
        return int(self.frames.shape[1])

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean and standard deviation of every channel over the pictures for training, in [0, 1]."""
        trained = self.frames[~self.tested]
        count = trained.shape[0] * trained.shape[1] * trained.shape[2]
        total, squares = np.zeros(3), np.zeros(3)
        for start in range(0, len(trained), 1024):
            part = trained[start : start + 1024].astype(np.float64) / 255
            total += part.sum((0, 1, 2))
            squares += (part**2).sum((0, 1, 2))
        mean = total / count
        return mean, np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0)), 1e-3)


@dataclass(frozen=True)
class Facts:
    """What is known of a data set before it is there: pictures for training and testing, and how to train on it."""

    trained: int
    tested: int
    side: int
    epochs: int
    flips: bool = False
    """Whether a mirrored picture is of the same class."""


KNOWN: Mapping[str, Facts] = {
    "digits": Facts(1438, 359, 8, 20),
    "mnist": Facts(60_000, 10_000, 28, 5),
    "food101": Facts(75_750, 25_250, 128, 60, flips=True),
}


def facts(name: str, folder: str = "", pictures: int = 0, side: int = 0, count: int = 0) -> Facts:
    """How many pictures there will be, of which size; `count` are those of a set that came along."""
    if name in KNOWN:
        known = KNOWN[name]
        trained, tested = known.trained, known.tested
    else:
        total = count if name == "given" else sum(len(files) for files in class_folders(folder).values())
        tested = round(TESTED * total)
        known, trained = Facts(0, 0, 64, 60, flips=name == "folder"), total - tested
    if 0 < pictures < trained + tested:
        share = pictures / (trained + tested)
        trained, tested = round(trained * share), round(tested * share)
    return Facts(trained, tested, side or known.side, known.epochs, known.flips)


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Whatever the system says against reading a folder of the user's becomes an `XaiError`."""
    try:
        yield
    except OSError as error:
        raise XaiError(
            f"{place} cannot be read ({error.strerror or error}); let this user read it, or name another folder."
        ) from None


def class_folders(folder: str) -> dict[str, list[Path]]:
    """The pictures in the folders of a folder, by the folder's name; raises `XaiError` where they make no data set.

    What is hidden, with a dot as its first letter, is left out: some systems put a file of their own beside each one.
    """
    if not folder:
        raise XaiError("To train on pictures of your own, name a folder that has a folder of pictures for each class.")
    place = Path(folder).expanduser()
    found: dict[str, list[Path]] = {}
    with reading(place):
        if not place.is_dir():
            raise XaiError(f"There is no folder {place}; name one that has a folder of pictures for each class.")
        for inner in sorted(one for one in _shown(place) if one.is_dir()):
            files = sorted(file for file in _shown(inner) if file.suffix.lower() in SUFFIXES and file.is_file())
            if files:
                found[inner.name] = files
    if len(found) < 2 or min(len(files) for files in found.values()) < 5:
        raise XaiError(f"{place} needs two folders or more, one for each class, with five pictures or more in each.")
    return found


def _shown(place: Path) -> Iterator[Path]:
    return (one for one in place.iterdir() if not one.name.startswith("."))


def folder_digest(folder: str) -> str:
    """SHA-256 of all names and bytes that training on a folder depends on; raises `XaiError`."""
    files = [file for inner in class_folders(folder).values() for file in inner]
    with reading(Path(folder).expanduser()):
        return digest_of(*(f"{file.parent.name}/{file.name} {_bytes_digest(file, *_stamp(file))}" for file in files))


def _stamp(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns


@lru_cache(maxsize=200_000)
def _bytes_digest(file: Path, size: int, changed: int) -> str:
    return digest_of(file.read_bytes())


def load(
    name: str,
    folder: str = "",
    pictures: int = 0,
    side: int = 0,
    data: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Labelled:
    """The data set; `pictures` at most, as many of each class, and `side` pixels a side (0 for all, and its own).

    "given" is made of the arrays `frames`, `labels` and `tested` in `data`. Raises `XaiError`.
    """
    if name == "given":
        if data is None or "frames" not in data:
            raise XaiError("The data set did not come along.")
        labels = data["labels"].astype(np.int64)
        classes = tuple(f"class {label}" for label in range(int(labels.max()) + 1))
        return Labelled(data["frames"], labels, data["tested"].astype(bool), classes)
    return _loaded(name, folder, folder_digest(folder) if name == "folder" else "", pictures, side)


@lru_cache(maxsize=2)
def _loaded(name: str, folder: str, digest: str, pictures: int, side: int) -> Labelled:
    if name == "digits":
        return _resized(_digits(pictures), side)
    if name == "mnist":
        return _resized(_mnist(pictures), side)
    if name == "food101":
        return _food(pictures, side or KNOWN["food101"].side)
    if name == "folder":
        return _folder(folder, pictures, side or facts("folder", folder).side)
    raise XaiError(f"There is no data set {name!r}; choose from {', '.join((*KNOWN, 'folder'))}.")


def _resized(found: Labelled, side: int) -> Labelled:
    """The pictures with `side` pixels a side; 0 leaves them as they are."""
    if side in (0, found.side):
        return found
    preprocess = Preprocess(resize=side, crop=side)
    return replace(found, frames=np.stack([picture_frame(frame, preprocess) for frame in found.frames]))


def _grey(values: npt.NDArray[np.uint8]) -> Pixels:
    return np.repeat(values[..., None], 3, axis=-1)


def split(labels: Sequence[int] | Labels, name: str) -> Bools:
    """Which pictures are for testing: `TESTED` of every class, drawn by the data set's name."""
    labels = np.asarray(labels)
    tested = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        drawn = generator(0, "split", name, int(label)).permutation(members)
        tested[drawn[: max(1, round(TESTED * len(members)))]] = True
    return tested


def _some(labels: Labels, tested: Bools, pictures: int) -> npt.NDArray[np.int64]:
    """Places of at most so many pictures, the first ones of every class and of both parts, in proportion."""
    if not 0 < pictures < len(labels):
        return np.arange(len(labels))
    share = pictures / len(labels)
    kept = []
    for label in np.unique(labels):
        for part in (tested, ~tested):
            members = np.flatnonzero((labels == label) & part)
            kept.append(members[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(kept))


def _digits(pictures: int) -> Labelled:
    from sklearn.datasets import load_digits

    found = load_digits()
    frames = _grey(np.rint(found.images * (255 / 16)).astype(np.uint8))
    labels = found.target.astype(np.int64)
    tested = split(labels, "digits")
    kept = _some(labels, tested, pictures)
    return Labelled(frames[kept], labels[kept], tested[kept], tuple(str(digit) for digit in range(10)))


def _downloaded(name: str, part: bool) -> Any:
    """A part of one of torchvision's data sets, from `XAI_DATA/datasets`, where it is downloaded to."""
    import torchvision

    root = settings.current().data / "datasets"
    how: dict[str, Any] = {"train": part} if name == "MNIST" else {"split": "train" if part else "test"}
    try:
        root.mkdir(parents=True, exist_ok=True)
        return getattr(torchvision.datasets, name)(root, download=True, **how)
    except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors; torchvision raises RuntimeError
        reason = str(error).strip().split("\n", 1)[0]
        raise XaiError(
            f"The data set {name} is not in {root} and cannot be downloaded ({reason}); "
            "put torchvision's files of it there, or choose digits or a folder."
        ) from None


def _mnist(pictures: int) -> Labelled:
    parts = [_downloaded("MNIST", part) for part in (True, False)]
    values = np.concatenate([np.asarray(part.data, dtype=np.uint8) for part in parts])
    labels = np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in parts])
    tested = np.arange(len(labels)) >= len(parts[0].data)
    kept = _some(labels, tested, pictures)
    return Labelled(_grey(values[kept]), labels[kept], tested[kept], tuple(str(digit) for digit in range(10)))


def _food(pictures: int, side: int) -> Labelled:
    parts = [_downloaded("Food101", part) for part in (True, False)]
    files = [Path(file) for part in parts for file in part._image_files]
    labels = np.concatenate([np.asarray(part._labels, dtype=np.int64) for part in parts])
    tested = np.arange(len(labels)) >= len(parts[0]._labels)
    kept = _some(labels, tested, pictures)
    frames = _frames([files[place] for place in kept], side)
    return Labelled(frames, labels[kept], tested[kept], tuple(parts[0].classes))


def _folder(folder: str, pictures: int, side: int) -> Labelled:
    found = class_folders(folder)
    labels = np.repeat(np.arange(len(found)), [len(files) for files in found.values()]).astype(np.int64)
    tested = split(labels, "folder")
    kept = _some(labels, tested, pictures)
    files = [file for inner in found.values() for file in inner]
    return Labelled(_frames([files[place] for place in kept], side), labels[kept], tested[kept], tuple(found))


def _frames(files: Sequence[Path], side: int) -> Pixels:
    """The middle squares of pictures, uint8 (N, side, side, 3)."""
    preprocess = Preprocess(resize=side, crop=side)
    frames = np.empty((len(files), side, side, 3), dtype=np.uint8)
    for place, file in enumerate(files):
        frames[place] = picture_frame(open_picture(file, name=file.name).pixels, preprocess)
    return frames
