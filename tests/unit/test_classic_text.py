"""Baselines of text answers without a language model."""

from __future__ import annotations

import pytest
from toy_example import example

from tutelage.errors import DataGateError
from tutelage.evaluate.classic_text import lead, lead_fits, most_frequent, nearest_neighbour
from tutelage.records import Example, Turn

STORY = (
    "Ann calls Bob about the kettle. It broke on Monday! She wants a new one? "
    "Bob says that he will look into it, talk to the shop and call her back on Friday."
)


def row(row_id: str, text: str, *answers: str, **more: object) -> Example:
    plain = {"labels": answers, "options": answers, "answers": answers, "label": answers[0]}
    return example(row_id, text, **{**plain, **more})


TRAIN = [
    row("1", "Where is the red kettle?", "in the kitchen", "kitchen"),
    row("2", "Who painted the garden gate?", "Bob"),
    row("3", "Where is the ladder of the garden?", "in the kitchen"),
    row("4", "Who broke the lamp?", "Bob"),
]


def test_the_commonest_answer_of_equal_ones_the_first() -> None:
    (found,) = most_frequent(TRAIN, [row("9", "Who?", "Ann", "Anne")])
    assert found.predicted == "in the kitchen"
    assert (found.gold, found.references) == ("Ann", ("Ann", "Anne"))


def test_the_nearest_input_lends_its_answer() -> None:
    rows = [
        row("8", "who broke this red lamp", "Ann"),
        row("9", "The gate! Who painted it?", "Ann"),
    ]
    assert [p.predicted for p in nearest_neighbour(TRAIN, rows)] == ["Bob", "Bob"]
    found = nearest_neighbour(TRAIN, [*TRAIN, row("5", "Is the ladder red?", "no")])
    assert [p.predicted for p in found[:4]] == [e.completion for e in TRAIN]
    assert found[4].predicted == "in the kitchen"


def test_a_row_that_shares_no_word_gets_the_commonest_answer() -> None:
    train = [row("1", "red", "one"), row("2", "blue", "two"), row("3", "green", "two")]
    assert nearest_neighbour(train, [row("9", "yellow", "?")])[0].predicted == "two"


def test_inputs_without_any_word() -> None:
    train = [row("1", "", "one"), row("2", " ", "two"), row("3", "", "two")]
    assert nearest_neighbour(train, [row("9", "text", "?")])[0].predicted == "two"
    assert nearest_neighbour(train, []) == []


def test_plain_data_and_turns_are_inputs_too() -> None:
    train = [
        row("1", "", "one", fields={"items": ["kettle", {"colour": "red"}], "n": 3}),
        row("2", "", "two", fields={}, turns=(Turn("user", "the ladder"),)),
    ]
    rows = [
        row("8", "", "?", fields={"items": ["kettle"], "n": None}),
        row("9", "", "?", fields={}, turns=(Turn("user", "a ladder"),)),
    ]
    assert [p.predicted for p in nearest_neighbour(train, rows)] == ["one", "two"]
    assert lead(train, rows)[1].predicted == ""


def test_only_the_part_after_the_mark_is_compared() -> None:
    train = [row("1", "red kettle", "2 + 2\n#### 4")]
    for arm in (most_frequent, nearest_neighbour, lead):
        (found,) = arm(train, [row("9", "red kettle", "3\n#### 3")], "####")
        assert found.gold == "3"
    assert nearest_neighbour(train, [row("9", "red", "3\n#### 3")], "####")[0].predicted == "4"


# --- lead ---


def summaries(words: int, text: str = STORY) -> list[Example]:
    return [row(str(i), text, " ".join(["word"] * words)) for i in range(3)]


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (6, "Ann calls Bob about the kettle."),
        (9, "Ann calls Bob about the kettle."),
        (10, "Ann calls Bob about the kettle. It broke on Monday!"),
        (2, "Ann calls Bob about"),
    ],
)
def test_lead_takes_sentences_up_to_the_median_answer(words: int, start: str) -> None:
    (found,) = lead(summaries(words), [row("9", STORY, "gold")])
    assert found.predicted == start


def test_lead_goes_by_lines_and_other_marks() -> None:
    (found,) = lead(summaries(3), [row("9", "#A: hello there\n\n#B: not now", "gold")])
    assert found.predicted == "#A: hello there"
    (found,) = lead(summaries(1), [row("9", "第一句。第二句。", "gold")])
    assert found.predicted == "第一句。"


def test_lead_reads_the_field_that_is_longest_in_training() -> None:
    train = [row("1", "", " ".join("abcdef"), fields={"a": "title", "b": STORY, "c": None})]
    query = row("9", "", "gold", fields={"a": STORY, "b": "A short one.", "c": None})
    assert lead(train, [query])[0].predicted == "A short one."


def test_lead_fits_long_inputs_with_answers_of_some_length() -> None:
    assert lead_fits(summaries(8))
    assert not lead_fits(summaries(5))
    assert not lead_fits(summaries(30))
    assert not lead_fits([])


@pytest.mark.parametrize("arm", [most_frequent, nearest_neighbour, lead])
def test_no_training_rows(arm) -> None:
    with pytest.raises(DataGateError, match="training split is empty"):
        arm([], [row("9", "text", "gold")])
