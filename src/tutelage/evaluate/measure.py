"""One metric of one arm: a score per row, and what a bootstrap over groups adds up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from tutelage.errors import ConfigError, DataGateError
from tutelage.evaluate.corpus_scores import Corpus, bleu, chrf, counts
from tutelage.evaluate.metrics import METRICS, Answers, Matrix, answers, confusion_by
from tutelage.evaluate.rouge import Rouge, rouge_scores, rouge_signature
from tutelage.evaluate.text_metrics import PER_ANSWER, references_of, row_scores
from tutelage.records import Example, Prediction
from tutelage.tasks.schema import Metric as Metric

Statistic = Callable[[Matrix], Matrix]
_ONE_OR_NONE = {"accuracy", "exact_match", "numeric_match", "json_valid"}


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric over the rows of an arm.

    Attributes:
        rows: (rows,) score of each row in 0..1.
        groups: the group of each row.
        profiles: (groups, ...) sums over each group, groups in name order.
        statistic: maps totals of profiles (..., ...) to the metric in 0..1.
        counted: every row is right or wrong, so that exact tests of shares hold.
        signature: version and settings of the package that scored, where one did.
    """

    rows: Matrix
    groups: tuple[str, ...]
    profiles: Matrix
    statistic: Statistic
    counted: bool = False
    signature: str = ""

    @property
    def value(self) -> float:
        """The metric of the whole arm."""
        return float(self.statistic(self.profiles.sum(axis=0)))


def measure(predictions: Sequence[Prediction], labels: Sequence[str], metric: Metric) -> Measure:
    """Score an arm under one metric.

    `labels` are those of a task with fixed labels; else, and with choices of each row's own, they
    are empty, and an answer is right where it equals the gold one.

    Raises:
        ConfigError: macro-F1 without labels.
        DataGateError: there are no predictions.
        InputError: a gold label is not one of `labels`, or a gold answer does not fit the metric.
    """
    if metric in METRICS and labels:
        return _of_labels(answers(predictions, labels), METRICS[metric], metric)  # type: ignore[index]
    if metric == "macro_f1":
        raise ConfigError(
            "task.metrics: macro_f1 needs labels that every row shares; take accuracy."
        )
    if not predictions:
        raise DataGateError("there are no predictions to score; the split they answer is empty.")
    groups = tuple(p.group for p in predictions)
    said = [p.predicted for p in predictions]
    wanted = [references_of(p) for p in predictions]
    if metric in get_args(Corpus):
        return _of_counts(said, wanted, groups, metric)  # type: ignore[arg-type]
    signature = ""
    if metric in get_args(Rouge):
        scores = rouge_scores(said, wanted, metric)  # type: ignore[arg-type]
        signature = rouge_signature(metric)  # type: ignore[arg-type]
    elif metric in PER_ANSWER:
        scores = row_scores(predictions, metric)
    else:
        scores = [float(p.predicted == p.gold) for p in predictions]
    rows = np.array(scores, dtype=np.float64)
    profiles = _by_group(np.stack((rows, np.ones(len(rows))), axis=1), groups)
    return Measure(rows, groups, profiles, _mean, metric in _ONE_OR_NONE, signature)


def score(
    predictions: Sequence[Prediction], labels: Sequence[str], metric: Metric = "accuracy"
) -> float:
    """One metric of one arm, in 0..1."""
    return measure(predictions, labels, metric).value


def shared_labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """The labels of all rows where they are the same ones; empty where rows have their own."""
    kinds = {example.labels for example in examples}
    return kinds.pop() if len(kinds) == 1 else ()


def per_template(
    predictions: Sequence[Prediction], labels: Sequence[str], metric: Metric = "accuracy"
) -> dict[str, float]:
    """A metric under each template, in name order; rows without a template are left out."""
    of_template: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        if prediction.template:
            of_template.setdefault(prediction.template, []).append(prediction)
    return {name: score(of_template[name], labels, metric) for name in sorted(of_template)}


def _of_labels(of: Answers, statistic: Statistic, metric: Metric) -> Measure:
    """Confusion matrices (groups, gold, predicted); a row's score is its share of right votes."""
    names, group_of_row = np.unique(of.groups, return_inverse=True)
    rows = np.zeros(len(of.ids))
    np.add.at(rows, of.row, of.weight * (of.gold == of.predicted))
    counted = metric == "accuracy" and not of.voted
    profiles = confusion_by(of, group_of_row, len(names))
    return Measure(rows, of.groups, profiles, statistic, counted)


def _of_counts(
    said: Sequence[str],
    wanted: Sequence[Sequence[str]],
    groups: tuple[str, ...],
    metric: Corpus,
) -> Measure:
    """Counts of n-grams; a row's score is the metric of that row alone."""
    of_row, signature = counts(said, wanted, metric)
    rows = bleu(of_row, shortened=True) if metric == "bleu" else chrf(of_row)
    statistic = bleu if metric == "bleu" else chrf
    return Measure(rows, groups, _by_group(of_row, groups), statistic, signature=signature)


def _by_group(of_row: Matrix, groups: Sequence[str]) -> Matrix:
    """Sums (groups, k) over the rows of each group, groups in name order."""
    names, group_of_row = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), of_row.shape[1]))
    np.add.at(sums, group_of_row, of_row)
    return sums


def _mean(totals: Matrix) -> Matrix:
    share: Matrix = totals[..., 0] / totals[..., 1]
    return share
