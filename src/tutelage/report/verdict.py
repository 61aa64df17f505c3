"""The verdict of a report in the words that page and card share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WORDS = {
    "better": ("Better", "good"),
    "not shown": ("Not shown to be better", "doubt"),
    "worse": ("Worse", "bad"),
    "no comparison": ("No comparison", "doubt"),
}
_TESTS = {
    "group_sign_flip": "sign-flip permutation test over split groups",
    "mcnemar": "exact McNemar test",
    "mcnemar_exact": "exact McNemar test",
    "exact_mcnemar": "exact McNemar test",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` says it, `tone` (good, doubt, bad) colours it, the rest is `report.json`'s."""

    word: str
    tone: str
    sentence: str
    best_baseline: str | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    test: str


def verdict_of(report: Mapping[str, Any]) -> Verdict:
    """The verdict; without one, that there is no comparison."""
    facts = report.get("verdict") or {}
    says = facts.get("says", "no comparison")
    word, tone = _WORDS.get(says, (says.capitalize(), "doubt"))
    low, high = facts.get("ci95") or (None, None)
    test = facts.get("test") or ""
    return Verdict(
        word=word,
        tone=tone,
        sentence=facts.get("sentence") or "This run compares the tuned model with nothing yet.",
        best_baseline=facts.get("best_baseline"),
        difference=facts.get("difference"),
        low=low,
        high=high,
        p_value=facts.get("p_value"),
        test=_TESTS.get(test, test.replace("_", " ")),
    )
