"""Masks as COCO's JSON: polygons, run lengths, and run lengths in letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...types import Bools, XaiError
from ..letters import from_letters
from ..polygons import Polygon, polygons, rasterised
from ..runs import decoded, encoded
from .matching import Subject, Subjects
from .named import NamedMask
from .records import checked

NOWHERE: list[Polygon] = [[0.0] * 6]
"""The polygon of an empty mask: pycocotools cannot read none at all."""
CATEGORY = {"id": 1, "name": "object", "supercategory": "object"}


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Image(_Strict):
    id: int | str
    file_name: str = Field(max_length=4096)
    width: int
    height: int


class _Runs(_Strict):
    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: list[int] | str


class _Annotation(_Strict):
    image_id: int | str
    segmentation: _Runs | list[list[Annotated[float, Field(allow_inf_nan=False)]]]
    annotator: str | None = None


class _File(_Strict):
    images: list[_Image]
    annotations: list[_Annotation]


def recognised(content: Any) -> bool:
    """Whether a JSON file's content is COCO's."""
    return isinstance(content, dict) and "images" in content and "annotations" in content


def read(content: Any, subjects: Subjects, name: str) -> Iterator[tuple[Subject, str | None, Bools]]:
    """Each picture's mask and whose it is, one for all annotations of one person; `name` is the file's.

    Pictures without annotations are left alone. Raises `XaiError` for anything that is not as COCO has it.
    """
    file = checked(_File, content, name)
    images = {image.id: image for image in file.images}
    if len(images) < len(file.images):
        raise XaiError(f"Two images in {name} have the same id: export it again.")
    groups: dict[tuple[int | str, str | None], list[_Annotation]] = {}
    for annotation in file.annotations:
        if annotation.image_id not in images:
            raise XaiError(f"An annotation in {name} belongs to no image of the file: export it again.")
        groups.setdefault((annotation.image_id, annotation.annotator), []).append(annotation)
    for (number, person), group in groups.items():
        image = images[number]
        subject = subjects.of_entry(image.file_name)
        if (image.height, image.width) != subject.size:
            height, width = subject.size
            raise XaiError(
                f"{name} says that {subject.name} has {image.width} x {image.height} pixels, and it has "
                f"{width} x {height}: export the masks at the picture's own size."
            )
        mask = np.zeros(subject.size, dtype=bool)
        for annotation in group:
            mask |= _drawn(annotation.segmentation, subject.size)
        yield subject, person, mask


def _drawn(segmentation: _Runs | list[Polygon], size: tuple[int, int]) -> Bools:
    if isinstance(segmentation, list):
        return rasterised(segmentation, *size)
    if tuple(segmentation.size) != size:
        raise XaiError("The run lengths of a mask are for another size than its picture's: export it again.")
    counts = segmentation.counts
    return decoded(from_letters(counts).tolist() if isinstance(counts, str) else counts, *size)


def image(number: int, name: str, size: tuple[int, int]) -> dict[str, Any]:
    """An image's record."""
    return {"id": number, "file_name": name, "height": size[0], "width": size[1]}


def annotation(number: int, image_id: int, named: NamedMask, as_polygons: bool) -> dict[str, Any]:
    """A mask's record, as pycocotools reads it."""
    values = named.values
    rows, columns = (np.flatnonzero(values.any(axis=axis)) for axis in (1, 0))
    box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1] if len(rows) else [0] * 4
    runs = {"size": list(named.size), "counts": encoded(values)} if not as_polygons else None
    return {
        "id": number,
        "image_id": image_id,
        "category_id": CATEGORY["id"],
        "iscrowd": 0,
        "area": int(values.sum()),
        "bbox": box,
        "segmentation": runs or polygons(values) or NOWHERE,
        "annotator": named.annotator,
    }


def sections(
    masks: Iterable[NamedMask], names: dict[str, str], as_polygons: bool
) -> Iterator[tuple[str, Iterator[Any]]]:
    """The lists of a COCO file, by their names; `names` has the pictures' file names by digest."""
    masks = list(masks)
    sizes = {named.digest: named.size for named in masks}
    numbers = {digest: number for number, digest in enumerate(sizes, start=1)}
    yield "categories", iter([CATEGORY])
    yield "images", (image(number, names[digest], sizes[digest]) for digest, number in numbers.items())
    yield (
        "annotations",
        (annotation(number, numbers[one.digest], one, as_polygons) for number, one in enumerate(masks, start=1)),
    )
