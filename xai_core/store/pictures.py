"""Pictures that masks belong to: each is kept as a PNG by its digest, whatever becomes of the gallery it came from."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from PIL import Image
from sqlalchemy.orm import Session

from .. import settings
from ..images.decoding import open_picture
from ..types import Picture, XaiError
from .annotators import add_missing
from .database import reading, writing
from .schema import StoredPicture, now


@dataclass(frozen=True)
class KnownPicture:
    """A registered picture; `size` is its height and width in pixels."""

    digest: str
    name: str
    title: str
    licence: str
    source: str
    size: tuple[int, int]
    added: datetime


def register(picture: Picture) -> str:
    """Keeps a picture and returns its digest; one that is there already keeps its name.

    The file is complete before the database names it. Raises `XaiError` when it cannot be written.
    """
    _keep(picture)
    with writing() as session:
        add_missing(
            session,
            StoredPicture,
            digest=picture.digest,
            name=picture.name,
            title=picture.title,
            licence=picture.licence,
            source=picture.source,
            height=picture.size[0],
            width=picture.size[1],
            added=now(),
        )
    return picture.digest


def _keep(picture: Picture) -> None:
    path = file_of(picture.digest)
    if path.exists():
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            Image.fromarray(picture.pixels).save(file, "PNG", compress_level=1)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise XaiError(f"The picture {picture.name} cannot be kept in {path.parent}: {error.strerror}.") from None


def file_of(digest: str) -> Path:
    """The PNG of a registered picture."""
    return settings.current().data / "pictures" / f"{digest}.png"


def open_registered(digest: str) -> Picture:
    """The picture with this digest; raises `XaiError` when none is registered or its file is gone or damaged."""
    known = picture_of(digest)
    path = file_of(digest)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            pixels = open_picture(image, known.name).pixels
    except OSError:
        raise XaiError(
            f"The file of the picture {known.name} is gone ({path}); restore it, or open the picture once more."
        ) from None
    found = Picture(pixels, known.name, known.title, known.licence, known.source)
    if found.digest != digest:
        raise XaiError(f"The file of the picture {known.name} is damaged ({path}); delete it and open it anew.")
    return found


def picture_of(digest: str) -> KnownPicture:
    """What is known of a picture; raises `XaiError` when it is not registered."""
    with reading() as session:
        return _known(stored(session, digest))


def registered(name: str | None = None) -> tuple[KnownPicture, ...]:
    """All registered pictures, or those of this file name, in the order in which they came."""
    query = sa.select(StoredPicture).order_by(StoredPicture.added, StoredPicture.digest)
    if name is not None:
        query = query.where(StoredPicture.name == name)
    with reading() as session:
        return tuple(_known(row) for row in session.scalars(query))


def stored(session: Session, digest: str) -> StoredPicture:
    """The row of a picture; raises `XaiError` when there is none."""
    row = session.get(StoredPicture, digest)
    if row is None:
        raise XaiError(f"No picture {digest[:12]} is registered; open it in the studio first.")
    return row


def _known(row: StoredPicture) -> KnownPicture:
    size = row.height, row.width
    return KnownPicture(row.digest, row.name, row.title, row.licence, row.source, size, row.added)
