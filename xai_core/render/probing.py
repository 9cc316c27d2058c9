"""What a region's effect is in words."""

from __future__ import annotations

from ..engine.requests import Action
from ..types import Probed
from .numbers import percent

DOING = {"hide": "Hiding", "blur": "Blurring"}


def sentences(found: Probed, action: Action, label: str) -> str:
    """What the change does to the class `label`, beside what it does at random places of the same size."""
    before, after = percent(found.before), percent(found.after)
    others = "random regions of the same size"
    if action == "keep":
        start = f"With this region alone the probability of {label} is {after} instead of {before}"
        return f"{start}, higher than with {percent(found.below)} of {others}."
    start = f"{DOING[action]} this region"
    if before == after:
        return (
            f"{start} leaves the probability of {label} at {before}. {percent(found.above)} of {others} leave it "
            f"higher, and {percent(found.below)} lower."
        )
    verb, part = ("takes", found.above) if found.after < found.before else ("raises", found.below)
    return f"{start} {verb} the probability of {label} from {before} to {after}: {_more(part)} {others} do."


def _more(part: float) -> str:
    return f"more than {percent(part)} of"
