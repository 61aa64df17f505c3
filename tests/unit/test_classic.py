"""Baselines without a language model."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from tutelage.errors import DataGateError
from tutelage.evaluate.classic import joined_text, majority, tfidf_logreg
from tutelage.evaluate.measure import score
from tutelage.records import Example

LABELS = ("negative", "neutral", "positive")


def example(row_id: str, text: str, label: str, labels=LABELS) -> Example:
    return Example(
        row_id,
        {"text": text},
        label,
        f"g{row_id}",
        "t/one",
        text,
        labels,
        labels,
        f"t.csv:{row_id}",
    )


@pytest.fixture(scope="module")
def reviews(tiny_reviews_csv: Path) -> tuple[list[Example], list[Example]]:
    with tiny_reviews_csv.open(encoding="utf-8", newline="") as stream:
        made = [example(r["id"], r["review"], r["sentiment"]) for r in csv.DictReader(stream)]
    return made[:160], made[160:]


def test_majority_says_the_commonest_training_label() -> None:
    train = [
        example(str(i), "x", label) for i, label in enumerate(["neutral", "neutral", "positive"])
    ]
    (found,) = majority(train, [example("q", "y", "positive")])
    assert (found.id, found.group, found.gold, found.template) == ("q", "gq", "positive", "t/one")
    assert found.predicted == "neutral"
    assert found.scores == pytest.approx((math.log(1e-12), math.log(2 / 3), math.log(1 / 3)))


def test_majority_breaks_ties_by_label_order() -> None:
    train = [example("1", "x", "positive"), example("2", "x", "negative")]
    assert majority(train, [train[0]])[0].predicted == "negative"


def test_tfidf_learns_words_and_gives_log_probabilities(reviews) -> None:
    train, rows = reviews
    found = tfidf_logreg(train, rows)
    assert score(found, LABELS) > 0.9 > score(majority(train, rows), LABELS)
    for prediction in found:
        assert prediction.scores is not None
        assert sum(map(math.exp, prediction.scores)) == pytest.approx(1)
        assert prediction.predicted == LABELS[prediction.scores.index(max(prediction.scores))]
    assert [p.id for p in found] == [row.id for row in rows]


def test_tfidf_repeats_whatever_else_it_is_asked(reviews) -> None:
    train, rows = reviews
    assert tfidf_logreg(train, rows, seed=3) == tfidf_logreg(train, rows, seed=3)
    alone = tfidf_logreg(train, rows[:1])[0]
    assert alone.scores == pytest.approx(tfidf_logreg(train, rows)[0].scores)


def test_labels_that_training_lacks_are_never_said_and_still_scored() -> None:
    train = [
        example(str(i), t, lab)
        for i, (t, lab) in enumerate([("bad", "negative"), ("good", "positive")] * 3)
    ]
    (found,) = tfidf_logreg(train, [example("q", "good", "neutral")])
    assert found.predicted == "positive"
    assert found.scores is not None
    assert found.scores[1] == pytest.approx(math.log(1e-12))
    json.dumps(found.to_json(), allow_nan=False)


def test_single_characters_and_marks_are_features() -> None:
    train = [
        example(str(i), t, lab)
        for i, (t, lab) in enumerate([("!", "positive"), ("?", "negative")] * 3)
    ]
    assert [p.predicted for p in tfidf_logreg(train, train[:2])] == ["positive", "negative"]


def test_one_label_in_training_is_the_majority() -> None:
    train = [example("1", "x", "neutral")]
    assert tfidf_logreg(train, train) == majority(train, train)
    assert tfidf_logreg(train, []) == []


@pytest.mark.parametrize("arm", [majority, tfidf_logreg])
def test_nothing_to_learn_from_is_said(arm) -> None:
    with pytest.raises(DataGateError, match="training split is empty"):
        arm([], [example("1", "x", "neutral")])


def test_fields_are_joined_in_name_order() -> None:
    one = Example("1", {"b": "second", "a": "first"}, "x", "g", "t", "p", ("x",), ("x",), "w")
    assert joined_text(one) == "first\nsecond"
