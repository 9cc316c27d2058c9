"""ImageNet-C: fifteen corruptions and the four that were kept for validation, each at five severities.

They come from `imagecorruptions-imaug`, except the elastic transform, which the library has changed: it is here in
ImageNet-C's own form. What is drawn at random follows the step's own generator.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..registry import CORRUPTIONS, parameter
from ..types import Pixels
from .chain import Corrupted, Corruption

CITES = ("Hendrycks and Dietterich 2019, Benchmarking neural network robustness to common corruptions: ImageNet-C",)
SEVERITIES = (1, 2, 3, 4, 5)

_global_generator = threading.Lock()


@cache
def _library() -> Any:
    from imagecorruptions import corruptions

    corruptions._shuffle_pixels_njit_glass_blur.enable_caching()  # else every process compiles it for seconds
    return corruptions


def _from_library(name: str, pixels: Pixels, severity: int, random: np.random.Generator) -> npt.NDArray[Any]:
    """The library's corruption of a frame of any size, in [0, 255].

    Most of them draw from numpy's global generator, which is left as it was; two take a seed.
    """
    from PIL import Image

    seed = int(random.integers(2**32))
    picture, corrupt = Image.fromarray(pixels), getattr(_library(), name)
    with np.errstate(invalid="ignore"):  # spatter that meets no pixel is 0 / 0
        if name in ("impulse_noise", "glass_blur"):
            return np.asarray(corrupt(picture, severity, seed))
        with _global_generator:
            state = np.random.get_state()  # noqa: NPY002
            try:
                np.random.seed(seed)  # noqa: NPY002
                return np.asarray(corrupt(picture, severity))
            finally:
                np.random.set_state(state)  # noqa: NPY002


class ImageNetC(Corruption):
    """Base of ImageNet-C's corruptions: the class's name says which one of the library's it is."""

    severity: int = parameter(3, "How bad it is; 0 leaves the picture as it is.", unit="of 5", ge=0, le=5, step=1)

    def apply(self, pixels: Pixels, random: np.random.Generator) -> Corrupted:
        if self.severity == 0:
            return Corrupted(pixels.copy())
        found = np.asarray(self.corrupted(pixels, random), dtype=np.float64)
        return Corrupted(np.where(np.isfinite(found), found, pixels).astype(np.uint8))

    def corrupted(self, pixels: Pixels, random: np.random.Generator) -> npt.NDArray[Any]:
        """The corrupted frame, (H, W, 3) in [0, 255]; not-a-number where nothing changes."""
        return _from_library(self.__class__.__name__, pixels, self.severity, random)


def _entry(name: str, family: str, summary: str, moves_pixels: bool = False) -> Callable[[type[Any]], type[Any]]:
    """Registers one of them as "imagenetc_NAME"."""
    return CORRUPTIONS.register(
        f"imagenetc_{name}",
        title=f"ImageNet-C {name.replace('_', ' ').replace('jpeg', 'JPEG')}",
        summary=f"{summary} Five severities, with the benchmark's own constants.",
        family=f"imagenetc_{family}",
        cites=CITES,
        primary="severity",
        neutral=0,
        severities=SEVERITIES,
        moves_pixels=moves_pixels,
    )


_NAMES = {
    "noise": {
        "gaussian_noise": "Normal noise, as in little light.",
        "shot_noise": "Poisson noise, as of single photons.",
        "impulse_noise": "Single values become black or white, as by faulty bits.",
    },
    "blur": {
        "defocus_blur": "Every point becomes a disc, as out of focus.",
        "glass_blur": "Neighbouring pixels change places, as behind frosted glass.",
        "motion_blur": "Every point becomes a line, as of a moving camera.",
        "zoom_blur": "The mean of enlarged pictures, as of a camera that rushes forward.",
    },
    "weather": {
        "snow": "Streaks of snow over a paler picture.",
        "frost": "A photo of ice crystals over the picture.",
        "fog": "Plumes of fog that the diamond-square algorithm draws.",
        "brightness": "A greater value in HSV, as in full sunlight.",
    },
    "digital": {
        "contrast": "Values nearer to the picture's mean colour.",
        "pixelate": "Fewer pixels, each of them enlarged.",
        "jpeg_compression": "The artefacts of strong JPEG compression.",
    },
    "extra": {
        "speckle_noise": "Normal noise that is stronger in bright places.",
        "gaussian_blur": "Gaussian blur.",
        "spatter": "Drops of water, or of mud from the fourth severity on.",
        "saturate": "Less colour at the first two severities, and more at the others.",
    },
}
MOVING = ("glass_blur", "motion_blur", "zoom_blur")

for _family, _summaries in _NAMES.items():
    for _name, _summary in _summaries.items():
        _cls = type(_name, (ImageNetC,), {"__module__": __name__, "__doc__": _summary})
        globals()[_name] = _entry(_name, _family, _summary, _name in MOVING)(_cls)


@_entry(
    "elastic_transform", "digital", "The picture is sheared a little, and stretched like rubber.", moves_pixels=True
)
class ElasticTransform(ImageNetC):
    """A random affine map and then smooth random displacements; spec C-04, with ImageNet-C's constants.

    Lengths are pixels of pictures with 224 to 256 pixels a side, and do not grow with the frame, as those of the other
    ImageNet-C corruptions.
    """

    def corrupted(self, pixels: Pixels, random: np.random.Generator) -> npt.NDArray[Any]:
        import cv2
        from scipy.ndimage import gaussian_filter, map_coordinates

        stretch, smoothness, shear = ELASTIC[self.severity - 1]
        height, width = size = pixels.shape[:2]
        middle, arm = np.asarray(size[::-1]) // 2, min(size) // 3
        corners = (middle + arm * np.asarray([[1, 1], [1, -1], [-1, -1]])).astype(np.float32)
        moved = corners + random.uniform(-shear, shear, corners.shape).astype(np.float32)
        sheared = cv2.warpAffine(
            pixels.astype(np.float32),
            cv2.getAffineTransform(corners, moved),
            (width, height),
            borderMode=cv2.BORDER_REFLECT_101,
        )
        across, down = (
            stretch * gaussian_filter(random.uniform(-1, 1, size), smoothness, mode="reflect", truncate=3)
            for _ in range(2)
        )
        rows, columns = np.mgrid[:height, :width]
        places = np.stack([rows + down, columns + across])
        return np.stack(
            [map_coordinates(sheared[..., one], places, order=1, mode="reflect") for one in range(3)], axis=-1
        )


ELASTIC = tuple(
    (244 * stretch, 244 * smoothness, 244 * shear)
    for stretch, smoothness, shear in (
        (2, 0.7, 0.1),
        (2, 0.08, 0.2),
        (0.05, 0.01, 0.02),
        (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    )
)
"""By severity: the displacement's height, the deviation of what smooths it, and the affine map's reach, in pixels."""
