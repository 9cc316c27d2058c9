"""Whose masks are a study's ground truth."""

from __future__ import annotations

import numpy as np
import pytest

from xai_core.images.galleries import bundled
from xai_core.masks.consensus import CONSENSUS, consensus
from xai_core.masks.starters import starter
from xai_core.store import pictures, versions
from xai_core.studies.masks import masks_for
from xai_core.types import Bools, Mask, Picture, XaiError

CAT = next(sample for sample in bundled().samples if sample.name == "chelsea.png").open()


def columns(picture: Picture, first: int, last: int) -> Bools:
    mask = np.zeros(picture.size, dtype=bool)
    mask[50:150, first:last] = True
    return mask


def drawn() -> list[Bools]:
    """The masks of three people, which differ."""
    digest = pictures.register(CAT)
    masks = {"Ada": columns(CAT, 0, 100), "Bob": columns(CAT, 40, 140), "Cid": columns(CAT, 60, 200)}
    for who, mask in masks.items():
        versions.import_mask(who, digest, Mask(mask), who)
    return list(masks.values())


@pytest.mark.parametrize("way", CONSENSUS)
def test_every_consensus_can_be_the_ground_truth(way: str) -> None:
    found = masks_for(way)
    assert found(CAT) == starter(CAT), "nobody has drawn"
    masks = drawn()
    mask = found(CAT)
    assert mask is not None and np.array_equal(mask.values, consensus(way, masks))


def test_all_is_the_majority() -> None:
    masks = drawn()
    mask = masks_for("all")(CAT)
    assert mask is not None and np.array_equal(mask.values, columns(CAT, 40, 140))
    assert not any(np.array_equal(mask.values, consensus(way, masks)) for way in ("union", "intersection"))


def test_a_name_that_is_nobody_s_is_refused_with_all_there_are() -> None:
    drawn()
    with pytest.raises(XaiError, match="all, majority, staple, union, intersection, starter, none, Ada, Bob, Cid"):
        masks_for("mean")
