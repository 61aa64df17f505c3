"""A source as a stream of records, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tutelage.errors import ConfigError
from tutelage.records import SplitName
from tutelage.tasks.columnar import arrow_records, dataset_rows, load_splits, parquet_records
from tutelage.tasks.database import query_records
from tutelage.tasks.delimited import delimited_records
from tutelage.tasks.excel import excel_records
from tutelage.tasks.json_objects import array_objects, line_objects
from tutelage.tasks.parts import find_parts
from tutelage.tasks.problems import Problems
from tutelage.tasks.record import Part, Record, SplitSource, split_named
from tutelage.tasks.schema import SourceSpec
from tutelage.tasks.text_folders import folder_records
from tutelage.tasks.textfile import text_blocks, text_lines

Numbered = Iterator[tuple[int, dict[str, Any]]]
_DELIMITERS = {"csv": ",;\t", "tsv": "\t"}  # more than one: the header decides


class Reader:
    """Reads the records of a source, part by part, as often as it is asked.

    Attributes:
        parts: what the source is made of.
        notes: what was decided while reading.
        left_out: rows per name of a split that is neither train, validation nor test.
    """

    def __init__(self, source: SourceSpec, split: SplitSource | None = None) -> None:
        self.source = source
        self.parts = find_parts(source, split)
        self.notes: list[str] = []
        if any(part.split for part in self.parts) and not _names_files(split):
            self.notes.append("split: by the names of the files")
        self.left_out: dict[str, int] = {}
        self._splits: dict[str, dict[str, Any]] = {}

    @property
    def name(self) -> str:
        """The source in messages."""
        first = self.parts[0]
        several = f" and {len(self.parts) - 1:,} more" if len(self.parts) > 1 else ""
        return f"{first.path or first.name}{several}"

    def records(self, part: Part) -> Iterator[Record]:
        """Yield the records of one part; nothing behind the first problem is yielded.

        Raises:
            InputError: the part is not what it claims to be; names up to five places at once.
            ConfigError, StorageError: it cannot be opened as the source says.
        """
        problems = Problems(part.path or part.name)
        for record in self._records(part, problems):
            if not problems.count:
                yield record
        problems.raise_any()

    def _records(self, part: Part, problems: Problems) -> Iterator[Record]:
        if part.medium == "text_folders":
            yield from folder_records(part, _path(part), self.source.encoding, problems)
        elif part.medium == "dataset":
            yield from self._dataset(part, problems)
        else:
            for number, cells in _NUMBERED[part.medium](part, self.source, problems):
                yield Record(cells, number, f"{part.name}:{number}", part.split)

    def _dataset(self, part: Part, problems: Problems) -> Iterator[Record]:
        if part.name not in self._splits:
            self._splits[part.name] = load_splits(self.source, part.path)
        found = self._splits[part.name]
        meant: dict[str, SplitName | None] = {name: split_named(name) for name in found}
        if part.split is not None or len(set(meant.values()) - {None}) < 2:
            meant = dict.fromkeys(found, part.split)
        for name, dataset in found.items():
            split = meant[name]
            if split is None and any(meant.values()):
                self.left_out[f"{part.name}/{name}"] = len(dataset)
                continue
            place = f"{part.name}/{name}" if name else part.name
            for number, cells in dataset_rows(dataset, problems):
                yield Record(cells, number, f"{place}:{number}", split)


def _names_files(split: SplitSource | None) -> bool:
    return split is not None and (split.validation_path or split.test_path) is not None


def _path(part: Part) -> Path:
    if part.path is None:
        raise ConfigError(f"task.source: {part.name} is not a file.")
    return part.path


def _delimited(part: Part, source: SourceSpec, problems: Problems) -> Numbered:
    lines = text_lines(_path(part), source.encoding, problems, ends="")
    return delimited_records(lines, _DELIMITERS[part.medium], problems)


def _json_lines(part: Part, source: SourceSpec, problems: Problems) -> Numbered:
    return line_objects(text_lines(_path(part), source.encoding, problems, ends="\n"), problems)


def _json_array(part: Part, source: SourceSpec, problems: Problems) -> Numbered:
    return array_objects(text_blocks(_path(part), source.encoding, problems), problems)


def _query(_part: Part, source: SourceSpec, problems: Problems) -> Numbered:
    return query_records(source.sql or "", source.url or "", problems)


_NUMBERED: dict[str, Callable[[Part, SourceSpec, Problems], Numbered]] = {
    "csv": _delimited,
    "tsv": _delimited,
    "json": _json_array,
    "jsonl": _json_lines,
    "parquet": lambda part, _, problems: parquet_records(_path(part), problems),
    "arrow": lambda part, _, problems: arrow_records(_path(part), problems),
    "excel": lambda part, source, problems: excel_records(_path(part), source.sheet, problems),
    "sql": _query,
}
