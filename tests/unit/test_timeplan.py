"""How rows are chosen to time an arm on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from toy_example import example

from tutelage.pipeline import timeplan
from tutelage.records import Example

ROWS = [example(f"r{i}", "x" * i) for i in range(24)]


def timed(monkeypatch: pytest.MonkeyPatch, each: float) -> tuple[float, int, list[int]]:
    """Seconds, rows, and the rows of every call, where an answer takes so long."""
    now = 0.0
    calls: list[int] = []

    def answer(rows: Sequence[Example]) -> None:
        nonlocal now
        now += each * len(rows)
        calls.append(len(rows))

    monkeypatch.setattr(timeplan.time, "perf_counter", lambda: now)
    seconds, rows = timeplan._timed(answer, ROWS)
    return seconds, len(rows), calls


def test_slow_answers_are_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four long answers say enough; the same again would take the time of a plan."""
    assert timed(monkeypatch, 4.0) == (16.0, 4, [4])


def test_fast_answers_are_timed_on_as_many_rows_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert timed(monkeypatch, 0.01) == (pytest.approx(0.24), 24, [4, 24])
    assert timed(monkeypatch, 0.5) == (pytest.approx(5.0), 10, [4, 10])
