"""ImageNet-C: the library's own results, severities that get worse, fixed seeds, and the elastic transform's form."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest
from PIL import Image

from xai_core.corruptions import chain
from xai_core.corruptions.imagenet_c import ELASTIC
from xai_core.registry import CORRUPTIONS
from xai_core.types import Pixels

NAMES = [spec.name for spec in CORRUPTIONS if spec.name.startswith("imagenetc_")]
MONOTONE = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "contrast", "brightness", "pixelate")
MONOTONE += ("jpeg_compression", "defocus_blur", "gaussian_blur", "zoom_blur", "fog")


@pytest.fixture(scope="module")
def cat() -> Pixels:
    """scikit-image's cat, uint8 (224, 224, 3)."""
    from skimage import data

    return np.asarray(Image.fromarray(data.chelsea()).resize((224, 224)))


def corrupted(pixels: Pixels, name: str, severity: int, seed: int = 0) -> Pixels:
    return chain.apply(pixels, [chain.step(name, severity)], seed).pixels


def error(pixels: Pixels, name: str, severity: int, seed: int = 0) -> float:
    """The root mean squared change."""
    return float(np.sqrt(np.mean((corrupted(pixels, name, severity, seed).astype(float) - pixels) ** 2)))


def test_there_are_fifteen_and_four() -> None:
    families = [CORRUPTIONS[name].family for name in NAMES]
    assert {one: families.count(one) for one in families} == {
        "imagenetc_noise": 3,
        "imagenetc_blur": 4,
        "imagenetc_weather": 4,
        "imagenetc_digital": 4,
        "imagenetc_extra": 4,
    }
    assert all(CORRUPTIONS[name].severities == (1, 2, 3, 4, 5) for name in NAMES)
    moving = {name.removeprefix("imagenetc_") for name in NAMES if CORRUPTIONS[name].moves_pixels}
    assert moving == {"glass_blur", "motion_blur", "zoom_blur", "elastic_transform"}


@pytest.mark.parametrize("name", MONOTONE)
def test_a_greater_severity_changes_the_photo_more(name: str, cat: Pixels) -> None:
    errors = [error(cat, f"imagenetc_{name}", severity) for severity in range(6)]
    assert errors[0] == 0
    assert errors == sorted(errors)
    assert errors[5] > 1.3 * errors[1] > 0 or name == "fog"


@pytest.mark.parametrize("name", ["brightness", "contrast", "pixelate", "jpeg_compression", "defocus_blur", "saturate"])
def test_what_takes_no_chance_is_the_librarys(name: str, cat: Pixels) -> None:
    import imagecorruptions

    for severity in (1, 5):
        expected = imagecorruptions.corrupt(cat, severity, name)
        np.testing.assert_array_equal(corrupted(cat, f"imagenetc_{name}", severity), expected)


@pytest.mark.parametrize(("severity", "sigma"), list(enumerate((0.08, 0.12, 0.18, 0.26, 0.38), start=1)))
def test_gaussian_noise_has_the_benchmarks_width_on_grey(severity: int, sigma: float) -> None:
    from scipy.stats import norm

    grey = np.full((224, 224, 3), 128, dtype=np.uint8)
    values = corrupted(grey, "imagenetc_gaussian_noise", severity).astype(float)
    quarter, three = np.quantile(values, [0.25, 0.75])  # which nothing is cut off of
    assert three - quarter == pytest.approx(2 * norm.ppf(0.75) * sigma * 255, abs=1.5)


