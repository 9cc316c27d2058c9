"""What a study says while it runs: few rows are shown as well as all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.studies.small import small, write_pictures, written
from xai_core.engine.inline import InlineEngine
from xai_core.studies.exhibits import Chart, Table
from xai_core.studies.plan import plan_of
from xai_core.studies.running import run

QUICK: dict[str, dict[str, object]] = {
    "imagenet50": {},
    "suboptimality": {"set_study": {"pictures": 2, "runs": 2}, "methods": ("gradcam",), "set_score": {}, "limit": 1},
}


@pytest.mark.usefixtures("tiny_card")
@pytest.mark.parametrize("study", QUICK)
def test_rows_can_be_shown_from_the_first_on(study: str, tmp_path: Path) -> None:
    plan = plan_of(small(write_pictures(tmp_path / "pictures"), study=study, **QUICK[study]))
    run(plan, InlineEngine(), tmp_path / "out")
    rows = written(tmp_path / "out")
    for count in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, len(rows) - 1, len(rows)):
        sections = plan.study.sections(plan, rows.head(count))
    exhibits = [one for section in sections for one in section.exhibits]
    assert any(isinstance(one, Table) and len(one.frame) for one in exhibits)
    assert any(isinstance(one, Chart) and len(one.frame) for one in exhibits)
