"""What a paired test of a given size can show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tutelage.evaluate.power import design_effect, detectable_difference, detectable_mean
from tutelage.evaluate.stats import mcnemar

# Points by rows and share of discordant rows; None: no difference can be shown.
PUBLISHED = {
    100: (None, 8.8, 12.4, 15.2),
    200: (4.4, 6.2, 8.8, 10.8),
    500: (2.8, 4.0, 5.6, 6.8),
    1000: (2.0, 2.8, 4.0, 4.8),
    2000: (1.4, 2.0, 2.8, 3.4),
}
SHARES = (0.05, 0.1, 0.2, 0.3)


@pytest.mark.parametrize("rows", PUBLISHED)
def test_the_differences_are_those_of_the_table(rows: int) -> None:
    for share, points in zip(SHARES, PUBLISHED[rows], strict=True):
        found = detectable_difference(rows, share)
        if points is None:
            assert found is None
        else:
            assert found is not None
            assert 100 * found == pytest.approx(points, abs=0.0501)


@given(st.integers(30, 100_000), st.floats(0.01, 1))
@settings(max_examples=80, deadline=None)
def test_the_formula_for_rows_gives_back_the_rows(rows: int, share: float) -> None:
    found = detectable_difference(rows, share)
    if found is None:
        return
    assert 0 < found <= share
    a, b = norm.ppf(0.975), norm.ppf(0.8)
    again = (a * math.sqrt(share) + b * math.sqrt(share - found**2)) ** 2 / found**2
    assert again == pytest.approx(rows, rel=1e-9)


def test_simulated_tests_find_such_a_difference_four_times_in_five() -> None:
    rows, share = 500, 0.2
    difference = detectable_difference(rows, share)
    assert difference is not None
    rng = np.random.default_rng(0)
    right = (share + difference) / 2
    counts = rng.multinomial(rows, [right, share - right, 1 - share], 1500)
    found = np.mean([mcnemar(int(b), int(c)) < 0.05 for b, c, _ in counts])
    assert 0.74 < found < 0.82  # exact McNemar is a little more cautious than the formula


def test_more_rows_and_fewer_discordant_ones_show_smaller_differences() -> None:
    assert detectable_difference(400, 0.2) < detectable_difference(300, 0.2)  # type: ignore[operator]
    assert detectable_difference(300, 0.1) < detectable_difference(300, 0.2)  # type: ignore[operator]
    assert detectable_difference(2, 0.2) is None
    assert detectable_difference(300, 0.0) is None


def test_a_mean_of_scores_is_found_four_times_in_five() -> None:
    rows, deviation = 120, 0.25
    mean = detectable_mean(rows, deviation)
    rng = np.random.default_rng(1)
    draws = rng.normal(mean, deviation, (4000, rows))
    z = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / math.sqrt(rows))
    assert 0.78 < np.mean(np.abs(z) > norm.ppf(0.975)) < 0.83


def test_rows_in_groups_count_less() -> None:
    assert design_effect([1] * 50, 0.7) == 1
    assert design_effect([10] * 8, 0.7) == pytest.approx(1 + 9 * 0.7)
    assert math.sqrt(design_effect([10] * 8, 0.7)) == pytest.approx(2.7, abs=0.01)
    assert design_effect([4] * 5, 1.0) == pytest.approx(4)  # a group counts as one row
    assert design_effect([1, 3], 0.5) == pytest.approx(1 + (10 / 4 - 1) * 0.5)


def test_unequal_groups_count_as_their_variance_says() -> None:
    sizes, correlation = [1, 1, 2, 4, 8, 16], 0.4
    rng = np.random.default_rng(2)
    draws = 20_000
    parts = [
        math.sqrt(correlation) * rng.normal(size=(draws, 1))
        + math.sqrt(1 - correlation) * rng.normal(size=(draws, size))
        for size in sizes
    ]
    means = np.concatenate(parts, axis=1).mean(axis=1)
    assert means.var() * sum(sizes) == pytest.approx(design_effect(sizes, correlation), rel=0.04)
