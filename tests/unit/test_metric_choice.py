"""Which metrics fit which kind of task."""

from __future__ import annotations

from typing import get_args

import pytest

from tutelage.errors import ConfigError
from tutelage.evaluate.metric_choice import FITTING, NAMES, check_metrics, default_metrics
from tutelage.tasks.schema import Kind, Metric


def test_every_metric_has_a_name_and_fits_some_kind() -> None:
    metrics = set(get_args(Metric))
    assert set(NAMES) == metrics
    assert {m for fitting in FITTING.values() for m in fitting} == metrics
    assert set(FITTING) == set(get_args(Kind))


@pytest.mark.parametrize(
    ("kind", "metrics", "message"),
    [
        ("choice", ["accuracy", "macro_f1"], "macro_f1 cannot be computed .* takes accuracy"),
        ("text", ["accuracy", "rougeL"], "accuracy cannot be computed .* text answers"),
        ("classification", ["accuracy", "rougeL", "bleu"], "rougeL, bleu cannot be computed"),
        ("text", ["rougeL", "bleu", "rougeL"], "rougeL stands there twice"),
    ],
)
def test_what_does_not_fit_is_refused(kind: Kind, metrics: list[Metric], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_metrics(kind, metrics)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_what_fits_passes_and_so_do_the_defaults(kind: Kind) -> None:
    check_metrics(kind, FITTING[kind])
    check_metrics(kind, default_metrics(kind))


@pytest.mark.parametrize(
    ("answers", "after", "primary"),
    [
        (["18", "$20", "1,000 dollars"], None, "numeric_match"),
        (["16 - 3 = 13\n#### 13", "so\n#### 7"], "####", "numeric_match"),
        (["16 - 3 = 13 of all the eggs that she had\n#### 13"], None, "rougeL"),
        (['{"a": 1}', "[2]"], None, "json_f1"),
        (["the red kettle", "Paris"], None, "exact_match"),
        (["42 Main Street"], None, "exact_match"),
        (["Ann tells Bob that the kettle broke and asks for a new one."], None, "rougeL"),
        ([], None, "rougeL"),
    ],
)
def test_defaults_follow_from_the_answers(
    answers: list[str], after: str | None, primary: Metric
) -> None:
    found = default_metrics("text", answers, after)
    assert found[0] == primary
    check_metrics("text", found)


def test_a_few_odd_answers_change_nothing() -> None:
    assert default_metrics("text", [*map(str, range(99)), "none at all"])[0] == "numeric_match"
    assert default_metrics("text", [*map(str, range(9)), "none at all"])[0] == "exact_match"
