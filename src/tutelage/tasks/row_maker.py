"""Record → row: the fields, and the gold label, option or answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tutelage.errors import InputError
from tutelage.records import Row, SplitName, Turn
from tutelage.tasks.answers import gold_answers
from tutelage.tasks.cells import cell_text, is_empty
from tutelage.tasks.columns import Columns
from tutelage.tasks.conversation import read_conversation
from tutelage.tasks.ids import Ids
from tutelage.tasks.label_rules import LabelRule
from tutelage.tasks.options import TOLD, Options, choose_reading
from tutelage.tasks.problems import Problems
from tutelage.tasks.record import Record, split_named
from tutelage.tasks.schema import TaskSpec
from tutelage.tasks.selection import Filters
from tutelage.tasks.skips import Skips
from tutelage.tasks.survey import Survey


class RowMaker:
    """Makes rows of one task; what cannot be one goes to `skips` or `problems`."""

    def __init__(self, task: TaskSpec, columns: Columns, survey: Survey, skips: Skips) -> None:
        self.problems = Problems(survey.name)
        self.ids = Ids(columns.id, self.problems)
        self.rule = LabelRule(task)
        self._task, self._columns, self._skips = task, columns, skips
        self._filters = Filters(task.filters)
        self._seen: Counter[str] = Counter()
        self._options = Options(columns.choices)
        self._keyed = any(
            isinstance(survey.head[0].cells.get(column), Mapping) for column in columns.choices
        )
        if columns.choices:
            named = LabelRule(task)
            head = ((r.cells, _mapped(named, r, columns)) for r in survey.head)
            self._options.reading = choose_reading(
                columns.choices, [(cells, label) for cells, label in head if label]
            )
        making: dict[str, Callable[[str, Record], Row | None]] = {
            "classification": self._classified,
            "choice": self._chosen,
            "text": self._answered,
        }
        conversation = columns.shape in ("alpaca", "sharegpt", "openai")
        self._make = self._conversation if conversation else making[columns.kind]

    def row(self, record: Record) -> Row | None:
        """The row of the next record, or None where it is left out."""
        row_id = self.ids.next(record)
        reason = self._filters.reason(record.cells)
        if reason is not None:
            self._skips.count(reason)
            return None
        return self._make(row_id, record)

    def notes(self) -> list[str]:
        """What was decided, and how often, once all rows are made."""
        notes = self.rule.finish(self._skips.where)
        if self._columns.choices:
            told = "a key of its options" if self._keyed else TOLD[self._options.reading]
            notes.append(f"the label is read as {told}")
        counts = {
            "group": "group_by: {:,} rows have no group and stand alone",
            "joined": "{:,} turns in a row of one role were joined",
            "unused": "{:,} turns behind the last answer are not used",
        }
        seen = ((text, self._seen[what]) for what, text in counts.items())
        return notes + [text.format(number) for text, number in seen if number]

    def _classified(self, row_id: str, record: Record) -> Row | None:
        label = self._label(row_id, record)
        return None if label is None else self._filled(row_id, record, label)

    def _chosen(self, row_id: str, record: Record) -> Row | None:
        label = self._label(row_id, record)
        if label is None:
            return None
        try:
            options, gold = self._options.read(record.cells, label)
        except InputError as error:
            self.problems.add_at(record.where, str(error), "Correct the row or task.choices.")
            return None
        return self._filled(row_id, record, gold, choices=options)

    def _answered(self, row_id: str, record: Record) -> Row | None:
        answers = gold_answers(record.cells, self._columns.answers)
        if not answers:
            self._skips.add(row_id, record.where, "empty answer")
            return None
        return self._filled(row_id, record, answers[0], answers=answers)

    def _conversation(self, row_id: str, record: Record) -> Row | None:
        try:
            found = read_conversation(
                record.cells, self._columns.shape, train_all=self._task.loss_on == "all"
            )
        except InputError as error:
            self._skips.add(row_id, record.where, str(error))
            return None
        self._seen["joined"] += found.joined
        self._seen["unused"] += found.unused
        return self._row(
            row_id,
            record,
            {"prompt": found.prompt},
            found.answers[0],
            answers=found.answers,
            turns=found.turns,
        )

    def _label(self, row_id: str, record: Record) -> str | None:
        """The label of a record, by the task's rule; None where the row is left out."""
        cell = record.cells.get(self._columns.label or "", "")
        if not isinstance(cell, str):
            what = f"the label in {self._columns.label!r} is a list or an object"
            self.problems.add_at(record.where, what, "Name a column with one label per row.")
            return None
        if not cell.strip():
            self._skips.add(row_id, record.where, "empty label")
            return None
        try:
            return self.rule.label(cell)
        except InputError as error:
            what = f"{error} in {self._columns.label!r}"
            remedy = "Correct the ratings, or leave task.rating_rule and task.label_bins out."
            self.problems.add_at(record.where, what, remedy)
            return None

    def _filled(self, row_id: str, record: Record, label: str, **more: Any) -> Row | None:
        """The row with its fields, unless all of them are empty."""
        fields = {
            name: record.cells.get(column, "") for name, column in self._columns.fields.items()
        }
        if all(map(is_empty, fields.values())):
            self._skips.add(row_id, record.where, "empty text")
            return None
        return self._row(row_id, record, fields, label, **more)

    def _row(
        self,
        row_id: str,
        record: Record,
        fields: dict[str, Any],
        label: str,
        *,
        answers: tuple[str, ...] = (),
        choices: tuple[str, ...] = (),
        turns: tuple[Turn, ...] = (),
    ) -> Row:
        columns = self._columns
        group = cell_text(record.cells.get(columns.group, "")) if columns.group else ""
        self._seen["group"] += columns.group is not None and not group.strip()
        return Row(
            id=row_id,
            fields=fields,
            label=label,
            where=record.where,
            group=group if group.strip() else None,
            answers=answers,
            choices=choices,
            turns=turns,
            split=self._split(record),
            time=self._time(record),
        )

    def _split(self, record: Record) -> SplitName | None:
        if self._columns.split is None:
            return record.split
        word = cell_text(record.cells.get(self._columns.split, ""))
        split = split_named(word)
        if split is None:
            what = f"{word[:60]!r} in {self._columns.split!r} is no split"
            remedy = "Write train, validation or test, or leave split.column out."
            self.problems.add_at(record.where, what, remedy)
        return split

    def _time(self, record: Record) -> str | None:
        if self._columns.time is None:
            return None
        time = cell_text(record.cells.get(self._columns.time, "")).strip()
        if not time:
            what = f"the time in {self._columns.time!r} is empty"
            self.problems.add_at(record.where, what, "Fill it in, or leave split.time out.")
        return time


def _mapped(rule: LabelRule, record: Record, columns: Columns) -> str:
    """The label before it is read as an option; empty where there is none."""
    cell = record.cells.get(columns.label or "", "")
    try:
        return (rule.label(cell) or "") if isinstance(cell, str) and cell.strip() else ""
    except InputError:
        return ""
