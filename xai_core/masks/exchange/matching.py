"""Which picture a file of another tool means: by its name, or by its name without what follows the last dot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import unquote

from ...types import Picture, XaiError
from .named import plain_name

DIGITS = 8
"""Digits of a picture's digest that tell it from another one of the same name."""
_NUMBERED = re.compile(rf"(.+)-([0-9a-f]{{{DIGITS}}})")
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
"""What Label Studio makes of an uploaded file's name."""


class Openable(Protocol):
    """A picture that is not decoded yet, such as a gallery's sample."""

    @property
    def name(self) -> str:
        """Its file's name."""

    def open(self) -> Picture:
        """Decodes it."""


def stem(name: str) -> str:
    """A file's name without its ending."""
    return PurePosixPath(name).stem


def labels(pictures: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The file names to write for pictures of (name, digest), by digest: their own with a part of the digest where
    another picture's differs from it in its ending or in capital letters alone."""
    plain = {digest: plain_name(name) for name, digest in pictures}
    first: dict[str, str] = {}
    shared = {key for digest, name in plain.items() if first.setdefault(key := stem(name).casefold(), digest) != digest}
    return {
        digest: f"{stem(name)}-{digest[:DIGITS]}{PurePosixPath(name).suffix}"
        if stem(name).casefold() in shared
        else name
        for digest, name in plain.items()
    }


@dataclass(frozen=True)
class Subject:
    """A picture that a mask may belong to, decoded no sooner than its size or digest is asked for."""

    name: str
    open: Callable[[], Picture]

    @cached_property
    def facts(self) -> tuple[str, tuple[int, int]]:
        """Its digest, and its height and width in pixels."""
        picture = self.open()
        return picture.digest, picture.size

    @property
    def digest(self) -> str:
        return self.facts[0]

    @property
    def size(self) -> tuple[int, int]:
        return self.facts[1]


class Subjects:
    """All pictures that masks may belong to."""

    def __init__(self, pictures: Sequence[Picture | Openable]) -> None:
        self._by_name: dict[str, list[Subject]] = {}
        self._by_stem: dict[str, list[Subject]] = {}
        for picture in pictures:
            name = plain_name(picture.name)
            subject = Subject(name, _opener(picture))
            self._by_name.setdefault(name, []).append(subject)
            self._by_stem.setdefault(stem(name), []).append(subject)

    def of_file(self, name: str) -> Subject:
        """The picture of a mask's file: both have the same name but for the ending; raises `XaiError`."""
        name = plain_name(name)
        return self._one(name, [self._by_stem.get(stem(name), []), self._by_name.get(stem(name), [])])

    def of_entry(self, name: str) -> Subject:
        """The picture that an annotation names, by a file's name, a path or an address; raises `XaiError`."""
        plain = plain_name(name)
        address = unquote(name.rpartition("?d=")[2] if "?d=" in name else re.split(r"[?#]", name)[0])
        names = [plain, plain_name(address)]
        names += [uploaded[1] for one in names if (uploaded := _UPLOADED.fullmatch(one))]
        found = [found for one in names for found in (self._by_name.get(one, []), self._by_stem.get(stem(one), []))]
        return self._one(plain, found)

    def _one(self, name: str, candidates: list[list[Subject]]) -> Subject:
        numbered = _NUMBERED.fullmatch(stem(name))
        if numbered:
            same = self._by_stem.get(numbered[1], [])
            candidates.append([one for one in same if one.digest.startswith(numbered[2])])
        found = next((some for some in candidates if some), [])
        if not found:
            raise XaiError(f"{name} has the name of no picture there is: a mask is called as its picture.")
        if len(found) > 1:
            raise XaiError(
                f"{name} could mean {len(found)} pictures ({', '.join(one.name for one in found[:3])}): "
                "rename one of them and its masks."
            )
        return found[0]


def _opener(picture: Picture | Openable) -> Callable[[], Picture]:
    return (lambda: picture) if isinstance(picture, Picture) else picture.open
