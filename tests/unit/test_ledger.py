"""The ledger counts, stops, and survives being written."""

from __future__ import annotations

import json

import pytest

from tutelage.data.ledger import REASONS, Ledger
from tutelage.errors import DataGateError


def ledger_of(conflicts: int, dropped: int = 0) -> Ledger:
    ledger = Ledger()
    for i in range(conflicts):
        ledger.add(f"c{i}", f"t.csv:{i + 2}", "conflict", "same input, other label")
    for i in range(dropped):
        ledger.add(f"d{i}", f"t.csv:{i + 100}", "dropped", "does not fit")
    return ledger


def test_counts_name_every_reason() -> None:
    ledger = ledger_of(2, 1)
    ledger.add("c0", "t.csv:2", "duplicate", "of c1")
    assert ledger.counts() == {
        "skipped": 0,
        "conflict": 2,
        "truncated": 0,
        "dropped": 1,
        "duplicate": 1,
        "leak": 0,
        "benchmark": 0,
    }
    assert tuple(ledger.counts()) == REASONS


def test_json_and_back() -> None:
    ledger = ledger_of(2, 1)
    lines = json.loads(json.dumps(ledger.to_json()))
    assert Ledger.from_json(lines).entries == ledger.entries


@pytest.mark.parametrize(("touched", "rows", "limit"), [(0, 0, 0.0), (2, 100, 0.02), (0, 5, 0.0)])
def test_the_gate_lets_through_up_to_the_limit(touched: int, rows: int, limit: float) -> None:
    ledger_of(touched).gate(rows, limit)


def test_the_gate_names_counts_rows_and_a_setting_that_passes() -> None:
    ledger = ledger_of(3, 2)
    with pytest.raises(DataGateError) as caught:
        ledger.gate(100, 0.02)
    message = str(caught.value)
    assert "5 of 100 rows (5.0%)" in message
    assert "3 conflict and 2 dropped" in message
    assert "t.csv:2 (row c0): same input, other label" in message
    assert message.count("t.csv:") == 3
    assert "\n" not in message
    setting, _, value = message.rpartition("--set ")[2].rstrip(".").partition("=")
    assert setting == "split.max_conflict_share"
    ledger.gate(100, float(value))


def test_the_gate_counts_a_row_once_and_only_the_reasons_asked() -> None:
    ledger = ledger_of(1)
    ledger.add("c0", "t.csv:2", "dropped", "does not fit")
    ledger.add("x", "t.csv:3", "truncated", "text: last 3 characters")
    ledger.gate(100, 0.01)
    with pytest.raises(DataGateError, match=r"1 of 100 rows .*--set task\.limit="):
        ledger.gate(100, 0.0, setting="task.limit", reasons=["truncated"])


@pytest.mark.parametrize("dropped", range(1, 60, 7))
def test_the_suggested_value_always_passes(dropped: int) -> None:
    ledger = ledger_of(0, dropped)
    with pytest.raises(DataGateError) as caught:
        ledger.gate(60, 0.0)
    ledger.gate(60, float(str(caught.value).rstrip(".").rpartition("=")[2]))
