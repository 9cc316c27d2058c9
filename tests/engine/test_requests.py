"""The key of a request names all that decides its result, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from xai_core.engine.requests import GivenMap, check_mask, prepare_input
from xai_core.images import galleries
from xai_core.registry import METHODS, MODELS
from xai_core.types import Mask, Picture, XaiError

from ..conftest import ROOT, write_tiny_card
from .asking import PROFILE, disc, explain, predict, score

pytestmark = pytest.mark.usefixtures("tiny_card")

BASE: dict[str, object] = {"method": "smoothgrad", "samples": 8, "corruptions": ("gaussian_noise=25", "occlusion=0.2")}


def key(**changes: object) -> str:
    """The key of a map with a part of its description changed."""
    return explain(**{**BASE, **changes}).key(PROFILE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"picture": disc(1)}, id="picture"),
        {"corruptions": ("gaussian_noise=26", "occlusion=0.2")},
        {"corruptions": ("occlusion=0.2", "gaussian_noise=25")},
        {"corruptions": ("gaussian_noise=25", "gaussian_noise=25", "occlusion=0.2")},
        {"corruptions": ("gaussian_noise=25",)},
        {"corruptions": ()},
        {"target": 1},
        {"seed": 1},
        {"samples": 9},
        {"noise_level": 0.2},
        {"implementation": "reference"},
        {"method": "shap"},
    ],
    ids=str,
)
def test_the_key_of_a_map_changes_with_everything_that_decides_it(changes: dict[str, object]) -> None:
    assert key(**changes) != key()


def test_a_map_of_the_clean_picture_depends_on_the_seed_of_the_method() -> None:
    assert key(corruptions=(), seed=1) != key(corruptions=(), seed=0)


def test_keys_are_64_hexadecimal_digits_and_stay_when_a_request_is_built_anew() -> None:
    assert key() == key()
    assert len(key()) == 64 and set(key()) <= set("0123456789abcdef")


@pytest.mark.parametrize("changed", sorted(PROFILE))
def test_the_key_changes_with_every_part_of_the_execution_profile(changed: str) -> None:
    request = explain("gradcam")
    other = {**PROFILE, changed: "other"}
    assert request.key(other) != request.key(PROFILE)
    assert request.digest == explain("gradcam").digest


def test_the_order_of_the_profile_does_not_matter() -> None:
    assert explain("gradcam").key(dict(reversed(PROFILE.items()))) == explain("gradcam").key(PROFILE)


def test_what_is_only_for_people_is_no_part_of_the_key() -> None:
    picture = disc()
    other = Picture(picture.pixels.copy(), name="cat.jpg", title="Cat", licence="CC0", source="somebody")
    assert predict(picture=other).digest == predict(picture=picture).digest
    assert explain("gradcam", picture=other).digest == explain("gradcam", picture=picture).digest


@pytest.mark.parametrize("neutral", ["gaussian_noise=0", "occlusion=0", "resolution=1"])
def test_a_corruption_that_changes_nothing_is_no_part_of_the_key(neutral: str) -> None:
    assert predict(corruptions=(neutral,)).digest == predict().digest
    assert predict(corruptions=("occlusion=0.2", neutral)).digest == predict(corruptions=("occlusion=0.2",)).digest
    assert predict(corruptions=(neutral,), seed=7).digest == predict().digest


def test_the_key_of_the_clean_picture_does_not_depend_on_the_seed_of_corruptions() -> None:
    assert predict(seed=1).digest == predict(seed=0).digest
    noisy = predict(corruptions=("gaussian_noise=25",), seed=1)
    assert noisy.digest != predict(corruptions=("gaussian_noise=25",), seed=0).digest
    assert noisy.input.clean.description == predict().input.description


def test_a_prediction_a_map_and_a_score_of_the_same_input_have_different_keys() -> None:
    subject = explain("gradcam")
    assert len({predict().digest, subject.digest, score("road", subject).digest}) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preprocess", {"resize": 40, "crop": 32}),
        ("preprocess", {"resize": 36, "crop": 32, "mean": [0.5, 0.5, 0.5]}),
        ("cam_layer", "stage1"),
        ("architecture", "tests.engine.networks:observed"),
        ("overrides", {"head.bias": 0.5}),
    ],
)
def test_the_key_changes_with_the_card(tiny_card: Path, field: str, value: object) -> None:
    before = predict().digest
    tiny_card.write_text(yaml.safe_dump({**yaml.safe_load(tiny_card.read_text()), field: value}))
    assert predict().digest != before


@pytest.mark.parametrize("field", ["title", "licence"])
def test_the_key_does_not_change_with_words_of_the_card(tiny_card: Path, field: str) -> None:
    before = predict().digest
    tiny_card.write_text(yaml.safe_dump({**yaml.safe_load(tiny_card.read_text()), field: "Other words"}))
    assert getattr(MODELS["tiny"], field) == "Other words"
    assert predict().digest == before


def test_the_key_changes_with_the_weights(tiny_card: Path) -> None:
    before = predict().digest
    write_tiny_card(tiny_card.parent, seed=1)
    assert predict().digest != before


def test_the_same_card_and_weights_under_another_name_have_the_same_key(tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, name="twin")
    assert predict(model="twin").digest == predict(model="tiny").digest


def test_the_key_changes_with_the_background_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def pictures(*values: int) -> Callable[[str], tuple[Picture, ...]]:
        return lambda name: tuple(disc(value) for value in values)

    keys = set()
    for values in ((1,), (1, 2), (2, 1)):
        monkeypatch.setattr(galleries, "background", pictures(*values))
        keys.add(explain("shap").digest)
    assert len(keys) == 3


def test_the_key_changes_with_the_version_of_the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    before, spec = explain("gradcam").digest, METHODS["gradcam"]
    object.__setattr__(spec, "version", spec.version + 1)
    try:
        assert explain("gradcam").digest != before
    finally:
        object.__setattr__(spec, "version", spec.version - 1)


def test_the_key_of_a_score_changes_with_its_parameters_and_its_map() -> None:
    keys = {
        score("road", explain("gradcam")).digest,
        score("road", explain("gradcam"), steps=5).digest,
        score("occlusion", explain("gradcam")).digest,
        score("road", explain("gradcam", target=1)).digest,
        score("road", explain("gradcam", seed=1)).digest,
        score("road", explain("sobel")).digest,
    }
    assert len(keys) == 6


def test_the_key_of_a_score_changes_with_the_mask_only_where_a_mask_is_needed() -> None:
    left, right = np.zeros((40, 48), dtype=bool), np.zeros((40, 48), dtype=bool)
    left[:, :20], right[:, 20:] = True, True
    subject = explain("gradcam")
    iou = {score("iou", subject, mask).digest for mask in (None, Mask(left), Mask(right))}
    assert len(iou) == 3
    assert score("iou", subject, Mask(left, name="other.png")).digest == score("iou", subject, Mask(left)).digest
    assert score("road", subject, Mask(left)).digest == score("road", subject).digest


def test_the_mask_of_a_request_is_in_the_input_frame() -> None:
    values = np.zeros((40, 48), dtype=bool)
    values[:, :24] = True
    request = score("iou", explain("gradcam"), Mask(values))
    assert request.mask is not None and request.mask.shape == (32, 32)
    assert request.mask[:, 0].all() and not request.mask[:, -1].any()


def test_the_key_of_a_given_map_changes_with_its_values_and_target() -> None:
    given = prepare_input(disc(), MODELS["tiny"])
    values = np.zeros((32, 32), dtype=np.float32)
    other = values.copy()
    other[3, 4] = 1
    requests = [GivenMap(given, values, 0), GivenMap(given, other, 0), GivenMap(given, values, 1)]
    assert len({request.digest for request in requests}) == 3
    assert GivenMap(given, values.copy(), 0).digest == requests[0].digest


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    mask = Mask(np.ones((48, 40), dtype=bool), name="object.png")
    with pytest.raises(XaiError) as error:
        check_mask(mask, disc())
    assert str(error.value) == (
        "The mask object.png has 40 x 48 pixels and the picture disc.png 48 x 40; draw it on the picture's own size."
    )
    with pytest.raises(XaiError):
        score("iou", explain("gradcam"), mask)
    check_mask(Mask(np.ones((40, 48), dtype=bool)), disc())


def test_requests_cost_what_their_parameters_say() -> None:
    assert predict().cost.total == 1
    assert explain("smoothgrad", samples=7).cost.total == 14
    assert explain("lime", samples=7).cost.total == 7
    assert score("road", explain("gradcam"), steps=4).cost.total == 9


def test_keys_are_the_same_in_another_process(tiny_card: Path, tmp_path: Path) -> None:
    code = """
import numpy as np
from tests.engine.asking import PROFILE, disc, explain, predict, score
from xai_core.types import Mask
subject = explain("shap", target=2, seed=5, corruptions=("occlusion=0.2", "gaussian_noise=25"), samples=3)
mask = Mask(np.eye(40, 48, dtype=bool))
print(predict().key(PROFILE), subject.key(PROFILE), score("iou", subject, mask).key(PROFILE))
"""
    keys = set()
    for number, hash_seed in enumerate(("1", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "XAI_DATA": str(tmp_path / f"data{number}")}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        keys.add(done.stdout)
    subject = explain("shap", target=2, seed=5, corruptions=("occlusion=0.2", "gaussian_noise=25"), samples=3)
    mask = Mask(np.eye(40, 48, dtype=bool))
    here = f"{predict().key(PROFILE)} {subject.key(PROFILE)} {score('iou', subject, mask).key(PROFILE)}\n"
    assert keys == {here}
