"""A study's report as a PDF, for reading away from the screen."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image as Pictures

from ...studies.exhibits import Chart, Exhibit, Gallery, Table, Words
from . import figures, tables
from .content import Report
from .figures import PAPER

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 48.0
"""Points around the page."""
FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
SIZE = 7.2
"""Of a table's words."""
LONGEST = 110.0
"""Points of a word, such as a digest, beyond which it is broken."""
DPI = 180


def pdf(report: Report) -> bytes:
    """The whole document, with a table of contents and bookmarks; the same report gives the same bytes."""
    from reportlab import rl_config
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import CondPageBreak, PageBreak, Paragraph, Spacer
    from reportlab.platypus.tableofcontents import TableOfContents

    rl_config.useA85 = 0  # pictures as bytes: smaller, and seconds faster
    styles = _styles()
    buffer = io.BytesIO()
    document = _document(buffer, report)
    width = A4[0] - 2 * MARGIN
    contents = TableOfContents(levelStyles=[styles["contents"]], dotsMinLevel=-1)
    story: list[Any] = [
        Paragraph(_safe(report.title), styles["title"]),
        Paragraph(_safe(report.lead), styles["lead"]),
        *([_facts(report, styles, width)] if report.facts else []),
        Spacer(1, 18),
        Paragraph("Contents", styles["small"]),
        contents,
        PageBreak(),
    ]
    for section in report.sections:
        story.append(CondPageBreak(300 if section.exhibits and isinstance(section.exhibits[0], Chart) else 110))
        story.append(Paragraph(_safe(section.title), styles["heading"]))
        for one in section.exhibits:
            story += _exhibit(one, styles, width)
    document.multiBuild(story)
    return buffer.getvalue()


@lru_cache(maxsize=1)
def _fonts() -> None:
    """DejaVu comes with matplotlib, and has arrows and real minus signs."""
    import matplotlib
    from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    registerFont(TTFont(FONT, str(folder / "DejaVuSans.ttf")))
    registerFont(TTFont(BOLD, str(folder / "DejaVuSans-Bold.ttf")))
    registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


