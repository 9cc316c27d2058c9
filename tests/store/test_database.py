"""Opening: addresses, migrations from the first schema on, newer databases, and several processes at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from xai_core.masks.strokes import drawn
from xai_core.store import annotators, database, drafts, reviews, versions
from xai_core.store.packing import packed
from xai_core.store.schema import Base, StoredStroke
from xai_core.types import Mask, XaiError

from ..conftest import ROOT
from .servers import created
from .strokes import SIZE, a_picture, a_stroke


@pytest.fixture
def empty(store: str) -> sa.Engine:
    """An engine on a database without tables, which the settings name."""
    if store == "postgresql":
        created(os.environ["XAI_DATABASE_URL"])
    else:
        Path(str(database.address().database)).unlink()
    engine = sa.create_engine(database.address())
    yield engine
    engine.dispose()
    if store == "postgresql":  # the next test finds all tables
        created(os.environ["XAI_DATABASE_URL"])
        database.migrate(engine)
        engine.dispose()


def workers(count: int, strokes: int) -> list[subprocess.Popen[str]]:
    """Processes that have begun to save strokes, all at the same moment."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.worker", f"Ann {number}", str(strokes)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(count)
    ]  # fmt: skip
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return started


def test_the_migrations_make_what_the_schema_says(empty: sa.Engine) -> None:
    database.migrate(empty)
    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_data_of_the_first_schema_is_there_after_the_upgrade(empty: sa.Engine) -> None:
    database.migrate(empty, "0001")
    assert set(sa.inspect(empty).get_table_names()) == {
        "alembic_version", "annotators", "drafts", "history", "pictures", "strokes", "versions",
    }  # fmt: skip
    mask = np.zeros(SIZE, dtype=bool)
    mask[2:5, 3:9] = True
    runs, stroke, digest = packed(mask), a_stroke(1), "d" * 64
    with empty.begin() as connection:
        for table, row in [
            ("annotators", {"name": "Ann", "created": "2026-01-01 10:00:00"}),
            ("pictures", {"digest": digest, "name": "owl.png", "title": "", "licence": "", "source": "",
                          "height": SIZE[0], "width": SIZE[1], "added": "2026-01-01 10:00:00"}),
            ("versions", {"annotator_id": 1, "picture": digest, "number": 1, "runs": runs, "seconds": 5.0,
                          "tools": '{"brush": 2}', "smart": False, "origin": "studio",
                          "submitted": "2026-01-01 11:00:00", "submitted_by": "Ann"}),
            ("drafts", {"annotator_id": 1, "picture": digest, "client": "tab", "begun_from": 1, "begun_tools": "{}",
                        "base": runs, "base_number": 0, "number": 1, "seconds": 1.0,
                        "started": "2026-01-01 12:00:00", "changed": "2026-01-01 12:00:00"}),
            ("drafts", {"annotator_id": 1, "picture": digest, "client": "gone", "parent_id": 1, "parent_number": 1,
                        "begun_tools": "{}", "base_number": 0, "number": 0, "seconds": 1.0, "version_id": 1,
                        "started": "2026-01-01 12:00:00", "changed": "2026-01-01 12:00:00"}),
        ]:  # fmt: skip
            columns = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)
    with empty.begin() as connection:
        values = {"draft_id": 1, "saved": drafts.now(), **drafts._values(stroke)}
        connection.execute(sa.insert(StoredStroke), [values])
    database.close()

    (version,) = versions.versions()
    assert (version.annotator, version.number, version.project, version.tools) == ("Ann", 1, None, {"brush": 2})
    assert np.array_equal(versions.latest_masks(digest)["Ann"].values, mask)
    draft = drafts.open_draft("Ann", digest, "tab")
    assert (draft.id, draft.number, draft.version, draft.project) == (1, 1, 1, None)
    assert np.array_equal(draft.mask.values, drawn(mask, [stroke]))
    assert drafts.submit(1).number == 2


