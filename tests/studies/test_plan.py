"""What a plan asks for: each picture's own chance, and how much that takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xai_core.corruptions.chain import apply, step
from xai_core.engine.inline import InlineEngine
from xai_core.engine.requests import Explain, Request
from xai_core.registry import METHODS
from xai_core.studies.plan import Choice, Plan, plan_of
from xai_core.studies.sources import s0_sections
from xai_core.types import Bools

from .small import exhibits_of, folder_of


def bad_data(pictures: Path, methods: tuple[str, ...] = ("smoothgrad",), **more: object) -> Plan:
    given = {"study": "suboptimality", "pictures": str(pictures), "models": ("tiny",), "methods": methods}
    return plan_of(Choice.model_validate({**given, "set_study": {"pictures": 2, "runs": 3}, **more}))


def hidden(plan: Plan) -> list[Bools]:
    """What an occlusion changes in every picture."""
    found = []
    for opening in plan.openings():
        given = plan.explain(opening.subject(0), plan.variants[0], [step("occlusion", 0.1)]).input
        found.append((apply(given.frame, given.corruptions, given.seed).pixels != given.frame).any(axis=-1))
    return found


def test_pictures_do_not_share_their_chance_but_runs_of_a_study_do(tmp_path: Path, tiny_card: Path) -> None:
    pictures = folder_of(tmp_path / "pictures", 3)
    first, again, other = (hidden(bad_data(pictures, seed=seed)) for seed in (0, 0, 1))
    assert all(one.any() for one in first)
    assert not any(np.array_equal(first[0], one) for one in first[1:])
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(first, other, strict=True))
    seeds = {opening.clean.place.seed for opening in bad_data(pictures).openings()}
    assert len(seeds) == 3 and min(seeds) >= 0 and max(seeds) < 2**30


def test_a_study_takes_the_passes_that_it_announces(tmp_path: Path, tiny_card: Path) -> None:
    """Maps that several scores ask for count once: clean, nine corrupted, two for the stability of each, three runs."""
    plan = bad_data(folder_of(tmp_path / "pictures", 1), set={"smoothgrad": {"samples": 4}})
    maps: dict[str, Request] = {}
    counted: set[str] = set()
    announced = 0
    for opening in plan.openings():
        for unit in plan.study.units(plan, opening.subject(0)):
            announced += unit.passes(counted)
            every = (*unit.request.needs, *unit.further)
            maps |= {one.digest: one for one in every if isinstance(one, Explain) and one.method == "smoothgrad"}
    assert len(maps) == 1 + 9 + 9 * 2 + 3
    jobs = InlineEngine().want("test", list(maps.values()))
    taken = sum(job.result.passes.total for job in jobs if job.result is not None)
    assert taken == sum(one.cost.total for one in maps.values()) <= announced
    assert plan.size().passes == announced + len(plan.cards)


@pytest.mark.parametrize("methods", [("lime", "lime@s0"), ("lime@s0", "lime")])
def test_settings_beside_a_source_are_those_of_its_numbers(
    methods: tuple[str, ...], tmp_path: Path, tiny_card: Path
) -> None:
    plan = bad_data(folder_of(tmp_path / "pictures", 1), methods, set_score={"stability": {"pictures": 7}})
    assert METHODS["lime"].make().model_dump()["samples"] != 50
    rows = pd.DataFrame(columns=["picture", "corruption", "model", "method", "variant", "score", "value"])
    settings = exhibits_of(s0_sections(plan, rows))["settings-s0"].frame.set_index("Setting")["Here"]
    assert "samples 50" in settings["LIME"]
    assert settings["Stability"] == "k = 7"
