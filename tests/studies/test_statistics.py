"""Statistics against scipy, closed forms, and simulations of a fixed seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from xai_core.seeds import generator
from xai_core.studies.statistics.factors import eta_gap, eta_squared
from xai_core.studies.statistics.intervals import difference_interval, mean_interval
from xai_core.studies.statistics.pairs import (
    cohens_dz,
    compare,
    holm,
    rank_biserial,
    sign_flips,
    wilcoxon,
    win_rate,
)
from xai_core.studies.statistics.ranks import cliques, critical_difference, friedman, ranking

NAN = math.nan


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# -- intervals --------------------------------------------------------------------------------------------------------


def test_an_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        found = mean_interval(random.exponential(size=40), resamples=299)
        hits += found.low <= 1.0 <= found.high
    assert 0.89 <= hits / 300 <= 0.98


def test_an_interval_is_near_that_of_the_normal_distribution_and_the_same_every_time() -> None:
    values = drawn(0, 400)
    found = mean_interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert found == mean_interval(values[::-1])


@pytest.mark.parametrize("count", [4, 12, 50])
def test_an_interval_is_that_of_scipy(count: int) -> None:
    values = np.random.default_rng(count).exponential(size=count)
    reference = stats.bootstrap((values,), np.mean, n_resamples=9999, rng=np.random.default_rng(0)).confidence_interval
    found = mean_interval(values, resamples=9999)
    width = reference.high - reference.low
    assert found.low == pytest.approx(reference.low, abs=0.03 * width)
    assert found.high == pytest.approx(reference.high, abs=0.03 * width)


def test_undefined_values_are_left_out_and_counted() -> None:
    found = mean_interval([1.0, NAN, 2.0, 3.0, NAN])
    assert (found.mean, found.n, found.undefined) == (2.0, 3, 2)
    assert found.low < 2.0 < found.high
    assert math.isnan(mean_interval([NAN]).mean) and mean_interval([NAN]).undefined == 1
    assert mean_interval([]).n == 0


def test_one_value_has_no_interval_and_equal_ones_none_of_any_width() -> None:
    assert math.isnan(mean_interval([4.0]).low)
    assert (mean_interval([2.0, 2.0]).low, mean_interval([2.0, 2.0]).high) == (2.0, 2.0)


def test_pairs_say_more_than_two_means() -> None:
    a = 10 * drawn(1, 50)
    b = a + 0.5 + 0.1 * drawn(2, 50)
    found = difference_interval(b, a)
    assert 0.45 < found.low < 0.5 < found.high < 0.55
    assert difference_interval([1, NAN, 3], [0, 0, NAN]).undefined == 2


# -- pairs ------------------------------------------------------------------------------------------------------------


def test_the_signed_rank_test_is_that_of_scipy() -> None:
    a, b = drawn(4, 20), drawn(5, 20) + 0.4
    assert compare(a, b).wilcoxon == pytest.approx(stats.wilcoxon(a, b, zero_method="pratt").pvalue)
    assert wilcoxon(np.zeros(5)) == 1.0
    assert math.isnan(wilcoxon(np.zeros(0)))
    assert wilcoxon(np.arange(1.0, 7.0)) == pytest.approx(2 / 2**6)


@pytest.mark.parametrize("count", [8, 40])
def test_sign_flips_are_the_permutation_test_of_scipy(count: int) -> None:
    change = drawn(6, count) + 0.3
    reference = stats.permutation_test(
        (change, np.zeros(count)),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(0),
    )
    assert sign_flips(change) == pytest.approx(reference.pvalue, abs=1e-9 if count == 8 else 0.015)


def test_tests_of_nothing_are_rarely_significant() -> None:
    changes = drawn(7, 400, 15)
    for test in (wilcoxon, lambda change: sign_flips(change, 499)):
        rate = np.mean([test(change) < 0.05 for change in changes])
        assert 0.02 < rate < 0.085


def test_holm_is_the_step_down_of_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    corrected = holm([0.02, NAN, 0.03])
    assert corrected[[0, 2]].tolist() == pytest.approx([0.04, 0.04]) and math.isnan(corrected[1])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_is_between_nothing_and_bonferroni(p: list[float]) -> None:
    found = holm(p)
    assert (found >= p).all() and (found <= 1).all()
    assert (found <= np.minimum(np.asarray(p) * len(p), 1) + 1e-12).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_keeps_false_alarms_rare() -> None:
    alarms = [(holm(np.random.default_rng(seed).uniform(size=20)) < 0.05).any() for seed in range(1000)]
    assert 0.03 < np.mean(alarms) < 0.07


def test_effect_sizes_have_their_closed_forms() -> None:
    assert rank_biserial(np.asarray([1.0, 2.0, -3.0, 0.0])) == pytest.approx(0.0)
    assert rank_biserial(np.asarray([1.0, 2.0, 3.0, -4.0])) == pytest.approx((6 - 4) / 10)
    assert rank_biserial(np.asarray([0.5, 2.0])) == 1.0 and rank_biserial(np.zeros(3)) == 0.0
    assert cohens_dz(np.asarray([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert math.isnan(cohens_dz(np.ones(4)))
    assert win_rate([1, 2, 3, NAN], [0, 2, 4, 1]) == 0.5


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_effect_sizes_turn_round_with_the_pair(values: list[float]) -> None:
    change = np.asarray(values)
    assert rank_biserial(-change) == pytest.approx(-rank_biserial(change), abs=1e-12)
    assert win_rate(change, -change) == pytest.approx(1 - win_rate(-change, change))


# -- ranks ------------------------------------------------------------------------------------------------------------


def test_critical_differences_are_those_of_demsar() -> None:
    """Demsar 2006, table 5 (a): q at 5 % for 2 to 10 classifiers; and his example, 4 classifiers, 14 data sets."""
    printed = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for count, q in enumerate(printed, start=2):
        assert critical_difference(count, 1) == pytest.approx(q * math.sqrt(count * (count + 1) / 6), abs=0.004)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)


def test_friedman_is_that_of_scipy_and_knows_when_nothing_differs() -> None:
    values = drawn(8, 12, 4) + np.asarray([0, 0, 0.5, 1])
    assert friedman(values) == pytest.approx(stats.friedmanchisquare(*values.T).pvalue)
    assert friedman(np.ones((5, 3))) == 1.0
    assert math.isnan(friedman(np.ones((5, 2))))


def test_the_best_has_rank_one_whichever_way_is_better() -> None:
    values = np.asarray([[3.0, 2.0, 1.0], [9.0, 5.0, 5.0], [1.0, NAN, 2.0]])
    found = ranking(values)
    assert found.mean.tolist() == [1.0, 2.25, 2.75] and (found.n, found.dropped) == (2, 1)
    assert ranking(values, higher_is_better=False).mean.tolist() == [3.0, 1.75, 1.25]
    nothing = ranking(np.full((2, 3), NAN))
    assert nothing.n == 0 and nothing.cliques == []


def test_cliques_are_the_largest_groups() -> None:
    """Ranks 1, 2, 3.5, 4, limit 2.1: 1-2, then 2-3.5-4; a group within another is not shown."""
    assert cliques([1, 2, 3.5, 4], 2.1) == [[0, 1], [1, 2, 3]]
    assert cliques([4, 1, 3.5, 2], 2.1) == [[1, 3], [3, 2, 0]]
    assert cliques([1, 2, 3], 0.5) == []
    assert cliques([1, 3], 2.0) == []


@given(st.lists(st.floats(1, 9), min_size=1, max_size=9), st.floats(0.1, 5))
def test_two_methods_share_a_clique_exactly_if_they_are_close(ranks: list[float], limit: float) -> None:
    found = cliques(ranks, limit)
    for a in range(len(ranks)):
        for b in range(a):
            assert any({a, b} <= set(group) for group in found) == (abs(ranks[a] - ranks[b]) < limit)


# -- factors ----------------------------------------------------------------------------------------------------------


def test_eta_squared_is_the_f_statistic_of_scipy() -> None:
    values = drawn(9, 30) + np.repeat([0, 0.5, 2], 10)
    f = stats.f_oneway(*values.reshape(3, 10)).statistic
    assert eta_squared(values, np.repeat([0, 1, 2], 10)) == pytest.approx(2 * f / (2 * f + 27))


def test_factors_of_a_full_grid_share_the_variance() -> None:
    """value = 2 a + b, a and b of two levels: variances 1 and 0.25; the pictures' own level plays no part."""
    grid = [(a, b, picture) for a in (0, 1) for b in (0, 1) for picture in range(5)]
    a, b, picture = np.asarray(grid).T
    values = 2 * a + b + 100 * picture
    assert eta_squared(values, a, picture) == pytest.approx(0.8)
    assert eta_squared(values, b, picture) == pytest.approx(0.2)
    assert eta_squared(values, a) < 0.001
    assert math.isnan(eta_squared(np.ones(4), [0, 0, 1, 1]))
    assert eta_squared([0, 1, NAN], [0, 1, 1]) == 1.0


