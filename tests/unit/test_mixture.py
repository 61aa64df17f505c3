"""What a mixture takes of its tasks."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tutelage.data.mixture import choose_rows, mixture_sizes

NAMES = ["a", "b", "c"]


def sizes(rows: dict[str, int], temperature: float = 1, **caps: int) -> dict[str, int]:
    rates = dict.fromkeys(rows, 1.0)
    return mixture_sizes(rows, rates, {name: caps.get(name) for name in rows}, temperature)


def test_by_default_every_row_is_taken() -> None:
    assert sizes({"a": 30, "b": 7}) == {"a": 30, "b": 7}


def test_a_cap_bounds_a_task() -> None:
    assert sizes({"a": 3000, "b": 70}, a=100) == {"a": 100, "b": 70}


def test_a_high_temperature_evens_out() -> None:
    assert sizes({"a": 1000, "b": 10}, 1e9) == {"a": 10, "b": 10}
    # 1000^(1/2) : 10^(1/2) = 10 : 1, and b has 10 rows
    assert sizes({"a": 1000, "b": 10}, 2) == {"a": 100, "b": 10}


def test_a_rate_weighs() -> None:
    taken = mixture_sizes({"a": 90, "b": 90}, {"a": 3.0, "b": 1.0}, {"a": None, "b": None}, 1)
    assert taken == {"a": 90, "b": 30}


def test_a_task_without_rows_takes_none() -> None:
    assert sizes({"a": 0, "b": 5}) == {"a": 0, "b": 5}
    assert sizes({"a": 0}) == {"a": 0}


@given(
    rows=st.dictionaries(st.sampled_from(NAMES), st.integers(0, 10_000), min_size=1),
    temperature=st.floats(1, 100),
    rate=st.floats(0.01, 100),
    cap=st.none() | st.integers(1, 500),
)
def test_no_row_is_repeated_and_shares_are_in_proportion(
    rows: dict[str, int], temperature: float, rate: float, cap: int | None
) -> None:
    first = next(iter(rows))
    rates = {name: rate if name == first else 1.0 for name in rows}
    taken = mixture_sizes(rows, rates, dict.fromkeys(rows, cap), temperature)
    counted = {name: min(n, cap or n) for name, n in rows.items()}
    assert all(0 <= taken[name] <= counted[name] for name in rows)
    weights = {n: rates[n] * counted[n] ** (1 / temperature) for n in rows if rows[n]}
    if weights:
        assert any(taken[name] == counted[name] for name in weights), "as many as there are"
        scale = min(counted[name] / weight for name, weight in weights.items())
        for name, weight in weights.items():
            assert taken[name] == max(1, math.floor(scale * weight + 1e-9))


def test_a_larger_part_keeps_a_smaller_one() -> None:
    ids = [str(i) for i in range(50)]
    small, large = choose_rows(ids, 10, 3), choose_rows(list(reversed(ids)), 20, 3)
    assert len(small) == 10
    assert small < large
    assert choose_rows(ids, 10, 4) != small
