"""The rows of a study: Parquet files that are only ever added, one for each batch of rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..types import XaiError
from .base import Place, Reading

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FOLDER = "rows"
PLACE = tuple(Place.__dataclass_fields__)
SAME = (*(name for name in PLACE if name not in ("digest", "truth", "target")), "score")
"""What two rows agree in of which the newer one holds: a picture or its label may have changed between two runs."""
ORDER = ("picture", "corruption", "model", "target", "method", "variant", "seed", "score", "unit")
"""Rows are read in this order, whoever wrote them first."""


@dataclass(frozen=True)
class Row:
    """One value of one unit. `key` names the result everywhere; `failed` tells that a later run tries it again."""

    place: Place
    reading: Reading
    key: str
    unit: str
    failed: bool = False


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {"truth": pa.int32(), "target": pa.int32(), "seed": pa.int64()}
    columns = [(name, kinds.get(name, pa.string())) for name in PLACE]
    more = [("score", pa.string()), ("value", pa.float64()), ("reason", pa.string())]
    return pa.schema([*columns, *more, ("key", pa.string()), ("unit", pa.string()), ("failed", pa.bool_())])


class Log:
    """The files of one study's folder; one process writes at a time."""

    def __init__(self, out: Path):
        self.folder = out / FOLDER

    def files(self) -> list[Path]:
        """The batches, oldest first."""
        return sorted(self.folder.glob("batch-*.parquet")) if self.folder.is_dir() else []

    def append(self, rows: Sequence[Row]) -> None:
        """Writes a batch under a temporary name, and renames it when it is on the disk. Raises `OSError`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        before = self.files()
        number = int(before[-1].stem.rpartition("-")[2]) + 1 if before else 0
        plain = [
            {
                **asdict(row.place),
                **{name: getattr(row.reading, name) for name in ("score", "value", "reason")},
                **{name: getattr(row, name) for name in ("key", "unit", "failed")},
            }
            for row in rows
        ]
        final = self.folder / f"batch-{number:06d}.parquet"
        draft = final.with_suffix(".part")
        pq.write_table(pa.Table.from_pylist(plain, schema=_schema()), draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(final)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self) -> pd.DataFrame:
        """All rows, the newest of each place and score, in an order that hangs on nothing but them.

        A unit gives way as a whole when one of its rows does. Raises `XaiError` for a file that cannot be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = []
        for file in self.files():
            try:
                tables.append(pq.read_table(file, schema=_schema()))
            except (OSError, pa.ArrowException) as error:
                raise XaiError(f"{file} cannot be read ({error}); remove it, and run the study again.") from None
        if not tables:
            return _schema().empty_table().to_pandas()
        frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
        done = frame.loc[~frame["failed"], "unit"]
        frame = frame[~(frame["failed"] & frame["unit"].isin(done))]
        newest = frame.groupby(list(SAME), sort=False)["unit"].transform("last")
        frame = frame[~frame["unit"].isin(frame.loc[frame["unit"] != newest, "unit"])]
        frame = frame.drop_duplicates(list(SAME), keep="last")
        return frame.sort_values(list(ORDER), kind="stable").reset_index(drop=True)

    def done(self) -> set[str]:
        """The units whose rows are there."""
        rows = self.read()
        return set(rows.loc[~rows["failed"], "unit"])
