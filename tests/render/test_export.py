"""What a comparison leaves behind: arrays, a table and a manifest, as the contract says."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xai_core.classifiers import weights
from xai_core.engine.comparison import Outcome
from xai_core.engine.inline import InlineEngine
from xai_core.registry import METHODS, MODELS, SCORES
from xai_core.render import export
from xai_core.types import Floats, Mask, Picture

from ..conftest import write_tiny_card
from .outcomes import outcome_of, with_score

COLUMNS = "picture,corruption,model,target,method,variant,seed,score,value"


def arrays_in(data: bytes) -> dict[str, Floats]:
    """The arrays of an npz file, read without pickle."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return dict(file)


def rows_in(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def strict(text: str) -> dict[str, Any]:
    """What valid JSON says; Python's own NaN and Infinity are none."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    loaded: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return loaded


def mask_of(picture: Picture) -> Mask:
    return Mask(picture.pixels[..., 2] < 100, name="disc_mask.png")


# -- maps ----------------------------------------------------------------------------------------------------------


def test_no_cell_of_the_scores_is_a_formula(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(replace(picture, name="=HYPERLINK(1)"), methods=("gradcam@-a",), scores=("occlusion",))
    rows = rows_in(export.scores_csv(outcome))
    assert {row["picture"] for row in rows} == {"'=HYPERLINK(1)"}
    assert "'-a" in {row["variant"] for row in rows}
    assert not any(row["value"].startswith("'") for row in rows), "numbers stay numbers"


def test_maps_hold_one_array_for_each_model_and_method_and_nothing_else(tiny_card: Path, picture: Picture) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    outcome = outcome_of(picture, models=("tiny", "other"), scores=("occlusion",))
    found = arrays_in(export.maps_npz(outcome))
    assert set(found) == {f"{model}/{method}" for model in ("tiny", "other") for method in ("gradcam", "smoothgrad")}
    for name, values in found.items():
        assert (values.dtype, values.shape) == (np.float32, (32, 32)), name
        model, method = name.split("/")
        np.testing.assert_array_equal(values, outcome.maps[model, method].values)


def test_variants_are_told_apart_behind_an_at_sign(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(picture, ("smoothgrad@few", "smoothgrad@same", "gradcam"))
    assert set(arrays_in(export.maps_npz(outcome))) == {"tiny/smoothgrad@few", "tiny/smoothgrad@same", "tiny/gradcam"}


def test_standard_errors_have_the_names_of_the_sampled_maps_alone(tiny_card: Path, picture: Picture) -> None:
    data = export.errors_npz(outcome_of(picture))
    assert data is not None
    (name, errors), *others = arrays_in(data).items()
    assert (name, others) == ("tiny/smoothgrad", [])
    assert (errors.dtype, errors.shape) == (np.float32, (32, 32))
    assert errors.min() >= 0
    assert errors.any()


def test_without_sampled_maps_there_are_no_errors(tiny_card: Path, picture: Picture) -> None:
    assert export.errors_npz(outcome_of(picture, ("gradcam",))) is None


# -- scores --------------------------------------------------------------------------------------------------------


def test_without_scores_the_header_stands_alone(tiny_card: Path, picture: Picture) -> None:
    assert export.scores_csv(outcome_of(picture)) == COLUMNS + "\n"


def test_every_score_has_a_row_for_every_part_map_and_baseline(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(picture, scores=("occlusion", "iou"), mask=mask_of(picture))
    text = export.scores_csv(outcome)
    assert text.splitlines()[0] == COLUMNS
    rows = rows_in(text)
    parts = {f"{name}.{part}" for name in ("occlusion", "iou") for part in SCORES[name].values}
    methods = ("gradcam", "smoothgrad", "random", "centre", "sobel")
    assert len(rows) == len(parts) * len(methods)
    assert {(row["method"], row["score"]) for row in rows} == {(one, part) for one in methods for part in parts}


def test_baselines_stand_beside_every_score_with_the_same_target(tiny_card: Path, picture: Picture) -> None:
    rows = rows_in(export.scores_csv(outcome_of(picture, scores=("occlusion",), target=3)))
    assert {row["method"] for row in rows} == {"gradcam", "smoothgrad", "random", "centre", "sobel"}
    assert {row["target"] for row in rows} == {"3"}


def test_class_zero_is_a_target(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(picture, scores=("occlusion",), target=0)
    assert {row["target"] for row in rows_in(export.scores_csv(outcome))} == {"0"}
    assert strict(export.manifest_json(outcome))["models"]["tiny"]["target"] == 0


def test_the_default_target_of_each_model_is_its_top_class_on_the_clean_picture(
    tiny_card: Path, picture: Picture
) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    outcome = outcome_of(
        picture, ("gradcam",), ("tiny", "other"), scores=("occlusion",), corrupt=["gaussian_noise=100"]
    )
    targets = {row["model"]: int(row["target"]) for row in rows_in(export.scores_csv(outcome))}
    assert targets == {name: outcome.clean[name].top for name in ("tiny", "other")}


def test_a_row_says_where_its_value_comes_from(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(
        picture,
        ("gradcam@a", "gradcam@b"),
        scores=("occlusion",),
        corrupt=["occlusion=0.1", "gaussian_noise=25"],
        seed=7,
    )
    rows = rows_in(export.scores_csv(outcome))
    assert {(row["picture"], row["model"], row["seed"]) for row in rows} == {("disc.png", "tiny", "7")}
    assert {row["corruption"] for row in rows} == {"occlusion=0.1+gaussian_noise=25"}
    variants = {(row["method"], row["variant"]) for row in rows}
    assert variants == {("gradcam", "a"), ("gradcam", "b"), ("random", ""), ("centre", ""), ("sobel", "")}


def test_corruptions_that_change_nothing_are_clean(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(picture, ("gradcam",), scores=("occlusion",), corrupt=["gaussian_noise=0"])
    assert {row["corruption"] for row in rows_in(export.scores_csv(outcome))} == {"clean"}


def test_values_are_written_to_the_last_digit(tiny_card: Path, picture: Picture) -> None:
    outcome = outcome_of(picture, scores=("occlusion",))
    for row in rows_in(export.scores_csv(outcome)):
        name, part = row["score"].split(".")
        assert float(row["value"]) == outcome.scores["tiny", row["method"], name].values[part]


def test_undefined_is_nan_in_the_table_and_null_with_its_reason_in_the_manifest(
    tiny_card: Path, picture: Picture
) -> None:
    outcome = outcome_of(picture, ("gradcam",), scores=("iou",))  # without a mask
    rows = rows_in(export.scores_csv(outcome))
    assert {row["score"] for row in rows} == {"iou.top", "iou.area_matched", "iou.best"}
    assert {row["value"] for row in rows} == {"nan"}
    told = strict(export.manifest_json(outcome))["scores"]["tiny/gradcam/iou"]
    assert told["values"] == {"top": None, "area_matched": None, "best": None}
    assert told["undefined"]["top"] == "there is no mask"


@pytest.mark.parametrize("name", ['owl, "barn".png', "two\nlines.png", "Eule ü.png"])
def test_a_name_of_any_kind_reads_back(tiny_card: Path, picture: Picture, name: str) -> None:
    outcome = outcome_of(replace(picture, name=name), ("gradcam",), scores=("occlusion",))
    assert {row["picture"] for row in rows_in(export.scores_csv(outcome))} == {name}
    assert strict(export.manifest_json(outcome))["picture"]["name"] == name


# -- manifest ------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(tiny_card: Path, picture: Picture) -> tuple[Outcome, dict[str, Any]]:
    """A comparison with all that can be in one, and its manifest."""
    outcome = outcome_of(
        picture, scores=("occlusion", "iou"), corrupt=["gaussian_noise=25"], mask=mask_of(picture), target=2, seed=5
    )
    return outcome, strict(export.manifest_json(outcome))


def test_the_manifest_holds_the_digests(told: tuple[Outcome, dict[str, Any]], picture: Picture) -> None:
    _, manifest = told
    assert manifest["picture"]["digest"] == picture.digest
    assert (manifest["picture"]["height"], manifest["picture"]["width"]) == (40, 48)
    assert manifest["mask"] == {"name": "disc_mask.png", "digest": mask_of(picture).digest}
    card = MODELS["tiny"]
    assert manifest["models"]["tiny"]["weights"] == weights.digest(card)
    assert manifest["models"]["tiny"]["card"] == card.digest(weights.digest(card))


def test_the_manifest_holds_seeds_corruptions_and_target(told: tuple[Outcome, dict[str, Any]]) -> None:
    _, manifest = told
    assert manifest["seed"] == 5
    assert manifest["models"]["tiny"]["target"] == 2
    (noise,) = manifest["corruptions"]
    assert (noise["name"], noise["parameters"]) == (
        "gaussian_noise",
        {"sigma": 25.0, "rounding": "nearest"},
    )
    assert {(one["seed"], one["target"]) for one in manifest["maps"].values()} == {(5, 2)}


def test_the_manifest_holds_parameters_that_make_the_same_again(told: tuple[Outcome, dict[str, Any]]) -> None:
    outcome, manifest = told
    assert set(manifest["maps"]) == {"tiny/gradcam", "tiny/smoothgrad"}
    for name, facts in manifest["maps"].items():
        spec = METHODS[facts["method"]]
        (variant,) = [one for one in outcome.comparison.variants if name.endswith(f"/{one.name}")]
        assert spec.make(facts["parameters"]) == variant.parameters
        assert facts["version"] == spec.version
    for name, facts in manifest["scores"].items():
        score = name.rpartition("/")[2]
        assert SCORES[score].make(facts["parameters"]) == outcome.comparison.scores[score]


def test_the_manifest_holds_the_keys_of_the_requests(told: tuple[Outcome, dict[str, Any]]) -> None:
    outcome, manifest = told
    comparison, profile = outcome.comparison, InlineEngine().profile
    card = comparison.cards[0]
    for variant in comparison.variants:
        key = comparison.explanation(card, variant, 2).key(profile)
        assert manifest["maps"][f"tiny/{variant.name}"]["key"] == key
    for variant in (*comparison.variants, *comparison.baselines):
        for score, request in dict(comparison.evaluations(card, variant, 2)).items():
            assert manifest["scores"][f"tiny/{variant.name}/{score}"]["key"] == request.key(profile)


def test_the_manifest_holds_profile_passes_and_seconds(told: tuple[Outcome, dict[str, Any]]) -> None:
    _, manifest = told
    measured = {"batches"}  # of other models; this one's own is the profile's batch
    assert manifest["profile"] == {k: v for k, v in InlineEngine().profile.items() if k not in measured}
    assert manifest["maps"]["tiny/smoothgrad"]["passes"] == {"forward": 3, "backward": 3}
    for facts in (*manifest["maps"].values(), *manifest["scores"].values()):
        assert facts["seconds"] >= 0
        assert min(facts["passes"].values()) >= 0


def test_the_manifest_holds_the_versions_of_all_that_computes(told: tuple[Outcome, dict[str, Any]]) -> None:
    _, manifest = told
    versions = manifest["versions"]
    assert {"python", "torch", "numpy", "captum", "shap", "lime"} <= set(versions)
    for name in set(versions) - {"python"}:
        assert versions[name] == importlib.metadata.version(name)


def test_the_manifest_holds_what_each_model_sees(told: tuple[Outcome, dict[str, Any]]) -> None:
    outcome, manifest = told
    for when, predictions in (("clean", outcome.clean), ("corrupted", outcome.predictions)):
        ranking = manifest["models"]["tiny"][when]
        assert [one["class"] for one in ranking] == predictions["tiny"].ranking(5)
        assert [one["label"] for one in ranking] == [f"class {one['class']}" for one in ranking]
        assert sum(one["probability"] for one in ranking) == pytest.approx(1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_score_that_is_no_finite_number_leaves_the_manifest_valid(
    tiny_card: Path, picture: Picture, value: float
) -> None:
    outcome = outcome_of(picture, ("gradcam",), scores=("iou",), mask=mask_of(picture))
    outcome = with_score(outcome, "tiny", "gradcam", "iou", values={"top": value, "area_matched": 0.5})
    values = strict(export.manifest_json(outcome))["scores"]["tiny/gradcam/iou"]["values"]
    assert values == {"top": None, "area_matched": 0.5}
    (row,) = [r for r in rows_in(export.scores_csv(outcome)) if (r["method"], r["score"]) == ("gradcam", "iou.top")]
    assert str(float(row["value"])) == str(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_map_and_a_probability_that_are_no_numbers_leave_the_manifest_valid(
    tiny_card: Path, picture: Picture, value: float
) -> None:
    outcome = outcome_of(picture, ("gradcam",))
    saliency, prediction = outcome.maps["tiny", "gradcam"], outcome.clean["tiny"]
    outcome.maps["tiny", "gradcam"] = replace(saliency, values=np.full((32, 32), value, dtype=np.float32))
    outcome.clean["tiny"] = replace(prediction, probabilities=np.full(5, value, dtype=np.float32))
    manifest = strict(export.manifest_json(outcome))
    assert manifest["models"]["tiny"]["clean"][0]["probability"] is None
    assert manifest["maps"]["tiny/gradcam"]["scale"] == {"low": 0.0, "high": 0.0}


def test_a_manifest_of_nothing_computed_yet_is_valid(tiny_card: Path, picture: Picture) -> None:
    computed = outcome_of(picture, ("gradcam",), scores=("occlusion",))
    empty = Outcome(computed.comparison)
    manifest = strict(export.manifest_json(empty))
    assert (manifest["maps"], manifest["scores"], manifest["profile"]) == ({}, {}, {})
    assert export.scores_csv(empty) == COLUMNS + "\n"
    assert arrays_in(export.maps_npz(empty)) == {}
