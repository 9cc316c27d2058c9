"""The table of scores: ranks are colours, baselines are grey rows, and what does not beat them is grey too."""

from __future__ import annotations

import re

import pytest

from tests.engine.asking import disc
from xai_core.engine.comparison import Comparison, Variant, scores_for
from xai_core.engine.following import Standing, follow
from xai_core.engine.inline import InlineEngine
from xai_core.registry import METHODS, MODELS, SCORE_FAMILIES, SCORES
from xai_core.render.score_table import STRONGEST, score_table

pytestmark = pytest.mark.usefixtures("tiny_card")


def standing(*methods: str, scores: tuple[str, ...] = ("occlusion", "road"), rivals: int = 0) -> Standing:
    variants = [Variant(name, METHODS[name].make({}, "quick")) for name in methods]
    comparison = Comparison(
        disc(), [MODELS["tiny"]], variants, scores=scores_for(scores, "quick"), target=2, rivals=rivals
    )
    engine = InlineEngine()
    for _ in range(100):
        found = follow(comparison, engine, "test")
        if not found.pending:
            return found
    raise AssertionError("the comparison never ended")


def rows(html: str) -> dict[str, str]:
    """The table's rows by their heading."""
    found = re.findall(r'<tr class="(\w*)"><th scope="row">([^<]*)</th>(.*?)</tr>', html)
    return {title: f"{kind}|{cells}" for kind, title, cells in found}


def test_every_map_and_baseline_has_a_row_and_every_value_a_column() -> None:
    html = score_table(standing("gradcam", "gradient"), MODELS["tiny"])
    found = rows(html)
    assert list(found) == ["Grad-CAM", "Gradient", "Random", "Centre", "Edges"]
    columns = sum(len(SCORES[name].values) for name in ("occlusion", "road"))
    assert all(cells.count("<td") == columns for cells in found.values())
    assert all(found[name].startswith("baseline|") for name in ("Random", "Centre", "Edges"))
    assert SCORE_FAMILIES["faithfulness"] in html


def test_the_best_of_two_is_darkest_and_the_other_has_no_colour() -> None:
    html = score_table(standing("gradcam", "gradient", scores=("road",)), MODELS["tiny"])
    strengths = [re.findall(r"/ ([\d.]+)\)", rows(html)[name]) for name in ("Grad-CAM", "Gradient")]
    for one, other in zip(*strengths, strict=True):
        assert {one, other} == {f"{STRONGEST:.2f}", "0.00"}


def test_what_does_not_beat_the_baselines_is_grey_and_says_so() -> None:
    html = score_table(standing("sobel", scores=("road",)), MODELS["tiny"])
    assert 'class="below"' in html and "not better than the best baseline" in html


def test_among_random_maps_every_value_says_how_many_it_beats() -> None:
    found = standing("gradcam", scores=("road",), rivals=3)
    table = score_table(found, MODELS["tiny"])
    assert re.search(r"<small>beats [0-3] of 3</small>", rows(table)["Grad-CAM"])
    assert "beats" not in rows(table)["Random"]
    values = [one.values["combined"] for one in found.outcome.rivals["tiny", "road"]]
    assert len(set(values)) == 3
    own = found.outcome.scores["tiny", "gradcam", "road"].values["combined"]
    assert found.outcome.wins("tiny", "gradcam", "road", "combined") == (sum(own > one for one in values), 3)
    assert found.outcome.wins("tiny", "gradcam", "road", "morf") is not None
    assert standing("gradcam").outcome.wins("tiny", "gradcam", "road", "combined") is None


def test_scores_of_a_family_stand_together_under_its_name() -> None:
    names = ("gini", "road", "entropy", "occlusion")
    html = score_table(standing("gradcam", scores=names), MODELS["tiny"])
    groups = re.findall(r'colspan="(\d+)" class="group">([^<]*)<', html)
    assert [title for _, title in groups] == [SCORE_FAMILIES["faithfulness"], SCORE_FAMILIES["information"]]
    heads = re.findall(r'<th title="[^"]*">([^<]*) <i>', html)
    place = 0
    for count, title in groups:
        values = {
            value.title
            for spec in SCORES
            if SCORE_FAMILIES[spec.family] == title and spec.name in names
            for value in spec.values.values()
        }
        assert set(heads[place : place + int(count)]) == values
        place += int(count)
    assert place == len(heads)


def test_without_scores_there_is_no_table() -> None:
    assert score_table(standing("gradcam", scores=()), MODELS["tiny"]) == ""


def test_every_score_is_in_a_family() -> None:
    assert {spec.family for spec in SCORES} <= set(SCORE_FAMILIES)
