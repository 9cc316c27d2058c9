"""The Python interface keeps its word: the contract lines of the design, and sentences for what does not fit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import xai_core as xc
from tests import toys
from tests.checks import is_sentence
from tests.conftest import write_tiny_card
from xai_core import api
from xai_core.registry import METHODS, SCORES
from xai_core.types import Cost, Mask, Picture, XaiError


@pytest.fixture
def model(tiny_card: Path) -> xc.api.Classifier:  # type: ignore[name-defined]
    return xc.load_classifier("tiny")


def object_mask(picture: Picture) -> np.ndarray:
    return np.asarray(picture.pixels[..., 1] > 200)


def top_of(model: Any, picture: Picture, *corruptions: str) -> int:
    return int(model.predict(picture, corruptions).top)


def fickle(folder: Path, picture: Picture, corruption: str) -> Any:
    """A model whose top class of this picture changes under a corruption: the first of some random ones."""
    for seed in range(60):
        write_tiny_card(folder, f"random{seed}", seed=seed)
        model = xc.load_classifier(f"random{seed}")
        if top_of(model, picture, corruption) != top_of(model, picture):
            return model
    raise AssertionError("no random model changes its mind")


def test_the_lines_of_the_design(tiny_card: Path, picture: Picture, tmp_path: Path) -> None:
    path = tmp_path / "owl.png"
    Image.fromarray(picture.pixels).save(path)
    opened = xc.open_picture(str(path))
    model = xc.load_classifier("tiny")
    saliency = xc.explain(model, opened, "gradcam", target=None, seed=0)
    assert (saliency.values.dtype, saliency.values.shape) == (np.float32, (32, 32))
    scores = xc.score(model, opened, saliency, ["occlusion", "road", "iou"], mask=None)
    assert list(scores) == ["occlusion", "road", "iou"]
    assert all(np.isfinite(value) for name in ("occlusion", "road") for value in scores[name].values.values())
    assert all(np.isnan(value) for value in scores["iou"].values.values())
    assert set(scores["road"].values) == {"combined", "morf", "lerf"}


def test_a_picture_comes_from_a_path_from_bytes_and_from_pillow(picture: Picture, tmp_path: Path) -> None:
    image = Image.fromarray(picture.pixels)
    data = io.BytesIO()
    image.save(data, "PNG")
    (tmp_path / "owl.png").write_bytes(data.getvalue())
    for source in (tmp_path / "owl.png", str(tmp_path / "owl.png"), data.getvalue(), image):
        assert xc.open_picture(source).digest == picture.digest


def test_the_model_has_a_name_and_a_label_for_every_class(model: Any) -> None:
    assert model.name == "tiny"
    assert model.labels == tuple(f"class {index}" for index in range(5))


def test_a_prediction_is_a_distribution_over_the_labels(model: Any, picture: Picture) -> None:
    found = model.predict(picture)
    assert (found.probabilities.dtype, found.probabilities.shape) == (np.float32, (5,))
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert found.frame.shape == (32, 32, 3)
    assert found.top == found.probabilities.argmax() == found.ranking(1)[0]


@pytest.mark.parametrize("method", METHODS.entries())
def test_every_method_can_be_called_by_its_name(method: str, model: Any, picture: Picture) -> None:
    quick = METHODS[method].presets.get("quick", {})
    saliency = xc.explain(model, picture, method, **quick)
    assert (saliency.method, saliency.values.shape) == (method, (32, 32))


def test_without_a_target_the_top_class_is_explained(model: Any, picture: Picture) -> None:
    top = top_of(model, picture)
    default = xc.explain(model, picture, "gradcam")
    assert default.target == top
    np.testing.assert_array_equal(default.values, xc.explain(model, picture, "gradcam", target=top).values)


def test_without_a_target_the_top_class_of_the_uncorrupted_picture_is_explained(
    tiny_card: Path, picture: Picture
) -> None:
    corruption = "occlusion=1"
    model = fickle(tiny_card.parent, picture, corruption)
    saliency = xc.explain(model, picture, "smoothgrad", samples=2, corruptions=[corruption])
    assert saliency.target == top_of(model, picture) != top_of(model, picture, corruption)
    array = np.random.default_rng(0).random((32, 32))
    clean_target = top_of(model, picture)
    scored = xc.score(model, picture, array, ["occlusion"], corruptions=[corruption])["occlusion"]
    explicit = xc.score(model, picture, array, ["occlusion"], corruptions=[corruption], target=clean_target)
    assert scored.key == explicit["occlusion"].key


def test_class_0_is_a_class(model: Any, picture: Picture) -> None:
    assert top_of(model, picture) != 0, "else this test could not tell class 0 from no class"
    saliency = xc.explain(model, picture, "smoothgrad", target=0, samples=2)
    assert saliency.target == 0
    assert np.abs(saliency.values - xc.explain(model, picture, "smoothgrad", samples=2).values).max() > 0
    array = np.random.default_rng(0).random((32, 32))
    keys = {xc.score(model, picture, array, ["occlusion"], target=target)["occlusion"].key for target in (0, None)}
    assert len(keys) == 2
    of_map = xc.score(model, picture, saliency, ["occlusion"])["occlusion"]
    assert of_map.key == xc.score(model, picture, saliency.values, ["occlusion"], target=0)["occlusion"].key


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_a_target_may_be_any_integer(kind: Any, model: Any, picture: Picture) -> None:
    assert (
        xc.explain(model, picture, "gradcam", target=kind(3)).key == xc.explain(model, picture, "gradcam", target=3).key
    )


def test_the_methods_parameters_are_keywords(model: Any, picture: Picture) -> None:
    saliency = xc.explain(model, picture, "smoothgrad", samples=3, noise_level=0.2, reduction="sum")
    assert saliency.parameters["samples"] == 3
    assert saliency.parameters["noise_level"] == 0.2
    assert saliency.passes == Cost(3, 3)
    assert saliency.signed


def test_without_parameters_the_methods_defaults_hold(model: Any, picture: Picture) -> None:
    saliency = xc.explain(model, picture, "smoothgrad")
    assert saliency.parameters == METHODS["smoothgrad"].make().model_dump(mode="json")
    assert saliency.parameters["samples"] == 50


def test_the_seed_decides_the_sampling(model: Any, picture: Picture) -> None:
    first, again, other = (xc.explain(model, picture, "smoothgrad", samples=4, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.values, again.values)
    assert first.key == again.key != other.key
    assert np.abs(first.values - other.values).max() > 0


def test_corruptions_change_what_the_model_sees(model: Any, picture: Picture) -> None:
    clean = xc.explain(model, picture, "sobel")
    corrupted = xc.explain(model, picture, "sobel", corruptions=["resolution=8"])
    assert np.abs(clean.values - corrupted.values).max() > 0.1
    np.testing.assert_array_equal(
        clean.values, xc.explain(model, picture, "sobel", corruptions=["resolution=1"]).values
    )


def test_scores_of_a_map_are_those_of_its_own_target_and_seed(model: Any, picture: Picture) -> None:
    saliency = xc.explain(model, picture, "gradcam", target=2, seed=5)
    found = xc.score(model, picture, saliency, ["road"], steps=2)["road"]
    same = xc.score(model, picture, saliency.values, ["road"], target=2, seed=5, steps=2)["road"]
    assert found.key == same.key
    assert found.passes == Cost(5, 0)


def test_a_map_may_be_any_array(model: Any, picture: Picture) -> None:
    array = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    keys = {
        xc.score(model, picture, given, ["occlusion"], target=1)["occlusion"].key
        for given in (array, array.astype(np.float64), array.tolist(), np.asfortranarray(array))
    }
    assert len(keys) == 1
    array[0, 0] = 9
    assert array.flags.writeable, "the caller's array stays the caller's"


def test_a_mask_may_be_an_array_or_a_mask(model: Any, picture: Picture) -> None:
    saliency = xc.explain(model, picture, "centre")
    values = [
        xc.score(model, picture, saliency, ["iou"], mask=mask)["iou"].values
        for mask in (object_mask(picture), Mask(object_mask(picture)), object_mask(picture).astype(np.uint8))
    ]
    assert values[0] == values[1] == values[2]
    assert 0 < values[0]["area_matched"] <= 1


def test_parameters_go_to_the_scores_that_have_them(model: Any, picture: Picture) -> None:
    saliency = xc.explain(model, picture, "centre")
    found = xc.score(
        model, picture, saliency, ["occlusion", "road", "iou"], mask=object_mask(picture), fraction=0.3, steps=2
    )
    assert found["occlusion"].parameters["fraction"] == found["iou"].parameters["fraction"] == 0.3
    assert found["road"].parameters["steps"] == 2


def test_scores_of_several_maps_need_the_map_as_this_model_made_it_of_this_picture(
    model: Any, picture: Picture
) -> None:
    saliency = xc.explain(model, picture, "smoothgrad", target=1, seed=4, corruptions=["gaussian_noise=25"], samples=4)
    found = xc.score(model, picture, saliency, ["robustness", "repeatability"], runs=2)
    assert all(np.isfinite(value) for score in found.values() for value in score.values.values())
    assert 0 < found["robustness"].values["mse"] < 1
    other = Picture(picture.pixels[::-1].copy())
    for asked in ({"seed": 5}, {"target": 2}, {"corruptions": []}, {"picture": other}, {"saliency": saliency.values}):
        given = {"picture": picture, "saliency": saliency, **asked}
        values = xc.score(model, scores=["robustness"], **given)["robustness"].values
        assert all(np.isnan(value) for value in values.values()), asked


def test_a_second_call_is_answered_from_the_cache(model: Any, picture: Picture) -> None:
    before = api.engine().executor.classifier("tiny").passes
    first = xc.explain(model, picture, "gradcam", target=1)
    between = api.engine().executor.classifier("tiny").passes
    second = xc.explain(model, picture, "gradcam", target=1)
    assert between != before
    assert api.engine().executor.classifier("tiny").passes == between
    np.testing.assert_array_equal(first.values, second.values)


def test_two_models_explain_the_same_picture_each_in_its_own_way(model: Any, tiny_card: Path, picture: Picture) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1, preprocess={"resize": 48, "crop": 40})
    other = xc.load_classifier("other")
    maps = [xc.explain(one, picture, "smoothgrad", target=1, samples=2) for one in (model, other)]
    assert [found.values.shape for found in maps] == [(32, 32), (40, 40)]
    with pytest.raises(xc.XaiError, match="needs"):
        xc.score(model, picture, maps[1], ["occlusion"])


WRONG = {
    "unknown method": lambda model, picture: xc.explain(model, picture, "gradkam"),
    "unknown parameter": lambda model, picture: xc.explain(model, picture, "smoothgrad", sample=3),
    "parameter of another method": lambda model, picture: xc.explain(model, picture, "gradcam", samples=3),
    "parameter out of bounds": lambda model, picture: xc.explain(model, picture, "smoothgrad", samples=0),
    "parameter of the wrong kind": lambda model, picture: xc.explain(model, picture, "smoothgrad", samples="many"),
    "unknown layer": lambda model, picture: xc.explain(model, picture, "gradcam", layer="stage7"),
    "class too high": lambda model, picture: xc.explain(model, picture, "gradcam", target=5),
    "class too low": lambda model, picture: xc.explain(model, picture, "gradcam", target=-1),
    "class by name": lambda model, picture: xc.explain(model, picture, "gradcam", target="owl"),
    "half a class": lambda model, picture: xc.explain(model, picture, "gradcam", target=1.5),
    "unknown corruption": lambda model, picture: xc.explain(model, picture, "gradcam", corruptions=["fog=1"]),
    "corruption without a value": lambda model, picture: model.predict(picture, ["occlusion"]),
    "unknown model": lambda model, picture: xc.load_classifier("vgg17"),
    "missing picture": lambda model, picture: xc.open_picture("no/such/owl.jpg"),
    "no picture": lambda model, picture: xc.open_picture(b"not a picture"),
    "unknown score": lambda model, picture: xc.score(model, picture, np.eye(32), ["rode"]),
    "unknown score parameter": lambda model, picture: xc.score(model, picture, np.eye(32), ["road"], step=3),
    "score parameter out of bounds": lambda model, picture: xc.score(model, picture, np.eye(32), ["road"], steps=1),
    "map of another size": lambda model, picture: xc.score(model, picture, np.eye(31), ["road"]),
    "map of three channels": lambda model, picture: xc.score(model, picture, np.zeros((32, 32, 3)), ["road"]),
    "map of words": lambda model, picture: xc.score(model, picture, "gradcam", ["road"]),
    "mask of another size": lambda model, picture: xc.score(
        model, picture, np.eye(32), ["iou"], mask=np.ones((32, 32), dtype=bool)
    ),
    "scores as one word": lambda model, picture: xc.score(model, picture, np.eye(32), "road"),
    "score of half a class": lambda model, picture: xc.score(model, picture, np.eye(32), ["road"], target=0.5),
    "score of a class too high": lambda model, picture: xc.score(model, picture, np.eye(32), ["road"], target=5),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_does_not_fit_is_refused_in_one_sentence(kind: str, model: Any, picture: Picture) -> None:
    with pytest.raises(xc.XaiError) as error:
        WRONG[kind](model, picture)
    assert is_sentence(str(error.value)), str(error.value)


def test_the_sentence_names_what_is_possible(model: Any, picture: Picture) -> None:
    with pytest.raises(xc.XaiError, match=", ".join(METHODS.entries())):
        xc.explain(model, picture, "gradkam")
    with pytest.raises(xc.XaiError, match=", ".join(SCORES.entries())):
        xc.score(model, picture, np.eye(32), ["rode"])
    with pytest.raises(xc.XaiError, match="samples, reduction"):
        xc.explain(model, picture, "smoothgrad", sample=3)
    with pytest.raises(xc.XaiError, match="0 to 4"):
        xc.explain(model, picture, "gradcam", target=5)


def test_after_an_error_the_engine_works_on(model: Any, picture: Picture) -> None:
    expected = xc.explain(model, picture, "gradcam", target=1).values
    api.engine.cache_clear()
    for kind in ("unknown layer", "class too high", "map of another size"):
        with pytest.raises(xc.XaiError):
            WRONG[kind](model, picture)
    np.testing.assert_array_equal(xc.explain(model, picture, "gradcam", target=1).values, expected)


def test_a_map_of_a_corrupted_picture_is_scored_on_the_corrupted_picture(model: Any) -> None:
    picture = Picture(toys.frame(40))
    corruptions = ["gaussian_noise=30.5", "occlusion=0.3", "resolution=3"]
    saliency = xc.explain(model, picture, "gradcam", corruptions=corruptions)
    own = xc.score(model, picture, saliency, ["occlusion"])["occlusion"]
    named = xc.score(model, picture, saliency, ["occlusion"], corruptions=corruptions)["occlusion"]
    clean = xc.score(model, picture, saliency, ["occlusion"], corruptions=())["occlusion"]
    assert own.key == named.key != clean.key


def test_masks_and_seeds_that_make_no_sense_are_refused_in_one_sentence(model: Any) -> None:
    picture = Picture(toys.frame(40))
    saliency = xc.explain(model, picture, "gradcam")
    for mask in (np.ones(5, bool), np.ones((40, 40, 3), bool)):
        with pytest.raises(xc.XaiError) as error:
            xc.score(model, picture, saliency, ["iou"], mask=mask)
        assert is_sentence(str(error.value))
    for seed in ("x", None, 1.5):
        with pytest.raises(xc.XaiError) as error:
            xc.explain(model, picture, "gradcam", seed=seed)
        assert is_sentence(str(error.value))


def test_a_region_that_a_map_ranks_highest_can_be_covered(model: Any, picture: Picture) -> None:
    from xai_core.corruptions.region import cover
    from xai_core.scores.ranking import top_fraction

    clean = xc.explain(model, picture, "gradcam")
    step = cover(top_fraction(clean.values, 0.3, seed=0))
    covered = xc.explain(model, picture, "gradcam", corruptions=[step])
    assert covered.corruptions == (step.text,) and covered.key != clean.key
    occluded = model.predict(picture, [step]).occluded
    assert occluded is not None and occluded.mean() == pytest.approx(0.3, abs=1e-3)
    scored = xc.score(model, picture, covered, ["robustness"], corruptions=[step])["robustness"]
    assert -1 <= scored.values["spearman"] < 1
    with pytest.raises(XaiError, match="cannot be read back"):
        xc.score(model, picture, covered, ["robustness"])


def test_where_a_corruption_moves_pixels_robustness_says_why_it_is_undefined(model: Any, picture: Picture) -> None:
    saliency = xc.explain(model, picture, "gradcam", corruptions=["imagenetc_zoom_blur=3"])
    found = xc.score(model, picture, saliency, ["robustness"])["robustness"]
    assert all(np.isnan(value) for value in found.values.values())
    assert all("moves pixels" in reason for reason in found.reasons.values())
