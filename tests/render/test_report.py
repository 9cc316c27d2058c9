"""Reports: every exhibit is drawn, nothing in them is read as code, and they stand alone."""

from __future__ import annotations

import io
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xai_core.render.report import charts, figures, write_report
from xai_core.render.report.content import Report, report_of
from xai_core.render.report.html import SEEN, batches_in, html
from xai_core.render.report.layout import ranks, styles
from xai_core.render.report.pdf import pdf
from xai_core.render.report.tables import best, csv_text, escaped, latex, texts
from xai_core.studies.base import Place, Reading
from xai_core.studies.exhibits import Chart, Exhibit, Gallery, Section, Spread, Table, Words
from xai_core.studies.plan import Choice, Plan, plan_of
from xai_core.studies.results import Log, Row
from xai_core.types import XaiError

HOSTILE = '<script>alert("x")</script> & $x_1$ 50 % \\input{a} #{}~^'


def chart(kind: Any, **more: Any) -> Chart:
    names = ["Grad-CAM", "LIME", "Random"]
    frame = pd.DataFrame(
        [
            {"x": place, "name": name, "y": place + value, "low": place, "high": place + 2 * value, "panel": panel}
            for panel in ("VGG", HOSTILE)
            for place, name in enumerate(["mild", "medium", HOSTILE])
            for value in (0.5,)
        ]
    )
    frame["name"] = [names[place % 3] for place in range(len(frame))]
    values = {"x": "x", "y": "y", "group": "name", "low": "low", "high": "high", "facet": "panel"} | more
    return Chart(f"a-{kind}", HOSTILE, kind, frame, **values)


RANKS = Chart(
    "ranks",
    "Ranks",
    "ranks",
    pd.DataFrame({"m": ["A", "B", "C", HOSTILE], "r": [1.2, 2.0, 3.1, 3.7], "k": ["method"] * 3 + ["baseline"]}),
    x="m",
    y="r",
    group="k",
    cliques=[["A", "B"], ["C", HOSTILE]],
    reach=1.1,
)
CHARTS = [
    chart("lines"),
    chart("lines", x="name", group="", facet=""),
    chart("bars", x="name", group="", level=0.5),
    chart("dots", x="name"),
    chart("scatter", low="", high=""),
    chart("heat", x="name", group="panel", facet="", low="", high="", level=0.0),
    RANKS,
]
TABLE = Table(
    "a-table",
    HOSTILE,
    pd.DataFrame(
        {
            "Method": ["Grad-CAM", HOSTILE, "Random"],
            "Mean": [0.123456, math.nan, -2.0],
            "Low": [0.1, math.nan, -3.0],
            "High": [0.2, math.nan, -1.0],
            "n": [4, 0, 4],
            "gaps": [0, 4, 0],
        }
    ),
    HOSTILE,
    spreads={"Mean": Spread("Low", "High", "n", "gaps")},
    better={"Mean": "higher"},
    quiet=[2],
)
PIXELS = np.zeros((8, 12, 3), dtype=np.uint8)
EVERYTHING: list[Exhibit] = [Words([HOSTILE]), TABLE, *CHARTS, Gallery("g", HOSTILE, [(PIXELS, HOSTILE)] * 3, 2)]
REPORT = Report(
    HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), (Section(HOSTILE, EVERYTHING), Section(HOSTILE, [RANKS, TABLE]))
)


