"""Rows are only ever added, and read the same whoever has written them in which order."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xai_core.studies.base import Place, Reading
from xai_core.studies.results import Log, Row
from xai_core.types import XaiError

PLACE = Place("a.png", "f00", 3, "clean", "tiny", 1, "gradcam", "", 0)


def row(score: str = "iou.top", value: float = 0.5, unit: str = "u", failed: bool = False, **place: object) -> Row:
    return Row(replace(PLACE, **place), Reading(score, value, "why" if failed else ""), "key", unit, failed)


def test_nothing_is_an_empty_table(tmp_path: Path) -> None:
    log = Log(tmp_path / "none")
    assert log.read().empty and log.done() == set() and log.files() == []
    log.append([])
    assert not log.folder.exists()
    assert {"picture", "truth", "value", "reason", "failed"} <= set(log.read().columns)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append([row(value=0.25), row("road.combined", math.nan)])
    log.append([row(picture="zweite/<b>.png", method="", seed=2**40)])
    found = log.read()
    assert found["picture"].tolist() == ["a.png", "a.png", "zweite/<b>.png"]
    assert found["value"].tolist()[0] == 0.25 and math.isnan(found["value"][1])
    assert found["seed"].tolist() == [0, 0, 2**40]
    assert log.done() == {"u"}


def test_a_file_that_is_written_never_changes(tmp_path: Path) -> None:
    log = Log(tmp_path)
    before: dict[Path, bytes] = {}
    for number in range(12):
        log.append([row(picture=f"{number}.png", unit=str(number))])
        files = {file: file.read_bytes() for file in log.files()}
        assert len(files) == number + 1
        assert {file: files[file] for file in before} == before
        before = files
    assert sorted(log.folder.iterdir()) == log.files(), "nothing else is left there"


def test_what_was_half_written_is_not_there(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append([row()])
    (log.folder / "batch-000001.part").write_bytes(b"PAR1 half a file")
    assert len(log.read()) == 1
    log.append([row(picture="b.png", unit="v")])
    assert log.read()["picture"].tolist() == ["a.png", "b.png"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append([row()])
    log.files()[0].write_bytes(log.files()[0].read_bytes()[:-20])
    with pytest.raises(XaiError, match=r"batch-000000\.parquet cannot be read .* run the study again\.$"):
        log.read()


def test_a_failed_row_gives_way_whenever_it_was_written(tmp_path: Path) -> None:
    for name, rows in {"before": [True, False], "after": [False, True]}.items():
        log = Log(tmp_path / name)
        for failed in rows:
            log.append([row(value=math.nan if failed else 0.5, failed=failed)])
        assert log.read()["value"].tolist() == [0.5]
        assert log.done() == {"u"}
    log = Log(tmp_path / "alone")
    log.append([row(value=math.nan, failed=True)])
    assert log.read()["reason"].tolist() == ["why"]
    assert log.done() == set(), "it is tried again"


def test_what_has_changed_between_two_runs_is_there_once(tmp_path: Path) -> None:
    log = Log(tmp_path)
    first = [row("prediction.top", 1, "a", truth=1), row("prediction.correct", 1, "a", truth=1)]
    log.append([*first, row("iou.top", 0.5, "b", truth=1)])
    log.append([row("prediction.top", 2, "c", truth=-1, digest="f01", target=2)])
    found = log.read()
    assert dict(zip(found["score"], found["value"], strict=True)) == {"iou.top": 0.5, "prediction.top": 2}
    assert log.done() == {"b", "c"}, "what has given way is computed again when it is asked for again"
    log.append(first)
    found = log.read()
    assert found["score"].tolist() == ["iou.top", "prediction.correct", "prediction.top"]
    assert log.done() == {"a", "b"}
    log.append([row("prediction.top", math.nan, "d", failed=True, digest="f02")])
    assert "prediction.correct" not in set(log.read()["score"]), "what failed is of the picture that is there now"


rows = st.lists(
    st.builds(
        lambda picture, method, score: row(score, 0.5, f"{picture} {method}", picture=picture, method=method),
        st.sampled_from(["a", "b", "ä", "B"]),
        st.sampled_from(["", "lime", "gradcam"]),
        st.sampled_from(["iou.top", "road.combined"]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=rows, data=st.data())
def test_the_order_of_writing_does_not_matter(
    tmp_path_factory: object, batches: list[Row], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("order")  # type: ignore[attr-defined]
    first, second = Log(folder / "first"), Log(folder / "second")
    first.append(batches)
    for one in data.draw(st.permutations(batches)):
        second.append([one])
    pd.testing.assert_frame_equal(first.read(), second.read())
    places = {(one.place, one.reading.score) for one in batches}
    assert len(first.read()) == len(places)
