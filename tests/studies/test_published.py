"""What the sources printed, and what planted rows make of their conclusions."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from xai_core.registry import CORRUPTIONS, MODELS, SCORES
from xai_core.studies.claims import Claim, Side, judged, verdicts
from xai_core.studies.exhibits import Table, Words
from xai_core.studies.published import (
    S0_FALSE,
    S0_MSE,
    S0_SEVERITIES,
    S1,
    S1_MODELS,
    S1_SCALE,
    S1_SCORES,
    contradictions,
)
from xai_core.studies.sources import s0_claims, s1_claims
from xai_core.studies.verdicts import FAILS, FEWEST, HOLDS, UNDECIDED, UNTOLD

from .test_comparing import row


def test_exactly_two_of_s1s_cells_contradict_its_own_formula() -> None:
    found = {(one.architecture, one.method): one for one in contradictions()}
    assert set(found) == {("densenet121", "gradcam"), ("densenet121", "shap")}
    assert found["densenet121", "gradcam"].computed == pytest.approx(19.255)
    assert found["densenet121", "shap"].computed == pytest.approx(-6.43)
    assert found["densenet121", "shap"].words == "printed −0.643, by S1's own formula −6.43"


def test_s1s_increases_are_those_of_fifty_pictures() -> None:
    for values in S1.values():
        assert len(values) == len(S1_SCORES)
        for score, value in zip(S1_SCORES, values, strict=True):
            if score.endswith("increase"):
                assert value % 2 == 0


def test_printed_scores_are_scores_and_percents() -> None:
    for score in S1_SCORES:
        name, _, part = score.partition(".")
        value = SCORES[name].values[part]
        assert S1_SCALE[score] == (1.0 if value.unit == "%" else 100.0)
    assert {architecture for architecture, _ in S1} == set(S1_MODELS)
    assert {f"torchvision/{name}" for name in S1_MODELS} <= {card.architecture for card in MODELS}


def test_s0s_tables_are_whole_and_its_severities_are_the_corruptions() -> None:
    assert set(S0_MSE) == set(S0_FALSE) == {(m, c) for m in ("smoothgrad", "lime") for c in S0_SEVERITIES}
    for name, severities in S0_SEVERITIES.items():
        assert tuple(CORRUPTIONS[name].severities) == severities


def test_s0s_own_conclusions_hold_in_its_own_table() -> None:
    """Each printed cell as if as many pictures as a verdict takes had given it, with a little noise."""
    rows = []
    for (method, corruption), values in S0_MSE.items():
        for severity, value in zip(S0_SEVERITIES[corruption], values, strict=True):
            for picture in range(FEWEST):
                place = {"corruption": f"{corruption}={severity:g}", "model": "resnet50"}
                noisy = value * (1 + 0.01 * picture)
                rows += [row(picture, method, noisy, f"robustness.{part}", **place) for part in ("mse", "raw_mse")]
    states = [judged(claim, pd.DataFrame(rows)).verdict for claim in s0_claims("resnet50")]
    assert states == [HOLDS, HOLDS, HOLDS, HOLDS, UNTOLD, UNTOLD]


def test_s1s_own_conclusions_hold_in_its_own_table() -> None:
    rows = []
    for (architecture, method), values in S1.items():
        for score, value in zip(S1_SCORES, values, strict=True):
            more = (1 + 0.001 * picture for picture in range(FEWEST))
            rows += [row(n, method, value * one, score, model=architecture) for n, one in enumerate(more)]
    claims = s1_claims([MODELS[name] for name in S1_MODELS])
    states = {(claim.text, claim.where): judged(claim, pd.DataFrame(rows)).verdict for claim in claims}
    assert set(states.values()) == {HOLDS} and len(states) == 4 + 9


def planted(a: float, b: float, count: int = 20, spread: float = 0.1) -> pd.DataFrame:
    noise = np.random.default_rng(1).normal(scale=spread, size=(count, 2))
    return pd.DataFrame(
        [row(n, "shap", a + noise[n, 0]) for n in range(count)]
        + [row(n, "gradcam", b + noise[n, 1]) for n in range(count)]
    )


def claim(factor: float = 1.0) -> Claim:
    score = "road.combined"
    return Claim("SHAP is better", [(Side(score, "tiny", "shap"), Side(score, "tiny", "gradcam"))], factor, "tiny")


def test_a_claim_holds_fails_or_is_not_decided() -> None:
    assert judged(claim(), planted(2, 1)).verdict == HOLDS
    assert judged(claim(), planted(1, 2)).verdict == FAILS
    assert judged(claim(), planted(1, 1)).verdict == UNDECIDED
    assert judged(claim(), planted(2, 1, FEWEST)).verdict == HOLDS
    assert judged(claim(), planted(2, 1, FEWEST - 1)).verdict == UNDECIDED
    assert judged(claim(1.5), planted(2, 1)).verdict == HOLDS and judged(claim(3), planted(2, 1)).verdict == FAILS


def test_what_was_not_run_cannot_be_told() -> None:
    rows = planted(2, 1)
    found = judged(claim(), rows[rows["method"] == "gradcam"])
    assert found.verdict == UNTOLD and "SHAP" in found.missing[0]
    assert judged(claim(), rows[:0]).verdict == UNTOLD
    assert judged(claim(), rows.assign(value=math.nan)).verdict == UNTOLD


def test_a_side_prefers_the_sources_settings_and_means_over_severities() -> None:
    rows = pd.DataFrame(
        [
            row(1, "lime", 1.0, variant="s0", corruption="resolution=5"),
            row(1, "lime", 3.0, variant="s0", corruption="resolution=10"),
            row(1, "lime", 9.0, corruption="resolution=5"),
            row(1, "lime", 7.0, variant="s0", corruption="occlusion=0.1"),
        ]
    )
    assert Side("road.combined", "tiny", "lime", "resolution", "s0").values(rows).tolist() == [2.0]
    assert Side("road.combined", "tiny", "lime", "resolution=5", "s0").values(rows).tolist() == [1.0]


def test_verdicts_are_said_in_words_and_numbers() -> None:
    words, table = verdicts([claim(), claim(3)], planted(2, 1), "conclusions", "S9")
    assert isinstance(words, Words) and isinstance(table, Table)
    assert "Of S9's conclusions these hold here: SHAP is better (tiny)." in words.sentences
    assert list(table.frame["Here"]) == ["holds", "does not hold"]
    assert table.frame["Difference"][0] == pytest.approx(1, abs=0.1) and table.frame["High"][1] < 0
