"""Delimiter-separated text: rows of cells with line numbers (RFC 4180 quoting)."""

from __future__ import annotations

import csv
import io

from tutelage.tasks.problems import Problems

_CELL_LIMIT = 10 * 2**20  # characters; csv's own limit of 128 Ki is below real documents


def delimited_rows(text: str, delimiters: str, problems: Problems) -> list[tuple[int, list[str]]]:
    """(line where the row starts, cells) of every row; blank lines are skipped.

    The delimiter is the first of `delimiters` that occurs in the header line. Rows that do not
    parse go to `problems`.
    """
    lines = io.StringIO(text, newline="")
    header = next((line for line in lines if line.strip()), "")
    delimiter = next((mark for mark in delimiters if mark in header), delimiters[0])
    lines.seek(0)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows = []
    limit = csv.field_size_limit(_CELL_LIMIT)  # belongs to the process, so it is put back
    try:
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except csv.Error as error:
                problems.add(line, f"{error} (is a quote in this row not closed, or not doubled?)")
            else:
                if cells:
                    rows.append((line, cells))
    except StopIteration:
        return rows
    finally:
        csv.field_size_limit(limit)
