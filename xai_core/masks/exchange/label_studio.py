"""Masks as Label Studio's JSON of tasks, with brush codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...types import Bools, XaiError
from .. import brush
from .matching import Subject, Subjects
from .named import NamedMask
from .records import checked


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Value(_Strict):
    format: str = ""
    rle: list[Annotated[int, Field(ge=0, le=255)]]


class _Result(_Strict):
    type: str
    value: Any = None
    original_width: Any = None
    original_height: Any = None


class _Person(_Strict):
    email: str = ""


class _Annotation(_Strict):
    result: list[_Result]
    completed_by: _Person | int | str | None = None
    was_cancelled: bool = False


class _Task(_Strict):
    data: dict[str, Any]
    annotations: list[_Annotation]
    file_upload: str | None = None


class _File(_Strict):
    tasks: list[_Task]


def read(content: Any, subjects: Subjects, name: str) -> Iterator[tuple[Subject, str | None, Bools]]:
    """Each picture's mask and whose it is: the union of one annotation's brushes; `name` is the file's.

    Skipped tasks and annotations without a brush are left alone. Raises `XaiError` for what is not as Label Studio has
    it, and for a person's second annotation of a picture.
    """
    if not isinstance(content, list) or not all(isinstance(task, dict) and "annotations" in task for task in content):
        raise XaiError(f"{name} is neither COCO's JSON nor Label Studio's: export it in one of the two.")
    for task in checked(_File, {"tasks": content}, name).tasks:
        for annotation in task.annotations:
            brushes = [one for one in annotation.result if isinstance(one.value, dict) and "rle" in one.value]
            if brushes and not annotation.was_cancelled:
                subject = subjects.of_entry(_picture(task, name))
                yield subject, _person(annotation), _united(brushes, subject, name)


def _united(brushes: Iterable[_Result], subject: Subject, name: str) -> Bools:
    height, width = subject.size
    mask = np.zeros(subject.size, dtype=bool)
    for one in brushes:
        if (one.original_height, one.original_width) != subject.size:
            raise XaiError(
                f"A brush in {name} was drawn on another size than the {width} x {height} pixels of {subject.name}: "
                "use the same picture file."
            )
        value = checked(_Value, one.value, name)
        if value.format != "rle":
            raise XaiError(f"A brush in {name} has the format {value.format[:20]!r}; export it as rle.")
        mask |= brush.decoded(value.rle, height, width)
    return mask


def _picture(task: _Task, name: str) -> str:
    """The picture's file name or address: `image` of the data, or its only text."""
    texts = {key: text for key, text in task.data.items() if isinstance(text, str) and len(text) <= 4096}
    found = texts.get("image") or (next(iter(texts.values())) if len(texts) == 1 else None) or task.file_upload
    if not found:
        raise XaiError(f"A task in {name} does not say which picture it is of: its data needs the field image.")
    return found


def _person(annotation: _Annotation) -> str | None:
    who = annotation.completed_by
    text = who.email if isinstance(who, _Person) else "" if who is None else str(who)
    return text or None


def tasks(masks: Iterable[NamedMask], names: dict[str, str]) -> Iterator[dict[str, Any]]:
    """A task for each picture, with an annotation by each person; `names` has the pictures' file names by digest."""
    pictures: dict[str, list[NamedMask]] = {}
    for named in masks:
        pictures.setdefault(named.digest, []).append(named)
    for number, (digest, group) in enumerate(pictures.items(), start=1):
        yield {"id": number, "data": {"image": names[digest]}, "annotations": [_annotation(one) for one in group]}


def _annotation(named: NamedMask) -> dict[str, Any]:
    height, width = named.size
    result = {
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": list(brush.encoded(named.values)), "brushlabels": ["object"]},
    }
    return {"completed_by": {"email": named.annotator or ""}, "result": [result]}
