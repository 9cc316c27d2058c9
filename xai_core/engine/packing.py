"""Results as bytes: for the cache's files and for the pipe between processes. Reading them executes nothing."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import fields
from typing import Any

import numpy as np

from ..types import Blocks, Cost, Curve, Imagined, Prediction, Probed, SaliencyMap, Score, frozen

Result = Prediction | SaliencyMap | Score | Imagined | Probed | Blocks

_TYPES: dict[str, Any] = {kind.__name__: kind for kind in (Prediction, SaliencyMap, Score, Imagined, Probed, Blocks)}
_DIGEST = hashlib.sha256().digest_size


def pack(result: Result) -> bytes:
    """A result as bytes that begin with the SHA-256 of the rest."""
    arrays: list[np.ndarray] = []
    content = {field.name: _plain(getattr(result, field.name), arrays) for field in fields(result)}
    header = json.dumps({"type": type(result).__name__, "content": content}).encode()
    buffer = io.BytesIO()
    buffer.write(len(header).to_bytes(8, "little"))
    buffer.write(header)
    for values in arrays:
        np.lib.format.write_array(buffer, values, allow_pickle=False)
    body = buffer.getvalue()
    return hashlib.sha256(body).digest() + body


def unpack(data: bytes) -> Result:
    """The result in these bytes; raises `ValueError` when they are not what was packed."""
    body = memoryview(data)[_DIGEST:]
    if hashlib.sha256(body).digest() != data[:_DIGEST]:
        raise ValueError("damaged result")
    buffer = io.BytesIO(body)
    header = json.loads(buffer.read(int.from_bytes(buffer.read(8), "little")))
    arrays: list[np.ndarray] = []
    while buffer.tell() < len(body):
        arrays.append(frozen(np.lib.format.read_array(buffer, allow_pickle=False)))
    content = {name: _restored(value, arrays) for name, value in header["content"].items()}
    result: Result = _TYPES[header["type"]](**content)
    return result


def _plain(value: Any, arrays: list[np.ndarray]) -> Any:
    """The value as JSON. Every object is marked with what it is, so that no text in a result can pose as one."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, Cost):
        return {"cost": [value.forward, value.backward]}
    if isinstance(value, Curve):
        return {"curve": [_plain(value.x, arrays), _plain(value.y, arrays)]}
    if isinstance(value, dict):
        return {"dict": {key: _plain(one, arrays) for key, one in value.items()}}
    if isinstance(value, list | tuple):
        return [_plain(one, arrays) for one in value]
    return value


def _restored(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, list):
        return tuple(_restored(one, arrays) for one in value)
    if not isinstance(value, dict):
        return value
    match value:
        case {"array": int(number)}:
            return arrays[number]
        case {"cost": [forward, backward]}:
            return Cost(forward, backward)
        case {"curve": [x, y]}:
            return Curve(_restored(x, arrays), _restored(y, arrays))
        case {"dict": dict(content)}:
            return {key: _restored(one, arrays) for key, one in content.items()}
    raise ValueError("damaged result")
