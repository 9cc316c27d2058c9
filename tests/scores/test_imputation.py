"""Linear imputation: its equations, grad-cam's imputer, and what a harmonic fill has to satisfy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

from tests import toys
from tests.checks import is_sentence
from tests.conftest import ROOT
from xai_core.scores import imputation
from xai_core.scores.imputation import impute_frames
from xai_core.scores.ranking import first
from xai_core.types import XaiError


def impute(pixels: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Solved as far as float64 goes."""
    return imputation.impute(pixels, missing, 1e-13)


def picture(size: int = 48, seed: int = 0) -> np.ndarray:
    return toys.frame(size, seed) / 255.0


def random_mask(fraction: float, size: int = 48, seed: int = 0) -> np.ndarray:
    order = np.random.default_rng(seed).permutation(size * size)
    return first(order, round(fraction * size * size), (size, size))


def missing_at(rows: slice, columns: slice, shape: tuple[int, int] = (12, 12)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[rows, columns] = True
    return mask


def dense_solution(pixels: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """The definition, pixel by pixel: x_i sum_j w_ij = sum_j w_ij x_j over the neighbours j that exist."""
    height, width = missing.shape
    system, right = np.eye(height * width), pixels.reshape(height * width, -1).copy()
    for row, column in zip(*np.nonzero(missing), strict=True):
        here = row * width + column
        system[here] = 0
        right[here] = 0
        for down in (-1, 0, 1):
            for along in (-1, 0, 1):
                inside = 0 <= row + down < height and 0 <= column + along < width
                if (down, along) != (0, 0) and inside:
                    weight = 1 / 6 if 0 in (down, along) else 1 / 12
                    system[here, here] += weight
                    system[here, (row + down) * width + column + along] -= weight
    return np.linalg.solve(system, right).reshape(pixels.shape)


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_it_solves_its_equations(seed: int, fraction: float) -> None:
    pixels, missing = picture(6, seed), random_mask(fraction, 6, seed)
    np.testing.assert_allclose(impute(pixels, missing), dense_solution(pixels, missing), atol=1e-11)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_it_equals_grad_cams_imputer_without_noise(fraction: float) -> None:
    pixels, missing = picture(), random_mask(fraction)
    library = NoisyLinearImputer(noise=0)(
        torch.as_tensor(pixels).movedim(-1, 0).float(), torch.as_tensor(~missing).float()
    )
    expected = library.movedim(0, -1).numpy()
    assert np.abs(impute(pixels, missing) - expected).max() < 1e-4
    assert np.abs(imputation.impute(pixels, missing) - expected).max() < 1e-4


BORDERS = {
    "corner": missing_at(slice(0, 3), slice(0, 4)),
    "other corner": missing_at(slice(9, 12), slice(10, 12)),
    "edge": missing_at(slice(0, 12), slice(0, 1)),
    "upper half": missing_at(slice(0, 6), slice(0, 12)),
    "all but one": ~missing_at(slice(4, 5), slice(7, 8)),
    "all but a corner": ~missing_at(slice(0, 1), slice(0, 1)),
    "checkers": np.indices((12, 12)).sum(axis=0) % 2 == 0,
    "one row": missing_at(slice(0, 1), slice(3, 9), (1, 12)),
    "one column": missing_at(slice(2, 9), slice(0, 1), (12, 1)),
}


@pytest.mark.parametrize("missing", BORDERS.values(), ids=BORDERS.keys())
def test_holes_at_borders_and_corners_are_filled_by_the_neighbours_that_exist(missing: np.ndarray) -> None:
    pixels = np.random.default_rng(1).random((*missing.shape, 3))
    np.testing.assert_allclose(impute(pixels, missing), dense_solution(pixels, missing), atol=1e-10)


@pytest.mark.parametrize("missing", BORDERS.values(), ids=BORDERS.keys())
def test_a_constant_picture_stays_constant(missing: np.ndarray) -> None:
    colour = np.array([0.2, 0.5, 0.9])
    pixels = np.broadcast_to(colour, (*missing.shape, 3)).copy()
    pixels[missing] = 7
    np.testing.assert_allclose(impute(pixels, missing), np.broadcast_to(colour, pixels.shape), atol=1e-12)


@pytest.mark.parametrize(
    "hole", [(slice(3, 9), slice(2, 10)), (slice(5, 6), slice(5, 6)), (slice(1, 11), slice(1, 11))]
)
def test_a_linear_ramp_with_a_hole_inside_is_reproduced(hole: tuple[slice, slice]) -> None:
    down, right = np.mgrid[0:12, 0:12]
    ramp = np.stack([0.03 * down + 0.01 * right, 0.5 - 0.02 * down, 0.04 * right], axis=-1)
    missing = missing_at(*hole)
    np.testing.assert_allclose(impute(np.where(missing[..., None], 9.0, ramp), missing), ramp, atol=1e-12)


def test_a_single_missing_pixel_is_the_weighted_mean_of_its_neighbours() -> None:
    pixels = np.repeat(np.arange(9.0).reshape(3, 3, 1) ** 2, 3, axis=2)
    found = impute(pixels, missing_at(slice(1, 2), slice(1, 2), (3, 3)))[1, 1, 0]
    assert found == pytest.approx((1 + 9 + 25 + 49) / 6 + (0 + 4 + 36 + 64) / 12)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), fraction=st.floats(0.01, 0.99), size=st.integers(2, 14))
