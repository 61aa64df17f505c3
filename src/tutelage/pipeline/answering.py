"""A model's answers to examples: the best of the options, or a generated text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tutelage.evaluate.generate import generate_answers
from tutelage.evaluate.predict import (
    predictions_from_answers,
    predictions_from_scores,
    prompts_for,
    questions_for,
)
from tutelage.evaluate.score import score_options
from tutelage.machine.precision import Precision
from tutelage.progress import Progress
from tutelage.records import Example, Prediction
from tutelage.tasks.schema import AnswerSpec
from tutelage.tokens.encode import Encoder, Shot


@dataclass(frozen=True, slots=True)
class Answerer:
    """A model with its tokenizer, ready to answer the examples of a task."""

    model: Any
    encoder: Encoder
    precision: Precision
    answers: AnswerSpec
    progress: Progress

    def __call__(
        self,
        examples: Sequence[Example],
        shots: Mapping[str, Sequence[Shot]] | None = None,
        title: str = "Answering",
    ) -> list[Prediction]:
        """Predictions in the order of the examples; `shots` are earlier turns by template."""
        if not (examples and examples[0].answers):
            scores = score_options(
                self.model,
                questions_for(self.encoder, examples, shots),
                precision=self.precision,
                progress=self.progress,
                title=title,
            )
            return predictions_from_scores(examples, scores)
        texts = generate_answers(
            self.model,
            prompts_for(self.encoder, examples, shots),
            self.encoder.stop_id,
            max_new_tokens=self.answers.max_tokens,
            stop_texts=self.answers.stop,
            decode=self.encoder.decode,
            precision=self.precision,
            progress=self.progress,
            title=title,
        )
        return predictions_from_answers(examples, texts, self.answers.after)
