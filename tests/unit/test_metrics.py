"""Accuracy and macro-F1 against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from tutelage.errors import DataGateError, InputError
from tutelage.evaluate.measure import per_template, score
from tutelage.evaluate.metrics import accuracy, answers, confusion, confusion_by, macro_f1
from tutelage.records import Prediction

LABELS = ("negative", "neutral", "positive")


def predictions_of(pairs, template: str = "") -> list[Prediction]:
    return [
        Prediction(f"r{i}", f"g{i % 7}", gold, predicted, template)
        for i, (gold, predicted) in enumerate(pairs)
    ]


# Gold and predicted may leave labels out, and an arm may answer beside the labels.
PAIRS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, "beside"])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(PAIRS)
def test_metrics_equal_those_of_scikit_learn(pairs) -> None:
    predictions = predictions_of(pairs)
    gold, predicted = zip(*pairs, strict=True)
    assert score(predictions, LABELS, "accuracy") == pytest.approx(accuracy_score(gold, predicted))
    expected = f1_score(gold, predicted, labels=LABELS, average="macro", zero_division=0)
    assert score(predictions, LABELS, "macro_f1") == pytest.approx(expected)
    matrix = confusion(answers(predictions, LABELS))
    expected = confusion_matrix(gold, predicted, labels=[*LABELS, "beside"])[: len(LABELS)]
    np.testing.assert_array_equal(matrix, expected)


def test_a_label_nobody_says_counts_as_zero() -> None:
    predictions = predictions_of([("negative", "negative"), ("positive", "positive")])
    assert score(predictions, LABELS, "macro_f1") == pytest.approx(2 / 3)
    assert score(predictions, ("negative", "positive"), "macro_f1") == 1.0


def test_groups_add_up_and_metrics_work_on_stacks() -> None:
    rng = np.random.default_rng(0)
    predictions = predictions_of(rng.choice(LABELS, (50, 2)).tolist())
    of = answers(predictions, LABELS)
    cells = np.array([int(group[1:]) for group in of.groups])
    stack = confusion_by(of, cells, 7)
    np.testing.assert_array_equal(stack.sum(axis=0), confusion(of))
    for metric in (accuracy, macro_f1):
        np.testing.assert_allclose(metric(stack), [float(metric(one)) for one in stack])
        assert float(metric(np.zeros((3, 4)))) == 0.0


def test_votes_share_the_weight_of_their_row() -> None:
    votes = (("positive", "positive"), ("neutral", "positive"), ("positive", "negative"))
    predictions = [
        Prediction("1", "g", "positive", "positive", votes=votes),
        Prediction("2", "g", "neutral", "neutral"),
    ]
    assert score(predictions, LABELS) == pytest.approx((1 / 3 + 1) / 2)
    of = answers(predictions, LABELS)
    assert of.voted
    assert confusion(of).sum() == pytest.approx(2)
    assert confusion(of)[2].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 0])


def test_per_template_accuracy() -> None:
    predictions = [
        *predictions_of([("negative", "negative"), ("neutral", "positive")], "b"),
        *predictions_of([("negative", "negative")], "a"),
        *predictions_of([("negative", "positive")]),
    ]
    assert list(per_template(predictions, LABELS).items()) == [("a", 1.0), ("b", 0.5)]


def test_bad_input_is_named() -> None:
    with pytest.raises(DataGateError, match="no predictions"):
        score([], LABELS)
    with pytest.raises(InputError, match="prediction r0: the gold label 'odd'"):
        score(predictions_of([("odd", "neutral")]), LABELS)
