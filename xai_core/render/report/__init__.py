"""The report of a study, from its rows: HTML, PDF, and its tables as CSV and LaTeX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...types import XaiError

if TYPE_CHECKING:
    from ...studies.plan import Plan

HTML, PDF, TABLES = "report.html", "report.pdf", "tables"
OURS = ".written"
"""The file in `tables` that names those which a report has written: others are the user's, and stay."""


def write_report(plan: Plan, out: Path) -> Path:
    """Writes `report.html`, `report.pdf` and `tables/NAME.csv` and `.tex` of what a study's folder holds so far.

    Every file is written under a temporary name first, and tables that an earlier report wrote and this one no longer
    has are removed. Returns the HTML file; raises `XaiError` for rows that cannot be read, or a folder that cannot be
    written to.
    """
    from .content import report_of
    from .html import html
    from .pdf import pdf
    from .tables import csv_text, latex

    report = report_of(plan, out)
    files = {f"{TABLES}/{table.name}.csv": csv_text(table).encode() for table in report.tables}
    files |= {f"{TABLES}/{table.name}.tex": latex(table).encode() for table in report.tables}
    files |= {PDF: pdf(report), HTML: html(report).encode()}
    try:
        _write(out, files)
    except OSError as error:
        raise XaiError(f"The report cannot be written to {out}: {error.strerror or error}.") from None
    return out / HTML


def _write(out: Path, files: dict[str, bytes]) -> None:
    tables = out / TABLES
    tables.mkdir(parents=True, exist_ok=True)
    written = tables / OURS
    before = set(written.read_text().splitlines()) if written.is_file() else set()
    now = {Path(name).name for name in files if Path(name).parent.name == TABLES}
    for name, data in {**files, f"{TABLES}/{OURS}": "".join(f"{one}\n" for one in sorted(now)).encode()}.items():
        draft = out / f"{name}.part"
        draft.write_bytes(data)
        draft.replace(out / name)
    for old in (path for path in tables.iterdir() if path.name in before - now and path.is_file()):
        old.unlink()
