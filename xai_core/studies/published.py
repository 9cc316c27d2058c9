"""What the sources printed, as they printed it, and where it contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

S1_SOURCE = "Devarakonda, Kim: Exploring XAI methods on Image Data (S1)"
S0_SOURCE = (
    "Fleury, Kim, Wu, Liu 2024: Benchmarking Explainability of ImageNet Classification Against Data Suboptimality (S0)"
)

S1_MODELS = {"vgg16": "VGG-16", "resnet50": "ResNet-50", "densenet121": "DenseNet-121"}
"""Torchvision's architectures that S1 looked at."""
S1_PICTURES = 50

_OCCLUSION = (
    "occlusion.background_increase",
    "occlusion.background_drop",
    "occlusion.subject_increase",
    "occlusion.subject_drop",
)
_ROAD = ("road.lerf", "road.morf", "road.combined")
S1_SCORES = (*_OCCLUSION, *_ROAD, "iou.top")
"""The registry's names of what S1 calls b and s, increase and drop, ROAD b, s and combined, and mIoU."""
S1_SCALE: Mapping[str, float] = {score: 1.0 if score in _OCCLUSION else 100.0 for score in S1_SCORES}
"""What our values are multiplied by to be percents as S1's."""

S1: Mapping[tuple[str, str], tuple[float, ...]] = {
    ("vgg16", "gradcam"): (16.00, 36.08, 8.00, 33.11, -13.33, -17.78, 2.22, 12.28),
    ("resnet50", "gradcam"): (26.00, 15.64, 2.00, 56.72, -3.00, -26.10, 11.55, 31.78),
    ("densenet121", "gradcam"): (14.00, 15.13, 2.00, 50.73, -2.97, -41.48, 19.44, 38.75),
    ("vgg16", "shap"): (4.00, 66.04, 0.0, 86.62, -20.54, -19.84, -0.355, 19.48),
    ("resnet50", "shap"): (4.00, 64.66, 2.00, 85.47, -32.39, -31.12, -0.636, 26.24),
    ("densenet121", "shap"): (2.00, 66.73, 0.0, 75.98, -48.26, -35.40, -0.643, 27.65),
}
"""S1's tables in percent: by architecture and method, in the order of `S1_SCORES`."""

ROUNDING = 0.0101
"""The most by which (b - s) / 2 of values with two decimals can miss what was printed."""


@dataclass(frozen=True)
class Contradiction:
    """A printed cell that is not what the source's own formula gives."""

    architecture: str
    method: str
    printed: float
    computed: float

    @property
    def sign(self) -> str:
        return f"≠ {self.computed:.5g}".replace("-", "−")

    @property
    def words(self) -> str:
        return f"printed {self.printed:g}, by S1's own formula {self.computed:.5g}".replace("-", "−")


def contradictions() -> list[Contradiction]:
    """S1's cells of the combined ROAD that are not (b - s) / 2 to rounding."""
    places = {score: place for place, score in enumerate(S1_SCORES)}
    found = []
    for (architecture, method), values in S1.items():
        b, s, combined = (values[places[score]] for score in _ROAD)
        computed = (b - s) / 2
        if abs(computed - combined) > ROUNDING:
            found.append(Contradiction(architecture, method, combined, computed))
    return found


S0_SEVERITIES: Mapping[str, tuple[float, float, float]] = {
    "gaussian_noise": (10, 25, 50),
    "occlusion": (0.1, 0.3, 0.5),
    "resolution": (5, 10, 20),
}
S0_MSE: Mapping[tuple[str, str], tuple[float, float, float]] = {
    ("smoothgrad", "gaussian_noise"): (4e-5, 3e-5, 3e-5),
    ("smoothgrad", "occlusion"): (6e-5, 5e-5, 7e-5),
    ("smoothgrad", "resolution"): (13e-5, 13e-5, 14e-5),
    ("lime", "gaussian_noise"): (0.087, 0.077, 0.087),
    ("lime", "occlusion"): (0.079, 0.086, 0.090),
    ("lime", "resolution"): (0.105, 0.106, 0.109),
}
"""S0's robustness by method and corruption, from mild to strong; each method's maps are on a scale of their own."""
S0_FALSE: Mapping[tuple[str, str], tuple[float, float, float]] = {
    ("smoothgrad", "gaussian_noise"): (0.225, 0.223, 0.226),
    ("smoothgrad", "occlusion"): (0.410, 0.380, 0.315),
    ("smoothgrad", "resolution"): (0.320, 0.325, 0.327),
    ("lime", "gaussian_noise"): (0.95, 0.92, 0.97),
    ("lime", "occlusion"): (0.86, 0.88, 0.97),
    ("lime", "resolution"): (0.99, 0.94, 0.97),
}
"""S0's false positive rate, which it does not define; LIME's fits a false discovery rate."""