def test_known_pixels_stay_bit_by_bit_and_filled_ones_lie_between_them(seed: int, fraction: float, size: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.normal(size=(size, size, 3))
    missing = random.random((size, size)) < fraction
    missing[random.integers(size), random.integers(size)] = False
    found = impute(pixels, missing)
    np.testing.assert_array_equal(found[~missing], pixels[~missing])
    known = pixels[~missing]
    assert (found >= known.min(axis=0) - 1e-9).all()
    assert (found <= known.max(axis=0) + 1e-9).all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), fraction=st.floats(0.1, 0.9))
def test_what_was_at_the_missing_places_does_not_matter(seed: int, fraction: float) -> None:
    random = np.random.default_rng(seed)
    pixels, missing = random.random((9, 9, 3)), random_mask(fraction, 9, seed)
    other = np.where(missing[..., None], random.normal(size=pixels.shape) * 100, pixels)
    np.testing.assert_array_equal(impute(pixels, missing), impute(other, missing))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), fraction=st.floats(0.1, 0.9))
def test_a_turned_or_mirrored_picture_is_filled_alike(seed: int, fraction: float) -> None:
    pixels, missing = picture(9, seed % 50), random_mask(fraction, 9, seed)
    found = impute(pixels, missing)
    np.testing.assert_allclose(impute(pixels[::-1], missing[::-1]), found[::-1], atol=1e-10)
    np.testing.assert_allclose(impute(np.rot90(pixels), np.rot90(missing)), np.rot90(found), atol=1e-10)


def test_with_nothing_missing_it_is_the_identity_and_a_copy() -> None:
    pixels = picture(10)
    found = impute(pixels, np.zeros((10, 10), dtype=bool))
    np.testing.assert_array_equal(found, pixels)
    found += 1
    np.testing.assert_array_equal(pixels, picture(10))


@pytest.mark.parametrize("place", [(0, 0), (5, 3), (9, 9)])
def test_of_one_known_pixel_its_colour_spreads_everywhere(place: tuple[int, int]) -> None:
    pixels, missing = picture(10), np.ones((10, 10), dtype=bool)
    missing[place] = False
    np.testing.assert_allclose(impute(pixels, missing), np.broadcast_to(pixels[place], pixels.shape), atol=1e-9)


def test_with_nothing_known_it_refuses_in_one_sentence() -> None:
    with pytest.raises(XaiError) as error:
        impute(picture(4), np.ones((4, 4), dtype=bool))
    assert is_sentence(str(error.value))


def test_it_changes_neither_picture_nor_mask() -> None:
    pixels, missing = picture(12), random_mask(0.4, 12)
    pixels.setflags(write=False)
    missing.setflags(write=False)
    assert impute(pixels, missing).dtype == np.float64


def test_channels_do_not_mix() -> None:
    pixels, missing = picture(12), random_mask(0.6, 12)
    alone = [impute(pixels * (np.arange(3) == channel), missing)[..., channel] for channel in range(3)]
    np.testing.assert_allclose(impute(pixels, missing), np.stack(alone, axis=-1), atol=1e-11)


@pytest.mark.parametrize("smooth", [0, 2, 20])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.999])
def test_at_full_size_it_is_well_within_the_noise_of_the_exact_solution(fraction: float, smooth: int) -> None:
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(smooth)
    pixels = gaussian_filter(random.random((224, 224, 3)), (3, 3, 0))
    order = gaussian_filter(random.standard_normal((224, 224)), smooth).ravel().argsort()
    missing = first(order, round(fraction * order.size), (224, 224))
    assert np.abs(imputation.impute(pixels, missing) - impute(pixels, missing)).max() < 1e-4


def test_many_masks_are_solved_as_one_alone_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = toys.frame(48)
    masks = [random_mask(fraction, seed=seed) for seed, fraction in enumerate(np.linspace(0.1, 0.9, 9))]
    alone = [imputation.impute(frame / 255.0, mask).astype(np.float32) for mask in masks]
    for threads in ("1", "4"):
        monkeypatch.setenv("XAI_THREADS", threads)
        monkeypatch.setattr(imputation, "_solved", imputation._Solved())
        np.testing.assert_array_equal(impute_frames(frame, masks), alone)


def test_the_same_mask_of_the_same_frame_is_solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imputation, "_solved", imputation._Solved())
    solved = []
    solver = imputation.impute
    monkeypatch.setattr(imputation, "impute", lambda *given: solved.append(1) or solver(*given))
    frame, mask = toys.frame(16), random_mask(0.3, 16)
    first_time = impute_frames(frame, [mask])[0]
    assert impute_frames(frame.copy(), [mask.copy()])[0] is first_time
    assert not first_time.flags.writeable
    impute_frames(toys.frame(16, 1), [mask, ~mask])
    assert len(solved) == 3
    monkeypatch.setattr(imputation, "KEPT", 2)
    impute_frames(frame, [random_mask(0.4, 16)])
    impute_frames(frame, [mask])
    assert len(solved) == 5


def test_it_works_where_nothing_compiled_can_be_kept() -> None:
    code = "import numpy; from numba.core import caching; "
    code += "caching.CacheImpl._locator_classes = []; from xai_core.scores.compiled.multigrid import _weight, fill; "
    code += "assert _weight.stats.cache_path is None; print(_weight(1), _weight(0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == [str(1 / 6), str(1 / 12)], done.stderr
