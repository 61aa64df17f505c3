"""Accuracy and macro-F1 of labels, from confusion matrices.

Everything is computed from weighted confusion matrices (..., gold, predicted), so that a
bootstrap scores thousands of resamples at once by adding the matrices of its groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tutelage.errors import DataGateError, InputError
from tutelage.records import Prediction
from tutelage.tasks.schema import Metric as Metric

LabelMetric = Literal["accuracy", "macro_f1"]
Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers as integers, one per vote: index of gold and predicted label, row and weight.

    `row` indexes `ids` and `groups`. A row answered once has one vote of weight 1; a row with n
    votes gives each the weight 1/n. A prediction outside the labels has the index len(labels).
    """

    labels: tuple[str, ...]
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    gold: Integers
    predicted: Integers
    weight: Matrix
    row: Integers
    voted: bool


def answers(predictions: Sequence[Prediction], labels: Sequence[str]) -> Answers:
    """Predictions as arrays.

    Raises:
        DataGateError: there are no predictions.
        InputError: a gold label is not one of `labels`.
    """
    if not predictions:
        raise DataGateError("there are no predictions to score; the split they answer is empty.")
    index = {label: i for i, label in enumerate(labels)}
    gold, predicted, weight, row = [], [], [], []
    for position, prediction in enumerate(predictions):
        votes = prediction.votes or ((prediction.predicted, prediction.gold),)
        for answer, truth in votes:
            if truth not in index:
                raise InputError(
                    f"prediction {prediction.id}: the gold label {truth!r} is not one of the "
                    f"task's labels {', '.join(map(repr, labels))}."
                )
            gold.append(index[truth])
            predicted.append(index.get(answer, len(labels)))
            weight.append(1 / len(votes))
            row.append(position)
    return Answers(
        labels=tuple(labels),
        ids=tuple(p.id for p in predictions),
        groups=tuple(p.group for p in predictions),
        gold=np.array(gold),
        predicted=np.array(predicted),
        weight=np.array(weight),
        row=np.array(row),
        voted=any(p.votes for p in predictions),
    )


def confusion(of: Answers) -> Matrix:
    """Weighted counts (gold, predicted); the last column holds answers outside the labels."""
    whole: Matrix = confusion_by(of, np.zeros(len(of.ids), np.int64), 1)[0]
    return whole


def confusion_by(of: Answers, cell_of_row: Integers, cells: int) -> Matrix:
    """Confusion matrices (cells, gold, predicted + 1) of the rows of each cell."""
    labels = len(of.labels)
    flat = (cell_of_row[of.row] * labels + of.gold) * (labels + 1) + of.predicted
    counts = np.zeros(cells * labels * (labels + 1))
    np.add.at(counts, flat, of.weight)
    return counts.reshape(cells, labels, labels + 1)


def accuracy(matrix: Matrix) -> Matrix:
    """Share of right answers of matrices (..., gold, predicted)."""
    right: Matrix = np.trace(matrix, axis1=-2, axis2=-1)
    return _ratio(right, matrix.sum(axis=(-2, -1)))


def macro_f1(matrix: Matrix) -> Matrix:
    """Unweighted mean over the labels of F1 = 2 TP / (gold + predicted); 0 / 0 counts as 0.

    Matrices are (..., gold, predicted). A label that is neither gold nor predicted lowers the
    mean, as in scikit-learn's `f1_score(labels=..., average="macro", zero_division=0)`.
    """
    hits: Matrix = np.diagonal(matrix, axis1=-2, axis2=-1)
    labels = matrix.shape[-2]
    said = matrix.sum(axis=-2)[..., :labels] + matrix.sum(axis=-1)
    mean: Matrix = _ratio(2 * hits, said).mean(axis=-1)
    return mean


def _ratio(part: Matrix, whole: Matrix) -> Matrix:
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)


METRICS: Mapping[LabelMetric, Callable[[Matrix], Matrix]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
}
