"""What of an answer is compared: the part after a mark, the normal form, the number."""

from __future__ import annotations

import re
import string
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.evaluate.answer_text import answer_tokens, compared_part, normal_answer, number

WORDS = st.sampled_from(["The", "cat,", "an", "apple", "a.", "$3.50", "the-doctor", "(away)", "+"])


def squad(text: str) -> str:
    """The normaliser of the SQuAD paper's script, from its description."""
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@settings(max_examples=200)
@given(st.lists(WORDS, max_size=8).map(" ".join))
def test_ascii_is_normalised_as_in_squad(text: str) -> None:
    assert not squad(text) or normal_answer(text) == squad(text)


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing_but_articles(text: str) -> None:
    once = normal_answer(text)
    assert once == " ".join(once.split())
    assert answer_tokens(text) == answer_tokens(once) or not squad(once) or "a" in once


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  The  Beatles!", "beatles"),
        ("A", "a"),
        ("A.", "a"),
        ("+", "+"),
        ("...", "..."),
        ("", ""),
        ("¿Qué?", "qué"),
        ("cafe\u0301", "caf\u00e9"),
        ("„Straße“", "strasse"),
        ("ＡＢＣ １２", "abc 12"),
    ],
)
def test_normal_answers(text: str, normal: str) -> None:
    assert normal_answer(text) == normal


def test_tokens_are_words_and_characters_of_scripts_without_spaces() -> None:
    assert answer_tokens("The red kettle, a pan") == ["red", "kettle", "pan"]
    assert answer_tokens("红色的 kettle。") == ["红", "色", "的", "kettle"]


@pytest.mark.parametrize(
    ("text", "after", "part"),
    [
        ("  18 \n", None, "18"),
        ("16 - 3 = 13\n#### 13", "####", "13"),
        ("#### 13\nQuestion: more?\n#### 7", "####", "13\nQuestion: more?\n#### 7"),
        ("She has 16.\nSo it is 13.\n", "####", "So it is 13."),
        ("\n \n", "####", ""),
        ("####", "####", ""),
    ],
)
def test_the_compared_part(text: str, after: str | None, part: str) -> None:
    assert compared_part(text, after) == part


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        ("$1,234.50 per year", Fraction("1234.5")),
        ("1.234.567", Fraction("1.234")),
        ("12,5 kg", Fraction("12.5")),
        ("1,234", 1234),
        ("1,234,567", 1234567),
        ("12\u00a0345 EUR", 12345),
        ("12\u202f345", 12345),
        ("10'000", 10000),
        ("3, 4", 4),
        ("1,23456", Fraction("1.23456")),
        ("-5", -5),
        ("\u22125 degrees", -5),
        ("-$5", -5),
        ("$-5", -5),
        ("16 - 3", 3),
        ("9*2=18", 18),
        ("16-18", 18),
        (".5", Fraction(1, 2)),
        ("is 17.", 17),
        ("50%", 50),
        ("3/4 of it", Fraction(3, 4)),
        ("1e3", 1000),
        ("2e", 2),
        ("5kg", 5),
        ("答案是18个", 18),
        ("４２", 42),
        ("13\nQuestion: 7 birds", 13),
        ("no number\nbut here 7", 7),
        ("first 3, then 8", 8),
        ("18.00", 18),
        ("1/0", None),
        ("H2O and x1", None),
        ("none", None),
        ("", None),
        ("9" * 5000, None),
        ("1/" + "9" * 5000, Fraction(1, int("9" * 300))),
        ("1e999", Fraction(10) ** 999),
    ],
)
def test_numbers(text: str, value: Fraction | None) -> None:
    assert number(text) == value


@settings(max_examples=200)
@given(st.integers(-(10**9), 10**9), st.integers(0, 99))
def test_a_number_is_read_however_it_is_written(whole: int, cents: int) -> None:
    value = Fraction(f"{whole}.{cents:02}")
    for text in (f"{whole}.{cents:02}", f"{whole:,}.{cents:02} euros", f"so = {whole}.{cents:02}0"):
        assert number(text) == value


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_any_text_has_a_number_or_none(text: str) -> None:
    assert number(text) is None or isinstance(number(text), Fraction)
