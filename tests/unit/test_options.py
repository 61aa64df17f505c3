"""Options per row, and the ways to name the right one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tutelage.errors import InputError
from tutelage.tasks.options import Options, choose_reading
from tutelage.tasks.rows import Rows, load_rows
from tutelage.tasks.schema import TaskSpec

OPTIONS = ["red", "green", "blue"]


def _rows(folder: Path, records: list[dict[str, Any]], **task: Any) -> Rows:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return load_rows(
        TaskSpec.model_validate({"name": "toy", "source": {"path": str(path)}, **task})
    )


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["red", "blue", "green"], "the text of an option"),
        ([0, 2, 1], "an option's number, counted from 0"),
        (["A", "c", "B"], "an option's letter"),
    ],
)
def test_a_label_is_text_number_or_letter(tmp_path: Path, labels: list[Any], told: str) -> None:
    records = [{"question": "?", "o": OPTIONS, "label": label} for label in labels]
    found = _rows(tmp_path, records, choices="o")
    assert [row.label for row in found.rows] == ["red", "blue", "green"]
    assert {row.choices for row in found.rows} == {tuple(OPTIONS)}
    assert (found.kind, found.labels) == ("choice", ())
    assert found.fields == {"question": "question"}
    assert f"the label is read as {told}" in found.notes


def test_numbers_that_are_options_are_text() -> None:
    rows = [({"o": ["0", "1", "2"]}, "1"), ({"o": ["2", "1", "0"]}, "2")]
    assert choose_reading(["o"], rows) == "text"
    # one row that only a number fits decides for all
    assert choose_reading(["o"], [*rows, ({"o": ["5", "6"]}, "0")] * 2) == "number"


def test_options_in_columns(tmp_path: Path) -> None:
    records = [
        {"text": "q", "a": "x", "b": "y", "c": "", "label": "1"},
        {"text": "r", "a": "x", "b": "y", "c": "z", "label": "2"},
    ]
    found = _rows(tmp_path, records, choices=["a", "b", "c"])
    assert [(row.choices, row.label) for row in found.rows] == [
        (("x", "y"), "y"),
        (("x", "y", "z"), "z"),
    ]
    assert found.fields == {"text": "text"}


def test_options_with_keys_of_their_own(tmp_path: Path) -> None:
    cell = {"text": ["x", "y"], "label": ["1", "2"]}
    found = _rows(tmp_path, [{"text": "q", "o": cell, "label": "1"}], choices="o")
    assert found.rows[0].label == "x"
    assert "the label is read as a key of its options" in found.notes


def test_a_json_list_in_a_cell() -> None:
    assert Options(["o"]).read({"o": '["a", "b"]'}, "b") == (("a", "b"), "b")


def test_names_come_before_options(tmp_path: Path) -> None:
    records = [{"text": "q", "o": ["x", "y"], "label": label} for label in ("1", "2", "1")]
    found = _rows(tmp_path, records, choices="o", label_names={"1": "0", "2": "1"})
    assert [row.label for row in found.rows] == ["x", "y", "x"]


@pytest.mark.parametrize(
    ("options", "label", "says"),
    [
        (OPTIONS, "pink", "the label 'pink' is not the text of an option ['red', 'green', 'blue']"),
        (OPTIONS, "Red", "the label 'Red' is not the text"),
        (["red"], "red", "has 1 options; a choice needs two"),
        (["red", "Red "], "red", "has two equal options"),
        ("red|blue", "red", "the options in 'o' 'red|blue' are not a list"),
        ("[red]", "red", "the options '[red]' are not a JSON list"),
        (None, "red", "the options in 'o' are empty"),
        (
            {"text": OPTIONS, "label": ["A", "B", "C"]},
            "D",
            "the label 'D' is not a key of the options ['A', ",
        ),
    ],
)
def test_faults_name_row_and_value(tmp_path: Path, options: Any, label: str, says: str) -> None:
    good = {"question": "?", "o": OPTIONS, "label": "red"}
    records = [good, good, good, {"question": "?", "o": options, "label": label}]
    with pytest.raises(InputError) as caught:
        _rows(tmp_path, records, choices="o")
    assert f"data.jsonl:4: {says}" in str(caught.value)


def test_an_empty_option_is_not_the_answer() -> None:
    with pytest.raises(InputError, match="means option 2, which is empty"):
        Options(["a", "b", "c"], "number").read({"a": "x", "b": "y", "c": ""}, "2")
    for label in ("3", "-1", "x", "²"):
        with pytest.raises(InputError, match="is not an option's number"):
            Options(["a", "b"], "number").read({"a": "x", "b": "y"}, label)


@pytest.mark.parametrize("other", ["answer", "labels", "rating_rule", "label_bins"])
def test_settings_that_exclude_each_other(other: str) -> None:
    values: dict[str, Any] = {
        "answer": "a",
        "labels": ["a", "b"],
        "rating_rule": {"scale": 1, "negative_below": 0, "positive_above": 1},
        "label_bins": [{"label": "a", "below": 1}, {"label": "b"}],
    }
    with pytest.raises(ValueError, match="do not go together"):
        TaskSpec.model_validate(
            {"name": "t", "source": {"path": "a.csv"}, "choices": "o", other: values[other]}
        )
