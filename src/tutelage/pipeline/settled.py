"""What only the rows can settle of a configuration: templates, metrics, fields that may be cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from tutelage.config import RunConfig
from tutelage.errors import ConfigError, nearest
from tutelage.evaluate.answer_text import compared_part
from tutelage.evaluate.json_answers import json_f1
from tutelage.evaluate.metric_choice import check_metrics, default_metrics
from tutelage.pipeline.families import Families, task_families
from tutelage.tasks.mixture import TaskFacts
from tutelage.tasks.rows import Rows
from tutelage.tasks.schema import Metric, TaskSpec
from tutelage.templates.render import training_templates

_SHOWN = 3  # addresses in an error

T = TypeVar("T")


def settle(
    config: RunConfig, loaded: Rows, facts: Mapping[str, TaskFacts]
) -> tuple[Families, tuple[Metric, ...]]:
    """Templates of every task, and the metrics.

    Raises:
        ConfigError: all that does not fit the rows, a line each.
    """
    said: list[str] = []

    def tried(make: Callable[[], T]) -> T | None:
        try:
            return make()
        except ConfigError as error:
            said.append(str(error))
            return None

    families = tried(lambda: find_families(config, facts))
    metrics = tried(lambda: find_metrics(config.task, loaded))
    tried(lambda: check_truncate(config.task, facts))
    if families is None or metrics is None or said:
        raise ConfigError("\n".join(said))
    return families, metrics


def find_families(config: RunConfig, facts: Mapping[str, TaskFacts]) -> Families:
    """The templates of every task, one of each at least to train on.

    Raises:
        ConfigError: as `task_families`, or none is left to train on.
    """
    families = task_families(config, facts)
    for family in families.values():
        training_templates(family)
    return families


def find_metrics(task: TaskSpec, loaded: Rows) -> tuple[Metric, ...]:
    """The task's own metrics, or what fits its labels or answers.

    Raises:
        ConfigError: one does not fit, or needs gold answers of another form.
    """
    if task.metrics:
        check_metrics(loaded.kind, task.metrics)
        metrics = tuple(task.metrics)
    else:
        answers = [row.label for row in loaded.rows]
        metrics = default_metrics(loaded.kind, answers, task.answers.after)
        labelled = loaded.kind == "text" and any(row.choices for row in loaded.rows)
        if labelled and "exact_match" not in metrics:  # labels among texts, in a mixture
            metrics = (*metrics, "exact_match")
    if "json_f1" in metrics:
        _check_json(task, loaded)
    return metrics


def _check_json(task: TaskSpec, loaded: Rows) -> None:
    """Every gold answer has to be JSON: its fields are what answers are compared with."""
    odd = []
    for row in loaded.rows:
        try:
            for gold in row.answers:
                json_f1("", compared_part(gold, task.answers.after))
        except ValueError as error:
            odd.append(f"{row.where} ({error})")
    if odd:
        more = f" and {len(odd) - _SHOWN:,} more" if len(odd) > _SHOWN else ""
        raise ConfigError(
            f"task.metrics: json_f1 needs gold answers in JSON, and {len(odd):,} of "
            f"{len(loaded.rows):,} are not: {', '.join(odd[:_SHOWN])}{more}. Correct or filter "
            "these rows, or name other metrics."
        )


def check_truncate(task: TaskSpec, facts: Mapping[str, TaskFacts]) -> None:
    """Refuse names of fields that no task has: nothing would be cut, and long rows dropped.

    Raises:
        ConfigError: there is one.
    """
    fields = sorted({name for known in facts.values() for name in known.fields})
    for name in task.truncate:
        if name not in fields:
            raise ConfigError(
                f"task.truncate: there is no field {name!r}.{nearest(name, fields)} "
                f"Known here: {', '.join(fields)}."
            )
