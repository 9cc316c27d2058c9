"""Masks from a file or folder of another tool, whichever of the known formats it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...images.decoding import SUFFIXES
from ...types import Bools, Picture, XaiError
from ..names import is_hidden
from . import coco, label_studio, npz, png
from .matching import Openable, Subject, Subjects
from .named import NamedMask
from .reading import read_bytes, read_json

Found = tuple[Subject, str | None, Bools]
"""A picture, whose mask it is if the file says so, and the mask bool (H, W)."""


def import_masks(
    source: str | Path, pictures: Sequence[Picture | Openable], index: int | None = None
) -> list[NamedMask]:
    """The masks in a file or a folder, of the pictures that they are named after; several objects are united.

    A folder holds `STEM.png`, `STEM.npz` or JSON of COCO or Label Studio, or folders of annotators that hold such;
    what else lies there is left alone. Of PNG files whose values number objects, `index` takes one object alone.
    Raises `XaiError` when anything cannot be read, fits no picture, or is there twice.
    """
    subjects = Subjects(pictures)
    found: dict[tuple[str | None, str], NamedMask] = {}
    for file, folder in _files(Path(source)):
        for subject, person, values in _read(file, subjects, index):
            named = NamedMask.of(subject.name, subject.digest, person or folder, values)
            other = found.get((named.annotator, named.digest))
            if other and (other.picture == named.picture or other.packed != named.packed):
                whose = f" by {named.annotator}" if named.annotator else ""
                same = f", which has the pixels of {other.picture}" if other.picture != named.picture else ""
                raise XaiError(
                    f"{file.name} holds a second mask of {named.picture}{whose}{same}: leave only one of them."
                )
            found[named.annotator, named.digest] = named
    if not found:
        raise XaiError(f"{source} holds no masks: PNG, NPZ, or JSON of COCO or Label Studio can be read.")
    return list(found.values())


def _read(file: Path, subjects: Subjects, index: int | None) -> Iterator[Found]:
    suffix = file.suffix.lower()
    if suffix == ".json":
        content = read_json(file)
        kind = coco if coco.recognised(content) else label_studio
        yield from kind.read(content, subjects, file.name)
        return
    subject = subjects.of_file(file.name)
    readers: dict[str, Callable[[], Bools]] = {
        ".png": lambda: png.read(read_bytes(file), file.name, index),
        ".npz": lambda: npz.read(file, subject.size),
    }
    values = readers[suffix]()
    check_size(file.name, (values.shape[0], values.shape[1]), subject)
    yield subject, None, values


def check_size(name: str, size: tuple[int, int], subject: Subject) -> None:
    """Raises `XaiError` for a mask of another size than its picture's."""
    if size != subject.size:
        (height, width), (rows, columns) = size, subject.size
        raise XaiError(
            f"The mask {name} has {width} x {height} pixels and its picture {columns} x {rows}: "
            "export it at the picture's own size."
        )


def _files(source: Path) -> Iterator[tuple[Path, str | None]]:
    """The files to read, each with the annotator's name that its folder gives it."""
    try:
        if source.is_dir():
            for entry in _entries(source):
                if entry.is_dir():
                    yield from ((file, entry.name) for file in _entries(entry) if _is_mask(file, inner=True))
                elif _is_mask(entry):
                    yield entry, None
        elif not source.exists():
            raise XaiError(f"There is no file or folder {source}; name one that holds masks.")
        elif _is_mask(source):
            yield source, None
    except OSError as error:
        raise XaiError(f"The masks in {source} cannot be read: {error.strerror or error}.") from None


def _entries(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if not is_hidden(one.name))


def _is_mask(file: Path, inner: bool = False) -> bool:
    """Whether a file is to be read; raises `XaiError` for what looks like a mask and would be left out."""
    suffix = file.suffix.lower()
    if inner and file.is_dir():
        raise XaiError(f"The folder {file} lies too deep: masks lie in the folder itself or in one per annotator.")
    if suffix in SUFFIXES and suffix != ".png":
        raise XaiError(f"{file.name} is no mask that can be read: save masks as PNG, which loses nothing.")
    return suffix in (".png", ".npz", ".json") and file.is_file()
