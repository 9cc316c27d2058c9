"""Every test of the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from xai_core.store import database, pictures
from xai_core.types import Picture

from . import servers


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a running PostgreSQL; skips where there is none."""
    if servers.programs() is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    if servers.as_user() is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no other user to run it as")
    with servers.postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database that the settings name; its kind."""
    database.close()
    if request.param == "postgresql":
        address = servers.emptied(request.getfixturevalue("postgres_server"))
        monkeypatch.setenv("XAI_DATABASE_URL", address)
    yield request.param
    database.close()


def a_picture(number: int = 0, size: tuple[int, int] = (9, 12)) -> Picture:
    """A picture that differs from all others of another number."""
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3)).astype(np.uint8)
    return Picture(pixels, name=f"picture{number}.png", title=f"Picture {number}")


@pytest.fixture
def photo(store: str) -> str:
    """The digest of a registered picture of 9 x 12 pixels."""
    return pictures.register(a_picture())
