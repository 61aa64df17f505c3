"""Sheets of Excel files, row by row, through openpyxl."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tutelage.errors import ConfigError, InputError, StorageError, nearest
from tutelage.tasks.cells import CellError, cell_of, is_empty
from tutelage.tasks.problems import Problems

_CONTENT_LIMIT = 2 * 2**30  # bytes of XML; openpyxl holds all texts of a file in memory


def excel_records(
    path: Path, sheet: str | None, problems: Problems
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number, cells by column) of a sheet; the first row with text is its header.

    Formulas count with the value that Excel saved for them. Blank rows are no rows.

    Raises:
        InputError: the file is no Excel file, or has no such sheet.
        ConfigError: openpyxl is not installed.
        StorageError: the file cannot be read.
    """
    book = _book(path)
    try:
        rows = _sheet(book, path, sheet).iter_rows()
        header: list[str] | None = None
        for number, cells in enumerate(rows, 1):
            values = [_value(number, cell, problems) for cell in cells]
            if all(map(is_empty, values)):
                continue
            if header is None:
                header = _header(number, values, problems)
                continue
            if any(not is_empty(value) for value in values[len(header) :]):
                problems.add(number, f"has cells right of the {len(header)} columns of the header")
            values += [""] * (len(header) - len(values))
            yield number, dict(zip(header, values, strict=False))
    finally:
        book.close()


def _book(path: Path) -> Any:
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise ConfigError(
            f"{path}: needs the package openpyxl. Install `tutelage[formats]`, or save it as CSV."
        ) from error
    try:
        with zipfile.ZipFile(path) as container:
            size = sum(member.file_size for member in container.infolist())
        if size > _CONTENT_LIMIT:
            raise InputError(
                f"{path}: unpacks to {size:,} bytes, over the {_CONTENT_LIMIT:,} that are read. "
                "Save it as CSV."
            )
        return load_workbook(path, read_only=True, data_only=True)
    except OSError as error:
        raise StorageError(f"{path}: could not be read ({error.strerror}).") from error
    except (zipfile.BadZipFile, InvalidFileException, KeyError, SyntaxError) as error:
        raise InputError(
            f"{path}: is not an Excel file (.xlsx) that can be read ({error}). Save it again."
        ) from error


def _sheet(book: Any, path: Path, name: str | None) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if name is None and sheets:
        return next(iter(sheets.values()))
    if name not in sheets:
        raise InputError(
            f"{path}: has no sheet {name!r}.{nearest(name or '', sheets)} "
            f"Its sheets are {', '.join(map(repr, sheets))}; name one as task.source.sheet."
        )
    return sheets[name]


def _header(number: int, values: list[Any], problems: Problems) -> list[str]:
    while values and is_empty(values[-1]):
        values.pop()
    for position, name in enumerate(values, 1):
        if is_empty(name):
            problems.add(number, f"column {position} has no name; name it or drop it")
        elif values.index(name) != position - 1:
            problems.add(number, f"column name {name!r} appears twice; rename one")
    problems.raise_any()
    return values


def _value(number: int, cell: Any, problems: Problems) -> Any:
    if cell.data_type == "e":
        problems.add(number, f"cell {cell.coordinate} holds the error {cell.value}")
        return ""
    try:
        return cell_of(cell.value)
    except CellError as error:
        problems.add(number, f"cell {cell.coordinate} {error}")
        return ""
