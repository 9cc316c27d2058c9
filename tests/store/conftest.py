"""Every test of the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from xai_core.store import database, pictures

from . import servers
from .strokes import a_picture


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a running PostgreSQL; skips where there is none."""
    if servers.programs() is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    if servers.as_user() is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no other user to run it as")
    with servers.postgres() as address:
        yield address


@pytest.fixture(scope="session")
def postgres_tables(postgres_server: str) -> str:
    """The address of a database that has all tables."""
    database.migrate(sa.create_engine(servers.created(postgres_server).replace("postgresql:", "postgresql+psycopg:")))
    return postgres_server


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables."""
    path = tmp_path_factory.mktemp("sqlite") / "saliency.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    database.migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database that the settings name; its kind."""
    database.close()
    if request.param == "postgresql":
        monkeypatch.setenv("XAI_DATABASE_URL", servers.emptied(request.getfixturevalue("postgres_tables")))
    else:
        path = Path(str(database.address().database))
        path.parent.mkdir(parents=True)
        shutil.copy(request.getfixturevalue("sqlite_tables"), path)
    yield request.param
    database.close()


@pytest.fixture
def photo(store: str) -> str:
    """The digest of a registered picture of 9 x 12 pixels."""
    return pictures.register(a_picture())
