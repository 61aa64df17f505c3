"""Metrics of text answers: a score per row, each against the best of several gold answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tutelage.errors import InputError
from tutelage.evaluate.answer_text import answer_tokens, normal_answer, number
from tutelage.evaluate.json_answers import json_f1, json_valid
from tutelage.records import Prediction
from tutelage.tasks.schema import Metric

Score = Callable[[str, str], float]


def references_of(prediction: Prediction) -> tuple[str, ...]:
    """All gold answers of a row."""
    return prediction.references or (prediction.gold,)


def exact_match(answer: str, gold: str) -> float:
    """1 where both are the same under the normaliser (`normal_answer`)."""
    return float(normal_answer(answer) == normal_answer(gold))


def token_f1(answer: str, gold: str) -> float:
    """F1 of the bags of tokens of both normal answers (Rajpurkar et al. 2016)."""
    said, wanted = Counter(answer_tokens(answer)), Counter(answer_tokens(gold))
    if not said or not wanted:
        return float(said == wanted)
    return 2 * (said & wanted).total() / (said.total() + wanted.total())


def numeric_match(answer: str, gold: str) -> float:
    """1 where both have the same number; a gold answer without one is matched as text."""
    wanted = number(gold)
    return exact_match(answer, gold) if wanted is None else float(number(answer) == wanted)


def _json_valid(answer: str, _gold: str) -> float:
    return float(json_valid(answer))


PER_ANSWER: Mapping[Metric, Score] = {
    "exact_match": exact_match,
    "token_f1": token_f1,
    "numeric_match": numeric_match,
    "json_valid": _json_valid,
    "json_f1": json_f1,
}
"""Metrics whose corpus value is the mean over rows of a score of (answer, gold answer)."""


def row_scores(predictions: Sequence[Prediction], metric: Metric) -> list[float]:
    """The score of every row in 0..1 against the best of its gold answers.

    Raises:
        InputError: `json_f1` of a row whose gold answer is not JSON.
    """
    score = PER_ANSWER[metric]
    scores = []
    for prediction in predictions:
        try:
            best = max(score(prediction.predicted, gold) for gold in references_of(prediction))
        except ValueError as error:
            raise InputError(
                f"row {prediction.id}: its gold answer is not JSON ({error}), which {metric} "
                "needs. Correct it, or take another metric in task.metrics."
            ) from error
        scores.append(best)
    return scores
