"""Which metrics fit which kind of task, and which are taken where none is named."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tutelage.errors import ConfigError, nearest
from tutelage.evaluate.answer_text import answer_tokens, compared_part, number
from tutelage.evaluate.json_answers import json_valid
from tutelage.tasks.schema import Kind, Metric

FITTING: Mapping[Kind, tuple[Metric, ...]] = {
    "classification": ("accuracy", "macro_f1"),
    "choice": ("accuracy",),
    "text": (
        "exact_match",
        "token_f1",
        "rouge1",
        "rouge2",
        "rougeL",
        "rougeLsum",
        "chrf",
        "bleu",
        "json_valid",
        "json_f1",
        "numeric_match",
    ),
}
NAMES: Mapping[Metric, str] = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "exact_match": "exact match",
    "token_f1": "token F1",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
    "chrf": "chrF",
    "bleu": "BLEU",
    "json_valid": "valid JSON",
    "json_f1": "JSON field F1",
    "numeric_match": "numeric match",
}
"""How sentences call a metric."""

_TASKS: Mapping[Kind, str] = {
    "classification": "fixed labels",
    "choice": "choices of each row's own",
    "text": "text answers",
}
_SHORT = 5  # words; longer answers are compared by overlap
_ALMOST = 0.95  # share of answers that decides; a few odd ones do not change the metric


def check_metrics(kind: Kind, metrics: Sequence[Metric]) -> None:
    """Refuse metrics that say nothing about a kind of task.

    Macro-F1 needs labels that every row shares; a metric of texts needs text answers.

    Raises:
        ConfigError: one of them does not fit, or one is named twice.
    """
    fitting = FITTING[kind]
    odd = [metric for metric in metrics if metric not in fitting]
    if odd:
        raise ConfigError(
            f"task.metrics: {', '.join(odd)} cannot be computed for a task with {_TASKS[kind]}; "
            f"it takes {', '.join(fitting)}.{nearest(odd[0], fitting)}"
        )
    doubled = sorted({metric for metric in metrics if list(metrics).count(metric) > 1})
    if doubled:
        raise ConfigError(f"task.metrics: {doubled[0]} stands there twice; name it once.")


def default_metrics(
    kind: Kind, answers: Sequence[str] = (), after: str | None = None
) -> tuple[Metric, ...]:
    """Metrics of a task that names none; the first is the primary one.

    Those of text answers follow from the gold answers of training (what stands after the mark
    `after`): numbers, JSON, a few words, or longer texts.
    """
    if kind != "text":
        return FITTING[kind]
    parts = [compared_part(answer, after) for answer in answers]
    if not parts:
        return "rougeL", "rouge1", "rouge2", "rougeLsum"
    if _share([part[:1] in ("{", "[") and json_valid(part) for part in parts]) >= _ALMOST:
        return "json_f1", "json_valid", "exact_match"
    words = [len(answer_tokens(part)) for part in parts]
    short = statistics.median(words) <= _SHORT
    bare = [number(part) is not None and n <= 2 for part, n in zip(parts, words, strict=True)]
    if _share(bare) >= _ALMOST:  # a number and perhaps its unit
        return "numeric_match", "exact_match"
    if short:
        return "exact_match", "token_f1"
    return "rougeL", "rouge1", "rouge2", "rougeLsum"


def _share(marks: Sequence[bool]) -> float:
    return sum(marks) / len(marks)
