"""Validation while training: loss and task metrics of the validation split, from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tutelage.evaluate.metrics import Metric, score
from tutelage.evaluate.predict import predictions_from_scores
from tutelage.evaluate.score import Question, score_options
from tutelage.machine.precision import Precision
from tutelage.progress import Progress
from tutelage.records import Example, Prediction


@dataclass(frozen=True, slots=True)
class Validation:
    """Results on the validation split; `loss` is in nats per completion token."""

    loss: float
    metrics: dict[Metric, float]
    predictions: tuple[Prediction, ...]


class Validator:
    """Scores the validation split under the same prompts as every other arm."""

    def __init__(
        self,
        examples: Sequence[Example],
        questions: Sequence[Question],
        metrics: Sequence[Metric],
        precision: Precision,
        progress: Progress,
    ) -> None:
        self._metrics = metrics
        self._examples = examples
        self._questions = questions
        self._precision = precision
        self._progress = progress

    def __call__(self, model: Any) -> Validation:
        """Validate a model as it stands."""
        scores = score_options(
            model,
            self._questions,
            precision=self._precision,
            progress=self._progress,
            title="Validation",
        )
        loss = tokens = 0.0
        for example, question, row in zip(self._examples, self._questions, scores, strict=True):
            gold = example.labels.index(example.label)
            loss -= row[gold]
            tokens += len(question.options[gold])
        predictions = predictions_from_scores(self._examples, scores)
        labels = self._examples[0].labels
        metrics = {name: score(predictions, labels, name) for name in self._metrics}
        return Validation(loss / tokens, metrics, tuple(predictions))
