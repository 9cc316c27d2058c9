"""Masks into a folder that other tools read."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from ...types import Bools, XaiError
from ..names import checked_name
from . import coco, label_studio, npz, png
from .matching import labels, stem
from .named import NamedMask

ANNOTATIONS = "annotations.json"
Writer = Callable[[Sequence[NamedMask], dict[str, str], Path], None]
"""Writes masks into an empty folder; the second argument has the pictures' file names by digest."""


def export_masks(masks: Sequence[NamedMask], format: str, out: str | Path) -> None:  # noqa: A002, the field's word
    """Writes `ANNOTATOR/STEM.png` (0 and 255), `ANNOTATOR/STEM.npz` or `annotations.json` into the new folder `out`.

    Of pictures whose names differ in their ending alone, the stem is followed by the first digits of their digests, by
    which `import_masks` knows them. All is written under a temporary name first, so that nothing is ever half there.
    Raises `XaiError` for an unknown format, a folder that is not empty, no masks, and a mask without an annotator.
    """
    out = Path(out)
    if format not in FORMATS:
        raise XaiError(f"There is no format {format!r}; choose from {', '.join(FORMATS)}.")
    if not masks:
        raise XaiError("There are no masks to export: draw or import some first.")
    for named in masks:
        checked_name(named.annotator or "")
    if len({(named.annotator, named.digest) for named in masks}) < len(masks):
        raise XaiError("An annotator has two masks of the same picture: export one of them at a time.")
    names = labels((named.picture, named.digest) for named in masks)
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    moved: list[Path] = []
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise XaiError(f"{out} is a file or a folder that is not empty; name a new folder for the masks.")
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=out, ignore_cleanup_errors=True) as draft:
            FORMATS[format](masks, names, Path(draft))
            for entry in sorted(Path(draft).iterdir()):
                entry.replace(out / entry.name)
                moved += [out / entry.name]
    except BaseException as error:
        for entry in moved:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise XaiError(f"The masks cannot be written to {out}: {error.strerror or error}.") from None
        raise


def _images(written: Callable[[Bools], bytes], suffix: str) -> Writer:
    def write(masks: Sequence[NamedMask], names: dict[str, str], folder: Path) -> None:
        for named in masks:
            file = folder / str(named.annotator) / f"{stem(names[named.digest])}{suffix}"
            file.parent.mkdir(exist_ok=True)
            with file.open("xb") as new:  # never over another one
                new.write(written(named.values))

    return write


def _coco(as_polygons: bool) -> Writer:
    def write(masks: Sequence[NamedMask], names: dict[str, str], folder: Path) -> None:
        with (folder / ANNOTATIONS).open("wb") as file:
            file.write(b'{"info": {"description": "Masks of objects"}, "licenses": []')
            for name, records in coco.sections(masks, names, as_polygons):
                file.write(b',\n"' + name.encode() + b'": ')
                _write_list(file, records)
            file.write(b"}\n")

    return write


def _label_studio(masks: Sequence[NamedMask], names: dict[str, str], folder: Path) -> None:
    with (folder / ANNOTATIONS).open("wb") as file:
        _write_list(file, label_studio.tasks(masks, names))


def _write_list(file: BinaryIO, records: Iterator[Any]) -> None:
    """A JSON list, one record after the other, so that only one is in memory."""
    file.write(b"[")
    for number, record in enumerate(records):
        file.write((b",\n" if number else b"\n") + orjson.dumps(record))
    file.write(b"\n]")


FORMATS: dict[str, Writer] = {
    "png": _images(png.written, ".png"),
    "npz": _images(npz.written, ".npz"),
    "coco": _coco(as_polygons=False),
    "coco-polygon": _coco(as_polygons=True),
    "label-studio": _label_studio,
}
