"""Validation while training: loss and task metrics of the validation split."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tutelage.evaluate.ending import Generated
from tutelage.evaluate.generate import generate_answers
from tutelage.evaluate.measure import measure, score, shared_labels
from tutelage.evaluate.predict import (
    gold_questions,
    predictions_from_answers,
    predictions_from_scores,
    prompts_for,
)
from tutelage.evaluate.score import Question, score_options
from tutelage.files import read_json, write_json
from tutelage.machine.precision import Precision
from tutelage.progress import Progress
from tutelage.records import Example, Prediction
from tutelage.tasks.schema import AnswerSpec, Metric
from tutelage.tokens.encode import Encoder

_FIRST_PART = 8  # rows that are answered whatever they cost


@dataclass(frozen=True, slots=True)
class Validation:
    """Results on the validation split.

    Attributes:
        loss: nats per completion token, of all rows.
        noise: standard error of the primary metric where only a part of the rows was answered.
    """

    loss: float
    metrics: dict[Metric, float]
    predictions: tuple[Prediction, ...]
    noise: float = 0.0


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
        labels = shared_labels(self._examples)
        metrics = {name: score(predictions, labels, name) for name in self._metrics}
        return Validation(loss / tokens, metrics, tuple(predictions))


class TextValidator:
    """Loss of the gold answers of all validation rows, metrics of generated answers of a part.

    Generating is slow, so the part is what the first validation answers in `seconds`. Rows come
    in an order that follows from `seed` and their ids alone, in parts of 8, 16, 32 and so on, each
    begun only where the rate so far says that it fits. The sizes of the parts are written to
    `note` and read back by every later validation, also after a resume: the same rows in the same
    batches, so that two validations differ by the weights alone and a resumed run repeats what
    it would have done. Later ones take as long as the first, or longer in proportion where a
    model learns to answer at greater length, up to the length limit.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        encoder: Encoder,
        answers: AnswerSpec,
        metrics: Sequence[Metric],
        precision: Precision,
        progress: Progress,
        *,
        note: Path,
        seconds: float,
        seed: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._metrics = metrics
        self._questions = gold_questions(encoder, examples)
        order = sorted(range(len(examples)), key=lambda i: _draw(seed, examples[i].id))
        self._examples = [examples[i] for i in order]
        self._prompts = prompts_for(encoder, self._examples)
        self._encoder = encoder
        self._answers = answers
        self._precision = precision
        self._progress = progress
        self._note = note
        self._seconds = seconds
        self._clock = clock

    def __call__(self, model: Any) -> Validation:
        """Validate a model as it stands."""
        scores = score_options(
            model,
            self._questions,
            precision=self._precision,
            progress=self._progress,
            title="Validation loss",
        )
        loss = -sum(gold for (gold,) in scores)
        tokens = sum(len(question.options[0]) for question in self._questions)
        answers = self._answer(model)
        examples = self._examples[: len(answers)]
        predictions = predictions_from_answers(examples, answers, self._answers.after)
        metrics = {name: score(predictions, (), name) for name in self._metrics}
        noise = 0.0
        if len(answers) < len(self._examples):
            noise = standard_error(measure(predictions, (), self._metrics[0]).rows)
        return Validation(loss / tokens, metrics, tuple(predictions), noise)

    def _answer(self, model: Any) -> list[Generated]:
        """Answers of the first rows of the order, as many as were settled or fit the time."""
        settled = self._settled()
        if settled:
            answers: list[Generated] = []
            for size in settled:
                answers += self._generate(model, len(answers), size)
            return answers
        answers, parts = self._measured(model)
        write_json(
            self._note,
            {
                "rows": len(answers),
                "of": len(self._examples),
                "seconds_allowed": self._seconds,
                "parts": parts,
                "ids": [example.id for example in self._examples[: len(answers)]],
            },
        )
        if len(answers) < len(self._examples):
            self._progress.say(
                f"Validation generates answers to {len(answers)} of {len(self._examples)} rows, "
                f"as many as {self._seconds:g} s allow; its loss is of all rows."
            )
        return answers

    def _settled(self) -> list[int]:
        """Sizes of the parts that an earlier validation of these rows settled."""
        if not self._note.exists():
            return []
        held = read_json(self._note)
        same = held["ids"] == [e.id for e in self._examples[: held["rows"]]]
        return list(held["parts"]) if same and held["of"] == len(self._examples) else []

    def _measured(self, model: Any) -> tuple[list[Generated], list[int]]:
        """Answer part after part while the time lasts; the sizes of the parts."""
        answers: list[Generated] = []
        parts: list[int] = []
        started = self._clock()
        size = _FIRST_PART
        while size > 0 and len(answers) < len(self._examples):
            answers += self._generate(model, len(answers), size)
            parts.append(min(size, len(self._examples) - sum(parts)))
            spent = self._clock() - started
            fits = int((self._seconds - spent) * len(answers) / max(spent, 1e-9))
            size = min(2 * size, fits)
        return answers, parts

    def _generate(self, model: Any, first: int, rows: int) -> list[Generated]:
        return generate_answers(
            model,
            self._prompts[first : first + rows],
            self._encoder.stop_id,
            max_new_tokens=self._answers.max_tokens,
            stop_texts=self._answers.stop,
            decode=self._encoder.decode,
            precision=self._precision,
            progress=self._progress,
            title="Validation answers",
        )


def standard_error(scores: Sequence[float] | np.ndarray) -> float:
    """Of a mean of scores in 0..1.

    A score of 0 and one of 1 are added, as in Laplace's rule of succession: eight wrong answers
    of eight do not say that the next is wrong for sure.
    """
    widened = np.concatenate([np.asarray(scores, np.float64), [0.0, 1.0]])
    return float(widened.std() / math.sqrt(len(widened)))


def _draw(seed: int, row: str) -> str:
    return hashlib.sha256(f"{seed}\0{row}".encode("utf-8", "surrogatepass")).hexdigest()
