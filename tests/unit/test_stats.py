"""Intervals and tests against scipy, brute force and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.evaluate import stats
from tutelage.evaluate.metrics import accuracy, macro_f1
from tutelage.evaluate.stats import bootstrap, mcnemar, none_differ, sign_flip, swap, wilson

SUMS = st.lists(st.integers(-6, 6), min_size=1, max_size=12)


def mean(totals):
    """Sum over count, for profiles (sum, rows)."""
    return totals[:, 0] / totals[:, 1]


def profiles_of(sums, rows=None):
    return np.stack((sums, np.full(len(sums), 1.0) if rows is None else rows), axis=1)


@given(st.integers(1, 400), st.data())
def test_wilson_is_the_closed_form(rows, data) -> None:
    right = data.draw(st.integers(0, rows))
    share, z = right / rows, scipy.stats.norm.ppf(0.975)
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + (z / rows / 2) ** 2)
    assert wilson(right, rows) == pytest.approx((middle - half, middle + half), abs=1e-9)


def test_wilson_of_thirty_out_of_thirty() -> None:
    assert wilson(30, 30) == pytest.approx((0.8865, 1.0), abs=1e-3)


def test_none_differ_is_the_clopper_pearson_bound() -> None:
    low, high = none_differ(100)
    assert -low == high == pytest.approx(1 - 0.025 ** (1 / 100))


# --- bootstrap ---


def test_bootstrap_of_many_rows_is_the_normal_interval() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(2000) < 0.7).astype(float)
    low, high = bootstrap(profiles_of(right), mean, seed=0)
    half = 1.96 * right.std() / math.sqrt(2000)
    assert low == pytest.approx(right.mean() - half, abs=0.002)
    assert high == pytest.approx(right.mean() + half, abs=0.002)


def test_bootstrap_of_few_rows_is_near_the_t_interval() -> None:
    values = np.random.default_rng(1).normal(size=12)
    low, high = bootstrap(profiles_of(values), mean, seed=0, bounds=(-9, 9))
    t = scipy.stats.t.interval(0.95, 11, values.mean(), scipy.stats.sem(values))
    plain = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=0)
    assert (low, high) == pytest.approx(t, abs=0.15 * (t[1] - t[0]))
    assert high - low > plain.confidence_interval.high - plain.confidence_interval.low


def test_bootstrap_resamples_groups_not_rows() -> None:
    """Ten copies of a row add nothing, where rows as such would give a third of the width."""
    right = (np.random.default_rng(2).random(60) < 0.6).astype(float)
    single = bootstrap(profiles_of(right), mean, seed=0)
    grouped = bootstrap(profiles_of(10 * right, np.full(60, 10.0)), mean, seed=0)
    assert grouped == pytest.approx(single)


def test_bootstrap_covers_with_ten_correlated_groups() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(200):
        chance = rng.beta(8, 2, 10)
        rows = rng.integers(5, 15, 10)
        low, high = bootstrap(profiles_of(rng.binomial(rows, chance), rows), mean, seed=seed)
        covered += low <= 0.8 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_bootstrap_of_macro_f1_and_of_many_kinds_of_groups() -> None:
    matrices = np.random.default_rng(4).integers(0, 5, (800, 3, 4)).astype(float)
    low, high = bootstrap(matrices, macro_f1, seed=0)
    assert low < float(macro_f1(matrices.sum(axis=0))) < high
    assert high - low < 0.05


def test_bootstrap_without_variation_and_with_one_group() -> None:
    assert bootstrap(profiles_of(np.ones(30)), mean, seed=0) == (1.0, 1.0)
    assert bootstrap(profiles_of(np.ones(1)), mean, seed=0, bounds=(-1, 1)) == (-1, 1)


def test_bootstrap_repeats_with_its_seed() -> None:
    profiles = profiles_of(np.random.default_rng(5).normal(size=50))
    assert bootstrap(profiles, mean, seed=1) == bootstrap(profiles, mean, seed=1)
    assert bootstrap(profiles, mean, seed=1) != bootstrap(profiles, mean, seed=2)


# --- tests of a difference ---


@settings(max_examples=60, deadline=None)
@given(SUMS)
def test_sign_flip_is_the_enumeration_of_all_signs(sums) -> None:
    signs = itertools.product((-1, 1), repeat=len(sums))
    totals = [abs(sum(s * x for s, x in zip(sign, sums, strict=True))) for sign in signs]
    expected = sum(total >= abs(sum(sums)) for total in totals) / len(totals)
    p = sign_flip(np.array(sums))
    assert p == pytest.approx(expected)
    assert 0 < p <= 1
    assert sign_flip(-np.array(sums)) == p
    assert sign_flip(np.array([0, *sums, 0])) == p


@given(st.integers(0, 60), st.integers(0, 60))
def test_single_rows_give_exact_mcnemar(first, second) -> None:
    p = mcnemar(first, second)
    if first + second:
        assert p == pytest.approx(scipy.stats.binomtest(first, first + second).pvalue)
    else:
        assert p == 1
    sums = np.repeat([1, -1, 0], [first, second, 5])
    assert sign_flip(sums) == pytest.approx(p)


def test_sign_flip_of_five_and_six_agreeing_groups() -> None:
    assert sign_flip(np.array([3] * 5)) == pytest.approx(0.0625)
    assert sign_flip(np.array([3] * 6)) == pytest.approx(0.03125)


def test_sign_flip_of_thousands_of_groups_stays_above_zero() -> None:
    assert 0 < sign_flip(np.ones(3000, dtype=np.int64)) < 1e-300


def arms(groups: int, seed: int, gain: float = 0.0):
    """Confusion matrices (groups, 2, 3) of two arms on groups of rows that share their luck."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 12, groups)
    both = []
    for extra in (0.0, gain):
        chance = np.clip(rng.beta(3, 2, groups) + extra, 0, 1)
        gold = rng.binomial(rows, 0.5)
        right = [rng.binomial(gold, chance), rng.binomial(rows - gold, chance)]
        matrix = np.zeros((groups, 2, 3))
        matrix[:, 0, 0], matrix[:, 1, 1] = right
        matrix[:, 0, 1], matrix[:, 1, 0] = gold - right[0], rows - gold - right[1]
        both.append(matrix)
    return both


