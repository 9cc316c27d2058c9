"""The command line: what it prints, what it writes, and that a mistake is one line and leaves nothing behind."""

from __future__ import annotations

import csv
import functools
import hashlib
import http.server
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from PIL import Image

from xai_core import cli
from xai_core.cli import main
from xai_core.corruptions import chain
from xai_core.engine.requests import Explain, prepare_input
from xai_core.images.decoding import open_picture
from xai_core.registry import CORRUPTIONS, METHODS, MODELS, SCORES, Registry

from .checks import hear_ctrl_c, is_sentence
from .conftest import ROOT, write_tiny_card
from .engine.asking import disc, write_observed_card
from .engine.networks import calls

pytestmark = pytest.mark.usefixtures("tiny_card")

COLUMNS = ["picture", "corruption", "model", "target", "method", "variant", "seed", "score", "value"]
FILES = {"figure.png", "maps.npz", "scores.csv", "manifest.json"}
BASELINES = {"random", "centre", "sobel"}


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture file of 48 x 40 pixels; one thread and small batches."""
    monkeypatch.setenv("XAI_THREADS", "1")
    path = tmp_path / "disc.png"
    Image.fromarray(disc().pixels).save(path)
    return path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """A mask of the disc, white on black, at the picture's size."""
    down, right = np.mgrid[0:40, 0:48]
    path = tmp_path / "mask.png"
    Image.fromarray((((down - 18) ** 2 + (right - 26) ** 2 < 90) * 255).astype(np.uint8)).save(path)
    return path


def explain(photo: Path, out: Path, *options: str, model: str = "tiny", method: str = "gradcam") -> int:
    """Runs `explain` in this process."""
    return main(["explain", str(photo), "--model", model, "--method", method, *options, "--out", str(out)])


