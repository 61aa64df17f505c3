"""The page shows everything it is given, as text and nothing but text."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_reader import Reader, assert_harmless, words
from report_case import PAYLOADS, SMALLEST, arm, change, content, report

from tutelage.report.content import Change, Changes, PageContent
from tutelage.report.page import build_page
from tutelage.report.text import clipped, markdown, one_line, visible


def test_fifty_payloads_in_every_field_change_no_element_and_no_attribute() -> None:
    everything = " ".join(PAYLOADS)
    assert len(set(PAYLOADS)) == 50
    hostile = Reader(build_page(content(lambda text: f"{text} {everything}")))
    assert_harmless(hostile)
    assert hostile.structure() == Reader(build_page(content())).structure()


def test_each_payload_alone_in_every_field_of_a_row_stays_text() -> None:
    count = len(PAYLOADS)
    width = len(fields(Change))
    rows = tuple(
        Change(*(PAYLOADS[(i + field) % count] for field in range(width))) for i in range(count)
    )
    arms = {f"arm{i}": arm(f"{p}", 0.5) | {"title": p} for i, p in enumerate(PAYLOADS)}
    case = PageContent(report(str) | {"arms": arms}, changes=Changes("before", rows, rows, 50, 50))
    plain = PageContent(
        report(str) | {"arms": {name: facts | {"title": name} for name, facts in arms.items()}},
        changes=Changes("before", (change(str),) * count, (change(str),) * count, 50, 50),
    )
    hostile = Reader(build_page(case))
    assert_harmless(hostile)
    assert hostile.structure() == Reader(build_page(plain)).structure()
    shown = set(hostile.text)
    for payload in PAYLOADS:
        assert visible(payload) in shown  # a row's text and prompt, line for line
        assert one_line(payload) in shown  # an arm's title, a label


def test_the_same_content_gives_the_same_bytes() -> None:
    assert build_page(content()).encode() == build_page(content()).encode()


def test_the_page_is_whole_and_loads_nothing() -> None:
    page = build_page(content())
    assert page.startswith("<!DOCTYPE html>\n<html")
    assert_harmless(Reader(page))
    assert "@import" not in page
    assert re.findall(r"[a-z]+://", page) == []
    assert "{{" not in page
    ids = [a["id"] for _, a in Reader(page).elements if "id" in a]
    assert len(ids) == len(set(ids))
    links = [a["href"] for t, a in Reader(page).elements if t in {"a", "use"}]
    assert {str(link)[1:] for link in links} <= set(ids)


def test_the_verdict_comes_first_and_the_numbers_are_the_reports() -> None:
    page = build_page(content())
    assert re.findall("<h2>(.*?)</h2>", page) == [
        *("Better", "Every arm, on the same rows", "Learning curves", "What is taken for what"),
        *("What tuning fixed, and what it broke", "What tuning gained, and what it lost"),
        *("What was trained", "Data, splits and leaks"),
        *("Time and memory", "Model, configuration and versions"),
    ]
    text = words(page)
    assert text.index("Better by 14 points.") < text.index("Every arm")
    for shown in ("84.0%", "81.0% to 87.0%", "0.740", "0.690 to 0.790", "+14.0 points"):
        assert shown in text
    assert "+11.0 to +17.0 points" in text
    assert "p\u00a0<\u00a00.0001".replace("\u00a0", " ") in text
    for shown in ("15 min 12 s", "5.61 GB", "16.0 GB", "4 to 5 of 5 fitted", "3 rows could not"):
        assert shown in text
    assert "runs that scored this test split 2" in text


def test_arms_are_sorted_and_marked() -> None:
    read = Reader(build_page(content()))
    rows = [a.get("class") for tag, a in read.elements if tag == "tr" and a.get("class")]
    assert rows == ["tuned", "reference", "baseline best", "baseline", "baseline"]


@pytest.mark.parametrize(
    ("says", "word", "tone"),
    [
        ("better", "Better", "good"),
        ("not shown", "Not shown to be better", "doubt"),
        ("worse", "Worse", "bad"),
        ("no comparison", "No comparison", "doubt"),
    ],
)
def test_the_verdict_has_a_word_and_a_colour(says: str, word: str, tone: str) -> None:
    page = build_page(PageContent({**report(), "verdict": {"says": says, "sentence": "So."}}))
    assert f'class="verdict {tone}"' in page
    assert f"<h2>{word}</h2>" in page
    assert "So." in words(page)


def test_without_a_comparison_there_is_no_best_baseline_and_no_difference() -> None:
    few = {"says": "no comparison", "sentence": "12 test rows are too few."}
    text = words(build_page(PageContent({**report(), "verdict": few})))
    assert "12 test rows are too few." in text
    assert "est baseline" not in text
    assert "Difference" not in text


def test_the_smallest_report_is_a_page() -> None:
    page = build_page(PageContent(SMALLEST))
    assert_harmless(Reader(page))
    assert "No comparison" in page
    assert "<svg" not in page
    assert "<section id" not in page


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_key_may_be_missing(data: st.DataObject) -> None:
    whole = report()
    dropped = data.draw(st.sets(st.sampled_from(sorted(set(whole) - set(SMALLEST)))))
    reduced = {key: value for key, value in whole.items() if key not in dropped}
    lost = data.draw(st.sets(st.sampled_from(sorted(whole["arms"]["tuned"]))))
    reduced["arms"] = {
        name: {key: value for key, value in facts.items() if key not in lost}
        for name, facts in whole["arms"].items()
    }
    if "verdict" in reduced:
        gone = data.draw(st.sets(st.sampled_from(sorted(whole["verdict"]))))
        reduced["verdict"] = {k: v for k, v in whole["verdict"].items() if k not in gone}
    parts = [field.name for field in fields(PageContent) if field.name != "report"]
    kept = data.draw(st.sets(st.sampled_from(sorted(set(parts) - {"curves", "confusion"}))))
    full = content()
    case = PageContent(reduced, **{name: getattr(full, name) for name in sorted(kept)})
    assert_harmless(Reader(build_page(case)))


def test_scripts_of_the_world_and_emoji_are_shown_as_they_are() -> None:
    texts = ("שלום עולם, טוב מאוד", "المنتج ممتاز", "👩🏽‍🚀👍🏿 ok", "Çok güzel, n\u0303", "很好用")
    for text in texts:
        page = build_page(PageContent(SMALLEST, changes=Changes("b", (change(lambda _: text),))))  # noqa: B023
        assert f"<bdi>{text}</bdi>" in page
        page.encode("utf-8")


def test_long_text_is_cut_and_says_so() -> None:
    row = replace(change(str), text="x" * 5000)
    page = build_page(PageContent(SMALLEST, changes=Changes("b", (row,))))
    assert "… (3,000 more characters)" in page
    assert clipped("abc", 3) == "abc"


# --- text ---


@given(st.text())
def test_visible_text_holds_nothing_hidden_and_loses_nothing_printable(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert visible(shown) == shown
    assert [c for c in text if c.isalnum()] == [
        c for c in re.sub("⟨U\\+[0-9A-F]{4}⟩", "", shown) if c.isalnum()
    ]


@given(st.text(), st.integers(min_value=2, max_value=40))
def test_one_line_is_one_line_of_at_most_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert "\n" not in markdown(text)


def test_control_characters_are_shown() -> None:
    assert visible("a\x1b[31m\x00\x7f") == "a␛[31m␀␡"
    assert visible("\u202ex\ud800") == "⟨U+202E⟩x⟨U+D800⟩"
    assert visible("a\r\nb\tc") == "a\nb\tc"
