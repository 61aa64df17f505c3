"""What the page shows of single rows: text answers beside each other, and rows behind counts."""

from __future__ import annotations

from dataclasses import replace

from page_reader import words
from report_case import SMALLEST, answered, answers, content, remark, report

from tutelage.report.content import PageContent, Remarks
from tutelage.report.page import build_page


def test_a_text_answer_stands_beside_the_others_answer_and_all_references() -> None:
    text = words(build_page(PageContent(SMALLEST, answers=answers())))
    for shown in (
        "ROUGE-L of single test rows",
        "the tuned model against before .",
        "Gained (1 of 12)",
        "Lost (2 of 3)",
        "Ran into the length limit (1 of 4)",
        "Tuned, 0.750, ran into the length limit said now",
        "before , 0.250 said then",
        "Reference 1 of 2 gold one Reference 2 of 2 gold two",
        "so: said now",
    ):
        assert shown in text, shown
    assert "Each row counts by its best reference." in text
    corpus = replace(answers(), metric="chrf", corpus=True)
    assert "rows do not average to it" in words(build_page(PageContent(SMALLEST, answers=corpus)))


def test_without_a_difference_samples_stand_alone() -> None:
    row = replace(answered(str), before=None, before_score=None, unfinished=False)
    only = replace(answers(), before_title="", gains=(), losses=(), samples=(row,), unfinished=())
    text = words(build_page(PageContent(SMALLEST, answers=replace(only, unfinished_total=0))))
    assert "No row differs; some answers" in text
    assert "said now" in text
    assert "said then" not in text
    mute = replace(only, samples=(replace(row, after=""),), unfinished_total=0)
    assert "Tuned, 0.750 nothing" in words(build_page(PageContent(SMALLEST, answers=mute)))
    assert "length limit" not in text


def test_long_answers_and_many_references_are_shortened() -> None:
    row = replace(answered(str), after="y" * 5000, references=("z" * 900,) * 30)
    page = build_page(PageContent(SMALLEST, answers=replace(answers(), gains=(row,))))
    text = words(page)
    assert "… (4,400 more characters)" in text
    assert "… (500 more characters)" in text
    assert "Reference 10 of 30" in text
    assert "Reference 11 of 30" not in text


def test_rows_behind_counts_are_named() -> None:
    long = replace(remark(str), id="odd<b>", text="w" * 3000)
    full = replace(content(), remarks=Remarks((remark(str),), (long,), (remark(str),)))
    page = build_page(full)
    text = words(page)
    assert text.count("First rows of each kind") == 3
    assert text.count("conflict 7 a.csv:7 same input It works.") == 2
    assert "odd<b>" in text
    assert "<bdi>odd&lt;b&gt;</bdi>" in page
    assert "w" * 159 + "…" in text
    assert "w" * 160 not in text


def test_answers_that_were_cut_are_counted_with_their_arm() -> None:
    case = report()
    case["arms"]["tuned"]["unfinished"] = 17
    assert "17 answers ran into the length limit" in words(build_page(PageContent(case)))