def test_revisions_follow_each_other_without_branches() -> None:
    script = ScriptDirectory.from_config(database.migrations())
    assert [revision.revision for revision in script.walk_revisions()] == ["0002", "0001"]


def test_a_database_of_a_newer_program_is_refused_and_left_alone(store: str) -> None:
    annotators.annotators()
    with database.writing() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(XaiError, match="newer version of this program"):
        annotators.annotators()
    engine = sa.create_engine(database.address())
    with engine.begin() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9999"
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
    engine.dispose()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("no address", "no address of a database"),
        ("mysql://u:secret@h/d", "names mysql"),
        ("sqlite://", "names sqlite"),
        ("postgresql://u:secret@127.0.0.1:1/d", "cannot be opened"),
    ],
)
def test_a_wrong_address_is_one_sentence_without_the_password(
    monkeypatch: pytest.MonkeyPatch, address: str, words: str
) -> None:
    monkeypatch.setenv("XAI_DATABASE_URL", address)
    with pytest.raises(XaiError, match=words) as caught:
        annotators.annotators()
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_plain_address_means_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        monkeypatch.setenv("XAI_DATABASE_URL", f"{scheme}://u:p@h/d")
        assert database.address().render_as_string(hide_password=False) == "postgresql+psycopg://u:p@h/d"


def test_a_file_that_is_no_database_is_one_sentence_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(b"this is no database at all" * 100)
    monkeypatch.setenv("XAI_DATABASE_URL", f"sqlite:///{path}")
    with pytest.raises(XaiError, match="cannot be opened"):
        annotators.annotators()
    assert path.read_bytes() == b"this is no database at all" * 100


def test_sqlite_writes_ahead_waits_for_the_disk_and_keeps_references() -> None:
    with database.writing() as session:
        pragmas = {name: session.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}
        assert pragmas == {"journal_mode": "wal", "synchronous": 2}
        with pytest.raises(sa.exc.IntegrityError):
            session.execute(sa.insert(StoredStroke), [{
                "draft_id": 5, "number": 1, "tool": "", "top": 0, "left": 0, "height": 1, "width": 1, "counts": None,
                "digest": "", "saved": drafts.now(),
            }])  # fmt: skip
        session.rollback()
    database.close()


def test_what_fails_half_way_changes_nothing(store: str, photo: str) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as session:
        annotators.annotator(session, "Ann")
        1 / 0
    assert annotators.annotators() == ()


def test_what_a_database_cannot_hold_is_one_sentence(store: str, photo: str) -> None:
    made = versions.import_mask("Ann", photo, Mask(np.ones(SIZE, dtype=bool)), "Ann")
    with pytest.raises(XaiError, match="cannot take"):
        reviews.return_version(made.id, "Ann", "half a sign \ud800")
    assert versions.version(made.id).review is None


def test_a_database_that_is_busy_or_gone_is_one_sentence_and_comes_back(
    store: str, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = drafts.open_draft("Ann", photo, "tab").id
    if store == "postgresql":
        mine = "datname = 'test' AND pid <> pg_backend_pid()"
        with (
            psycopg.connect(os.environ["XAI_DATABASE_URL"]) as other,
            pytest.raises(XaiError, match="does not answer"),
            database.reading() as session,
        ):
            session.execute(sa.text("SELECT 1"))
            other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}".encode())
            session.execute(sa.text("SELECT 1"))
    else:
        monkeypatch.setattr(database, "WAIT", 0.1)
        database.close()
        with sqlite3.connect(str(database.address().database), isolation_level=None) as holder:
            annotators.annotators()
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(XaiError, match="does not answer"):
                drafts.add_strokes(draft, [a_stroke(1)])
            holder.execute("ROLLBACK")
    assert drafts.add_strokes(draft, [a_stroke(1)]) == 1


