"""The templates of every task of a run, by the name of the task in a mixture ("" alone)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tutelage.config import RunConfig
from tutelage.tasks.mixture import TaskFacts
from tutelage.templates.library import select
from tutelage.templates.schema import Template

Families = Mapping[str, tuple[Template, ...]]


def read_facts(summary: Mapping[str, Any]) -> dict[str, TaskFacts]:
    """What `prepare` wrote of every task."""
    return {
        name: TaskFacts(
            tuple(t["labels"]), t["kind"], tuple(t["fields"]), t["held_out"], t.get("columns", {})
        )
        for name, t in summary["tasks"].items()
    }


def task_families(config: RunConfig, facts: Mapping[str, TaskFacts]) -> Families:
    """What a run's `task.templates` select for each task, held-out wordings too.

    In a mixture each task's own patterns count where the run leaves the choice open.

    Raises:
        ConfigError: a pattern matches nothing, or does not fit a task.
    """
    chosen = config.task.templates
    mixture = config.task.source.mixture
    own = {part.task.name: part.task.templates for part in mixture.tasks} if mixture else {}
    return {
        name: select(
            own[name] if name in own and chosen == ["auto"] else chosen,
            known.labels,
            known.kind,
            known.fields,
        )
        for name, known in facts.items()
    }
