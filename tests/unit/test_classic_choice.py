"""Multiple choice without a language model."""

from __future__ import annotations

import pytest
from toy_example import example

from tutelage.errors import DataGateError
from tutelage.evaluate.classic_choice import option_overlap
from tutelage.evaluate.measure import score
from tutelage.records import Example


def asked(row_id: str, text: str, gold: str, *options: str) -> Example:
    return example(row_id, text, gold, labels=options, options=("A", "B", "C")[: len(options)])


TRAIN = [
    asked("1", "Ann put the kettle on the stove. Where is it?", "on the stove", "stove", "garden"),
    asked("2", "Bob left his ladder in the garden. Where is it?", "garden", "garden", "the house"),
]


def test_the_option_that_shares_most_with_the_input() -> None:
    rows = [
        asked("8", "The kettle is in the garden.", "garden", "on the stove", "in the garden"),
        asked("9", "The ladder?", "no", "kettle", "ladder", "stove"),
        asked("10", "Nothing known", "x", "x", "y"),
    ]
    found = option_overlap(TRAIN, rows)
    assert [p.predicted for p in found] == ["in the garden", "ladder", "x"]
    assert [len(p.scores) for p in found] == [2, 3, 2]
    assert found[2].scores == (0, 0)
    assert score(found, (), "accuracy") == pytest.approx(1 / 3)


def test_no_word_and_no_rows() -> None:
    bare = [asked("1", "", "?", "?", "!")]
    assert option_overlap(bare, bare)[0].predicted == "?"
    with pytest.raises(DataGateError, match="training split is empty"):
        option_overlap([], bare)
