"""Records of JSON files, checked against their models."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ...types import XaiError

Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], content: Any, name: str) -> Model:
    """The content of the file `name` as its model; raises `XaiError` that says where it differs."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:80]
        raise XaiError(
            f"{name} cannot be read at {place or 'its beginning'} ({first['msg']}): export it again."
        ) from None
