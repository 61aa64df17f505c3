"""Predictions from option scores: the label with the highest log-likelihood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tutelage.evaluate.score import Question
from tutelage.records import Example, Prediction
from tutelage.tokens.encode import Encoder, Shot


def questions_for(
    encoder: Encoder,
    examples: Sequence[Example],
    shots: Mapping[str, Sequence[Shot]] | None = None,
) -> list[Question]:
    """Every example as a prompt with its options; `shots` are earlier turns by template."""
    shots = shots or {}
    return [
        Question(
            id=e.id,
            group=e.template,
            prompt_ids=encoder.prompt(e.prompt, shots.get(e.template, ())),
            options=encoder.options(e),
        )
        for e in examples
    ]


def predictions_from_scores(
    examples: Sequence[Example], scores: Sequence[Sequence[float]]
) -> list[Prediction]:
    """The best-scoring label of each row; the first in label order wins a tie."""
    return [
        Prediction(
            id=e.id,
            group=e.group,
            gold=e.label,
            predicted=e.labels[max(range(len(row)), key=row.__getitem__)],
            template=e.template,
            scores=tuple(row),
        )
        for e, row in zip(examples, scores, strict=True)
    ]
