"""Cutting a row's text until it fits: no more than needed, and never silently."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutelage.tokens.fitting import Cut, fit_fields

FIELDS = st.dictionaries(
    st.sampled_from(["text", "title", "note"]),
    st.text("ab \n\u00e9\U0001f600", max_size=30),
    min_size=1,
)
COMPLETION = 4  # tokens that are counted, and cannot be cut
COUNTS: list[Callable[[Mapping[str, str]], int]] = [
    lambda fields: COMPLETION + sum(len(text) for text in fields.values()),
    lambda fields: COMPLETION + sum(len(text.encode()) for text in fields.values()),
    lambda fields: COMPLETION + sum(len(text) // 3 for text in fields.values()),
]


@given(fields=FIELDS, limit=st.integers(0, 60), count=st.sampled_from(COUNTS))
def test_the_result_fits_and_says_what_was_cut(
    fields: dict[str, str], limit: int, count: Callable[[Mapping[str, str]], int]
) -> None:
    found = fit_fields(fields, count, limit)
    if count(dict.fromkeys(fields, "")) > limit:
        assert found is None
        return
    assert found is not None
    kept, cuts = found
    assert count(kept) <= limit
    assert kept.keys() == fields.keys()
    lost = dict.fromkeys(fields, 0)
    for cut in cuts:
        assert cut.characters > 0
        lost[cut.field] += cut.characters
    for name, text in fields.items():
        assert text.startswith(kept[name])
        assert len(text) - len(kept[name]) == lost[name]
    if count(fields) <= limit:
        assert (kept, cuts) == (fields, ())


@given(
    text=st.text("ab \u00e9", max_size=40),
    limit=st.integers(COMPLETION, 40),
    count=st.sampled_from(COUNTS),
)
def test_no_more_is_cut_than_needed(
    text: str, limit: int, count: Callable[[Mapping[str, str]], int]
) -> None:
    found = fit_fields({"text": text}, count, limit)
    assert found is not None
    (kept, cuts) = found
    if not cuts:
        return
    # with what was trimmed from its end, and one character more, it would not have fitted
    end = len(kept["text"])
    while end < len(text) and text[end].isspace():
        end += 1
    assert count({"text": text[: end + 1]}) > limit


def test_the_longest_field_is_cut_first() -> None:
    fields = {"title": "short", "text": "a much longer text"}
    found = fit_fields(fields, COUNTS[0], COMPLETION + 15)
    assert found == ({"title": "short", "text": "a much lon"}, (Cut("text", 8),))


def test_one_field_after_the_other_where_one_is_not_enough() -> None:
    fields = {"title": "short", "text": "a much longer text"}
    found = fit_fields(fields, COUNTS[0], COMPLETION + 3)
    assert found == ({"title": "sho", "text": ""}, (Cut("text", 18), Cut("title", 2)))


def test_a_cut_does_not_end_in_blanks() -> None:
    found = fit_fields({"text": "one  two"}, COUNTS[0], COMPLETION + 5)
    assert found == ({"text": "one"}, (Cut("text", 5),))


@pytest.mark.parametrize("fields", [{"text": "a"}, {"text": ""}, {"a": "x", "b": "y"}])
def test_what_cannot_fit(fields: dict[str, str]) -> None:
    assert fit_fields(fields, COUNTS[0], COMPLETION - 1) is None


def test_the_fields_given_stay_as_they_are() -> None:
    fields = {"text": "abcdef"}
    fit_fields(fields, COUNTS[0], COMPLETION + 2)
    assert fields == {"text": "abcdef"}


def test_a_count_that_grows_when_text_is_cut_still_ends() -> None:
    def odd(fields: Mapping[str, str]) -> int:
        return len(fields["text"]) + 3 * (len(fields["text"]) % 2)

    found = fit_fields({"text": "abcdefgh"}, odd, 4)
    assert found is not None
    assert odd(found[0]) <= 4