GOLDEN = {
    "pixel_dropping": "ff92a766a718",
    "imagenetc_gaussian_noise": "14a9a448b27c",
    "imagenetc_shot_noise": "3b3ed6c1cf5d",
    "imagenetc_impulse_noise": "67b1cb5d4011",
    "imagenetc_fog": "074367ec2684",
    "imagenetc_contrast": "4c26acfefd07",
    "imagenetc_pixelate": "ee716205fbb2",
    "imagenetc_jpeg_compression": "779bb5920f84",
    "imagenetc_speckle_noise": "b446af441433",
    "brightness": "48ad9fd5155e",
    "contrast": "8f9adf795b6a",
    "gaussian_noise": "8abdc8b30823",
    "occlusion": "dc07307fa6f5",
    "resolution": "721f89ca3b6d",
}
"""The first digits of the SHA-256 at the middle severity with seed 0, where numpy and Pillow do all."""
MEANS = {
    "imagenetc_defocus_blur": (108.7, 111.2, 117.6, 121.6),
    "imagenetc_glass_blur": (109.4, 110.0, 116.1, 119.9),
    "imagenetc_motion_blur": (106.9, 110.6, 118.5, 124.7),
    "imagenetc_zoom_blur": (104.4, 113.9, 118.2, 117.2),
    "imagenetc_snow": (179.9, 183.1, 191.3, 193.2),
    "imagenetc_frost": (150.4, 152.7, 150.9, 154.4),
    "imagenetc_brightness": (165.2, 170.5, 174.3, 180.3),
    "imagenetc_gaussian_blur": (108.7, 111.2, 117.6, 121.6),
    "imagenetc_spatter": (116.3, 120.4, 125.2, 129.7),
    "imagenetc_saturate": (81.0, 84.3, 87.6, 98.4),
    "imagenetc_elastic_transform": (109.7, 112.4, 114.6, 120.6),
}
"""The means of the four quarters, where OpenCV and SciPy may round otherwise on another processor."""


def middle(pixels: Pixels, name: str) -> Pixels:
    severities = CORRUPTIONS[name].severities
    return chain.apply(pixels, [chain.step(name, severities[len(severities) // 2])], seed=0).pixels


def test_every_corruption_has_its_golden_picture() -> None:
    assert {*GOLDEN, *MEANS} == set(CORRUPTIONS.entries())


@pytest.mark.parametrize("name", GOLDEN)
def test_a_fixed_seed_gives_the_same_picture_for_ever(name: str, cat: Pixels) -> None:
    assert hashlib.sha256(middle(cat, name).tobytes()).hexdigest()[:12] == GOLDEN[name]


@pytest.mark.parametrize("name", MEANS)
def test_a_fixed_seed_gives_the_same_means_for_ever(name: str, cat: Pixels) -> None:
    quarters = middle(cat, name).reshape(2, 112, 2, 112, 3).mean(axis=(1, 3, 4)).ravel()
    assert quarters == pytest.approx(MEANS[name], abs=0.2)


@pytest.mark.parametrize("name", NAMES)
def test_threads_do_not_disturb_each_other(name: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    expected = [corrupted(frame, name, 3, seed) for seed in range(6)]
    found: dict[int, Pixels] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: found.update({seed: corrupted(frame, name, 3, seed)}))  # type: ignore[misc]
        for seed in range(6)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for seed in range(6):
        np.testing.assert_array_equal(found[seed], expected[seed])


def test_the_elastic_transform_changes_the_photo_as_imagenet_cs_own(cat: Pixels) -> None:
    """Its first two severities shear far more than the others, which the library's form does not have.

    The specification measured 28, 34, 15, 16 and 18 on a photo that it does not name: the ratios are the same.
    """
    severities = range(1, 6)
    errors = [[error(cat, "imagenetc_elastic_transform", one, seed) for seed in range(10)] for one in severities]
    means = np.mean(errors, axis=1)
    assert means / means[2] == pytest.approx(np.divide([28, 34, 15, 16, 18], 15), abs=0.25)


def test_the_elastic_constants_are_those_of_the_specification() -> None:
    assert np.divide(ELASTIC, 244) == pytest.approx(
        np.asarray([(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)])
    )


@pytest.mark.parametrize("severity", range(1, 6))
def test_the_elastic_transform_moves_pixels_and_makes_no_new_colours(severity: int) -> None:
    flat = np.full((64, 80, 3), (10, 120, 250), dtype=np.uint8)
    found = corrupted(flat, "imagenetc_elastic_transform", severity)
    assert np.abs(found.astype(int) - flat).max() <= 1
    channels = np.repeat(np.random.default_rng(0).integers(0, 256, (64, 80, 1), dtype=np.uint8), 3, axis=2)
    moved = corrupted(channels, "imagenetc_elastic_transform", severity)
    assert (moved == moved[..., :1]).all(), "all channels move alike"
