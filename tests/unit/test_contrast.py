"""Rows that the tuned model answers better or worse are those that the verdict counts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tutelage.evaluate.comparison import compare
from tutelage.pipeline.contrast import answer_contrast
from tutelage.records import Example, Prediction
from tutelage.tasks.schema import Metric

GOLD = (("seven cats",), ("12", "a dozen"), ("a red house by the sea",), ("yes",), ("1,234",))


def examples() -> list[Example]:
    return [
        Example(
            id=f"r{i}",
            fields={"text": f"question {i}"},
            label=gold[0],
            group=f"g{i}",
            template="ask/plain",
            prompt=f"Answer: question {i}",
            options=gold,
            labels=gold,
            where=f"data.jsonl:{i}",
            answers=gold,
        )
        for i, gold in enumerate(GOLD)
    ]


def said(answers: Sequence[str], unfinished: Sequence[int] = ()) -> list[Prediction]:
    return [
        Prediction(
            f"r{i}", f"g{i}", gold[0], answer, references=gold, text=f"so: {answer}",
            unfinished=i in unfinished,
        )
        for i, (answer, gold) in enumerate(zip(answers, GOLD, strict=True))
    ]  # fmt: skip


TUNED = said(["Seven cats!", "a dozen", "a red house", "no", "1234"], unfinished=[2])
BEFORE = said(["cats", "13", "a house by the sea", "yes", "1234"])


def test_any_reference_counts_under_the_normaliser() -> None:
    found = answer_contrast(examples(), TUNED, BEFORE, "exact_match", title="Untuned", shown=10)
    assert [row.id for row in found.gains] == ["r0", "r1"]
    assert [row.id for row in found.losses] == ["r3"]
    row = found.gains[1]
    assert (row.after, row.after_score, row.before, row.before_score) == ("a dozen", 1, "13", 0)
    assert row.references == ("12", "a dozen")
    assert (row.text, row.prompt) == ("question 1", "Answer: question 1")
    assert (row.whole, row.template) == ("so: a dozen", "ask/plain")
    assert (found.before_title, found.corpus, found.samples) == ("Untuned", False, ())


def test_equal_numbers_are_no_loss_however_they_are_written() -> None:
    found = answer_contrast(examples(), TUNED, BEFORE, "numeric_match", shown=10)
    assert "r4" not in {row.id for row in (*found.gains, *found.losses)}


@pytest.mark.parametrize("metric", ["exact_match", "token_f1", "rougeL", "chrf", "bleu"])
def test_the_totals_are_the_discordant_rows_of_the_verdict(metric: Metric) -> None:
    found = answer_contrast(examples(), TUNED, BEFORE, metric, shown=1)
    discordant = compare(TUNED, BEFORE, metric, ()).discordant
    assert found.gains_total == discordant.tuned_only > 0
    assert found.losses_total == discordant.baseline_only
    assert (len(found.gains), len(found.losses)) == (1, 1)
    assert found.corpus == (metric in ("chrf", "bleu"))


def test_the_largest_differences_come_first() -> None:
    found = answer_contrast(examples(), TUNED, BEFORE, "token_f1", shown=10)
    for rows, sign in ((found.gains, 1), (found.losses, -1)):
        gaps = [sign * (r.after_score - (r.before_score or 0.0)) for r in rows]
        assert gaps == sorted(gaps, reverse=True)
        assert min(gaps) > 0


def test_answers_that_ran_into_the_limit_are_counted_and_shown() -> None:
    found = answer_contrast(examples(), TUNED, BEFORE, "token_f1", shown=10)
    assert found.unfinished_total == 1
    assert [row.id for row in found.unfinished] == ["r2"]
    assert found.unfinished[0].unfinished


@pytest.mark.parametrize("before", [None, TUNED])
def test_without_a_difference_there_are_samples_with_scores(
    before: list[Prediction] | None,
) -> None:
    found = answer_contrast(examples(), TUNED, before, "exact_match", shown=2)
    assert (found.gains, found.losses, found.gains_total, found.losses_total) == ((), (), 0, 0)
    assert [(row.id, row.after_score) for row in found.samples] == [("r0", 1), ("r1", 1)]
    assert (found.samples[0].before is None) == (before is None)
