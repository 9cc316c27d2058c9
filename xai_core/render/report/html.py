"""A study's report as one HTML file that needs nothing else: no network, no scripts."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from ...studies.exhibits import Chart, Exhibit, Gallery, Section, Table, Words
from ...studies.naming import slug
from ..encoding import photo_uri
from . import figures, tables
from .content import Report

STYLE = Path(__file__).parents[3] / "assets" / "report.css"
SHORT = 22
"""Letters that stay in one line."""
SEEN = '<meta name="batches" content="{}">'
"""Which tells how many batches of rows a report has seen."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html(report: Report) -> str:
    """The whole page."""
    names = _anchors(report)
    style = STYLE.read_text(encoding="utf-8")
    contents = "".join(
        f'<li><a href="#{name}">{escape(section.title)}</a></li>'
        for name, section in zip(names, report.sections, strict=True)
    )
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report.facts)
    body = "".join(_section(name, section) for name, section in zip(names, report.sections, strict=True))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{SEEN.format(report.batches)}"
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        f"<title>{escape(report.title)}</title><style>{style}</style></head>\n"
        f'<body><div class="page"><nav aria-label="Contents"><b>Contents</b><ol>{contents}</ol></nav>\n'
        f'<main><header><h1>{escape(report.title)}</h1><p class="lead">{escape(report.lead)}</p>'
        f'<dl class="facts">{facts}</dl></header>\n{body}</main></div></body></html>\n'
    )


def batches_in(file: Path) -> int:
    """How many batches of rows the report in a file has seen; -1 where there is none, or it does not say so."""
    try:
        with file.open(encoding="utf-8") as text:
            found = re.search(SEEN.format(r"(\d+)"), text.read(500))
    except OSError:
        return -1
    return int(found[1]) if found else -1


def _anchors(report: Report) -> list[str]:
    """A name for each section that no other one has."""
    return [f"s{number}-{slug(section.title)}" for number, section in enumerate(report.sections, start=1)]


def _section(name: str, section: Section) -> str:
    inner = "\n".join(_exhibit(f"{name}-{place}", one) for place, one in enumerate(section.exhibits, start=1))
    return f'<section id="{name}"><h2>{escape(section.title)}</h2>\n{inner}</section>\n'


def _exhibit(name: str, one: Exhibit) -> str:
    if isinstance(one, Words):
        return "".join(f"<p>{escape(sentence)}</p>" for sentence in one.sentences)
    if isinstance(one, Table):
        inner, tall = _table(one), len(one.frame) > 20
    elif isinstance(one, Chart):
        inner, tall = figures.svg(one, name), False
    else:
        inner, tall = _gallery(one), len(one.pictures) > 12
    note = f'<p class="note">{escape(one.note)}</p>' if one.note else ""
    kind = ' class="tall"' if tall else ""
    return f"<figure{kind}><figcaption>{escape(one.title)}</figcaption>{inner}{note}</figure>"


def _table(table: Table) -> str:
    shown, outstanding, quiet = tables.texts(table), tables.best(table), set(table.quiet)
    kinds = [' class="n"' if tables.numeric(table, column) else "" for column in shown.columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape(str(one))}</th>' for kind, one in zip(kinds, shown.columns, strict=True)
    )
    body = []
    for place, line in enumerate(shown.itertuples(index=False)):
        cells = []
        for column, kind, text in zip(shown.columns, kinds, line, strict=True):
            classes = ' class="n best"' if (place, column) in outstanding else kind
            if not kind and len(str(text)) <= SHORT:
                classes = ' class="short"'
            value, bracket, rest = str(text).partition(" [") if kind else (str(text), "", "")
            more = f" <small>[{escape(rest)}</small>" if bracket else ""
            cells.append(f"<td{classes}>{escape(value)}{more}</td>")
        row = '<tr class="quiet">' if place in quiet else "<tr>"
        body.append(f"{row}{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _gallery(gallery: Gallery) -> str:
    pictures = "".join(
        f'<div><img alt="{escape(caption)}" src="{photo_uri(pixels)}"><span>{escape(caption)}</span></div>'
        for pixels, caption in gallery.pictures
    )
    columns = f"grid-template-columns: repeat({int(gallery.columns)}, minmax(0, 1fr))"
    return f'<div class="gallery" style="{columns}">{pictures}</div>'
