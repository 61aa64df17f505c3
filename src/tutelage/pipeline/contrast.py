"""Text answers side by side: test rows that the tuned model answers better or worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from tutelage.evaluate.classic import joined_text
from tutelage.evaluate.comparison import TINY
from tutelage.evaluate.corpus_scores import Corpus
from tutelage.evaluate.measure import measure
from tutelage.evaluate.text_metrics import references_of
from tutelage.pipeline.stage import by_id
from tutelage.records import Example, Prediction
from tutelage.report.content import Answered, Answers
from tutelage.tasks.schema import Metric

_UNFINISHED = 3  # answers that ran into the length limit


def answer_contrast(
    test: Sequence[Example],
    tuned: Sequence[Prediction],
    before: Sequence[Prediction] | None,
    metric: Metric,
    *,
    title: str = "",
    shown: int,
) -> Answers:
    """The largest gains and losses by the scores per row that the verdict counts.

    The totals are the verdict's discordant rows. Of a metric that is counted over all rows at
    once (BLEU, chrF) a row's score is the metric of that row alone, as in the verdict. Without
    `before`, or where no row differs, some rows stand as samples.
    """
    new, old = by_id(tuned), by_id(before or ())
    score = _scores(tuned, metric)
    other = _scores(before, metric) if before else {}

    def answered(example: Example) -> Answered:
        said, was = new[example.id], old.get(example.id)
        return Answered(
            id=example.id,
            text=joined_text(example),
            references=references_of(said),
            after=said.predicted,
            after_score=score[example.id],
            before=was.predicted if was else None,
            before_score=other.get(example.id),
            whole=said.text,
            prompt=example.prompt,
            template=example.template,
            unfinished=said.unfinished,
        )

    def some(rows: Sequence[Example], most: int) -> tuple[Answered, ...]:
        return tuple(answered(row) for row in rows[:most])

    gap = {e.id: score[e.id] - other[e.id] for e in test} if before else {}
    gains = _ranked(test, lambda e: gap.get(e.id, 0.0))
    losses = _ranked(test, lambda e: -gap.get(e.id, 0.0))
    cut = [e for e in test if new[e.id].unfinished]
    return Answers(
        metric=metric,
        before_title=title,
        gains=some(gains, shown),
        losses=some(losses, shown),
        samples=() if gains or losses else some(test, shown),
        unfinished=some(cut, min(shown, _UNFINISHED)),
        gains_total=len(gains),
        losses_total=len(losses),
        unfinished_total=len(cut),
        corpus=metric in get_args(Corpus),
    )


def _scores(predictions: Sequence[Prediction], metric: Metric) -> dict[str, float]:
    rows = measure(predictions, (), metric).rows.tolist()
    return {p.id: row for p, row in zip(predictions, rows, strict=True)}


def _ranked(test: Sequence[Example], gain: Callable[[Example], float]) -> list[Example]:
    """Rows with a gain, the largest first."""
    found = [example for example in test if gain(example) > TINY]
    return sorted(found, key=lambda example: (-gain(example), example.id))