def sums_of(first, second):
    gap = np.trace(first, axis1=1, axis2=2) - np.trace(second, axis1=1, axis2=2)
    return gap.astype(np.int64)


@pytest.mark.parametrize("groups", [5, 16])
def test_swapping_few_groups_is_exact(groups: int) -> None:
    """Both arms answer the same rows, so that a swap leaves the rows of an arm as they are."""
    first, second = arms(groups, seed=groups)
    second[:, :, 2] = 0
    total = first.sum(axis=(1, 2)) - second.sum(axis=(1, 2))
    second[:, 0, 1] += total
    p = swap(first, second, accuracy, seed=0)
    assert p == pytest.approx(sign_flip(sums_of(first, second)))
    assert swap(second, first, accuracy, seed=9) == p


def test_swapping_many_groups_is_near_exact_and_never_zero() -> None:
    first, second = arms(60, seed=1, gain=0.06)
    second[:, 0, 1] += first.sum(axis=(1, 2)) - second.sum(axis=(1, 2))
    exact = sign_flip(sums_of(first, second))
    assert 0.001 < exact < 0.5
    assert swap(first, second, accuracy, seed=0) == pytest.approx(exact, abs=0.01)
    assert swap(first, second, macro_f1, seed=0) == swap(first, second, macro_f1, seed=0)
    far = np.zeros_like(first)
    far[:, 0, 2] = first.sum(axis=(1, 2))
    assert swap(first, far, accuracy, seed=0) == 1 / (stats.MAX_FLIPS + 1)


def test_swapping_equal_arms_gives_one() -> None:
    first, _ = arms(30, seed=3)
    assert swap(first, first, macro_f1, seed=0) == 1.0


def test_a_true_null_on_correlated_groups_is_rejected_at_its_rate() -> None:
    """McNemar on the same rows, which takes them as independent, rejects far too often."""
    rejected = naive = 0
    for seed in range(400):
        sums = sums_of(*arms(40, seed))
        rejected += sign_flip(sums) < 0.05
        naive += mcnemar(int(sums[sums > 0].sum()), int(-sums[sums < 0].sum())) < 0.05
    assert 0.02 <= rejected / 400 <= 0.08
    assert naive / 400 > 0.1


def test_macro_f1_under_a_true_null_is_rejected_at_its_rate() -> None:
    p = [swap(*arms(12, seed), macro_f1, seed=seed) for seed in range(150)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.12)
