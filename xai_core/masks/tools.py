"""The studio's tools that look at the picture: superpixels to paint with, and GrabCut.

Both work on a smaller copy of a large picture, so that an annotator never waits long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..types import Bools, Pixels, XaiError

Labels = npt.NDArray[np.uint16]

GRANULARITIES = {"coarse": 120, "medium": 500, "fine": 2000}
"""About how many superpixels a picture is cut into."""
SUPERPIXEL_AREA = 400_000
"""Pixels that superpixels are made of at most."""
GRABCUT_AREA = 160_000
"""Pixels that GrabCut looks at at most."""
MARGIN = 0.5
"""GrabCut sees the background around its box, by this part of the box's longer side."""


def superpixels(pixels: Pixels, granularity: str) -> Labels:
    """SLIC's superpixels of a picture uint8 (H, W, 3): labels from 0 on, uint16 (h, w), each superpixel connected.

    (h, w) is (H, W), or for a large picture as much smaller as `SUPERPIXEL_AREA` asks for; see `enlarged`.
    Raises `XaiError` for an unknown granularity.
    """
    from skimage.segmentation import slic

    if granularity not in GRANULARITIES:
        raise XaiError(f"There are no {granularity!r} superpixels: choose one of {', '.join(GRANULARITIES)}.")
    small = _smaller(pixels, SUPERPIXEL_AREA)
    labels = slic(small, n_segments=GRANULARITIES[granularity], compactness=12, sigma=1, start_label=0)
    return np.asarray(labels, dtype=np.uint16)


def enlarged(labels: Labels, height: int, width: int) -> Labels:
    """The labels at another size, uint16 (height, width): each pixel takes the label under its middle."""
    rows, columns = (
        ((2 * np.arange(large) + 1) * small) // (2 * large)
        for large, small in zip((height, width), labels.shape, strict=True)
    )
    return np.asarray(labels[rows[:, None], columns])


@dataclass(frozen=True)
class Hints:
    """What an annotator tells GrabCut: the object lies within `box` (top, left, height, width).

    `mask` is what was drawn so far, `foreground` and `background` are pixels that certainly belong to the object or
    certainly do not; each bool (H, W).
    """

    box: tuple[int, int, int, int]
    mask: Bools
    foreground: Bools
    background: Bools


def grabcut(pixels: Pixels, hints: Hints, rounds: int = 5) -> Bools:
    """The object within the hints' box as GrabCut sees it: bool (height, width) of the box, equal for equal hints.

    It begins with the mask where there is one in the box, else with the whole box. Marked pixels keep their mark.
    Raises `XaiError` where the box is not in the picture, or leaves no background to learn from.
    """
    import cv2

    top, left, height, width = hints.box
    if min(top, left) < 0 or min(height, width) < 2 or top + height > len(pixels) or left + width > pixels.shape[1]:
        raise XaiError("GrabCut needs a box within the picture, of at least 2 x 2 pixels: draw it again.")
    reach = max(8, round(MARGIN * max(height, width)))
    rows = slice(max(0, top - reach), min(len(pixels), top + height + reach))
    columns = slice(max(0, left - reach), min(pixels.shape[1], left + width + reach))
    inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
    within = np.s_[top - rows.start : top - rows.start + height, left - columns.start : left - columns.start + width]
    inside[within] = True
    seen, foreground, background = (
        one[rows, columns] for one in (hints.mask, hints.foreground, hints.background & ~hints.foreground)
    )
    seen = seen & inside
    likely = seen if seen.any() and not seen[within].all() else inside

    small = _smaller(pixels[rows, columns], GRABCUT_AREA)
    size = small.shape[:2]
    trimap = np.where(_resized(likely, size, 0.5), cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[~_resized(inside, size, 0.5)] = cv2.GC_BGD
    trimap[_resized(background, size, 0.0)] = cv2.GC_BGD
    trimap[_resized(foreground, size, 0.0)] = cv2.GC_FGD
    objects = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    if objects.all() or not objects.any():
        raise XaiError("GrabCut needs object and background to learn from: leave some background around the box.")
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(small[..., ::-1]), trimap, None, *models, rounds, cv2.GC_INIT_WITH_MASK)
    found = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    whole = _resized(found, inside.shape, 0.5)
    return np.asarray(((whole | foreground) & ~background)[within])


def _smaller(pixels: Pixels, area: int) -> Pixels:
    """The picture with at most about `area` pixels, and as it is when it has no more."""
    import cv2

    height, width = pixels.shape[:2]
    factor = (area / (height * width)) ** 0.5
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _resized(mask: Bools, size: tuple[int, ...], above: float) -> Bools:
    """The mask at another size, bool `size`: pixels more than `above` of which it covers."""
    import cv2

    if mask.shape == size:
        return mask
    way = cv2.INTER_AREA if size[0] < mask.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask.astype(np.float32), size[::-1], interpolation=way) > above)