def test_whoever_opens_waits_for_whoever_migrates(empty: sa.Engine, store: str) -> None:
    lock = f"SELECT pg_advisory_xact_lock({database.LOCK})" if store == "postgresql" else "BEGIN IMMEDIATE"
    opening = threading.Thread(target=annotators.annotators)
    with empty.connect() as connection, connection.begin():
        connection.exec_driver_sql(lock)
        opening.start()
        opening.join(0.5)
        assert opening.is_alive()
        assert sa.inspect(connection).get_table_names() == []
    opening.join(10)
    assert not opening.is_alive()
    assert annotators.annotators() == ()
    database.close()


def test_processes_that_start_at_once_on_an_empty_database_all_save(empty: sa.Engine, store: str) -> None:
    photo = a_picture().digest
    running = workers(2, 15)
    for process in running:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert output.split()[-1] == "15"
    expected = drawn(np.zeros(SIZE, bool), [a_stroke(number) for number in range(1, 16)])
    found = drafts.drafts(picture=photo)
    assert len(found) == 2
    assert all(np.array_equal(drafts.saved_draft(info.id).mask.values, expected) for info in found)
    database.close()


def test_threads_on_one_draft_save_every_stroke_once(store: str, photo: str) -> None:
    draft = drafts.open_draft("Ann", photo, "tab").id
    all_strokes = [a_stroke(number) for number in range(1, 21)]
    errors: list[BaseException] = []

    def send() -> None:
        try:
            saved = 0
            while saved < 20:  # as a browser does: from the last acknowledged one on
                saved = drafts.add_strokes(draft, all_strokes[saved : saved + 3])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert np.array_equal(drafts.saved_draft(draft).mask.values, drawn(np.zeros(SIZE, bool), all_strokes))


def test_threads_that_submit_and_import_at_once_get_numbers_of_their_own(store: str, photo: str) -> None:
    ids = []
    for tab in range(4):
        draft = drafts.open_draft("Ann", photo, f"tab {tab}").id
        drafts.add_strokes(draft, [a_stroke(1, seed=tab)])
        ids.append(draft)
    made: list[int] = []
    threads = [threading.Thread(target=lambda draft=draft: made.append(drafts.submit(draft).number)) for draft in ids]
    threads += [threading.Thread(target=lambda: made.append(drafts.submit(ids[0]).number))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(made)) == [1, 2, 3, 4] and len(made) == 5
    assert [version.number for version in versions.versions(photo)] == [1, 2, 3, 4]


def killed_while_saving(photo: str, after: float) -> None:
    """Kills a process that saves strokes, and looks for every one that it had acknowledged."""
    (process,) = workers(1, 100_000)
    assert process.stdout is not None
    draft = int(process.stdout.readline().split()[1])
    first = int(process.stdout.readline())
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    acknowledged = [first, *(int(line) for line in output.splitlines(keepends=True) if line.endswith("\n"))]
    saved = drafts.saved_draft(draft)
    assert saved.number >= acknowledged[-1]
    strokes = [a_stroke(number) for number in range(1, saved.number + 1)]
    assert np.array_equal(saved.mask.values, drawn(np.zeros(SIZE, bool), strokes))
    assert drafts.open_draft("Ann 0", photo, "tab").id == draft


def test_what_a_killed_process_had_acknowledged_is_there(store: str, photo: str) -> None:
    killed_while_saving(photo, 0.15)
    if store == "sqlite":
        with database.reading() as session:
            assert session.scalar(sa.text("PRAGMA integrity_check")) == "ok"


@pytest.mark.slow
def test_a_process_killed_again_and_again_loses_nothing(store: str, photo: str) -> None:
    for moment in np.random.default_rng(0).uniform(0.01, 0.4, 20):
        killed_while_saving(photo, float(moment))


def test_opening_the_store_loads_nothing_heavy() -> None:
    code = "import sys, xai_core.store.queue; print({'torch', 'scipy', 'skimage', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
