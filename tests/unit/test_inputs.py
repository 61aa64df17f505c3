"""What rows say, whatever their cells are made of."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.data.inputs import Inputs, cell_texts, normal_cell, normal_input, normal_text
from tutelage.records import Row, Turn


def test_form_case_and_space_are_folded_and_fields_kept_apart() -> None:
    assert normal_text({"text": "  Die STRASSE \n ﬁne\u00a0x "}) == "die strasse fine x"
    assert normal_text({"text": "Die straße fine x"}) == "die strasse fine x"
    assert normal_text({"b": "2", "a": "1"}) == normal_text({"a": "1", "b": "2"})
    assert normal_text({"a": "x y", "b": "z"}) != normal_text({"a": "x", "b": "y z"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": [1, "B  c"], "b": None}, {"b": None, "a": [1.0, "b C"]}),
        ([{"X": "é"}], [{"x": "E\u0301"}]),
        (("a", "b"), ["a", "b"]),
        (3.0, 3),
        (None, ""),
        (True, True),
    ],
)
def test_plain_data_that_says_the_same_is_the_same(one: object, other: object) -> None:
    assert normal_cell(one) == normal_cell(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(["a", "b"], ["b", "a"]), (["a b"], ["a", "b"]), (3.5, 3), ({"a": 1}, {"b": 1}), (True, "x")],
)
def test_plain_data_that_differs_differs(one: object, other: object) -> None:
    assert normal_cell(one) != normal_cell(other)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(PLAIN)
def test_any_plain_data_has_one_normal_text(value: object) -> None:
    assert normal_cell(value) == normal_cell(value)
    assert all(isinstance(text, str) for text in cell_texts(value))


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    marked = f"{text} é"  # the accent takes the long way
    assert normal_cell(marked).removesuffix("é").strip() == normal_cell(text)


def test_turns_are_part_of_the_input() -> None:
    def row(*turns: Turn) -> Row:
        return Row("1", {"text": "And now?"}, "x", "t:1", turns=turns)

    asked, told = Turn("user", "Hello  THERE"), Turn("assistant", "Hello there")
    assert normal_input(row()) == "and now?"
    assert normal_input(row(asked)) == "user hello there\0and now?"
    assert normal_input(row(asked)) != normal_input(row(told))


def test_texts_inside_cells_in_order() -> None:
    assert cell_texts({"q": "why", "a": ["x", {"b": "y"}], "n": 3, "z": None}) == [
        "why",
        "x",
        "y",
        "3",
    ]


def test_distinct_inputs_point_back_at_rows() -> None:
    texts = ["b", "a", "B ", "c", "a"]
    rows = [Row(str(i), {"text": text}, "x", "t") for i, text in enumerate(texts)]
    random.Random(0).shuffle(rows)
    inputs = Inputs.of_rows(rows)
    assert inputs.texts == ["a", "b", "c"]
    assert [inputs.texts[i] for i in inputs.of] == [normal_input(row) for row in rows]
