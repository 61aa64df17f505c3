"""The arms of a report as the figures and tables show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tutelage.report.numbers import count

_TITLES = {
    "majority": "Majority class",
    "tfidf_logreg": "TF-IDF + logistic regression",
    "nearest_neighbour": "Answer of the nearest training row",
    "lead": "First sentences of the input",
    "zero_shot": "Untuned, zero-shot",
    "tuned": "Tuned model",
    "human_rater": "One human rater",
    "vader": "VADER",
}
_ABOUT = {
    "majority": "always answers with the most frequent answer of the training rows",
    "tfidf_logreg": "word counts and a linear classifier, trained on the same rows",
    "nearest_neighbour": "the answer of the training row whose words are most alike",
    "lead": "the beginning of the longest field, about as long as an answer",
    "zero_shot": "the model before tuning, with the instruction alone",
    "tuned": "the same model after training on this task",
    "human_rater": "one person's rating against the mean of the others",
    "vader": "a hand-made sentiment lexicon with rules",
}
_FEW_SHOT = "few_shot_"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value with its 95 % interval, where there is one."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm; `kind` decides how it is drawn, `best` marks the verdict's baseline."""

    name: str
    title: str
    about: str
    kind: Literal["tuned", "baseline", "reference"]
    best: bool
    test: Mapping[str, Estimate]
    validation: Mapping[str, float]
    per_template: Mapping[str, Any]
    seconds: float | None
    examples: int | None
    unscored: int
    unfinished: int
    shots: str

    def of(self, metric: str) -> Estimate:
        """The test estimate of a metric, empty where the arm has none."""
        return self.test.get(metric, Estimate(None))


def metrics(report: Mapping[str, Any]) -> tuple[str, ...]:
    """All metrics of the arms, the primary one first."""
    names: dict[str, None] = {}
    if report.get("primary_metric"):
        names[report["primary_metric"]] = None
    for arm in report.get("arms", {}).values():
        names.update(dict.fromkeys(arm.get("metrics", {})))
    return tuple(names) or ("accuracy",)


def arms(report: Mapping[str, Any]) -> tuple[Arm, ...]:
    """Every arm, highest primary metric first; an arm without it comes last."""
    primary = metrics(report)[0]
    best = report.get("verdict", {}).get("best_baseline")
    found = [_arm(name, facts, name == best) for name, facts in report.get("arms", {}).items()]

    def order(arm: Arm) -> tuple[bool, float]:
        value = arm.of(primary).value
        return value is None, -(value or 0.0)

    return tuple(sorted(found, key=order))


def interval_note(report: Mapping[str, Any]) -> str:
    """Which intervals the tables show."""
    grouped = any(
        value.get("ci95_grouped")
        for arm in report.get("arms", {}).values()
        for value in arm.get("metrics", {}).values()
    )
    over = ", by bootstrap over groups of rows that belong together" if grouped else ""
    return f"95% intervals on the sealed test rows{over}"


def _arm(name: str, facts: Mapping[str, Any], best: bool) -> Arm:
    kind: Literal["tuned", "baseline", "reference"] = "baseline"
    if name == "tuned":
        kind = "tuned"
    elif facts.get("reference"):
        kind = "reference"
    return Arm(
        name=name,
        title=facts.get("title") or _title(name),
        about=facts.get("about") or _about(name),
        kind=kind,
        best=best,
        test={key: _estimate(value) for key, value in facts.get("metrics", {}).items()},
        validation=facts.get("validation") or {},
        per_template=facts.get("per_template") or {},
        seconds=facts.get("seconds"),
        examples=facts.get("examples"),
        unscored=facts.get("unscored") or 0,
        unfinished=facts.get("unfinished") or 0,
        shots=_shots(facts.get("shots")),
    )


def _estimate(value: Mapping[str, Any]) -> Estimate:
    low, high = value.get("ci95_grouped") or value.get("ci95") or (None, None)
    return Estimate(value.get("value"), low, high)


def _title(name: str) -> str:
    if name.startswith(_FEW_SHOT):
        return f"Untuned, {name.removeprefix(_FEW_SHOT)} examples in the prompt"
    return _TITLES.get(name, name.replace("_", " "))


def _about(name: str) -> str:
    if name.startswith(_FEW_SHOT):
        return "the model before tuning, shown training rows with their answers in its prompt"
    return _ABOUT.get(name, "")


def _shots(shots: Any) -> str:
    """How many examples fitted: `{"asked": 5, "fitted": 5}`, or fitted by template."""
    if not isinstance(shots, Mapping) or "fitted" not in shots:
        return ""
    fitted = shots["fitted"]
    numbers = sorted(set(fitted.values())) if isinstance(fitted, Mapping) else [fitted]
    if not numbers:
        return ""
    span = count(numbers[0]) + (f" to {count(numbers[-1])}" if len(numbers) > 1 else "")
    return f"{span} of {count(shots.get('asked'))} fitted"
