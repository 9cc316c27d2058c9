"""Masks as COCO's polygons along the edges of pixels, which every pixel of the mask survives.

COCO adds the polygons of an object up, and so has no way to write a hole. A part with holes is therefore cut along
columns into parts without; each is then one simple ring of corners, and rasterises to exactly its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..types import Bools, XaiError
from .letters import from_letters

LONGEST_RING = 1_000_000
"""Pixel edges of one ring at most: longer ones are cut when they are written, since readers need memory for each."""
LONGEST_READ = 4 * LONGEST_RING
"""Pixels of outline of one polygon that is read at most."""

Polygon = list[float]
"""x and y of one corner after the other, in pixels from the upper left edge of the picture."""


def polygons(mask: Bools) -> list[Polygon]:
    """Simple polygons along pixel edges that together cover bool (H, W) exactly; none for an empty mask."""
    return [_ring(part, top, left) for part, top, left in _parts(mask, 0, 0)]


def _parts(mask: Bools, top: int, left: int) -> Iterator[tuple[Bools, int, int]]:
    """Connected parts without holes, each with the place of its upper left pixel.

    Pixels that touch at a corner alone are not connected, and what they enclose counts as a hole: so no ring meets
    itself.
    """
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == number
        at_top, at_left = top + box[0].start, left + box[1].start
        cut = _cut(part)
        if cut:
            yield from _parts(part[:, :cut], at_top, at_left)
            yield from _parts(part[:, cut:], at_top, at_left + cut)
        else:
            yield part, at_top, at_left


def _cut(part: Bools) -> int:
    """The column before which to cut a part, or 0: through the middle one of its holes, or where it is too long."""
    from scipy import ndimage

    if min(part.shape) < 3:
        return 0
    background, count = ndimage.label(np.pad(~part, 1, constant_values=True))
    if count > 1:  # the first one is what lies around
        middles = sorted((box[1].start + box[1].stop) // 2 - 1 for box in ndimage.find_objects(background)[1:])
        return int(middles[len(middles) // 2])
    if part.size < LONGEST_RING // 4:
        return 0
    padded = np.pad(part, 1)
    edges = np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    return part.shape[1] // 2 if edges > LONGEST_RING else 0


def _ring(part: Bools, top: int, left: int) -> Polygon:
    """The corners of a part without holes, clockwise or not, from its first one.

    No ring meets itself, so that along each row and column every two corners in turn are the ends of an edge.
    """
    padded = np.pad(part, 1)
    rows, columns = np.nonzero(padded[:-1, :-1] ^ padded[1:, :-1] ^ padded[:-1, 1:] ^ padded[1:, 1:])
    down = np.lexsort((rows, columns))  # the corners in the order of columns
    along = np.arange(len(rows)) ^ 1  # they come in the order of rows
    upright = np.empty_like(down)
    upright[down[0::2]], upright[down[1::2]] = down[1::2], down[0::2]
    order, neighbour = [0], upright[along].tolist()
    while (following := neighbour[order[-1]]) != 0:
        order.append(following)
    corners = np.column_stack([order, along[order]]).ravel()
    return [float(value) for value in np.column_stack([columns[corners] + left, rows[corners] + top]).ravel()]


def rasterised(outlines: Sequence[Polygon], height: int, width: int) -> Bools:
    """The pixels of any of the polygons, bool (height, width), as pycocotools finds them.

    Raises `XaiError` for what is no polygon, or lies farther from the picture than its own size.
    """
    from pycocotools import mask as coco

    changes = np.zeros(height * width + 1, dtype=np.int32)  # of how many polygons hold a pixel, columns first
    for outline in outlines:
        corners = np.asarray(outline, dtype=np.float64)
        if len(corners) < 6 or len(corners) % 2:
            raise XaiError("A polygon has fewer than three corners, or half a corner: export it again.")
        points = corners.reshape(-1, 2)
        size = (width, height)
        if not (
            np.isfinite(points).all() and (points >= np.negative(size)).all() and (points <= np.dot(2, size)).all()
        ):
            raise XaiError(f"A polygon lies far outside of its picture of {width} x {height} pixels: export it again.")
        steps = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1)
        if steps.sum() > LONGEST_READ:
            raise XaiError(f"A polygon's outline is longer than {LONGEST_READ} pixels: export the mask as run lengths.")
        (code,) = coco.frPyObjects([corners.tolist()], height, width)
        ends = np.cumsum(from_letters(code["counts"].decode()))
        np.add.at(changes, ends[0::2], 1)
        np.subtract.at(changes, ends[1::2], 1)
    return np.asarray((np.cumsum(changes[:-1]) > 0).reshape((height, width), order="F"))
