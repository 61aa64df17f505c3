"""Source → rows: the labelled rows of a task, with everything that was left out and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from tutelage.errors import ConfigError, DataGateError, InputError
from tutelage.files import sha256_file, sha256_json
from tutelage.records import Row
from tutelage.tasks.archive import read_corpus
from tutelage.tasks.columns import Columns, choose_columns
from tutelage.tasks.labels import choose_labels
from tutelage.tasks.problems import Problems
from tutelage.tasks.schema import ArchiveSource, RatingRule, SourceSpec, TaskSpec
from tutelage.tasks.table import Record, Table, find_table, read_table

_ARCHIVE_COLUMNS = ("text",)


class Skipped(NamedTuple):
    """A row that is left out."""

    id: str
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a task, in source order.

    `labels` is in the task's order; `fingerprint` is `source_fingerprint`; `notes` say what was
    guessed.
    """

    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    fingerprint: str
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


def source_fingerprint(source: SourceSpec) -> str:
    """What identifies the source's content, found without fetching anything.

    The sha256 of a table's bytes, or that of an archive's pinned sha256 and member names.

    Raises:
        InputError: the table does not exist.
    """
    if source.archive is not None:
        named = source.archive
        return sha256_json([named.sha256, named.inner, named.texts, named.ratings])
    return sha256_file(_table_path(source))


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
    if task.source.archive is not None:
        where = task.name
        rows, notes = _rows_of_archive(task, task.source.archive), []
        fingerprint = source_fingerprint(task.source)
    else:
        table = read_table(_table_path(task.source), task.source.encoding)
        where = str(table.path)
        columns, notes = choose_columns(task, table)
        rows, empty_groups = _rows_of_table(table, columns, task.rating_rule)
        if empty_groups:
            notes.append(f"group_by: {empty_groups:,} rows have no group and stand alone")
        fingerprint = table.sha256
    kept, skipped = _without_empty(rows, where)
    labels = choose_labels(task.labels, (row.label for row in kept), where)
    return Rows(tuple(kept), labels, fingerprint, tuple(skipped), tuple(notes))


def _table_path(source: SourceSpec) -> Path:
    if source.path is None:
        raise ConfigError("task.source: gives neither `path` nor `archive`.")
    return find_table(Path(source.path))
