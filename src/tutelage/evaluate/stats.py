"""Intervals and tests that respect groups: rows of one group are never treated as independent.

A resample or a permutation acts on whole groups, each given as a profile of counts; groups with
equal profiles are interchangeable and drawn together, which keeps ten thousand draws cheap.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, t

CONFIDENCE = 0.95
EXACT_GROUPS = 16
MAX_RESAMPLES = 9_999
MAX_FLIPS = 99_999
_DRAWS = 20_000_000
_AT_ONCE = 1_000_000

Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]
Interval = tuple[float, float]
Statistic = Callable[[Numbers], Numbers]


def wilson(right: int, rows: int) -> Interval:
    """95 % score interval of a proportion (Wilson, JASA 22, 1927); rows count as independent."""
    interval = binomtest(right, rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def none_differ(groups: int) -> Interval:
    """95 % interval of a difference when none of `groups` groups shows one.

    A share of groups under the upper Clopper-Pearson bound of 0 of n may still differ, either way.
    """
    bound = float(binomtest(0, groups).proportion_ci(CONFIDENCE, method="exact").high)
    return -bound, bound


def bootstrap(
    profiles: Numbers, statistic: Statistic, *, seed: int, bounds: Interval = (0.0, 1.0)
) -> Interval:
    """95 % interval of statistic(profiles.sum(axis=0)) by resampling groups with replacement.

    `profiles` is (groups, ...); `statistic` maps totals (draws, ...) to (draws,). Expanded
    percentile interval (Hesterberg, The American Statistician 69, 2015): plain percentiles miss
    too often with few groups. One group says nothing about others: the interval is then `bounds`.
    """
    groups = len(profiles)
    if groups < 2:
        return bounds
    kinds, counts = np.unique(profiles.reshape(groups, -1), axis=0, return_counts=True)
    shape = profiles.shape[1:]
    rng = np.random.default_rng(seed)
    draws = int(np.clip(_DRAWS // len(kinds), 1_999, MAX_RESAMPLES))
    values = np.concatenate(
        [
            statistic((rng.multinomial(groups, counts / groups, size) @ kinds).reshape(-1, *shape))
            for size in _sizes(draws, len(kinds))
        ]
    )
    low, high = np.quantile(values, _levels(groups))
    return float(low), float(high)


def _levels(groups: int) -> Interval:
    """Quantile levels: a little wider than 2.5 % and 97.5 % where groups are few."""
    reach = float(t.ppf((1 + CONFIDENCE) / 2, groups - 1)) * (groups / (groups - 1)) ** 0.5
    return float(norm.cdf(-reach)), float(norm.cdf(reach))


def sign_flip(sums: Integers) -> float:
    """Exact two-sided p of a sum of group sums when the sign of each is a fair coin.

    `sums` holds one integer per group: its rows right in the first arm alone minus those right in
    the second alone. Under the null the arms are exchangeable within a group (Good, Permutation
    Tests, section 3.2). All 2^n sign patterns are counted by convolution over the possible totals
    (Pagano and Tritchler, JASA 78, 1983). Equals exact McNemar when every sum is -1, 0 or 1.
    """
    sizes = np.abs(sums[sums != 0]).tolist()
    chance = np.ones(1)
    for size in sizes:
        grown = np.zeros(len(chance) + size)
        grown[:-size] = chance / 2
        grown[size:] += chance / 2
        chance = grown
    totals = 2 * np.arange(len(chance)) - sum(sizes)
    p = float(chance[np.abs(totals) >= abs(int(sums.sum()))].sum())
    return min(1.0, max(p, float(np.finfo(float).tiny)))


def swap(first: Numbers, second: Numbers, statistic: Statistic, *, seed: int) -> float:
    """Two-sided p of statistic(first) - statistic(second) when groups swap their arms.

    `first` and `second` are (groups, ...) profiles of two arms; `statistic` maps totals
    (draws, ...) to (draws,). All patterns are counted up to 16 groups that differ; above that
    p = (b + 1) / (m + 1) over m random ones (Phipson and Smyth, 2010).
    """
    shape = first.shape[1:]
    change = (second - first).reshape(len(first), -1)
    change = change[np.any(change != 0, axis=1)]
    start, both = first.sum(axis=0), first.sum(axis=0) + second.sum(axis=0)

    def differences(swapped: Numbers) -> Numbers:
        here = start + swapped.reshape(-1, *shape)
        return np.abs(statistic(here) - statistic(both - here))

    observed = differences(np.zeros((1, change.shape[1])))[0] - 1e-12
    if len(change) <= EXACT_GROUPS:
        patterns = np.arange(2 ** len(change))[:, None] >> np.arange(len(change)) & 1
        return float((differences(patterns @ change) >= observed).mean())
    kinds, counts = np.unique(change, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    draws = int(np.clip(_DRAWS // len(kinds), 9_999, MAX_FLIPS))
    reached = sum(
        int((differences(rng.binomial(counts, 0.5, (n, len(kinds))) @ kinds) >= observed).sum())
        for n in _sizes(draws, len(kinds))
    )
    return (reached + 1) / (draws + 1)


def mcnemar(first_only: int, second_only: int) -> float:
    """Exact two-sided p of discordant counts (McNemar, Psychometrika 12, 1947); 1 without any."""
    discordant = first_only + second_only
    return float(binomtest(first_only, discordant, 0.5).pvalue) if discordant else 1.0


def _sizes(draws: int, width: int) -> list[int]:
    """`draws` in parts of about a million numbers."""
    part = max(1, _AT_ONCE // width)
    return [min(part, draws - start) for start in range(0, draws, part)]
