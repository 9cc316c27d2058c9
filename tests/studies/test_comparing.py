"""Tables and comparisons say what planted rows say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_core.studies.comparing import by_method, compared, effects, means, summary
from xai_core.studies.exhibits import Chart, Section, Table, Words
from xai_core.studies.naming import corruption_title, heading, in_order, listed, natural, slug

ROAD = "road.combined"


def row(picture: int, method: str, value: float, score: str = ROAD, **more: Any) -> dict[str, Any]:
    return {
        "picture": f"{picture}.jpg",
        "digest": "",
        "truth": -1,
        "corruption": "clean",
        "model": "tiny",
        "target": 0,
        "method": method,
        "variant": "",
        "seed": 0,
        "score": score,
        "value": value,
        "reason": "" if math.isfinite(value) else "there is no mask",
        "key": "",
        "unit": "",
        "failed": False,
    } | more


def planted(score: str = ROAD, count: int = 30) -> pd.DataFrame:
    """Grad-CAM is far better than SmoothGrad, which is as good as random."""
    noise = np.random.default_rng(0).normal(size=(count, 3))
    levels = {"gradcam": 2.0, "smoothgrad": 0.0, "random": 0.0}
    return pd.DataFrame(
        [row(n, name, levels[name] + noise[n, k], score) for n in range(count) for k, name in enumerate(levels)]
    )


def parts(section: Section, kind: type) -> list[Any]:
    return [one for one in section.exhibits if isinstance(one, kind)]


def said(section: Section) -> str:
    return " ".join(sentence for words in parts(section, Words) for sentence in words.sentences)


def test_maps_stand_side_by_side_and_baselines_last() -> None:
    rows = pd.DataFrame([row(1, "random", 0.1), row(1, "smoothgrad", 0.2, variant="s0"), row(2, "random", 0.3)])
    table = by_method(rows, ROAD)
    assert list(table.columns) == ["smoothgrad@s0", "random"] and list(table.index) == ["1.jpg", "2.jpg"]
    assert table.loc["1.jpg", "smoothgrad@s0"] == 0.2 and math.isnan(table.loc["2.jpg", "smoothgrad@s0"])
    assert by_method(rows, "iou.top").empty


def test_a_mean_over_corruptions_needs_all_of_them() -> None:
    rows = pd.DataFrame(
        [
            row(1, "gradcam", 1.0, corruption="clean"),
            row(1, "gradcam", 3.0, corruption="resolution=5"),
            row(2, "gradcam", 1.0, corruption="clean"),
            row(3, "gradcam", 1.0, corruption="clean"),
            row(3, "gradcam", math.nan, corruption="resolution=5"),
        ]
    )
    found = by_method(rows, ROAD)["gradcam"]
    assert found["1.jpg"] == 2.0 and found[["2.jpg", "3.jpg"]].isna().all()


def test_a_summary_counts_what_is_undefined_and_says_why() -> None:
    rows = pd.DataFrame(
        [row(n, "gradcam", float(n)) for n in range(4)]
        + [row(n, "random", 0.0) for n in range(4)]
        + [row(n, "gradcam", math.nan if n else 0.5, "iou.top") for n in range(4)]
    )
    table = summary(rows, [ROAD, "iou.top"])
    assert list(table.frame["Method"]) == ["Grad-CAM", "Random"] and list(table.quiet) == [1]
    head, other = heading(ROAD), heading("iou.top")
    assert "↑" in head and table.better[head] == "higher"
    assert table.frame[head].tolist() == [1.5, 0.0]
    assert table.frame[table.spreads[other].n].tolist() == [1, 0]
    assert table.frame[table.spreads[other].undefined].tolist() == [3, 0]
    assert "3 of 4 values are undefined, mostly: there is no mask." in table.note


def test_a_picture_with_many_values_counts_once() -> None:
    rows = pd.DataFrame(
        [row(1, "gradcam", 0.0, seed=seed) for seed in range(9)] + [row(2, "gradcam", 1.0)],
    )
    table = summary(rows, [ROAD])
    assert table.frame[heading(ROAD)].tolist() == [0.5] and table.frame[f"{heading(ROAD)} n"].tolist() == [2]


def test_planted_differences_are_found_and_no_others() -> None:
    section = compared(planted(), ROAD)
    assert "Grad-CAM has the best mean rank" in said(section)
    assert "cannot be told apart: Random and SmoothGrad." in said(section)
    (chart,) = parts(section, Chart)
    assert chart.kind == "ranks" and [sorted(group) for group in chart.cliques] == [["Random", "SmoothGrad"]]
    ranks, pairs = parts(section, Table)
    assert ranks.frame["Method"][0] == "Grad-CAM" and ranks.frame["Beats random (%)"][0] > 80
    assert list(pairs.frame["Verdict"]) == ["first is better", "first is better", "no difference"]
    assert pairs.frame["Rank-biserial"][0] > 0.9 and pairs.frame["Cohen's dz"][0] > 1


def test_where_less_is_better_the_ranks_turn_round() -> None:
    section = compared(planted("robustness.mse"), "robustness.mse")
    ranks, pairs = parts(section, Table)
    assert ranks.frame["Method"].iloc[-1] == "Grad-CAM" and ranks.frame["Beats random (%)"].iloc[-1] < 20
    worst = pairs.frame[pairs.frame["Second"] == "Grad-CAM"]
    assert (worst["Difference"] < 0).all() and (worst["Rank-biserial"] > 0).all()


def test_several_that_tie_are_best_together() -> None:
    still = [row(picture, method, 0.0, "robustness.mse") for picture in range(1, 9) for method in ("random", "centre")]
    apart = [row(picture, "gradcam", 0.1 * picture, "robustness.mse") for picture in range(1, 9)]
    text = said(compared(pd.DataFrame(still + apart), "robustness.mse"))
    assert "Centre and Random have the best mean rank" in text or "Random and Centre have the best mean rank" in text


def test_pairs_with_more_pictures_than_the_ranks_are_not_called_too_few() -> None:
    """A method with three pictures takes the ranks down to these; the others' pair has ten, and could differ."""
    rows = [row(n, "gradcam", 0.5 + 0.01 * (-1) ** n * n) for n in range(10)]
    rows += [row(n, "gradient", 0.5 + 0.01 * (-1) ** (n // 2) * n) for n in range(10)]
    rows += [row(n, "lime", 0.4 if n < 3 else math.nan) for n in range(10)]
    assert "no pair could" not in said(compared(pd.DataFrame(rows), ROAD))


def test_few_pictures_are_told_to_be_few() -> None:
    section = compared(planted(count=4), ROAD)
    assert "With 4 pictures no pair could" in said(section)
    assert (parts(section, Table)[1].frame["Verdict"] == "no difference").all()


def test_every_model_has_ranks_of_its_own() -> None:
    both = pd.concat([planted(), planted().assign(model="other")])
    charts = parts(compared(both, ROAD), Chart)
    assert [chart.name for chart in charts] == ["ranks-road-combined-other", "ranks-road-combined-tiny"]
    assert means(both, ROAD).facet == "Panel" and means(planted(), ROAD).facet == ""


@pytest.mark.parametrize("rows", [planted()[:0], planted()[:1], planted().assign(value=math.nan)])
def test_too_little_to_compare_is_said(rows: pd.DataFrame) -> None:
    section = compared(rows, ROAD)
    assert "no two methods" in said(section)
    summary(rows, [ROAD]), means(rows, ROAD)


def test_effects_find_the_factor_that_matters() -> None:
    noise = np.random.default_rng(1).normal(scale=0.1, size=200)
    rows = pd.DataFrame(
        [
            row(n, "pipeline", 10 * n + (2.0 if stage == "slic" else 0.0) + noise[10 * n + 5 * k + m], part=part)
            | {"segments": stage}
            for n in range(20)
            for k, stage in enumerate(("grid", "slic"))
            for m, part in enumerate("abcde")
        ]
    )
    found = effects(rows, ["segments", "part"], ROAD).frame.set_index("Factor")
    assert found["Eta squared"]["Segments"] > 0.95 and found["Eta squared"]["Part"] < 0.02
    assert found["Best"]["Segments"] == "slic" and found["Difference low"]["Segments"] > 1.9
    assert found["Eta squared low"]["Segments"] < found["Eta squared"]["Segments"] <= 1
    assert effects(rows[:0], ["segments"], ROAD).frame["Levels"].tolist() == [0]


def test_names_are_readable() -> None:
    assert corruption_title("gaussian_noise=25+resolution=5").startswith("Gaussian noise 25 + ")
    labels = ["resolution=5", "gaussian_noise=50", "clean", "gaussian_noise=5", "resolution=20"]
    assert sorted(labels, key=natural)[:3] == ["clean", "gaussian_noise=5", "gaussian_noise=50"]
    assert sorted(labels, key=natural)[3:] == ["resolution=5", "resolution=20"]
    assert in_order(["sobel", "random", "shap", "gradcam"]) == ["gradcam", "shap", "random", "sobel"]
    assert slug("ROAD, <b>") == "road-b" and listed(["a", "b", "c"]) == "a, b and c"
