"""A study's report: made, opened and taken along, with its tables and its rows."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import streamlit as st

from pages.parts import modules, studies
from pages.parts.background import Work
from xai_core.render.report import HTML, PDF, TABLES
from xai_core.render.report.html import batches_in
from xai_core.render.sheets import all_as_text
from xai_core.studies.desk import Kept
from xai_core.studies.results import Log
from xai_core.types import XaiError

HEIGHT = 640
"""Pixels of the report in the page."""


@st.cache_resource(show_spinner=False)
def _works() -> dict[str, Work]:
    """The reports that are written, or were, by their study."""
    return {}


def at_work(name: str) -> bool:
    """Whether the report of a study is being written."""
    work = _works().get(name)
    return work is not None and work.running


def show(kept: Kept) -> None:
    """The report as it was last written, a button that writes it anew, and all files."""
    work = _works().get(kept.name)
    if work is not None and work.running:
        _waiting(work)
        return
    if work is not None and work.error:
        st.error(work.error, icon=":material/error:")
    report = kept.out / HTML
    there, stale = report.exists(), _stale(kept)
    if not studies.stamp(kept)[0]:
        st.caption("The report can be written when there are results.")
        return
    if there and stale:
        st.caption("The report is older than the newest results.")
    elif not there:
        st.caption("The report has tables, figures, settings, versions and sources, as one HTML file and as PDF.")
    if stale and st.button(
        "Write it anew" if there else "Write the report",
        icon=":material/description:",
        type="primary",
        key="report.write",
    ):
        plan = studies.plan(kept.choice)
        _works()[kept.name] = Work(lambda stop: studies.report(plan, kept.out))
        st.rerun()
    _files(kept, there)
    if there:
        st.iframe(report, height=HEIGHT)


def _waiting(work: Work) -> None:
    @st.fragment(run_every=0.5, key="report_waiting")
    def waiting() -> None:
        if not work.running:
            st.rerun()
        st.progress(0.0, text="Writing the report: a few seconds")

    waiting()


def _stale(kept: Kept) -> bool:
    """Whether there is no report, or there are rows that it has not seen."""
    return batches_in(kept.out / HTML) != len(Log(kept.out).files())


def _files(kept: Kept, there: bool) -> None:
    columns = st.columns(5)
    if there:
        data = (kept.out / HTML).read_bytes()
        page = modules.address(data, "text/html", "report", f"{kept.name}-{studies.stamp(kept)[0]}.html")
        columns[0].link_button("Open", page, icon=":material/open_in_new:", width="stretch", key="report.open")
        _download(columns[1], "HTML", f"{kept.name}.html", "text/html", kept.out / HTML)
        _download(columns[2], "PDF", f"{kept.name}.pdf", "application/pdf", kept.out / PDF)
        columns[3].download_button(
            "Tables",
            lambda: tables_zip(kept.out),
            f"{kept.name}-tables.zip",
            "application/zip",
            help="Every table as CSV and as LaTeX.",
            key="report.tables",
            on_click="ignore",
            icon=":material/download:",
            width="stretch",
        )
    columns[4].download_button(
        "Rows",
        lambda: rows_zip(kept.out),
        f"{kept.name}-rows.zip",
        "application/zip",
        help="Every value with what it belongs to, as CSV and as Parquet, and the study's settings.",
        key="report.rows",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )


def _download(place: object, label: str, name: str, kind: str, path: Path) -> None:
    place.download_button(  # type: ignore[attr-defined]
        label,
        path.read_bytes,
        name,
        kind,
        key=f"report.{label}",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )


def tables_zip(out: Path) -> bytes:
    """The report's tables."""
    return _zipped({path.name: path.read_bytes() for path in sorted((out / TABLES).iterdir())})


def rows_zip(out: Path) -> bytes:
    """All rows, each once, as `rows.csv` and `rows.parquet`, and `study.json`; raises `XaiError` for damaged ones."""
    rows = Log(out).read()
    parquet = io.BytesIO()
    rows.to_parquet(parquet, index=False)
    try:
        settings = (out / "study.json").read_bytes()
    except OSError as error:
        raise XaiError(f"The study's settings cannot be read: {error.strerror or error}.") from None
    csv = all_as_text(rows).to_csv(index=False).encode()
    return _zipped({"rows.csv": csv, "rows.parquet": parquet.getvalue(), "study.json": settings})


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
