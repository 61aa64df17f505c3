"""Answers in JSON: validity and field F1, counted by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.evaluate.json_answers import json_f1, json_valid, read_json_answer

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('{"a": 1}', True),
        ("  [1, 2]\n", True),
        ('```json\n{"a": 1}\n```', True),
        ("```\n[1]\n```\n", True),
        ('Here it is: {"a": 1}', False),
        ('{"a": 1} and more', False),
        ("{'a': 1}", False),
        ('{"a": NaN}', False),
        ("Infinity", False),
        ("", False),
        ("[" * 100_000, False),
        ("9" * 10_000, False),
    ],
)
def test_validity(text: str, valid: bool) -> None:
    assert json_valid(text) == valid


def test_reading_says_what_is_wrong() -> None:
    assert read_json_answer('```json\n{"a": [1]}\n```') == {"a": [1]}
    with pytest.raises(ValueError, match="NaN is not JSON"):
        read_json_answer("NaN")


GOLD = '{"name": "Ann", "age": 31, "tags": ["x", "y"]}'


@pytest.mark.parametrize(
    ("answer", "f1"),
    [
        (GOLD, 1.0),
        ('{"tags": ["y", "x"], "age": 31.0, "name": " ANN "}', 1.0),
        ('{"name": "Ann"}', 2 * 1 / (4 + 1)),
        ('{"name": "Ann", "age": "31", "tags": ["x", "y"]}', 2 * 3 / (4 + 4)),
        ('{"name": "Ann", "age": 31, "tags": ["x", "y"], "more": null}', 2 * 4 / (4 + 5)),
        ('{"name": "Ann", "age": 31, "tags": ["x", "x", "y"]}', 2 * 4 / (4 + 5)),
        ('{"name": "Ann", "age": 31, "tags": []}', 2 * 2 / (4 + 3)),
        ("Ann, 31", 0.0),
        ("", 0.0),
    ],
)
def test_field_f1(answer: str, f1: float) -> None:
    assert json_f1(answer, GOLD) == pytest.approx(f1)


def test_kinds_of_values_differ() -> None:
    assert json_f1("true", "1") == 0
    assert json_f1("null", '""') == 0
    assert json_f1("{}", "[]") == 0
    assert json_f1("{}", "{}") == 1
    assert json_f1('{"a/b": 1}', '{"a": {"b": 1}}') == 0
    assert json_f1('{"[]": 1}', "[1]") == 0
    assert json_f1("1e999", "1e999") == 1


def test_a_gold_answer_must_be_json() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        json_f1("{}", "Ann")
    with pytest.raises(ValueError, match="nested too deeply"):
        json_f1("{}", "[" * 100_000)


@settings(max_examples=80)
@given(VALUES, VALUES)
def test_f1_is_symmetric_and_one_for_the_same(one: object, other: object) -> None:
    a, b = json.dumps(one), json.dumps(other, indent=2)
    assert json_f1(a, a) == 1
    assert json_f1(a, b) == json_f1(b, a)
    assert 0 <= json_f1(a, b) <= 1