@pytest.mark.parametrize("count", [2, 5, 9])
def test_the_gap_of_two_factors_is_that_of_pictures_drawn_anew(count: int) -> None:
    random = np.random.default_rng(count)
    picture, a, b = (one.ravel() for one in np.meshgrid(range(count), range(3), range(4), indexing="ij"))
    values = a * picture + b + random.normal(size=picture.size)
    values[random.permutation(picture.size)[:3]] = NAN
    names = picture.astype(str)
    times = generator(0, "eta", count).multinomial(count, np.full(count, 1 / count))
    places = [(one, np.flatnonzero(picture == one)) for one in range(count) for _ in range(times[one])]
    rows = np.concatenate([own for _, own in places])
    block = np.repeat(np.arange(count), [len(own) for _, own in places])
    once = eta_gap(values, a, b, names, resamples=1)
    expected = eta_squared(values[rows], a[rows], block) - eta_squared(values[rows], b[rows], block)
    assert once.low == pytest.approx(expected) and once.high == pytest.approx(expected)
    whole = eta_gap(values, a, b, names)
    assert (whole.n, whole.undefined) == (count, 3) and whole.low < whole.high
    assert whole.mean == pytest.approx(eta_squared(values, a, names) - eta_squared(values, b, names))
    back = eta_gap(values, b, a, names)
    assert (back.mean, back.low, back.high) == pytest.approx((-whole.mean, -whole.high, -whole.low))


def test_a_gap_of_nothing_has_no_interval() -> None:
    for values, picture in ((np.ones(8), np.arange(8) // 4), (np.arange(4.0), np.zeros(4)), ([], [])):
        levels = np.arange(len(values)) % 2
        assert math.isnan(eta_gap(values, levels, levels, picture).low)
