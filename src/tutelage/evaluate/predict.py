"""Predictions: the label with the highest log-likelihood, or the generated text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tutelage.evaluate.answer_text import compared_part
from tutelage.evaluate.ending import Generated
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
            prompt_ids=encoder.prompt(e.prompt, shots.get(e.template, ()), e.turns),
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


def gold_questions(encoder: Encoder, examples: Sequence[Example]) -> list[Question]:
    """Every example with its gold completion as the only option: what a loss is made of."""
    return [
        Question(e.id, e.template, prompt_ids, (encoder.completion(e.completion),))
        for e, prompt_ids in zip(examples, prompts_for(encoder, examples), strict=True)
    ]


def prompts_for(
    encoder: Encoder,
    examples: Sequence[Example],
    shots: Mapping[str, Sequence[Shot]] | None = None,
) -> list[tuple[int, ...]]:
    """Every example as what inference sends; `shots` are earlier turns by template."""
    shots = shots or {}
    return [encoder.prompt(e.prompt, shots.get(e.template, ()), e.turns) for e in examples]


def text_prediction(
    example: Example, text: str, after: str | None = None, *, unfinished: bool = False
) -> Prediction:
    """A text answer beside the gold ones, each reduced to the part that is compared."""
    references = tuple(compared_part(option, after) for option in example.options)
    part = compared_part(text, after)
    return Prediction(
        id=example.id,
        group=example.group,
        gold=references[example.labels.index(example.label)],
        predicted=part,
        template=example.template,
        references=references,
        text="" if part == text.strip() else text,
        unfinished=unfinished,
    )


def predictions_from_answers(
    examples: Sequence[Example], answers: Sequence[Generated], after: str | None = None
) -> list[Prediction]:
    """Generated answers as predictions."""
    return [
        text_prediction(e, answer.text, after, unfinished=not answer.finished)
        for e, answer in zip(examples, answers, strict=True)
    ]
