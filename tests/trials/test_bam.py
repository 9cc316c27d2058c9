"""BAM's three scores on planted maps, and the composites that they are taken on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from xai_core import settings
from xai_core.classifiers.evaluator import Classifier
from xai_core.engine import lab as engine_lab
from xai_core.engine.inline import InlineEngine
from xai_core.engine.lab import EngineLab
from xai_core.engine.requests import Trial
from xai_core.trials.bam import Bam, Patches, contrast, dependence, given_to, independence
from xai_core.trials.composites import KINDS, SHAPES, TEXTURES, cut_out, drawn
from xai_core.trials.training import Training
from xai_core.types import XaiError

from ..checks import is_sentence


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    return drawn(3, 5, 32).masks


def test_a_map_of_the_object_for_the_network_that_needs_it_has_a_contrast_of_one(masks: np.ndarray) -> None:
    indicator = masks.astype(np.float32)
    needs_it, does_not = given_to(indicator * 1, masks), given_to(indicator * 0, masks)
    assert contrast(needs_it, does_not).mean() == 1
    assert contrast(does_not, needs_it).mean() == -1


def test_a_constant_map_has_contrast_0_dependence_0_independence_1(masks: np.ndarray) -> None:
    same = given_to(np.full(masks.shape, 0.7, dtype=np.float32), masks)
    assert contrast(same, same).mean() == 0
    assert dependence(same, same).mean() == 0
    assert independence(same, same).mean() == 1


def test_what_a_map_gives_is_clipped_scaled_and_positive() -> None:
    mask = np.zeros((1, 10, 20), dtype=bool)
    mask[0, :, :10] = True
    values = np.where(mask, 2.0, 1.0)
    assert given_to(values, mask)[0] == 1  # from 0 at the least to 1 at the greatest
    assert given_to(-values, mask)[0] == 0
    outlier = values.copy()
    outlier[0, 0, 0] = 1e6  # one pixel of 200 is within the highest hundredth
    assert given_to(outlier, mask)[0] == pytest.approx(1, abs=0.01)
    assert given_to(values * 50, mask)[0] == given_to(values, mask)[0]
    half = np.where(np.arange(20) % 2, values, 0)
    assert given_to(half, mask)[0] == pytest.approx(0.5)


def test_dependence_and_independence_by_hand() -> None:
    without, within = np.array([0.5, 0.2, 0.4]), np.array([0.1, 0.3, 0.4])
    assert dependence(without, within).tolist() == [1, 0, 0]
    plain, patched = np.array([0.5, 0.5, 0.5, 0.0]), np.array([0.54, 0.56, 0.44, 0.0])
    assert independence(plain, patched).tolist() == [1, 0, 0, 1]


def test_every_object_is_in_every_scene_and_nothing_else_differs_from_the_empty_one() -> None:
    found = drawn(KINDS, 5, 32)
    pairs = set(zip(found.objects.tolist(), found.scenes.tolist(), strict=True))
    assert len(pairs) == KINDS**2 and len(found.frames) == 5 * KINDS**2
    assert len(found.object_names) == len(SHAPES) == len(TEXTURES) == KINDS
    changed = (found.frames != found.empty).any(-1)
    assert not (changed & ~found.masks).any() and changed.sum() > 0.9 * found.masks.sum()
    share = found.masks.mean((1, 2))
    assert share.min() > 0.02 and share.max() < 0.4
    for pair in pairs:  # one of five pictures of each pair is for testing
        mine = (found.objects == pair[0]) & (found.scenes == pair[1])
        assert found.tested[mine].sum() == 1
    again = drawn.__wrapped__(KINDS, 5, 32)
    assert np.array_equal(again.frames, found.frames)


def test_no_two_shapes_are_alike() -> None:
    axis = np.linspace(-1, 1, 41)
    v, u = np.meshgrid(axis, axis, indexing="ij")
    shapes = [shape(u, v) < 0 for shape in SHAPES.values()]
    for place, one in enumerate(shapes):
        assert 0.1 < one.mean() < 0.9
        for other in shapes[:place]:
            assert (one & other).sum() / (one | other).sum() < 0.85


def write_folder(folder: Path, side: int = 40) -> Path:
    """Two kinds of objects on transparent backgrounds and two of scenes, five pictures each."""
    for kind, colour in (("cup", (250, 20, 20)), ("pen", (20, 20, 250))):
        (folder / "objects" / kind).mkdir(parents=True)
        for number in range(5):
            pixels = np.zeros((side, side, 4), dtype=np.uint8)
            pixels[8:30, 5 + number : 15 + number] = (*colour[:2], colour[2] - number, 255)
            Image.fromarray(pixels).save(folder / "objects" / kind / f"{number}.png")
    for kind, value in (("dark", 30), ("light", 220)):
        (folder / "scenes" / kind).mkdir(parents=True)
        for number in range(5):
            Image.fromarray(np.full((side, side + 9, 3), value + number, dtype=np.uint8)).save(
                folder / "scenes" / kind / f"{number}.png"
            )
    return folder


def test_a_folder_of_the_users_is_pasted(tmp_path: Path) -> None:
    trial = Training(dataset="objects", folder=str(write_folder(tmp_path)), copies=5)
    found = trial.composites
    assert found.object_names == ("cup", "pen") and found.scene_names == ("dark", "light")
    assert trial.facts.trained + trial.facts.tested == len(found.frames) == 20
    assert (found.tested.sum(), trial.facts.tested) == (4, 4)
    red = found.frames[found.objects == 0][found.masks[found.objects == 0]]
    assert (red[:, 0] > 200).all() and (red[:, 2] < 60).all()
    assert set(np.unique(found.empty[found.scenes == 0])) <= set(range(30, 35))
    before = trial.dependencies()
    Image.fromarray(np.full((40, 40, 3), 7, dtype=np.uint8)).save(tmp_path / "scenes" / "dark" / "4.png")
    assert trial.dependencies() != before


def test_no_file_is_in_composites_for_training_and_for_testing(tmp_path: Path) -> None:
    found = Training(dataset="empty", folder=str(write_folder(tmp_path)), copies=40).composites
    for kind in (0, 1):
        scenes = [set(np.unique(found.empty[(found.scenes == kind) & part])) for part in (found.tested, ~found.tested)]
        objects = [
            {int(np.median(found.frames[place][found.masks[place]][:, 2])) for place in np.flatnonzero(chosen)}
            for chosen in ((found.objects == kind) & part for part in (found.tested, ~found.tested))
        ]
        for tested, trained in (scenes, objects):
            assert not tested & trained
            assert (len(tested), len(trained)) == (1, 4)


class Device:
    """A device on which at most `pictures` fit into one pass of a trial's classifier; `most` were in one that did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, batch: int, pictures: int):
        self.pictures, self.most = pictures, 0
        made = EngineLab.classifier

        def classifier(lab: EngineLab, *given: Any) -> Classifier:
            found = made(lab, *given)
            for network in found.networks:
                network.get_submodule("head").register_forward_hook(self.check)
            return found

        monkeypatch.setattr(EngineLab, "classifier", classifier)
        monkeypatch.setattr(engine_lab, "FRAME", 1)  # as many as the setting says, however small they are
        monkeypatch.setenv("XAI_BATCH", str(batch))
        monkeypatch.setenv("XAI_DATA", f"{settings.current().data}-{batch}-{pictures}")

    def check(self, module: Any, inputs: Any, output: Any) -> None:
        if len(output) > self.pictures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.most = max(self.most, len(output))


@pytest.mark.parametrize("name", ["patches", "bam"])
def test_pictures_are_looked_at_in_batches_and_fewer_where_memory_is_short(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Patches if name == "patches" else Bam
    request = Trial(name, trial(kinds=2, copies=10, explained=8, epochs=1), 0)
    found = []
    for batch, pictures, most in ((8, 8, 8), (3, 8, 3), (8, 4, 4)):
        with monkeypatch.context() as patch:
            device = Device(patch, batch, pictures)
            found.append(InlineEngine().result(request).details)
            assert device.most == most
    for other in found[1:]:
        for part, values in found[0].items():
            # rounding is another in other batches: Adam turns around where there is no slope
            assert np.isclose(values, other[part], atol=1e-3, equal_nan=True).mean() > 0.9


def test_what_is_no_set_of_objects_and_scenes_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(XaiError) as nothing:
        Bam(folder=str(tmp_path)).cost()
    write_folder(tmp_path)
    opaque = tmp_path / "objects" / "cup" / "0.png"
    Image.fromarray(np.full((9, 9, 3), 7, dtype=np.uint8)).save(opaque)
    with pytest.raises(XaiError) as whole:
        cut_out(opaque, 10)
    for error in (nothing, whole):
        assert is_sentence(str(error.value))
