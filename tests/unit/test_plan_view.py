"""A plan on the terminal: what there is of it, and text from data as text."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tutelage.plan_view import _duration, plan_tables

HOSTILE = "[red]x[/]\x1b[31m"


def printed(plan: dict[str, Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=120, highlight=False, emoji=False)
    for part in plan_tables(plan):
        console.print(part)
    return out.getvalue()


def failed(**more: Any) -> dict[str, Any]:
    problem = {"stage": "prepare", "error": "DataGateError", "exit_code": 3, "says": HOSTILE}
    return {
        "task": "reviews",
        "problems": [problem, problem],
        "would_run": False,
        "exit_code": 3,
        "seconds": 1.2,
        **more,
    }


def test_a_plan_of_problems_alone() -> None:
    out = printed(failed())
    assert "reviews: would not run, 2 problems (exit code 3)." in out
    assert "2. prepare: [red]x[/]␛[31m" in out
    assert "\x1b[31m" not in out
    assert "Peak memory" not in out


def test_text_from_data_is_neither_markup_nor_code() -> None:
    facts = {"rows": 4, "groups": 4, "mean_tokens": 5.0, "p95_tokens": 6.0, "max_tokens": 7}
    facts |= {"mean_answer_tokens": 2.0, "max_answer_tokens": 3}
    rows = {
        "source": 4,
        "planned_with": 3,
        "left_out": 1,
        "labels": [HOSTILE],
        "templates": ["a/b"],
        "notes": [HOSTILE],
        "splits": {"train": {**facts, "labels": {HOSTILE: 4}}},
    }
    out = printed(failed(rows=rows))
    assert out.count("[red]x[/]␛[31m") == 4
    assert "1 left out as empty; planned with 3 of them" in out


@pytest.mark.parametrize(
    ("rows", "why"), [(12, "are too few"), (40, "of one label are not enough")]
)
def test_a_test_that_cannot_compare_says_so(rows: int, why: str) -> None:
    power = {"metric": "accuracy", "rows": rows, "comparable": False}
    said = f"Test: {rows} rows {why}; no comparison would be made."
    assert said in printed(failed(power=power))


def test_rows_worth_a_look_and_leaks_are_named() -> None:
    row = {"id": "7", "where": "a.csv:7", "detail": HOSTILE, "text": HOSTILE * 40}
    quality = {"counts": {"label": 4}, "notes": [], "first": [{**row, "kind": "label"}]}
    whole = {**row, "id": "", "where": "label 'x'", "text": "", "kind": "length"}
    quality["first"].append(whole)
    leaks = {"rows": 1200, "first": [{**row, "kind": "train in test"}]}
    out = printed(failed(quality=quality, leaks=leaks))
    assert "label: a.csv:7 (row 7): [red]x[/]␛[31m" in out
    assert "length: label 'x': [red]x[/]" in out
    assert "Leaks: 1,200 rows repeat a row of a later split." in out
    assert "train in test: a.csv:7 (row 7)" in out
    assert out.count("…") == 2
    assert "\x1b" not in out
    assert "Leaks" not in printed(failed(leaks={"rows": 0, "first": []}))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (70, "70 s"), (1200, "20 min"), (17_400, "4 h 50 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert _duration(seconds) == said
