"""One arm's scores with intervals, and the verdict on two arms that answered the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from tutelage.errors import ConfigError, IntegrityError
from tutelage.evaluate.metrics import (
    METRICS,
    Answers,
    Matrix,
    Metric,
    answers,
    confusion_by,
    per_template,
)
from tutelage.evaluate.stats import (
    Interval,
    bootstrap,
    mcnemar,
    none_differ,
    sign_flip,
    swap,
    wilson,
)
from tutelage.records import Prediction

Test = Literal["exact_mcnemar", "group_sign_flip"]
Says = Literal["better", "not shown", "worse"]
SIGNIFICANCE = 0.05
_TINY = 1e-9  # shares of votes add up to 1 only nearly
_OPENINGS: Mapping[Says, str] = {
    "better": "Tuning helped",
    "not shown": "No difference was shown",
    "worse": "Tuning hurt",
}
_NAMES: Mapping[Metric, str] = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


@dataclass(frozen=True, slots=True)
class Discordant:
    """Rows that one arm answered right and the other wrong.

    Where an arm has votes: rows of which one arm has the larger share of right votes.
    """

    tuned_only: int
    baseline_only: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Tuned minus baseline on the primary metric, paired by row, resampled by group."""

    best_baseline: str
    metric: Metric
    tuned: float
    baseline: float
    difference: float
    ci95: Interval
    p_value: float
    test: Test
    says: Says
    discordant: Discordant
    sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `verdict` in report.json."""
        return {**asdict(self), "ci95": list(self.ci95)}


def score_arm(
    predictions: Sequence[Prediction], labels: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """An arm of report.json: every metric with its 95 % interval, accuracy under each template.

    Accuracy has the Wilson interval, and beside it `ci95_grouped`, a bootstrap over groups, where
    a group has several rows; an arm with votes has the bootstrap alone, and macro-F1 always.
    `unscored` counts rows whose answer is none of the labels.
    """
    of = answers(predictions, labels)
    by_group = _by_group(of)
    metrics: dict[str, dict[str, Any]] = {}
    for name, metric in METRICS.items():
        grouped = list(bootstrap(by_group, metric, seed=seed))
        value = float(metric(by_group.sum(axis=0)))
        metrics[name] = {"value": value, "ci95": grouped}
        if name == "accuracy" and not of.voted:
            right = int((of.gold == of.predicted).sum())
            metrics[name]["ci95"] = list(wilson(right, len(of.ids)))
            if len(by_group) < len(of.ids):
                metrics[name]["ci95_grouped"] = grouped
    return {
        "metrics": metrics,
        "per_template": per_template(predictions, labels),
        "examples": len(of.ids),
        "unscored": len(set(of.row[of.predicted == len(of.labels)].tolist())),
    }


def best_baseline(validation_scores: Mapping[str, float]) -> str:
    """The arm with the highest validation score; of equal ones the first: name simple ones first.

    Raises:
        ConfigError: no arm was scored.
    """
    if not validation_scores:
        raise ConfigError("no baseline was scored on validation; switch one on under `baselines`.")
    return max(validation_scores, key=lambda arm: validation_scores[arm])


def compare(
    tuned: Sequence[Prediction],
    baseline: Sequence[Prediction],
    primary_metric: Metric,
    labels: Sequence[str],
    seed: int = 0,
    *,
    name: str = "baseline",
) -> Verdict:
    """The verdict on a tuned arm against the baseline `name`.

    Better: p < 0.05 and the whole interval above 0; worse: the mirror image; else not shown. The
    test is exact McNemar for accuracy where every group is one row, else a permutation of the
    arms within groups. The interval is a bootstrap over groups.

    Raises:
        IntegrityError: the arms did not answer the same rows.
    """
    first, second = answers(tuned, labels), answers(_paired(tuned, baseline, name), labels)
    a, b = _by_group(first), _by_group(second)
    metric = METRICS[primary_metric]
    gap = _gaps(first, second)
    if primary_metric == "accuracy" and not (first.voted or second.voted):
        test, p = _p_value(gap, first.groups)
    else:
        test, p = "group_sign_flip", swap(a, b, metric, seed=seed)
    interval = _interval(a, b, metric, seed)
    values = float(metric(a.sum(axis=0))), float(metric(b.sum(axis=0)))
    verdict = Verdict(
        best_baseline=name,
        metric=primary_metric,
        tuned=values[0],
        baseline=values[1],
        difference=values[0] - values[1],
        ci95=interval,
        p_value=p,
        test=test,
        says=_says(interval, p),
        discordant=Discordant(int((gap > _TINY).sum()), int((gap < -_TINY).sum())),
    )
    return replace(verdict, sentence=_sentence(verdict))


def _by_group(of: Answers) -> Matrix:
    """Confusion matrices (groups, gold, predicted), groups in name order."""
    names, group_of_row = np.unique(of.groups, return_inverse=True)
    return confusion_by(of, group_of_row, len(names))


def _paired(
    tuned: Sequence[Prediction], baseline: Sequence[Prediction], name: str
) -> list[Prediction]:
    """The baseline's predictions in the order of the tuned arm's."""
    of_id = {prediction.id: prediction for prediction in baseline}
    ids = {prediction.id for prediction in tuned}
    if len(ids) != len(tuned) or len(of_id) != len(baseline):
        raise IntegrityError(
            f"predictions of the tuned arm or of {name} answer a row twice; delete them and rerun."
        )
    if ids != of_id.keys():
        odd = sorted(ids ^ of_id.keys())[:3]
        raise IntegrityError(
            f"the tuned arm and {name} did not answer the same rows ({', '.join(odd)} and "
            "possibly more); delete their predictions and rerun."
        )
    for mine in tuned:
        theirs = of_id[mine.id]
        if (mine.gold, mine.group) != (theirs.gold, theirs.group):
            raise IntegrityError(
                f"row {mine.id} has label {mine.gold!r} in group {mine.group!r} for the tuned arm "
                f"but {theirs.gold!r} in {theirs.group!r} for {name}; delete both and rerun."
            )
    return [of_id[prediction.id] for prediction in tuned]


def _gaps(first: Answers, second: Answers) -> Matrix:
    """Share of right votes of the first arm minus that of the second, per row."""
    gap = np.zeros(len(first.ids))
    np.add.at(gap, first.row, first.weight * (first.gold == first.predicted))
    np.subtract.at(gap, second.row, second.weight * (second.gold == second.predicted))
    return gap


def _p_value(gap: Matrix, groups: Sequence[str]) -> tuple[Test, float]:
    """Test of the mean of gaps of -1, 0 and 1."""
    _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if sizes.max() == 1:
        return "exact_mcnemar", mcnemar(int((gap > 0).sum()), int((gap < 0).sum()))
    sums = np.rint(np.bincount(group_of_row, gap)).astype(np.int64)
    return "group_sign_flip", sign_flip(sums)


def _interval(a: Matrix, b: Matrix, metric: Callable[[Matrix], Matrix], seed: int) -> Interval:
    """95 % interval of metric(a) - metric(b), each resample holding both arms of its groups."""

    def difference(totals: Matrix) -> Matrix:
        return metric(totals[:, 0]) - metric(totals[:, 1])

    interval = bootstrap(np.stack((a, b), axis=1), difference, seed=seed, bounds=(-1.0, 1.0))
    return none_differ(len(a)) if interval == (0.0, 0.0) else interval


def _says(interval: Interval, p: float) -> Says:
    if p < SIGNIFICANCE and interval[0] > 0:
        return "better"
    return "worse" if p < SIGNIFICANCE and interval[1] < 0 else "not shown"


def _sentence(verdict: Verdict) -> str:
    low, high = map(_points, verdict.ci95)
    if verdict.p_value < 0.0001:
        p = "p < 0.0001"
    else:
        p = f"p = {verdict.p_value:.{4 if verdict.p_value < 0.1 else 2}f}"
    return (
        f"{_OPENINGS[verdict.says]}: {_NAMES[verdict.metric]} {verdict.tuned:.3f} against "
        f"{verdict.baseline:.3f} of the best baseline ({verdict.best_baseline}), "
        f"{_points(verdict.difference)} points (95 % interval {low} to {high}, {p})."
    )


def _points(share: float) -> str:
    """A signed number of percentage points with one decimal, never minus zero."""
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", "−")