class Page(HTMLParser):
    """Elements and text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


# -- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def text() -> str:
    return html(REPORT)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_hostile_names_are_text(page: Page) -> None:
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "iframe", "object", "link", "form"}
    assert page.words.count('<script>alert("x")</script>') > 10


def test_the_page_needs_nothing_else(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            where = attributes.get(name)
            assert where is None or where.startswith(("#", "data:")), (tag, where)
        assert not [name for name in attributes if name.startswith("on")]
    policy = next(attributes for tag, attributes in page.tags if tag == "meta" and "http-equiv" in attributes)
    assert "default-src 'none'" in str(policy["content"])


def test_contents_lead_to_every_section_and_no_id_comes_twice(page: Page, text: str) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"]
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert links == sections and len(links) == 2
    uses = re.findall(r"url\(#([^)]+)\)", text)
    assert uses and set(uses) <= set(ids)


# -- charts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", CHARTS, ids=lambda one: one.kind)
def test_every_chart_is_drawn_as_svg_in_the_pages_colours(one: Chart) -> None:
    text = figures.svg(one)
    said = "".join(ElementTree.fromstring(text).itertext())
    assert "var(--quiet)" in text and "var(--font)" in text and "DejaVu" not in text
    for title in [name for name, _ in charts.layout.panels(one) if name]:
        assert title in said
    assert not re.search(r"#0[147]0[258]0[369]", text)
    assert text == figures.svg(one)


@pytest.mark.parametrize("one", CHARTS, ids=lambda one: one.kind)
def test_every_chart_is_drawn_as_png_and_by_plotly(one: Chart) -> None:
    with Image.open(io.BytesIO(figures.png(one, 60))) as picture:
        assert picture.width > 200 and picture.convert("L").getextrema()[0] < 100
    text = charts.plotly_figure(one).to_json()
    assert "<script" not in text.replace("\\u003c", "<")


@pytest.mark.parametrize("one", CHARTS[:-1], ids=lambda one: one.kind)
def test_a_chart_of_nothing_is_empty(one: Chart) -> None:
    nothing = replace(one, frame=one.frame[:0])
    ElementTree.fromstring(figures.svg(nothing))
    charts.plotly_figure(nothing).to_json()
    undefined = replace(one, frame=one.frame.assign(y=math.nan))
    ElementTree.fromstring(figures.svg(undefined))
    charts.plotly_figure(undefined).to_json()


def test_lines_and_their_bands_are_the_rows() -> None:
    figure = charts.plotly_figure(chart("lines", facet="", group=""))
    line = next(trace for trace in figure.data if trace.mode == "lines+markers")
    assert sorted(zip(line.x, line.y, strict=True)) == [(x, x + 0.5) for x in (0, 0, 1, 1, 2, 2)]


def test_baselines_are_grey_and_others_are_not() -> None:
    known = styles(chart("lines"))
    assert known["Random"].colour == charts.layout.BASELINE_COLOUR != known["LIME"].colour != known["Grad-CAM"].colour


def test_a_diagram_of_ranks_has_a_bar_for_each_group() -> None:
    drawn = ranks(RANKS)
    assert [(low, high) for low, high, _ in drawn.bars] == [(1.16, 2.04), (3.06, 3.74)]
    assert [label.name for label in drawn.labels if label.left] == ["A", "B"]
    assert drawn.bars[0][2] == drawn.bars[1][2] < min(label.depth for label in drawn.labels)


# -- tables -----------------------------------------------------------------------------------------------------------


def test_cells_read_as_people_write_them() -> None:
    found = texts(TABLE)
    assert list(found.columns) == ["Method", "Mean", "n", "gaps"]
    assert list(found["Mean"]) == ["0.123 [0.100, 0.200]", "–", "−2.00 [−3.00, −1.00]"]
    assert list(found["n"]) == ["4", "0", "4"] and list(found["gaps"]) == ["0", "4", "0"]


def test_counts_stand_in_the_cells_where_they_differ() -> None:
    frame = TABLE.frame.assign(Other=1.0, other_n=7)
    spreads = {**TABLE.spreads, "Other": Spread("", "", "other_n")}
    found = texts(Table("t", "T", frame, spreads=spreads))
    assert found["Mean"][0] == "0.123 [0.100, 0.200] (n 4)" and found["Other"][0] == "1.00 (n 7)"
    assert found["Mean"][1] == "– (n 0, 4 undefined)"


def test_the_best_stands_out_unless_it_is_a_baseline_or_alone() -> None:
    frame = pd.DataFrame(
        {"Model": ["a", "a", "a", "b"], "Method": ["x", "y", "random", "x"], "v": [1.0, 2.0, 9.0, 5.0]}
    )
    assert best(Table("t", "T", frame, better={"v": "higher"}, quiet=[2])) == {(1, "v")}
    assert best(Table("t", "T", frame, better={"v": "lower"}, quiet=[2])) == {(0, "v")}
    assert best(Table("t", "T", frame.assign(v=1.0), better={"v": "lower"})) == set()


def test_csv_has_all_digits_and_reads_back() -> None:
    again = pd.read_csv(io.StringIO(csv_text(TABLE)))
    pd.testing.assert_frame_equal(again, TABLE.frame)


def test_no_cell_of_a_csv_file_is_a_formula() -> None:
    frame = pd.DataFrame({"=Name": ["=1+1", "@x", "-1.5", "plain", "-x"], "v": [-1.0, 2, 3, 4, 5]})
    lines = csv_text(Table("t", "T", frame)).splitlines()
    assert lines == ["'=Name,v", "'=1+1,-1.0", "'@x,2.0", "-1.5,3.0", "plain,4.0", "'-x,5.0"]


def test_a_group_that_comes_late_has_its_name_in_the_legend_too() -> None:
    frame = pd.DataFrame({"p": ["1", "1", "2", "2"], "x": [0, 1, 0, 1], "y": [1.0, 2, 3, 4], "g": ["a", "b", "c", "a"]})
    figure = charts.plotly_figure(Chart("c", "C", "lines", frame, "x", "y", "g", facet="p"))
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert named == ["a", "b", "c"]
    ranks = {trace.name: trace.legendrank for trace in figure.data}
    assert sorted(ranks, key=lambda name: ranks[name]) == ["a", "b", "c"]


def test_a_report_tells_how_many_batches_it_has_seen(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    assert batches_in(file) == -1
    file.write_text(html(Report(SEEN.format(7), "L", (), (), 12)))
    assert batches_in(file) == 12, "whatever its title says"
    file.write_text("<!doctype html>")
    assert batches_in(file) == -1


def test_latex_escapes_what_it_would_read() -> None:
    text = escaped(HOSTILE + "\n↑ −1")
    plain = re.sub(r"\\(textbackslash|textless|textgreater|textasciitilde|textasciicircum)\{\}|\\[&%$#_{}]", "", text)
    plain = re.sub(r"\$(\\uparrow|-)\$", "", plain)
    assert not set(plain) & set("\\&%$#_{}~^<>\n")
    assert escaped("50 % & a_b") == r"50 \% \& a\_b"


def test_latex_tables_have_a_cell_for_every_column() -> None:
    lines = latex(TABLE).splitlines()
    assert r"\toprule" in lines and r"\bottomrule" in lines and r"\begin{tabular}{lrrr}" in lines
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(body) == 3 and all(len(re.findall(r"(?<!\\)&", line)) == 3 for line in body)


# -- the PDF ----------------------------------------------------------------------------------------------------------


def test_a_pdf_has_pages_and_is_the_same_every_time() -> None:
    small = Report(
        HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), (Section(HOSTILE, [Words([HOSTILE]), TABLE, RANKS, EVERYTHING[-1]]),)
    )
    data = pdf(small)
    assert data.startswith(b"%PDF") and data.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b(?!s)", data)) == 2 and b"/Outlines" in data
    assert data == pdf(small)


def test_wide_and_long_tables_fit() -> None:
    wide = pd.DataFrame({"Method": ["a " * 40] * 50, **{f"Score number {place}": 0.123 for place in range(20)}})
    pdf(Report("T", "L", (), (Section("S", [Table("t", "T", wide)]),)))
    pdf(Report("T", "L", (), (Section("S", [Table("t", "T", pd.DataFrame({"Digest": ["f" * 400]}))]),)))


# -- a study ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(tiny_card: Path, tmp_path: Path) -> Plan:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("<script>.png", "b_1%.png", "c.png"):
        Image.fromarray(np.full((40, 40, 3), 99, dtype=np.uint8)).save(folder / name)
    return plan_of(Choice(study="imagenet50", pictures=str(folder), models=("tiny",), methods=("gradcam",)))


def planted(plan: Plan, count: int) -> list[Row]:
    """Rows as if `count` pictures had been looked at; the last one has failed."""
    assert plan.pictures is not None
    rows = []
    for number, entry in enumerate(plan.pictures.entries[:count]):
        for method in ("gradcam", "random", "centre", "sobel"):
            for score in ("road.combined", "occlusion.subject_drop", "iou.top"):
                place = Place(entry.name, entry.name, 1, model="tiny", target=0, method=method)
                undefined = score == "iou.top" or number == 2
                reason = ("there is no mask" if number < 2 else HOSTILE) if undefined else ""
                value = math.nan if undefined else number + len(method) / 10
                rows.append(Row(place, Reading(score, value, reason), "", f"{place}{score}", number == 2))
        rows.append(
            Row(Place(entry.name, truth=1, model="tiny", target=0), Reading("prediction.correct", 1.0), "", entry.name)
        )
    return rows


def test_a_report_is_written_and_written_again(plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Log(out).append(planted(plan, 3))
    (out / "tables" / "mine").mkdir(parents=True)
    (out / "tables" / "thesis.tex").write_text("years of work")
    (out / "tables" / ".written").write_text("old.csv\nmine\n../report.pdf\n")
    (out / "tables" / "old.csv").write_text("")
    assert write_report(plan, out) == out / "report.html"
    page = Page((out / "report.html").read_text())
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script>alert" in page.words  # the reason of what failed
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    names = {file.name for file in (out / "tables").iterdir()}
    assert {"means-road.csv", "means-road.tex", "undefined.csv", "accuracy.csv", "published-s1-road.tex"} <= names
    assert "old.csv" not in names and not [name for name in names if name.endswith(".part")]
    assert {"thesis.tex", "mine"} <= names, "they are the user's"
    (out / "rows" / "batch-000000.parquet").unlink()
    Log(out).append([row for row in planted(plan, 3) if row.reading.score != "prediction.correct"])
    write_report(plan, out)
    left = {file.name for file in (out / "tables").iterdir()}
    assert "accuracy.csv" not in left and "thesis.tex" in left, "only what a report wrote is removed"


def test_a_report_of_nothing_but_undefined_values_is_written(plan: Plan, tmp_path: Path) -> None:
    rows = [row for row in planted(plan, 1) if row.reading.score.startswith("iou.")]
    gone = [replace(row, reading=replace(row.reading, value=math.nan, reason="there is no mask")) for row in rows]
    Log(tmp_path / "out").append(gone)
    assert gone
    write_report(plan, tmp_path / "out")
    assert "there is no mask" in (tmp_path / "out" / "report.html").read_text()


def test_a_report_says_how_much_is_there(plan: Plan, tmp_path: Path) -> None:
    units = plan.size().units
    empty = dict(report_of(plan, tmp_path / "nothing").facts)
    assert empty["Standing"].startswith(f"0 of {units} results") and empty["Pictures"] == "0 of 3"
    Log(tmp_path / "out").append(planted(plan, 1))
    facts = dict(report_of(plan, tmp_path / "out").facts)
    assert facts["Standing"].startswith(f"13 of {units} results") and facts["Pictures"] == "1 of 3"
    Log(tmp_path / "out").append([replace(row, failed=False) for row in planted(plan, 3)])
    for ended, words in ((False, "which the last run has not all gone through"), (True, "complete")):
        standing = {"done": 0, "units": units, "ended": ended}
        (tmp_path / "out" / "standing.json").write_text(json.dumps(standing))
        assert words in dict(report_of(plan, tmp_path / "out").facts)["Standing"]


def test_a_report_counts_what_is_undefined_and_what_failed(plan: Plan, tmp_path: Path) -> None:
    Log(tmp_path / "out").append(planted(plan, 3))
    report = report_of(plan, tmp_path / "out")
    (table,) = (one for one in report.tables if one.name == "undefined")
    found = {(line["Score"], line["Why"]): line["Values"] for line in table.frame.to_dict("records")}
    assert found["IoU, top pixels", "undefined"] == 8 and found["ROAD, combined", "failed"] == 4


def test_a_report_outlives_its_pictures(plan: Plan, tmp_path: Path) -> None:
    Log(tmp_path / "out").append(planted(plan, 2))
    for file in (tmp_path / "pictures").iterdir():
        file.write_bytes(b"gone")
    assert dict(report_of(plan, tmp_path / "out").facts)["Standing"] == "26 results"


def test_a_folder_that_cannot_be_written_is_told(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(XaiError, match="cannot be"):
        write_report(plan, tmp_path / "file")
