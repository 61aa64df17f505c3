"""Scores of text answers against the best of several gold ones."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.errors import InputError
from tutelage.evaluate.text_metrics import exact_match, numeric_match, row_scores, token_f1
from tutelage.records import Prediction

WORDS = st.lists(st.sampled_from(["red", "the", "kettle", "pan.", "Big"]), max_size=6)


def row(predicted: str, *references: str) -> Prediction:
    return Prediction("r7", "g", references[0], predicted, references=references)


@pytest.mark.parametrize(
    ("answer", "gold", "match", "f1"),
    [
        ("The red kettle.", "red kettle", 1, 1),
        ("a red pan", "the red kettle", 0, 0.5),
        ("red red pan", "red kettle pan", 0, 2 / 3),
        ("kettle", "pan", 0, 0),
        ("", "pan", 0, 0),
        ("", "", 1, 1),
        ("红色", "红的", 0, 0.5),
    ],
)
def test_exact_match_and_token_f1(answer: str, gold: str, match: float, f1: float) -> None:
    assert exact_match(answer, gold) == match
    assert token_f1(answer, gold) == pytest.approx(f1)


@settings(max_examples=80)
@given(WORDS, WORDS)
def test_token_f1_is_the_harmonic_mean_of_precision_and_recall(said, wanted) -> None:
    plain = [[w.lower().strip(".") for w in words if w != "the"] for words in (said, wanted)]
    shared = (Counter(plain[0]) & Counter(plain[1])).total()
    if shared:
        precision, recall = shared / len(plain[0]), shared / len(plain[1])
        expected = 2 * precision * recall / (precision + recall)
        assert token_f1(" ".join(said), " ".join(wanted)) == pytest.approx(expected)


def test_numbers_match_by_value_and_other_gold_answers_as_text() -> None:
    assert numeric_match("So it is $1,000.00.", "1000") == 1
    assert numeric_match("1001", "1000") == 0
    assert numeric_match("nothing", "1000") == 0
    assert numeric_match("Unknown!", "unknown") == 1
    assert numeric_match("12", "unknown") == 0


def test_the_best_reference_counts() -> None:
    rows = [row("pan", "kettle", "a pan"), row("7", "8", "seven")]
    assert row_scores(rows, "exact_match") == [1, 0]
    assert row_scores([Prediction("1", "g", "pan", "pan")], "token_f1") == [1]


def test_json_metrics() -> None:
    rows = [row('{"a": 1}', '{"a": 2}', '{"a": 1}'), row("a: 1", '{"a": 1}')]
    assert row_scores(rows, "json_f1") == [1, 0]
    assert row_scores(rows, "json_valid") == [1, 0]
    with pytest.raises(InputError, match=r"row r7: its gold answer is not JSON .* which json_f1"):
        row_scores([row("{}", "no JSON")], "json_f1")
