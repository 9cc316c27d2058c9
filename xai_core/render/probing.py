"""What a region's effect is in words."""

from __future__ import annotations

from ..engine.requests import Action
from ..types import Probed
from .numbers import percent

DOING = {"hide": "Hiding", "blur": "Blurring"}


def sentences(found: Probed, action: Action, label: str) -> str:
    """What the change does to the class `label`, beside what it does at random places of the same size."""
    before, after = percent(found.before), percent(found.after)
    count = len(found.elsewhere)
    others = "random regions of the same size"

    def counted(part: float) -> str:
        return f"all {count}" if part == 1 else f"{round(part * count)} of {count}"

    if action == "keep":
        return (
            f"With this region alone the probability of {label} is {after} instead of {before}: higher than with "
            f"{counted(found.below)} {others} (percentile {_percentile(found.below)})."
        )
    start = f"{DOING[action]} this region"
    if before == after:
        return (
            f"{start} leaves the probability of {label} at {before}: {counted(found.above)} {others} leave it higher, "
            f"and {counted(found.below)} lower."
        )
    verb, part = ("takes", found.above) if found.after < found.before else ("raises", found.below)
    return (
        f"{start} {verb} the probability of {label} from {before} to {after}: more than {counted(part)} {others} do "
        f"(percentile {_percentile(part)})."
    )


def _percentile(part: float) -> int:
    """Where the region stands among the others, from 0 to 100; only beyond all of them is it 100."""
    return min(round(100 * part), 99) if part < 1 else 100
