"""A table file as a whole: its columns, its records, its hash."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tutelage.errors import DataGateError
from tutelage.files import sha256_file
from tutelage.tasks.parts import find_table
from tutelage.tasks.reader import Reader
from tutelage.tasks.record import Record
from tutelage.tasks.schema import SourceSpec

__all__ = ["Record", "Table", "find_table", "read_table"]


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table; every record has every column. `sha256` is that of the file's bytes."""

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    sha256: str


def read_table(path: Path, encoding: str = "utf-8") -> Table:
    """Read a table; the extension says how.

    Cells are kept exactly. JSON numbers and booleans become their JSON text, null and missing
    keys the empty string, lists and mappings stay plain data. Blank lines are no rows.

    Raises:
        InputError: the file is not what it claims to be; names up to five places at once.
        DataGateError: the table has no rows.
        ConfigError: the encoding is unknown.
        StorageError: the file cannot be read.
    """
    path = find_table(path)
    reader = Reader(SourceSpec(path=str(path), encoding=encoding))
    found = [record for part in reader.parts for record in reader.records(part)]
    if not found:
        raise DataGateError(f"{path}: has no rows. Give a table with a header and rows.")
    columns = dict.fromkeys(name for record in found for name in record.cells)
    records = (
        Record({name: record.cells.get(name, "") for name in columns}, record.line, record.where)
        for record in found
    )
    return Table(path, tuple(columns), tuple(records), sha256_file(path))
