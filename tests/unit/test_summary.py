"""The table of arms for the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from report_case import PAYLOADS, report
from rich.console import Console

from tutelage.report.text import visible
from tutelage.summary import arms_table


def shown(data: dict[str, Any]) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=200, color_system=None, legacy_windows=False)
    console.print(arms_table(data))
    return stream.getvalue()


def plain(**changes: Any) -> dict[str, Any]:
    data = report()
    for arm in data["arms"].values():
        arm["metrics"]["accuracy"].pop("ci95_grouped")
    return {**data, **changes}


def test_arms_stand_in_the_order_of_the_primary_metric() -> None:
    lines = shown(plain()).splitlines()
    order = ["tuned", "human_rater", "tfidf_logreg", "zero_shot", "few_shot_5"]
    found = [next(i for i, line in enumerate(lines) if f" {name}" in line) for name in order]
    assert found == sorted(found)


def test_a_row_says_what_an_arm_is_and_reached() -> None:
    text = shown(plain())
    assert "reviews: 826 test rows (2597 trained on, 285 for validation)" in text
    (tuned,) = [line for line in text.splitlines() if " tuned " in line]
    cells = [cell.strip() for cell in tuned.split("│")[1:-1]]
    assert cells == ["tuned", "0.840 (0.810 to 0.870)", "0.740 (0.690 to 0.790)", "0.840"]
    assert "tfidf_logreg (best baseline)" in text
    assert "human_rater (reference)" in text
    assert text.count("(best baseline)") == text.count("(reference)") == 1


def test_the_interval_over_groups_is_the_one_that_is_shown() -> None:
    data = plain()
    data["arms"]["tuned"]["metrics"]["accuracy"]["ci95_grouped"] = [0.7, 0.95]
    assert "0.840 (0.700 to 0.950)" in shown(data)


def test_a_run_without_a_comparison_has_a_table_too() -> None:
    text = shown(plain(verdict={"says": "no comparison", "sentence": "Too few rows."}))
    assert "(best baseline)" not in text
    assert "0.840" in text


@pytest.mark.parametrize("payload", ["[bold]x[/bold]", "[/]", "[link=https://evil.example]x[/]"])
def test_no_markup_comes_out_of_titles(payload: str) -> None:
    data = plain(task=payload)
    data["arms"]["zero_shot"]["title"] = payload
    assert shown(data).count(payload) == 2


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if visible(p) != p])
def test_no_terminal_codes_come_out_of_titles(payload: str) -> None:
    data = plain()
    data["arms"]["zero_shot"]["title"] = payload
    text = shown(data)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
