"""Which columns of a source are the label, the answers, the id and the template's variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tutelage.errors import InputError
from tutelage.tasks.record import SplitSource
from tutelage.tasks.schema import Kind, TaskSpec
from tutelage.tasks.shape import CONVERSATIONS, Shape, pair_columns
from tutelage.tasks.survey import Survey, Wanted, listed
from tutelage.tasks.text_folders import FOLDER_COLUMNS

# Columns that templates know by these names, taken together where all of them are there.
_KNOWN: Mapping[Kind, Sequence[tuple[str, ...]]] = {
    "classification": (("premise", "hypothesis"),),
    "choice": (("context", "question"), ("question",)),
    "text": (("context", "question"), ("question",), ("dialogue",)),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names by role; `fields` maps template variables to columns.

    `answers` are those of a task with text answers, `choices` those with options. `label` is
    None where there are answers, and where the shape is that of conversations.
    """

    kind: Kind
    shape: Shape
    fields: Mapping[str, str]
    label: str | None
    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    id: str | None = None
    group: str | None = None
    split: str | None = None
    time: str | None = None


def choose_columns(
    task: TaskSpec, shape: Shape, survey: Survey, split: SplitSource | None = None
) -> tuple[Columns, Wanted, list[str]]:
    """The columns that a task names, those that every part must have, and notes on guesses.

    Without `fields` the variable `text` is the column with the longest mean text in the head.

    Raises:
        InputError: a field is the label column, or no column is left for the text.
    """
    kind, answers, fields = _answers(task, shape, survey)
    columns = Columns(
        kind=kind,
        shape=shape,
        fields=fields,
        label=task.label if kind != "text" else None,
        answers=answers,
        choices=_listed(task.choices),
        id=task.id,
        group=task.group_by,
        split=split.column if split else None,
        time=split.time if split else None,
    )
    _refuse_answers_as_fields(columns, survey)
    notes: list[str] = []
    if not fields:
        fields, note = _guess(columns, survey)
        columns = replace(columns, fields=fields)
        notes.append(note)
    return columns, _wanted(columns, task), notes


def _answers(
    task: TaskSpec, shape: Shape, survey: Survey
) -> tuple[Kind, tuple[str, ...], Mapping[str, str]]:
    """Kind of the task, its answer columns, and its fields where they are known already."""
    if shape in ("alpaca", "sharegpt", "openai"):
        key = next((key for key in CONVERSATIONS if key in survey.columns), "prompt")
        return "text", (), {"prompt": "instruction" if shape == "alpaca" else key}
    if shape == "pairs":
        prompt, completions = pair_columns(task, survey.columns)
        if prompt is None or not completions:
            raise InputError(
                f"{survey.name}: holds no pairs of prompt and completion. "
                f"{listed(survey.columns)} Name them as task.fields.prompt and task.answer."
            )
        return "text", tuple(completions), {"prompt": prompt, **task.fields}
    if task.answer is not None:
        return "text", _listed(task.answer), task.fields
    return ("choice" if task.choices is not None else "classification"), (), task.fields


def _wanted(columns: Columns, task: TaskSpec) -> Wanted:
    """Setting: columns of which every part must have one."""
    single = {
        "task.label": columns.label,
        "task.id": columns.id,
        "task.group_by": columns.group,
        "split.column": columns.split,
        "split.time": columns.time,
        **{f"task.filters.{i}.column": f.column for i, f in enumerate(task.filters)},
    }
    if columns.shape in ("table", "pairs"):
        single |= {f"task.fields.{name}": column for name, column in columns.fields.items()}
    wanted: dict[str, tuple[str, ...]] = {
        setting: (column,) for setting, column in single.items() if column is not None
    }
    if columns.answers:
        wanted["task.answer"] = columns.answers
    if len(columns.choices) == 1:
        wanted["task.choices"] = columns.choices
    else:
        wanted |= {f"task.choices.{i}": (column,) for i, column in enumerate(columns.choices)}
    return wanted


def _refuse_answers_as_fields(columns: Columns, survey: Survey) -> None:
    """The answer must not stand in the prompt."""
    gold = {columns.label: "label"} if columns.label is not None else {}
    gold |= dict.fromkeys(columns.answers, "answer")
    told = [
        f"task.fields.{variable}: {column!r} is the {gold[column]} column."
        for variable, column in columns.fields.items()
        if column in gold
    ]
    if told:
        raise InputError(f"{survey.name}: {' '.join(told)} {listed(survey.columns)}")


def _guess(columns: Columns, survey: Survey) -> tuple[Mapping[str, str], str]:
    """Fields where none are named, and the note that says so."""
    taken = {
        *(columns.label, columns.id, columns.group, columns.split, columns.time),
        *(*columns.answers, *columns.choices),
    }
    if set(survey.columns) == set(FOLDER_COLUMNS):
        taken.add("file")
    free = [column for column in survey.columns if column not in taken]
    for names in _KNOWN[columns.kind]:
        if set(names) <= set(free):
            told = ", ".join(map(repr, names))
            return dict(zip(names, names, strict=True)), f"fields: {told}, by their names"
    if not free:
        raise InputError(
            f"{survey.name}: no column is left for the text. {listed(survey.columns)} Add one, or "
            "name it with --text or task.fields."
        )
    text = max(free, key=survey.length)  # the first of equals
    note = f"text column: {text!r}, the longest on average; --text or task.fields name another"
    return {"text": text}, note


def _listed(value: str | list[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)
