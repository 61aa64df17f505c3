"""Any metric of an arm: per row, per group and as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU
from toy_example import example

from tutelage.errors import ConfigError, DataGateError
from tutelage.evaluate.measure import measure, per_template, score, shared_labels
from tutelage.evaluate.metric_choice import FITTING
from tutelage.records import Prediction
from tutelage.tasks.schema import Metric

ANSWERS = ["the cat sat on the mat", "a dog ran", "", "it costs 3.50", '{"a": 1}']
GOLD = [
    ("the cat sat on a mat", "a cat was sitting"),
    ("dogs ran far away",),
    ("nothing",),
    ("3.5 euros", "four"),
    ('{"a": 1, "b": 2}',),
]


def arm(answers: Sequence[str] = ANSWERS) -> list[Prediction]:
    return [
        Prediction(str(i), f"g{i // 2}", of_row[0], answer, f"t{i % 2}", references=of_row)
        for i, (answer, of_row) in enumerate(zip(answers, GOLD, strict=True))
    ]


def json_arm() -> list[Prediction]:
    return [Prediction(p.id, p.group, '{"a": 1}', p.predicted) for p in arm()]


@pytest.mark.parametrize("metric", FITTING["text"])
def test_groups_add_up_to_the_whole(metric: Metric) -> None:
    predictions = json_arm() if metric == "json_f1" else arm()
    of = measure(predictions, (), metric)
    assert of.rows.shape == (5,)
    assert np.all((of.rows >= 0) & (of.rows <= 1))
    assert of.profiles.shape[0] == 3
    assert of.groups == ("g0", "g0", "g1", "g1", "g2")
    assert 0 < of.value < 1
    assert of.value == score(predictions, (), metric)
    stack = np.stack([of.profiles.sum(axis=0), of.profiles[0]])
    assert of.statistic(stack)[0] == of.value
    shares = ("exact_match", "numeric_match", "json_valid")
    assert of.counted == (metric in shares)
    if metric not in ("bleu", "chrf"):
        assert of.value == pytest.approx(of.rows.mean())


def test_values_are_those_of_the_packages() -> None:
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    best = [scorer.score_multi(g, a)["rougeL"].fmeasure for a, g in zip(ANSWERS, GOLD, strict=True)]
    found = measure(arm(), (), "rougeL")
    assert found.value == pytest.approx(np.mean(best))
    assert found.signature.startswith("rougeL|")
    streams = [[g[n] if n < len(g) else None for g in GOLD] for n in (0, 1)]
    found = measure(arm(), (), "bleu")
    assert 100 * found.value == pytest.approx(BLEU().corpus_score(ANSWERS, streams).score)
    assert found.signature.startswith("nrefs:var|")


def test_choices_of_the_rows_own_are_right_where_they_are_equal() -> None:
    rows = [Prediction("1", "g", "in Paris", "in Paris"), Prediction("2", "g", "Rome", "rome")]
    of = measure(rows, (), "accuracy")
    assert of.rows.tolist() == [1, 0]
    assert (of.value, of.counted) == (0.5, True)
    with pytest.raises(ConfigError, match="macro_f1 needs labels that every row shares"):
        measure(rows, (), "macro_f1")


def test_labels_of_rows_that_share_them() -> None:
    own = example("3", labels=("x", "good"), options=("x", "y"))
    assert shared_labels([example("1"), example("2")]) == ("bad", "good")
    assert shared_labels([example("1"), own]) == ()
    assert shared_labels([]) == ()


def test_templates_apart() -> None:
    found = per_template(arm(), (), "token_f1")
    assert list(found) == ["t0", "t1"]
    rows = measure(arm(), (), "token_f1").rows
    assert found["t1"] == pytest.approx(rows[[1, 3]].mean())


@pytest.mark.parametrize("metric", get_args(Metric))
def test_no_predictions_is_an_error(metric: Metric) -> None:
    with pytest.raises((DataGateError, ConfigError)):
        measure([], (), metric)