@lru_cache(maxsize=1)
def _styles() -> dict[str, Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle

    _fonts()
    base = ParagraphStyle("text", fontName=FONT, fontSize=9, leading=13, textColor=HexColor(PAPER.text), spaceAfter=5)

    def style(name: str, **values: Any) -> Any:
        return ParagraphStyle(name, parent=base, **values)

    quiet = HexColor(PAPER.quiet)
    return {
        "text": base,
        "title": style("title", fontName=BOLD, fontSize=21, leading=26, spaceAfter=6),
        "lead": style("lead", fontSize=10.5, leading=15, textColor=quiet, spaceAfter=14),
        "heading": style(
            "heading", fontName=BOLD, fontSize=14, leading=18, spaceBefore=20, spaceAfter=8, keepWithNext=1
        ),
        "caption": style("caption", fontName=BOLD, spaceBefore=10, spaceAfter=5, keepWithNext=1),
        "note": style("note", fontSize=7.5, leading=10.5, textColor=quiet, spaceBefore=4, spaceAfter=10),
        "small": style("small", fontName=BOLD, fontSize=8, textColor=quiet),
        "contents": style("contents", fontSize=9.5, leading=15, spaceAfter=0),
        "cell": style("cell", splitLongWords=1, fontSize=SIZE, leading=9.2, spaceAfter=0),
        "number": style("number", fontSize=SIZE, leading=9.2, spaceAfter=0, alignment=2),
        "picture": style("picture", fontSize=7, leading=9, spaceAfter=0, alignment=1, textColor=quiet),
    }


def _document(buffer: io.BytesIO, report: Report) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

    class Document(BaseDocTemplate):  # type: ignore[misc]
        """Knows the pages of its headings."""

        def afterFlowable(self, flowable: Any) -> None:
            if getattr(getattr(flowable, "style", None), "name", "") == "heading":
                key = f"section-{self.seq.nextf('section')}"
                self.canv.bookmarkPage(key)
                self.canv.addOutlineEntry(flowable.getPlainText(), key)
                self.notify("TOCEntry", (0, _safe(flowable.getPlainText()), self.page, key))

    def footer(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(FONT, 7.5)
        canvas.setFillColor(HexColor(PAPER.quiet))
        canvas.drawString(MARGIN, MARGIN / 2, _short(report.title, 90))
        canvas.drawRightString(A4[0] - MARGIN, MARGIN / 2, str(document.page))
        canvas.restoreState()

    document = Document(
        buffer,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=report.title,
        author="",
        invariant=1,
    )
    frame = Frame(MARGIN, MARGIN, A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate("page", [frame], onPage=footer))
    return document


def _facts(report: Report, styles: dict[str, Any], width: float) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Paragraph
    from reportlab.platypus import Table as Grid

    cells = [
        [Paragraph(_safe(name), styles["small"]), Paragraph(_safe(value), styles["cell"])]
        for name, value in report.facts
    ]
    look = [("BACKGROUND", (0, 0), (-1, -1), HexColor("#f3f5f8")), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    return Grid(cells, colWidths=[90, width - 90], style=look)


def _exhibit(one: Exhibit, styles: dict[str, Any], width: float) -> Iterator[Any]:
    from reportlab.platypus import KeepTogether, Paragraph

    if isinstance(one, Words):
        yield from (Paragraph(_safe(sentence), styles["text"]) for sentence in one.sentences)
        return
    caption = Paragraph(_safe(one.title), styles["caption"])
    note = [Paragraph(_safe(one.note), styles["note"])] if one.note else []
    if isinstance(one, Chart):
        yield KeepTogether([caption, _chart(one, width), *note])
    elif isinstance(one, Table):
        yield caption
        yield from _tables(one, styles, width)
        yield from note
    else:
        yield caption
        yield _gallery(one, styles, width)
        yield from note


def _chart(chart: Chart, width: float) -> Any:
    from reportlab.platypus import Image

    data = figures.png(chart, DPI)
    with Pictures.open(io.BytesIO(data)) as picture:
        wide, high = (side * 72 / DPI for side in picture.size)
    scale = min(1.0, width / wide, 620 / high)
    return Image(io.BytesIO(data), wide * scale, high * scale, hAlign="LEFT")


def _tables(table: Table, styles: dict[str, Any], width: float) -> Iterator[Any]:
    """The table, in parts that fit beside each other; every part begins with the columns of names."""
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Paragraph, Spacer
    from reportlab.platypus import Table as Grid

    shown, outstanding, quiet = tables.texts(table), tables.best(table), set(table.quiet)
    numbers = {one for one in shown.columns if tables.numeric(table, one)}
    for columns in _side_by_side(shown, numbers, width):
        kinds = [styles["number"] if tables.numeric(table, one) else styles["cell"] for one in columns]
        rows = [[Paragraph(f"<b>{_safe(str(one))}</b>", kind) for one, kind in zip(columns, kinds, strict=True)]]
        for place, line in enumerate(shown[columns].itertuples(index=False)):
            cells = []
            for column, kind, text in zip(columns, kinds, line, strict=True):
                said = _safe(str(text))
                said = f"<b>{said}</b>" if (place, column) in outstanding else said
                said = f'<font color="{PAPER.quiet}">{said}</font>' if place in quiet else said
                cells.append(Paragraph(said, kind))
            rows.append(cells)
        look = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("BACKGROUND", (0, 0), (-1, 0), HexColor("#f3f5f8")),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(PAPER.line)),
            *[(side, (0, 0), (-1, -1), 4) for side in ("LEFTPADDING", "RIGHTPADDING")],
            *[(side, (0, 0), (-1, -1), 3) for side in ("TOPPADDING", "BOTTOMPADDING")],
        ]
        yield Grid(rows, colWidths=_widths(shown[columns], numbers, width), style=look, repeatRows=1, hAlign="LEFT")
        yield Spacer(1, 6)


def _side_by_side(shown: pd.DataFrame, numbers: set[str], width: float) -> list[list[str]]:
    """The columns, in groups that fit beside each other; every one begins with the columns of names."""
    least = dict(zip(shown.columns, _least(shown, numbers), strict=True))
    if sum(least.values()) <= width:
        return [list(shown.columns)]
    names = [one for one in shown.columns if one not in numbers][:3]
    found: list[list[str]] = [list(names)]
    for one in shown.columns:
        if one in names:
            continue
        if len(found[-1]) > len(names) and sum(least[name] for name in (*found[-1], one)) > width:
            found.append(list(names))
        found[-1].append(one)
    return found


def _least(shown: pd.DataFrame, numbers: set[str]) -> list[float]:
    """The width of every column's longest word, or interval, in points."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    found = []
    for name in shown.columns:
        split = r" (?=\[)|(?<=\]) " if name in numbers else r"\s"
        words = {word for text in shown[name] for word in re.split(split, str(text))}
        widths = [min(stringWidth(word, BOLD, SIZE), LONGEST) for word in words]
        widths += [stringWidth(word, BOLD, SIZE) for word in str(name).split()]
        found.append(max(widths) + 10)
    return found


def _widths(shown: pd.DataFrame, numbers: set[str], width: float) -> list[float]:
    """Widths that give every column its longest word, and share the rest by how much there is to say."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    least = _least(shown, numbers)
    lines = [
        max((stringWidth(str(text), BOLD, SIZE) for text in shown[name]), default=0.0) + 10 for name in shown.columns
    ]
    wanted = [max(low, high) for low, high in zip(least, lines, strict=True)]
    if sum(wanted) <= width:
        return wanted
    spare = max(width - sum(least), 0.0)
    more = [high - low for low, high in zip(least, wanted, strict=True)]
    given = [low + spare * one / (sum(more) or 1) for low, one in zip(least, more, strict=True)]
    return [one * min(1.0, width / sum(given)) for one in given]


def _gallery(gallery: Gallery, styles: dict[str, Any], width: float) -> Any:
    from reportlab.platypus import Image, Paragraph
    from reportlab.platypus import Table as Grid

    side = width / gallery.columns
    cells = []
    for pixels, caption in gallery.pictures:
        buffer = io.BytesIO()
        Pictures.fromarray(pixels).save(buffer, "PNG")
        high = (side - 8) * pixels.shape[0] / pixels.shape[1]
        cells.append([Image(buffer, side - 8, high), Paragraph(_safe(caption), styles["picture"])])
    rows: list[list[Any]] = [cells[at : at + gallery.columns] for at in range(0, len(cells), gallery.columns)]
    rows = [[*row, *[""] * (gallery.columns - len(row))] for row in rows] or [[""] * gallery.columns]
    return Grid(rows, colWidths=[side] * gallery.columns, style=[("VALIGN", (0, 0), (-1, -1), "TOP")])


def _safe(text: str) -> str:
    """Text that is shown as it is: reportlab would read tags."""
    return escape("".join(sign if sign.isprintable() else " " for sign in text))


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
