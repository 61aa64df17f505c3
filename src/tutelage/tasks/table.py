"""A user's table: CSV, TSV, JSON (array of objects) or JSON lines, cells as strings.

Read by the standard library, because cells must come out as they are written: `None`, `NA` and
`012` are text. Every record keeps its line number for error messages.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tutelage.errors import ConfigError, DataGateError, InputError, StorageError, nearest
from tutelage.tasks.delimited import delimited_rows
from tutelage.tasks.json_objects import array_objects, line_objects
from tutelage.tasks.problems import Problems

_DELIMITERS = {".csv": ",;\t", ".tsv": "\t", ".tab": "\t"}  # more than one: the header decides
_JSON = {".json": array_objects, ".jsonl": line_objects, ".ndjson": line_objects}


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table; `line` is where it starts, counted from 1."""

    cells: Mapping[str, str]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table; `sha256` is that of the file's bytes."""

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    sha256: str


def find_table(path: Path) -> Path:
    """The path of an existing table file, `~` expanded.

    Raises:
        InputError: there is no such file, or it is not of a kind that can be read.
    """
    path = path.expanduser()
    if path.is_dir():
        raise InputError(f"{path}: is a directory. Name the table file inside it.")
    if not path.is_file():
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no directory {path.parent}. Correct the path.")
        names = [other.name for other in path.parent.iterdir() if other.is_file()]
        raise InputError(f"{path}: does not exist.{nearest(path.name, names)} Correct the path.")
    suffix = path.suffix.lower()
    known = [*_DELIMITERS, *_JSON]
    if suffix not in known:
        raise InputError(
            f"{path}: the extension {suffix!r} is not one of {', '.join(known)}."
            f"{nearest(suffix, known)} Save the table as CSV or JSON lines."
        )
    return path


def read_table(path: Path, encoding: str = "utf-8") -> Table:
    """Read a table; the extension says how.

    Cells are kept exactly. JSON numbers and booleans become their JSON text, null and missing
    keys the empty string. Blank lines are no rows.

    Raises:
        InputError: the file is not what it claims to be; names up to five places at once.
        DataGateError: the table has no rows.
        ConfigError: the encoding is unknown.
        StorageError: the file cannot be read.
    """
    path = find_table(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: could not be read ({error.strerror}).") from error
    text = _decode(path, data, encoding)
    if not text.strip():
        raise DataGateError(f"{path}: is empty. Give a table with a header and labelled rows.")
    problems = Problems(path)
    _refuse_nul(text, problems)
    suffix = path.suffix.lower()
    if suffix in _DELIMITERS:
        columns, records = _from_delimited(text, _DELIMITERS[suffix], problems)
    else:
        columns, records = _from_objects(_JSON[suffix](text, problems), problems)
    _check_characters(records, problems)
    problems.raise_any()
    if not records:
        raise DataGateError(f"{path}: has no rows. Give a table with labelled rows.")
    return Table(path, columns, tuple(records), hashlib.sha256(data).hexdigest())


def _decode(path: Path, data: bytes, encoding: str) -> str:
    """Bytes to text, without a byte-order mark."""
    try:
        utf8 = codecs.lookup(encoding).name == "utf-8"
        return data.decode("utf-8-sig" if utf8 else encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise ConfigError(
            f"task.source.encoding: {encoding!r} is not a text encoding. Try utf-8 or latin-1."
        ) from error
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        if data.startswith(codecs.BOM_UTF8) and utf8:
            start += len(codecs.BOM_UTF8)  # the decoder counts from behind the mark
        line = data[:start].decode(encoding, "replace").count("\n") + 1
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        remedy = "utf-16" if wide else "latin-1"
        raise InputError(
            f"{path}:{line}: byte {start} is not {encoding} text. Save the file as UTF-8, or name "
            f"its encoding, such as `--set task.source.encoding={remedy}`."
        ) from error


def _refuse_nul(text: str, problems: Problems) -> None:
    if "\0" not in text:
        return
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line:
            problems.add(number, "contains a NUL byte")
    problems.raise_any("If the file is UTF-16, use `--set task.source.encoding=utf-16`.")


def _from_delimited(
    text: str, delimiters: str, problems: Problems
) -> tuple[tuple[str, ...], list[Record]]:
    rows = delimited_rows(text, delimiters, problems)
    first, header = rows[0] if rows else (1, [])
    _check_columns(first, header, problems)
    if any(line <= first for line, _ in problems.found):  # without a header no row can be judged
        problems.raise_any()
    records = []
    for line, cells in rows[1:]:
        if len(cells) == len(header):
            records.append(Record(dict(zip(header, cells, strict=True)), line))
        else:
            problems.add(line, f"{len(cells)} cells where the header has {len(header)}")
    return tuple(header), records


def _from_objects(
    objects: Iterable[tuple[int, dict[str, str]]], problems: Problems
) -> tuple[tuple[str, ...], list[Record]]:
    found = list(objects)
    first_lines: dict[str, int] = {}
    for line, cells in found:
        for name in cells:
            first_lines.setdefault(name, line)
    for name, line in first_lines.items():
        _check_columns(line, [name], problems)
    columns = tuple(first_lines)
    records = [Record({name: cells.get(name, "") for name in columns}, at) for at, cells in found]
    return columns, records


def _check_columns(line: int, columns: list[str], problems: Problems) -> None:
    for position, name in enumerate(columns, 1):
        if not name.strip():
            problems.add(line, f"column {position} has no name; name it or drop it")
        elif columns.index(name) != position - 1:
            problems.add(line, f"column name {name!r} appears twice; rename one")
        elif not _encodable(name):
            problems.add(line, f"column name {name!r} contains half a surrogate pair")


def _check_characters(records: list[Record], problems: Problems) -> None:
    for record in records:
        for name, cell in record.cells.items():
            if not cell.isascii() and not _encodable(cell):
                problems.add(
                    record.line, f"cell {name!r} contains half a surrogate pair (\\ud800…\\udfff)"
                )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
