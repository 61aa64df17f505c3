"""What the tuned model does beyond what it was trained on: other wordings, other tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Wording:
    """The tuned model's primary metric under a set of wordings, and the spread over them."""

    name: str
    value: float
    low: float
    high: float
    templates: int
    worst: float
    best: float


@dataclass(frozen=True, slots=True)
class TaskScore:
    """One task of a mixture: every arm's primary metric; `verdict` is a sentence or empty."""

    name: str
    unseen: bool
    values: tuple[float | None, ...]
    verdict: str


def wordings(report: Mapping[str, Any]) -> tuple[Wording, ...]:
    """Wordings of training and unseen ones; empty where there are no unseen ones."""
    tuned = (report.get("arms") or {}).get("tuned") or {}
    unseen = tuned.get("unseen_wordings")
    if not unseen:
        return ()
    primary = str(report["primary_metric"])
    named = (("Wordings of training", tuned), ("Unseen wordings", unseen))
    return tuple(_wording(name, facts, primary) for name, facts in named)


def _wording(name: str, facts: Mapping[str, Any], primary: str) -> Wording:
    found = facts["metrics"][primary]
    by_template = list(facts["per_template"].values())
    low, high = found["ci95"]
    return Wording(
        name, found["value"], low, high, len(by_template), min(by_template), max(by_template)
    )


def tasks(report: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[TaskScore, ...]]:
    """Titles of the arms, and the tasks of a mixture, trained ones first."""
    arms = {name: arm for name, arm in (report.get("arms") or {}).items() if arm.get("per_task")}
    primary = str(report.get("primary_metric"))
    trained = dict.fromkeys(task for arm in arms.values() for task in arm["per_task"])
    rows = [
        TaskScore(
            task,
            False,
            tuple(arm["per_task"].get(task, {}).get(primary) for arm in arms.values()),
            "",
        )
        for task in trained
    ]
    for task, facts in (report.get("unseen_tasks") or {}).items():
        arms = arms or {name: report["arms"][name] for name in facts["arms"]}
        values = tuple(facts["arms"].get(name, {}).get(primary) for name in arms)
        rows.append(TaskScore(task, True, values, facts["verdict"]["sentence"]))
    return tuple(str(arm["title"]) for arm in arms.values()), tuple(rows)
