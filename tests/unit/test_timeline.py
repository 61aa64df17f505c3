"""Time: the past never sees the future."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.data.timeline import cut_by_time, read_times
from tutelage.errors import DataGateError
from tutelage.records import SPLITS, Row


def rows_at(times: list[str | None]) -> list[Row]:
    return [
        Row(f"{i:03}", {"text": f"text {i}"}, "ab"[i % 2], f"t.csv:{i + 2}", time=time)
        for i, time in enumerate(times)
    ]


def test_dates_moments_and_numbers() -> None:
    dates = ["2024-02-29", "2024-02-29T01:00:00+01:00", "2024-02-29T00:00:01Z"]
    first, second, third = read_times(rows_at(dates), "when")
    assert first == second == third - 1
    assert list(read_times(rows_at(["10", "9", "-1.5"]), "year")) == [10, 9, -1.5]


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        (["2024-01-01", "", "3. Mai"], "2 of 3 rows"),
        (["2024-01-01", None], r"t.csv:3: ''"),
        (["5", "2024-01-01"], "2024-01-01"),
        (["nan", "1"], "1 of 2|2 of 2"),
    ],
)
def test_a_time_that_cannot_be_read_is_named(times: list[str | None], shown: str) -> None:
    with pytest.raises(DataGateError, match=shown):
        read_times(rows_at(times), "when")


def test_rows_in_time_order_get_their_shares() -> None:
    rows = rows_at([str(i) for i in range(100)])
    made = cut_by_time(rows, [r.id for r in rows], read_times(rows, "t"), (0.7, 0.1, 0.2), least=10)
    assert made.of == ("train",) * 70 + ("validation",) * 10 + ("test",) * 20
    assert (made.begins, made.moved) == (("70", "80"), ())


def test_the_test_grows_to_the_least_rows_over_ties() -> None:
    rows = rows_at([str(i // 8) for i in range(100)])
    made = cut_by_time(rows, [r.id for r in rows], read_times(rows, "t"), (0.6, 0.1, 0.3), least=30)
    assert made.of.count("test") == 36  # without `least` 28 is nearer to 30


def test_a_straddling_group_goes_where_its_latest_row_goes() -> None:
    rows = rows_at([str(i) for i in range(10)])
    groups = [r.id for r in rows]
    groups[1] = groups[9]
    made = cut_by_time(rows, groups, read_times(rows, "t"), (0.6, 0.2, 0.2), least=0)
    assert made.of[1] == made.of[9] == "test"
    assert made.moved == (1,)


def test_too_few_times() -> None:
    rows = rows_at(["2024", "2025"] * 20)
    with pytest.raises(DataGateError, match="2 different time"):
        cut_by_time(rows, [r.id for r in rows], read_times(rows, "t"), (0.7, 0.1, 0.2), 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 25)), min_size=6, max_size=60),
    st.sampled_from([(0.7, 0.1, 0.2), (0.2, 0.4, 0.4)]),
)
def test_no_training_row_is_later_than_what_follows(cells, shares) -> None:
    rows = rows_at([str(time) for time, _ in cells])
    groups = [f"g{group}" for _, group in cells]
    times = read_times(rows, "t")
    try:
        made = cut_by_time(rows, groups, times, shares, least=3)
    except DataGateError:
        latest = {
            g: max(t for (t, _), h in zip(cells, groups, strict=True) if h == g) for g in groups
        }
        assert len(set(latest.values())) < 3
        return
    assert set(made.of) == set(SPLITS)
    for group in set(groups):
        assert len({name for name, g in zip(made.of, groups, strict=True) if g == group}) == 1
    begins = [-np.inf, float(made.begins[0]), float(made.begins[1])]
    for place, (name, time) in enumerate(zip(made.of, times, strict=True)):
        later = begins[SPLITS.index(name) + 1 :]
        assert all(time < begin for begin in later)
        assert (place in made.moved) == (time < begins[SPLITS.index(name)])