def python(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m xai_core` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "xai_core", *arguments],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )


def maps(out: Path, name: str = "maps.npz") -> dict[str, npt.NDArray[Any]]:
    with np.load(out / name, allow_pickle=False) as content:
        return {key: content[key] for key in content.files}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        found = list(reader)
    assert reader.fieldnames == COLUMNS
    return found


def manifest(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return content


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def everything(folder: Path) -> dict[str, bytes | None]:
    """All files and folders below a folder but the data folder, with the files' contents."""
    found = {}
    for path in folder.rglob("*"):
        if "data" not in path.relative_to(folder).parts:
            found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else None
    return found


# -- list ----------------------------------------------------------------------------------------------------------

KINDS: dict[str, Registry[Any]] = {"methods": METHODS, "scores": SCORES, "corruptions": CORRUPTIONS}


@pytest.mark.parametrize("kind", KINDS)
def test_list_prints_a_line_for_every_entry(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    printed, errors = capsys.readouterr()
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines] == [spec.name for spec in KINDS[kind]]
    for line, spec in zip(lines, KINDS[kind], strict=True):
        assert spec.title in line and spec.summary in line
    assert errors == ""


@pytest.mark.parametrize("kind", KINDS)
def test_list_as_json_tells_everything_about_every_entry(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind, "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert list(entries) == [spec.name for spec in KINDS[kind]]
    for spec in KINDS[kind]:
        entry = entries[spec.name]
        assert [one["name"] for one in entry["parameters"]] == [option.name for option in spec.options]
        assert set(entry["presets"]) == set(spec.presets)
        assert set(entry["studies"]) == set(spec.studies)
        assert set(entry["values"]) == set(spec.values)
        assert all(one["help"] for one in entry["parameters"])


def test_list_models_tells_title_and_state(tiny_card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_card(tiny_card.parent, "gone")
    (tiny_card.parent / "gone.safetensors").unlink()
    assert main(["list", "models"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) >= {"vgg16", "resnet50", "densenet121", "efficientnet_lite0", "tiny", "gone"}
    assert "Tiny, ready" in lines["tiny"] and "is missing" in lines["gone"]
    assert re.search(r"download, \d+ MB", lines["vgg16"])


def test_list_models_as_json_tells_their_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models", "--json"]) == 0
    models = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert models["tiny"]["state"] == "ready" and models["tiny"]["cam_layer"] == "stage2"
    assert models["vgg16"]["state"] == "download" and models["vgg16"]["bytes"] > 5e8


def test_a_broken_card_is_reported_and_hides_no_other(tiny_card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny_card.parent / "broken.yaml").write_text("name: [")
    assert main(["list", "models"]) == 0
    printed, errors = capsys.readouterr()
    assert "tiny" in printed and "vgg16" in printed
    assert len(errors.splitlines()) == 1 and "broken.yaml" in errors


def test_list_is_quick_because_it_loads_nothing_heavy() -> None:
    code = "import sys; from xai_core.cli import main; main(['list', 'methods']); print({'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


# -- explain: what it writes ---------------------------------------------------------------------------------------


def test_explain_writes_exactly_its_four_files(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "deep"
    assert explain(photo, out) == 0
    assert names_in(out) == FILES
    saliency = maps(out)
    assert list(saliency) == ["tiny/gradcam"]
    assert saliency["tiny/gradcam"].shape == (32, 32) and saliency["tiny/gradcam"].dtype == np.float32
    with Image.open(out / "figure.png") as figure:
        assert figure.format == "PNG" and min(figure.size) > 300
    assert (out / "scores.csv").read_text() == ",".join(COLUMNS) + "\n"
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert re.fullmatch(r"Tiny: class \d \(\d\), \d+\.\d%", printed.splitlines()[0])
    assert str(out) in printed.splitlines()[1] and len(printed.splitlines()) == 2


def test_the_manifest_names_all_that_decided_the_maps(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--seed", "5", "--corrupt", "occlusion=0.2", "--score", "road", "--preset", "quick")
    assert explain(photo, out, *options, "--set", "smoothgrad.samples=3", method="gradcam,smoothgrad") == 0
    content = manifest(out)
    assert set(content["maps"]) == set(maps(out))
    facts = content["maps"]["tiny/smoothgrad"]
    assert facts["parameters"]["samples"] == 3 and facts["seed"] == 5
    assert facts["passes"] == {"forward": 3, "backward": 3} and facts["seconds"] >= 0
    assert content["corruptions"][0]["name"] == "occlusion"
    assert content["picture"]["digest"] == open_picture(photo).digest
    given = prepare_input(open_picture(photo), MODELS["tiny"], (chain.parse("occlusion=0.2"),), 5)
    parameters = METHODS["smoothgrad"].make({"samples": 3}, "quick")
    request = Explain(given, "smoothgrad", parameters, content["models"]["tiny"]["target"], 5)
    assert facts["key"] == request.key(content["profile"])
    assert content["models"]["tiny"]["card"] == given.card
    assert set(content["scores"]) == {f"tiny/{method}/road" for method in ("gradcam", "smoothgrad", *BASELINES)}
    assert content["versions"]["torch"] and content["profile"]["device"] == "cpu"


def test_sampled_methods_leave_their_standard_errors(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert explain(photo, out, "--preset", "quick", method="gradcam,smoothgrad") == 0
    assert names_in(out) == FILES | {"errors.npz"}
    assert list(maps(out)) == ["tiny/gradcam", "tiny/smoothgrad"]
    errors = maps(out, "errors.npz")
    assert list(errors) == ["tiny/smoothgrad"]
    assert errors["tiny/smoothgrad"].shape == (32, 32) and (errors["tiny/smoothgrad"] >= 0).all()


def test_errors_of_an_earlier_run_do_not_stay_beside_other_maps(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert explain(photo, out, "--preset", "quick", method="smoothgrad") == 0
    assert "errors.npz" in names_in(out)
    assert explain(photo, out) == 0
    assert names_in(out) == FILES


def test_maps_are_named_by_model_method_and_variant(photo: Path, tmp_path: Path, tiny_card: Path) -> None:
    write_tiny_card(tiny_card.parent, "other", seed=1)
    out = tmp_path / "out"
    sets = ("--set", "smoothgrad.noise_level=0.3", "--set", "smoothgrad@a.samples=2", "--set", "smoothgrad@b.samples=3")
    assert explain(photo, out, *sets, model="tiny,other", method="smoothgrad@a,gradcam,smoothgrad@b") == 0
    assert list(maps(out)) == [
        f"{model}/{name}" for model in ("tiny", "other") for name in ("smoothgrad@a", "gradcam", "smoothgrad@b")
    ]
    facts = manifest(out)["maps"]
    assert [facts[f"tiny/smoothgrad@{label}"]["parameters"]["samples"] for label in "ab"] == [2, 3]
    assert {facts[f"tiny/smoothgrad@{label}"]["parameters"]["noise_level"] for label in "ab"} == {0.3}


def test_a_variant_that_is_called_as_a_study_has_its_settings(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sets = ("--set", "lime@s3.samples=30", "--preset", "quick")
    assert explain(photo, out, *sets, method="lime@s3,lime@s0,lime@mine") == 0
    facts = {name.partition("@")[2]: one["parameters"] for name, one in manifest(out)["maps"].items()}
    assert [facts[name]["samples"] for name in ("s3", "s0", "mine")] == [30, 50, 128]
    assert [facts[name]["ridge"] for name in ("s3", "s0", "mine")] == [0, 1, 1]


def test_variants_have_a_column_of_their_own_among_the_scores(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sets = ("--set", "smoothgrad@a.samples=2", "--set", "smoothgrad@b.samples=3", "--score", "occlusion")
    assert explain(photo, out, *sets, method="smoothgrad@a,smoothgrad@b") == 0
    found = {(row["method"], row["variant"]) for row in rows(out)}
    assert found == {("smoothgrad", "a"), ("smoothgrad", "b"), *((name, "") for name in BASELINES)}


def test_scores_stand_in_long_form_with_the_baselines_beside_them(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--score", "road,occlusion", "--seed", "4", "--target", "2", "--preset", "quick")
    assert explain(photo, out, *options, "--corrupt", "gaussian_noise=20") == 0
    found = rows(out)
    assert {row["method"] for row in found} == {"gradcam", *BASELINES}
    parts = {f"{name}.{part}" for name in ("road", "occlusion") for part in SCORES[name].values}
    assert {row["score"] for row in found} == parts
    assert len(found) == 4 * len(parts)
    fixed = {(row["picture"], row["corruption"], row["model"], row["target"], row["seed"]) for row in found}
    assert fixed == {("disc.png", "gaussian_noise=20", "tiny", "2", "4")}
    assert all(math.isfinite(float(row["value"])) for row in found)
    written = manifest(out)["scores"]["tiny/gradcam/road"]["values"]
    read = {row["score"]: float(row["value"]) for row in found if row["method"] == "gradcam"}
    assert all(read[f"road.{part}"] == value for part, value in written.items()), "no digit is lost"


@pytest.mark.parametrize("asked", ["all", "full"])
def test_all_and_full_ask_for_every_score_that_there_is(photo: Path, tmp_path: Path, asked: str) -> None:
    out = tmp_path / "out"
    assert explain(photo, out, "--score", asked, "--preset", "quick") == 0
    expected = {spec.name for spec in SCORES if asked == "full" or not spec.extra_maps}
    assert {row["score"].split(".")[0] for row in rows(out)} == expected


def test_without_a_mask_its_scores_are_nan_and_with_one_they_are_numbers(
    photo: Path, mask: Path, tmp_path: Path
) -> None:
    without, given = tmp_path / "without", tmp_path / "with"
    assert explain(photo, without, "--score", "iou") == 0
    assert explain(photo, given, "--score", "iou", "--mask", str(mask)) == 0
    assert {row["value"] for row in rows(without)} == {"nan"}
    values = {(row["method"], row["score"]): float(row["value"]) for row in rows(given)}
    assert set(values) == {
        (method, f"iou.{part}") for method in ("gradcam", *BASELINES) for part in ("top", "area_matched", "best")
    }
    assert all(0 <= value <= 1 for value in values.values())
    assert values["centre", "iou.area_matched"] > values["random", "iou.area_matched"], "the disc is near the middle"
    assert manifest(given)["mask"]["name"] == "mask.png"


def test_parameters_of_scores_can_be_set(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert explain(photo, out, "--score", "road", "--set-score", "road.steps=3") == 0
    assert manifest(out)["scores"]["tiny/gradcam/road"]["parameters"]["steps"] == 3


@pytest.mark.parametrize(("preset", "samples"), [("quick", 16), ("balanced", 32), ("paper", 50), (None, 50)])
def test_the_preset_decides_what_is_not_set(photo: Path, tmp_path: Path, preset: str | None, samples: int) -> None:
    out = tmp_path / "out"
    assert explain(photo, out, *(("--preset", preset) if preset else ()), method="smoothgrad") == 0
    assert manifest(out)["maps"]["tiny/smoothgrad"]["parameters"]["samples"] == samples


def test_corruptions_are_applied_in_the_order_given(photo: Path, tmp_path: Path) -> None:
    orders = [("occlusion=0.3", "gaussian_noise=30"), ("gaussian_noise=30", "occlusion=0.3")]
    found = []
    for number, order in enumerate(orders):
        out = tmp_path / f"out{number}"
        options = [text for one in order for text in ("--corrupt", one)]
        assert explain(photo, out, *options, "--score", "occlusion", method="sobel") == 0
        assert [one["name"] for one in manifest(out)["corruptions"]] == [one.split("=")[0] for one in order]
        assert {row["corruption"] for row in rows(out)} == {"+".join(order)}
        found.append(maps(out)["tiny/sobel"])
    assert not np.array_equal(found[0], found[1])


def test_a_corruption_that_changes_nothing_is_no_corruption(photo: Path, tmp_path: Path) -> None:
    clean, neutral = tmp_path / "clean", tmp_path / "neutral"
    assert explain(photo, clean, "--score", "occlusion") == 0
    assert explain(photo, neutral, "--score", "occlusion", "--corrupt", "gaussian_noise=0") == 0
    assert rows(neutral) == rows(clean) and rows(clean)[0]["corruption"] == "clean"


def test_class_0_is_a_target_and_the_default_is_the_top_class(photo: Path, tmp_path: Path) -> None:
    zero, top = tmp_path / "zero", tmp_path / "top"
    assert explain(photo, zero, "--target", "0") == 0
    assert explain(photo, top, "--corrupt", "occlusion=0.9") == 0
    assert manifest(zero)["models"]["tiny"]["target"] == manifest(zero)["maps"]["tiny/gradcam"]["target"] == 0
    model = manifest(top)["models"]["tiny"]
    assert model["target"] == model["clean"][0]["class"] != 0


def test_the_seed_decides_what_is_random(photo: Path, tmp_path: Path) -> None:
    found = {}
    for seed in ("0", "1"):
        assert explain(photo, tmp_path / seed, "--seed", seed, "--preset", "quick", method="gradcam,smoothgrad") == 0
        found[seed] = maps(tmp_path / seed)
    assert not np.array_equal(found["0"]["tiny/smoothgrad"], found["1"]["tiny/smoothgrad"])
    assert np.array_equal(found["0"]["tiny/gradcam"], found["1"]["tiny/gradcam"])


def test_two_runs_from_nothing_give_the_same_bits(photo: Path, tmp_path: Path) -> None:
    found = []
    for number, hash_seed in enumerate(("1", "2")):
        out = tmp_path / f"out{number}"
        done = python(
            *("explain", str(photo), "--model", "tiny", "--method", "gradcam,smoothgrad,lime,shap,random"),
            *("--corrupt", "gaussian_noise=20", "--corrupt", "occlusion=0.1", "--seed", "3", "--preset", "quick"),
            *("--score", "road", "--out", str(out)),
            XAI_DATA=str(tmp_path / f"data{number}"),
            PYTHONHASHSEED=hash_seed,
        )
        assert done.returncode == 0 and done.stderr == "", done.stderr
        found.append(out)
    first, second = maps(found[0]), maps(found[1])
    assert list(first) == list(second) and len(first) == 5
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    assert (found[0] / "scores.csv").read_bytes() == (found[1] / "scores.csv").read_bytes()


def test_an_existing_folder_keeps_its_other_files(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "notes").mkdir(parents=True)
    (out / "notes" / "mine.txt").write_text("keep me")
    (out / "figure.png").write_text("of an earlier run")
    assert explain(photo, out) == 0
    assert names_in(out) == FILES | {"notes"}
    assert (out / "notes" / "mine.txt").read_text() == "keep me"
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_relative_folder_is_made_where_the_command_runs(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert explain(photo, Path("here")) == 0
    assert names_in(tmp_path / "here") == FILES


# -- explain: what it refuses --------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one line that a command ends with, on standard error, with exit code 2."""
    assert main(arguments) == 2
    printed, errors = capsys.readouterr()
    assert printed == "" and errors.count("\n") == 1 and errors.endswith("\n"), (printed, errors)
    assert is_sentence(errors.strip()), errors
    return errors.strip()


WRONG: list[tuple[str, list[str], list[str]]] = [
    ("a model", ["--model", "nothing"], ["'nothing'", "tiny", "vgg16"]),
    ("one of two models", ["--model", "tiny,nothing"], ["'nothing'"]),
    ("no model", ["--model", ","], ["list models"]),
    ("a method", ["--method", "nothing"], ["'nothing'", "gradcam", "lime"]),
    ("a method with a variant", ["--method", "nothing@a"], ["'nothing'"]),
    ("no method", ["--method", ""], ["list methods"]),
    ("a class", ["--target", "5"], ["no class 5", "0 to 4"]),
    ("a negative class", ["--target", "-1"], ["no class -1"]),
    ("a class that is a word", ["--target", "cat"], ["cat"]),
    ("a seed", ["--seed", "-1"], ["-1"]),
    ("a seed that is a word", ["--seed", "lucky"], ["lucky"]),
    ("a preset", ["--preset", "best"], ["best", "quick"]),
    ("a corruption", ["--corrupt", "fog=1"], ["'fog'", "gaussian_noise"]),
    ("a corruption without a value", ["--corrupt", "occlusion"], ["occlusion=AREA"]),
    ("a corruption with an empty value", ["--corrupt", "occlusion="], ["occlusion=AREA"]),
    ("a value of a corruption", ["--corrupt", "gaussian_noise=1000"], ["gaussian_noise", "1000", "100"]),
    ("a value that is a word", ["--corrupt", "gaussian_noise=loud"], ["loud"]),
    ("a value that is no number", ["--corrupt", "gaussian_noise=nan"], ["nan"]),
    ("a value between integers", ["--corrupt", "resolution=2.5"], ["2.5"]),
    ("the second corruption", ["--corrupt", "occlusion=0.1", "--corrupt", "occlusion=7"], ["7"]),
    ("a parameter", ["--set", "gradcam.colour=red"], ["'colour'", "layer"]),
    ("a value of a parameter", ["--set", "smoothgrad.samples=0", "--method", "smoothgrad"], ["samples", "0"]),
    ("a parameter that is a word", ["--set", "smoothgrad.samples=many", "--method", "smoothgrad"], ["many"]),
    ("a choice", ["--set", "gradcam.implementation=theirs"], ["theirs", "own"]),
    ("a parameter of another method", ["--set", "lime.samples=9"], ["'lime'", "gradcam"]),
    ("a parameter of another variant", ["--set", "gradcam@b.layer=stem", "--method", "gradcam@a"], ["'gradcam@b'"]),
    ("a parameter without a value", ["--set", "gradcam.layer"], ["METHOD.PARAMETER=VALUE"]),
    ("a parameter without a method", ["--set", "layer=stem"], ["METHOD.PARAMETER=VALUE"]),
    ("an empty value", ["--set", "gradcam.layer="], ["METHOD.PARAMETER=VALUE"]),
    ("a layer", ["--set", "gradcam.layer=nowhere"], ["'nowhere'", "stage2"]),
    ("a score", ["--score", "beauty"], ["'beauty'", "road"]),
    ("a parameter of a score", ["--score", "road", "--set-score", "road.colour=1"], ["'colour'", "steps"]),
    ("a value of a score", ["--score", "road", "--set-score", "road.steps=1"], ["steps", "1"]),
    ("a parameter of a score not asked for", ["--set-score", "road.steps=3"], ["'road'", "none"]),
    ("a parameter of a score without a dot", ["--score", "road", "--set-score", "steps=3"], ["SCORE.PARAMETER=VALUE"]),
    ("a mask that is not there", ["--mask", "FOLDER/nothing.png"], ["nothing.png"]),
    ("a mask of another size", ["--mask", "FOLDER/small.png"], ["small.png", "48 x 40"]),
    ("a mask that is no picture", ["--mask", "FOLDER/text.png"], ["text.png"]),
    ("an empty mask", ["--mask", "FOLDER/black.png"], ["black.png", "empty"]),
    ("a mask without a name", ["--mask", ""], ["folder"]),
    ("an option", ["--fast"], ["--fast"]),
]


@pytest.fixture
def wrong_files(photo: Path, tmp_path: Path) -> Path:
    """A folder with masks and pictures that cannot be used."""
    Image.new("L", (20, 10), 255).save(tmp_path / "small.png")
    Image.new("L", (48, 40), 0).save(tmp_path / "black.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "nothing at all.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:200])
    return tmp_path


@pytest.mark.parametrize(("options", "words"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_option_is_one_line_that_says_what_is_possible_and_leaves_nothing(
    photo: Path,
    wrong_files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: list[str],
) -> None:
    before = everything(tmp_path)
    arguments = ["explain", str(photo), "--out", str(tmp_path / "new" / "out")]
    for name, value in (("--model", "tiny"), ("--method", "gradcam")):
        arguments += [] if name in options else [name, value]
    line = refused(capsys, [*arguments, *(text.replace("FOLDER", str(wrong_files)) for text in options)])
    assert all(word in line for word in words), line
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["missing.png", "text.png", "nothing at all.png", "cut.png", "."])
def test_a_wrong_picture_is_one_line_and_leaves_nothing(
    wrong_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = everything(tmp_path)
    line = refused(
        capsys,
        ["explain", str(wrong_files / name), "--model", "tiny", "--method", "gradcam", "--out", str(tmp_path / "out")],
    )
    assert (name in line) or name == "."
    assert everything(tmp_path) == before


@pytest.mark.parametrize("out", ["disc.png", "disc.png/out", "x" * 300, "link", "new/" + "x" * 300])
def test_a_wrong_folder_to_write_to_is_one_line_and_leaves_nothing(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at all")
    before = everything(tmp_path)
    line = refused(
        capsys, ["explain", str(photo), "--model", "tiny", "--method", "gradcam", "--out", str(tmp_path / out)]
    )
    assert str(tmp_path / out) in line
    assert everything(tmp_path) == before


def test_a_folder_without_a_name_is_one_line_and_not_the_current_folder(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = everything(tmp_path)
    assert "--out" in refused(capsys, ["explain", str(photo), "--model", "tiny", "--method", "gradcam", "--out", ""])
    assert everything(tmp_path) == before


def test_a_folder_that_may_not_be_written_to_is_refused_before_anything_is_computed(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked and access(path, mode))
    arguments = ["--model", "nothing", "--method", "gradcam", "--out", str(locked / "out")]
    line = refused(capsys, ["explain", str(photo), *arguments])
    assert str(locked) in line and "write" in line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["list"],
        ["list", "animals"],
        ["list", "models", "--yaml"],
        ["explain"],
        ["explain", "disc.png"],
        ["explain", "disc.png", "--model", "tiny", "--method", "gradcam"],
        ["weights"],
        ["weights", "eat"],
        ["weights", "fetch"],
        ["weights", "fetch", "nothing"],
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_a_wrong_command_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    refused(capsys, arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [("XAI_THREADS", "many"), ("XAI_DEVICE", "cuda:77"), ("XAI_LOG_LEVEL", "loud"), ("XAI_BATCH", "-1")],
)
def test_a_wrong_setting_is_one_line_and_leaves_nothing(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    before = everything(tmp_path)
    arguments = ["--model", "tiny", "--method", "gradcam", "--out", str(tmp_path / "out")]
    line = refused(capsys, ["explain", str(photo), *arguments])
    assert name in line and value in line
    assert everything(tmp_path) == before


def test_a_setting_that_does_not_exist_is_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_THREAD", "1")
    assert main(["list", "corruptions"]) == 0
    printed, errors = capsys.readouterr()
    assert errors == "warning: there is no setting XAI_THREAD; it is ignored.\n"
    assert "occlusion" in printed


def test_a_mistake_in_a_process_of_its_own_is_one_line_and_exit_code_2(photo: Path, tmp_path: Path) -> None:
    done = python(
        "explain", str(photo), "--model", "tiny", "--method", "shap@x", "--set", "shap.background=imagenet50",
        "--out", str(tmp_path / "new" / "out"),
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "imagenet50" in done.stderr
    assert not (tmp_path / "new").exists()


# -- explain: interrupted ------------------------------------------------------------------------------------------


def failing(name: str, error: BaseException, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of Path that fails once for one file."""
    failed = False

    @functools.wraps(method)
    def replaced(path: Path, *arguments: Any, **options: Any) -> Any:
        nonlocal failed
        if path.name == name and not failed:
            failed = True
            raise error
        return method(path, *arguments, **options)

    return replaced


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
@pytest.mark.parametrize("name", ["figure.png", "scores.csv", "manifest.json"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "stop"])
def test_writing_that_fails_halfway_leaves_everything_as_it_was(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    name: str,
    error: BaseException,
) -> None:
    (tmp_path / "old").mkdir()
    for file in ("maps.npz", "scores.csv", "mine.txt"):
        (tmp_path / "old" / file).write_text("of an earlier run")
    before = everything(tmp_path)
    method = getattr(Path, step)
    for out in (tmp_path / "old", tmp_path / "new" / "deep" / "out"):
        monkeypatch.setattr(Path, step, failing(name, error, method))
        code = explain(photo, out)
        printed, errors = capsys.readouterr()
        assert printed == "" and errors.count("\n") == 1
        if isinstance(error, OSError):
            assert code == 2 and "No space left on device" in errors and str(out) in errors
        else:
            assert code == 130 and errors == "Stopped; nothing was written.\n"
        assert everything(tmp_path) == before


def test_a_folder_in_place_of_a_file_is_kept(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out" / "scores.csv").mkdir(parents=True)
    (tmp_path / "out" / "scores.csv" / "mine.txt").write_text("keep me")
    before = everything(tmp_path)
    refused(capsys, ["explain", str(photo), "--model", "tiny", "--method", "gradcam", "--out", str(tmp_path / "out")])
    assert everything(tmp_path) == before


def test_ctrl_c_ends_with_130_and_writes_nothing(photo: Path, tmp_path: Path, tiny_card: Path) -> None:
    log = tmp_path / "calls"
    write_observed_card(tiny_card.parent, "slow", log=str(log), seconds=0.05)
    out = tmp_path / "new" / "out"
    command = [sys.executable, "-m", "xai_core", "explain", str(photo), "--model", "slow", "--method", "smoothgrad"]
    process = subprocess.Popen(
        [*command, "--set", "smoothgrad.samples=1000", "--out", str(out)],
        cwd=ROOT,
        preexec_fn=hear_ctrl_c,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while len(calls(log)) < 4 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed, errors) == (130, "", "Stopped; nothing was written.\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("arguments", [["methods", "--json"], ["corruptions"]])
def test_a_reader_that_leaves_early_is_no_error(arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "xai_core", "list", *arguments],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), errors) == (0, "")


# -- weights -------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a loopback server that gives out the files in `served`."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def remote_card(folder: Path, name: str, address: str, sha256: str | None = None) -> bytes:
    """A card whose weights are only on the server; returns them."""
    card = write_tiny_card(folder / "models", name, seed=len(name))
    data = (folder / "models" / f"{name}.safetensors").read_bytes()
    (folder / "models" / f"{name}.safetensors").replace(folder / "served" / f"{name}.bin")
    content = yaml.safe_load(card.read_text())
    content["weights"] = {
        "file": f"{name}.safetensors",
        "url": f"{address}/{name}.bin",
        "size": len(data),
        "sha256": sha256 or hashlib.sha256(data).hexdigest(),
    }
    card.write_text(yaml.safe_dump(content))
    return data


def fetched(line: str) -> tuple[str, Path]:
    """Name and file of a line that `weights fetch` prints."""
    name, path = line.split(maxsplit=1)
    return name, Path(path)


def test_weights_list_tells_where_every_model_is(
    server: str, tmp_path: Path, tiny_card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remote_card(tmp_path, "remote", server)
    assert main(["weights", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {card.name for card in MODELS}
    assert str(tiny_card.with_suffix(".safetensors")) in lines["tiny"] and "ready" in lines["tiny"]
    assert "needs a download" in lines["remote"]


def test_weights_are_fetched_once(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = remote_card(tmp_path, "remote", server)
    assert main(["weights", "fetch", "remote", "tiny"]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    (name, path), (second, _) = [fetched(line) for line in printed.splitlines()]
    assert (name, second) == ("remote", "tiny")
    assert path.read_bytes() == data and path.is_relative_to(tmp_path / "data")
    (tmp_path / "served" / "remote.bin").unlink()
    assert main(["weights", "fetch", "remote"]) == 0
    assert fetched(capsys.readouterr().out.splitlines()[0]) == ("remote", path)


def test_a_download_that_fails_is_one_line_and_the_others_are_still_fetched(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remote_card(tmp_path, "absent", server)
    (tmp_path / "served" / "absent.bin").unlink()
    remote_card(tmp_path, "damaged", server, sha256="0" * 64)
    data = remote_card(tmp_path, "remote", server)
    assert main(["weights", "fetch", "absent", "damaged", "remote"]) == 2
    printed, errors = capsys.readouterr()
    (line,) = printed.splitlines()
    name, path = fetched(line)
    assert name == "remote" and path.read_bytes() == data
    assert errors.count("\n") == 1 and is_sentence(errors.strip())
    assert "Absent" in errors and "404" in errors and "Damaged" in errors and "SHA-256" in errors
    assert {file.name for file in path.parent.iterdir()} == {path.name}, "no partial file stays"


def test_explain_fetches_the_weights_that_it_needs(server: str, photo: Path, tmp_path: Path) -> None:
    remote_card(tmp_path, "remote", server)
    assert explain(photo, tmp_path / "out", model="remote") == 0
    assert list(maps(tmp_path / "out")) == ["remote/gradcam"]


def test_explain_that_cannot_fetch_its_weights_leaves_nothing(
    server: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remote_card(tmp_path, "absent", server)
    (tmp_path / "served" / "absent.bin").unlink()
    before = everything(tmp_path)
    arguments = ["--model", "tiny,absent", "--method", "gradcam", "--out", str(tmp_path / "out")]
    line = refused(capsys, ["explain", str(photo), *arguments])
    assert "Absent" in line and "404" in line
    assert everything(tmp_path) == before


def test_a_corrected_card_can_be_fetched(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remote_card(tmp_path, "remote", server, sha256="0" * 64)
    assert main(["weights", "fetch", "remote"]) == 2
    remote_card(tmp_path, "remote", server)
    assert main(["weights", "fetch", "remote"]) == 0


# -- progress ------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """Standard error that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_is_written_over_and_removed(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = cli.Progress()
    progress._shown -= 1
    progress("Tiny: SmoothGrad", 0.5)
    progress("Tiny: SmoothGrad", 0.6)  # too soon after the last
    shown = terminal.getvalue()
    assert shown.startswith("\r\x1b[2K 50%  Tiny: SmoothGrad, ") and shown.endswith("left")
    assert "60%" not in shown and "\n" not in shown
    assert explain(photo, tmp_path / "out") == 0
    assert terminal.getvalue().endswith("\r\x1b[2K") and "\n" not in terminal.getvalue()
