"""Delimiter-separated text: rows of cells with line numbers (RFC 4180 quoting)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain

from tutelage.tasks.cells import check_text
from tutelage.tasks.problems import Problems

_CELL_LIMIT = 10 * 2**20  # characters; csv's own limit of 128 Ki is below real documents


def delimited_records(
    lines: Iterable[str], delimiters: str, problems: Problems
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line where the row starts, cells by column); the first row names the columns.

    The delimiter is the first of `delimiters` that occurs in the header line. Blank lines are no
    rows. Rows that do not parse or do not fit the header go to `problems`.
    """
    rows = _rows(lines, delimiters, problems)
    first, header = next(rows, (1, []))
    for position, name in enumerate(header, 1):
        _check_column(first, position, name, header, problems)
    if problems.count:  # without a header no row can be judged
        problems.raise_any()
    width = len(header)
    for line, cells in rows:
        if len(cells) == width:
            yield line, dict(zip(header, cells, strict=True))
        else:
            problems.add(line, f"{len(cells)} cells where the header has {width}")


def _rows(
    lines: Iterable[str], delimiters: str, problems: Problems
) -> Iterator[tuple[int, list[str]]]:
    source = iter(lines)
    skipped = []
    for line in source:
        skipped.append(line if line.strip() else "\n")
        if line.strip():
            break
    header = skipped[-1] if skipped else ""
    delimiter = next((mark for mark in delimiters if mark in header), delimiters[0])
    reader = csv.reader(chain(skipped, source), delimiter=delimiter, strict=True)
    while True:
        line_number = reader.line_num + 1
        # the limit belongs to the process, so it is put back before anyone else runs
        limit = csv.field_size_limit(_CELL_LIMIT)
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = f"{error} (is a quote in this row not closed, or not doubled?)"
            problems.add(line_number, what)
            continue
        finally:
            csv.field_size_limit(limit)
        if cells:
            yield line_number, cells


def _check_column(
    line: int, position: int, name: str, header: list[str], problems: Problems
) -> None:
    if not name.strip():
        problems.add(line, f"column {position} has no name; name it or drop it")
    elif header.index(name) != position - 1:
        problems.add(line, f"column name {name!r} appears twice; rename one")
    elif wrong := check_text(name):
        problems.add(line, f"column name {name!r} {wrong}")
