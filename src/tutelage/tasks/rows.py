"""Source → rows: the labelled rows of a task, with everything that was left out and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tutelage.errors import ConfigError, DataGateError
from tutelage.records import Row
from tutelage.tasks.archive import read_corpus
from tutelage.tasks.columns import Columns, choose_columns
from tutelage.tasks.fingerprint import source_fingerprint, table_path
from tutelage.tasks.labels import choose_labels
from tutelage.tasks.problems import Problems
from tutelage.tasks.schema import ArchiveSource, RatingRule, TaskSpec
from tutelage.tasks.table import Record, Table, read_table

_ARCHIVE_COLUMNS = ("text",)


class Skipped(NamedTuple):
    """A row that is left out."""

    id: str
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a task, in source order.

    `labels` is in the task's order; `fields` maps template variables to columns; `fingerprint`
    is `source_fingerprint`; `notes` say what was guessed.
    """

    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    fields: Mapping[str, str]
    fingerprint: str
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


def load_rows(task: TaskSpec) -> Rows:
    """Read a task's source into rows.

    Rows with an empty label or without any text are left out and listed in `skipped`. Cells and
    labels are kept exactly as they stand in the source.

    Raises:
        InputError: the source cannot be read as the task describes it.
        DataGateError: no rows, or labels that cannot support a comparison.
        ConfigError: settings that do not go with the source.
        StorageError, IntegrityError: an archive cannot be fetched or is not the right one.
    """
    notes: list[str] = []
    if task.source.archive is not None:
        where = task.name
        rows = _rows_of_archive(task, task.source.archive)
        fields: Mapping[str, str] = dict.fromkeys(task.fields or _ARCHIVE_COLUMNS, "text")
        fingerprint = source_fingerprint(task.source)
    else:
        table = read_table(table_path(task.source), task.source.encoding)
        where = str(table.path)
        columns, notes = choose_columns(task, table)
        fields = columns.fields
        rows, empty_groups = _rows_of_table(table, columns, task.rating_rule)
        if empty_groups:
            notes.append(f"group_by: {empty_groups:,} rows have no group and stand alone")
        fingerprint = table.sha256
    kept, skipped = _without_empty(rows, where)
    labels = choose_labels(task.labels, (row.label for row in kept), where)
    return Rows(tuple(kept), labels, fields, fingerprint, tuple(skipped), tuple(notes))


def _rows_of_archive(task: TaskSpec, source: ArchiveSource) -> list[Row]:
    """Rows of a rating corpus; it brings its own ids and groups."""
    if task.rating_rule is None:
        raise ConfigError("task.rating_rule: is needed where the source is an archive of ratings.")
    for setting, value in (("id", task.id), ("group_by", task.group_by)):
        if value is not None:
            raise ConfigError(f"task.{setting}: an archive brings its own. Leave it out.")
    for variable, column in task.fields.items():
        if column not in _ARCHIVE_COLUMNS:
            raise ConfigError(f"task.fields.{variable}: an archive has only the column 'text'.")
    variables = list(task.fields) or ["text"]
    return [
        Row(
            id=rated.id,
            fields=dict.fromkeys(variables, rated.text),
            label=task.rating_rule.label(rated.mean),
            where=f"{source.texts}:{rated.line}",
            group=rated.group,
            extra={"ratings": list(rated.ratings)},
        )
        for rated in read_corpus(source)
    ]


def _rows_of_table(
    table: Table, columns: Columns, rule: RatingRule | None
) -> tuple[list[Row], int]:
    """Rows of a table, and the number of rows whose group cell is empty."""
    ids = _ids(table, columns.id)
    problems = Problems(table.path)
    rows = []
    empty_groups = 0
    for id_, record in zip(ids, table.records, strict=True):
        group = record.cells[columns.group] if columns.group is not None else None
        empty_groups += group is not None and not group.strip()
        rows.append(
            Row(
                id=id_,
                fields={name: record.cells[column] for name, column in columns.fields.items()},
                label=_label(record, columns.label, rule, problems),
                where=f"{table.path.name}:{record.line}",
                group=group if group and group.strip() else None,
            )
        )
    problems.raise_any("Correct the ratings, or leave task.rating_rule out.")
    return rows, empty_groups


def _label(record: Record, column: str, rule: RatingRule | None, problems: Problems) -> str:
    cell = record.cells[column]
    if rule is None or not cell.strip():
        return cell
    try:
        rating = float(cell)
    except ValueError:
        rating = math.nan
    if not math.isfinite(rating):
        problems.add(record.line, f"the rating {cell!r} in {column!r} is not a number")
        return ""
    return rule.label(rating)


def _ids(table: Table, column: str | None) -> list[str]:
    """The ids of a table's records: the id column, else the row number counted from 1."""
    if column is None:
        return [str(number) for number, _ in enumerate(table.records, 1)]
    problems = Problems(table.path)
    lines: dict[str, int] = {}
    for record in table.records:
        id_ = record.cells[column]
        if not id_.strip():
            problems.add(record.line, f"the id in {column!r} is empty")
        elif id_ in lines:
            problems.add(record.line, f"id {id_!r} is also on line {lines[id_]}")
        else:
            lines[id_] = record.line
    problems.raise_any("Make the ids unique, or leave task.id out to count rows.")
    return list(lines)


def _without_empty(rows: list[Row], where: str) -> tuple[list[Row], list[Skipped]]:
    """Rows with a label and some text, and the others with the reason."""
    kept = []
    skipped = []
    for row in rows:
        if not row.label.strip():
            skipped.append(Skipped(row.id, row.where, "empty label"))
        elif not any(text.strip() for text in row.fields.values()):
            skipped.append(Skipped(row.id, row.where, "empty text"))
        else:
            kept.append(row)
    if not kept:
        labels = sum(skip.reason == "empty label" for skip in skipped)
        raise DataGateError(
            f"{where}: no row is left: {labels:,} have an empty label, {len(skipped) - labels:,} "
            "an empty text. Name the right columns with --label and --text."
        )
    return kept, skipped
