"""One arm's scores with intervals, and the verdict on two arms that answered the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from tutelage.errors import ConfigError, IntegrityError
from tutelage.evaluate.measure import Measure, measure, per_template
from tutelage.evaluate.metric_choice import FITTING, NAMES
from tutelage.evaluate.metrics import Matrix
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
from tutelage.tasks.schema import Metric

Test = Literal["exact_mcnemar", "group_sign_flip"]
Says = Literal["better", "not shown", "worse"]
SIGNIFICANCE = 0.05
TINY = 1e-9  # shares of votes add up to 1 only nearly
_OPENINGS: Mapping[Says, str] = {
    "better": "Tuning helped",
    "not shown": "No difference was shown",
    "worse": "Tuning hurt",
}


@dataclass(frozen=True, slots=True)
class Discordant:
    """Rows that one arm answered right and the other wrong.

    Where an arm has votes, or a row's score is no 0 or 1: rows of which one arm has the larger
    share of right votes, or the higher score.
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
    predictions: Sequence[Prediction],
    labels: Sequence[str],
    seed: int = 0,
    metrics: Sequence[Metric] = ("accuracy", "macro_f1"),
) -> dict[str, Any]:
    """An arm of report.json: every metric with its 95 % interval, and the scores by template.

    A share of right rows has the Wilson interval, and beside it `ci95_grouped`, a bootstrap over
    groups, where a group has several rows; an arm with votes and every other metric have the
    bootstrap alone. Templates are compared by accuracy, or by the first metric of texts.
    `unscored` counts rows whose answer is none of the labels, or empty; `unfinished` those whose
    generated answer ran into the length limit.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in metrics:
        of = measure(predictions, labels, name)
        grouped = list(bootstrap(of.profiles, of.statistic, seed=seed))
        found[name] = {"value": of.value, "ci95": grouped}
        if of.counted:
            right = int(of.rows.sum())
            found[name]["ci95"] = list(wilson(right, len(of.rows)))
            if len(of.profiles) < len(of.rows):
                found[name]["ci95_grouped"] = grouped
        if of.signature:
            found[name]["signature"] = of.signature
    shown = metrics[0] if metrics[0] in FITTING["text"] else "accuracy"
    arm = {
        "metrics": found,
        "per_template": per_template(predictions, labels, shown),
        "examples": len(predictions),
        "unscored": _unscored(predictions, labels),
    }
    unfinished = sum(p.unfinished for p in predictions)
    return {**arm, "unfinished": unfinished} if shown != "accuracy" else arm


def _unscored(predictions: Sequence[Prediction], labels: Sequence[str]) -> int:
    """Rows with an answer (or a vote) that is none of the labels, or without an answer."""
    return sum(
        any(a not in labels if labels else not a for a, _ in p.votes or ((p.predicted, p.gold),))
        for p in predictions
    )


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
    test is exact McNemar for a share of right rows where every group is one row, else a
    permutation of the arms within groups, on the metric itself. The interval is a bootstrap over
    groups, again of the metric itself.

    Raises:
        IntegrityError: the arms did not answer the same rows.
    """
    first = measure(tuned, labels, primary_metric)
    second = measure(_paired(tuned, baseline, name), labels, primary_metric)
    gap = first.rows - second.rows
    if first.counted and second.counted:
        test, p = _p_value(gap, first.groups)
    else:
        test = "group_sign_flip"
        p = swap(first.profiles, second.profiles, first.statistic, seed=seed)
    interval = _interval(first, second, seed)
    verdict = Verdict(
        best_baseline=name,
        metric=primary_metric,
        tuned=first.value,
        baseline=second.value,
        difference=first.value - second.value,
        ci95=interval,
        p_value=p,
        test=test,
        says=_says(interval, p),
        discordant=Discordant(int((gap > TINY).sum()), int((gap < -TINY).sum())),
    )
    return replace(verdict, sentence=_sentence(verdict))


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
        if (mine.gold, mine.group, mine.references) != (
            theirs.gold,
            theirs.group,
            theirs.references,
        ):
            raise IntegrityError(
                f"row {mine.id} has label {mine.gold!r} in group {mine.group!r} for the tuned arm "
                f"but {theirs.gold!r} in {theirs.group!r} for {name}; delete both and rerun."
            )
    return [of_id[prediction.id] for prediction in tuned]


def _p_value(gap: Matrix, groups: Sequence[str]) -> tuple[Test, float]:
    """Test of the mean of gaps of -1, 0 and 1."""
    _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if sizes.max() == 1:
        return "exact_mcnemar", mcnemar(int((gap > 0).sum()), int((gap < 0).sum()))
    sums = np.rint(np.bincount(group_of_row, gap)).astype(np.int64)
    return "group_sign_flip", sign_flip(sums)


def _interval(first: Measure, second: Measure, seed: int) -> Interval:
    """95 % interval of the difference, each resample holding both arms of its groups."""

    def difference(totals: Matrix) -> Matrix:
        return first.statistic(totals[:, 0]) - first.statistic(totals[:, 1])

    both = np.stack((first.profiles, second.profiles), axis=1)
    interval = bootstrap(both, difference, seed=seed, bounds=(-1.0, 1.0))
    return none_differ(len(both)) if interval == (0.0, 0.0) else interval


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
        f"{_OPENINGS[verdict.says]}: {NAMES[verdict.metric]} {verdict.tuned:.3f} against "
        f"{verdict.baseline:.3f} of the best baseline ({verdict.best_baseline}), "
        f"{_points(verdict.difference)} points (95 % interval {low} to {high}, {p})."
    )


def _points(share: float) -> str:
    """A signed number of percentage points with one decimal, never minus zero."""
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", "−")
