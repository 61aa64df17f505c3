"""Which columns of a table are the label, the id, the group and the template's variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tutelage.errors import InputError, nearest
from tutelage.tasks.schema import TaskSpec
from tutelage.tasks.table import Table

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names by role; `fields` maps template variables to columns."""

    fields: Mapping[str, str]
    label: str
    id: str | None
    group: str | None


def choose_columns(task: TaskSpec, table: Table) -> tuple[Columns, list[str]]:
    """The columns that a task names, and notes on what was guessed.

    Without `fields` the variable `text` is the column with the longest mean text.

    Raises:
        InputError: a named column does not exist (all of them at once), a field is the label
            column, or no column is left for the text.
    """
    named = {"label": task.label, "id": task.id, "group_by": task.group_by}
    named |= {f"fields.{variable}": column for variable, column in task.fields.items()}
    problems = [
        f"task.{setting}: there is no column {column!r}.{nearest(column, table.columns)}"
        for setting, column in named.items()
        if column is not None and column not in table.columns
    ]
    # the answer must not stand in the prompt
    problems += [
        f"task.fields.{variable}: {column!r} is the label column."
        for variable, column in task.fields.items()
        if column == task.label
    ]
    if problems:
        raise InputError(f"{table.path}: {' '.join(problems)} {_listed(table)}")
    if task.fields:
        return Columns(task.fields, task.label, task.id, task.group_by), []
    text = _longest(table, {task.label, task.id, task.group_by})
    note = f"text column: {text!r}, the longest on average; --text or task.fields name another"
    return Columns({"text": text}, task.label, task.id, task.group_by), [note]


def _longest(table: Table, taken: set[str | None]) -> str:
    """The free column with the longest mean text; the first of equals."""
    free = [column for column in table.columns if column not in taken]
    if not free:
        raise InputError(
            f"{table.path}: no column is left for the text. {_listed(table)} Add one, or name it "
            "with --text or task.fields."
        )
    return max(free, key=lambda column: sum(len(r.cells[column]) for r in table.records))


def _listed(table: Table) -> str:
    shown = ", ".join(repr(column) for column in table.columns[:_SHOWN])
    more = len(table.columns) - _SHOWN
    return f"The columns are {shown}{f' and {more} more' if more > 0 else ''}."
