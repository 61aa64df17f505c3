"""The frozen nouns: what they compute, and that JSON brings them back."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_example import example

from tutelage.records import SPLITS, Encoded, Example, Prediction, Row

TEXT = st.text(max_size=8)
SCORES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4)
VOTES = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3)


def test_splits_are_in_the_order_of_the_pipeline() -> None:
    assert SPLITS == ("train", "validation", "test")


@pytest.mark.parametrize(
    "noun",
    [
        Row("1", {"text": "t"}, "good", "t.csv:2"),
        example("1"),
        Encoded("1", (1,), (2,)),
        Prediction("1", "g", "good", "bad"),
    ],
)
def test_nouns_are_frozen(noun: object) -> None:
    name = dataclasses.fields(noun)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(noun, name, "other")


def test_the_completion_is_the_option_of_the_label() -> None:
    row = example("1", label="bad", options=("No.", "Yes."))
    assert row.completion == "No."
    assert dataclasses.replace(row, label="good").completion == "Yes."


def test_a_label_that_is_no_option_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        _ = example("1", label="odd").completion


def test_another_template_changes_the_wording_only() -> None:
    row = example("1", label="bad", extra={"ratings": [1, 2]})
    other = row.under("t/two", "Is it good?", ("no", "yes"))
    assert (other.template, other.prompt, other.completion) == ("t/two", "Is it good?", "no")
    kept = ("id", "fields", "label", "group", "labels", "where", "extra")
    assert [getattr(other, k) for k in kept] == [getattr(row, k) for k in kept]


@given(text=TEXT, extra=st.dictionaries(TEXT, st.lists(st.integers())))
def test_an_example_comes_back_from_json(text: str, extra: dict[str, list[int]]) -> None:
    row = example("1", text=text, extra=extra)
    line = json.dumps(row.to_json(), ensure_ascii=False)
    assert Example.from_json(json.loads(line)) == row


def test_an_encoded_example_is_as_long_as_its_training_ids() -> None:
    assert len(Encoded("1", (1, 2, 3), (4, 5))) == 5


@given(
    predicted=TEXT,
    scores=st.none() | SCORES,
    votes=st.none() | VOTES,
    references=st.lists(TEXT, max_size=3).map(tuple),
    unfinished=st.booleans(),
)
def test_a_prediction_comes_back_from_json(
    predicted: str,
    scores: list[float] | None,
    votes: list[tuple[str, str]] | None,
    references: tuple[str, ...],
    unfinished: bool,
) -> None:
    made = Prediction(
        id="1",
        group="g",
        gold="",
        predicted=predicted,
        scores=None if scores is None else tuple(scores),
        votes=None if votes is None else tuple(votes),
        references=references,
        text=predicted,
        unfinished=unfinished,
    )
    assert Prediction.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_prediction_writes_no_empty_fields() -> None:
    plain = Prediction("1", "g", "good", "bad").to_json()
    assert plain == {"id": "1", "group": "g", "gold": "good", "predicted": "bad"}
