"""A first look at a source: its columns, and its first rows to guess by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice

from tutelage.errors import DataGateError, InputError, nearest
from tutelage.tasks.cells import cell_text
from tutelage.tasks.reader import Reader
from tutelage.tasks.record import Part, Record

_ROWS = 1000
_CHARACTERS = 32 * 2**20
_LISTED = 20

Wanted = Mapping[str, Collection[str]]
"""Setting: the columns of which every part must have at least one."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Columns in order of appearance, by part and in all; `head` holds the first 1,000 rows."""

    name: str
    columns: tuple[str, ...]
    by_part: Mapping[str, frozenset[str]]
    head: tuple[Record, ...]

    def length(self, column: str) -> int:
        """Characters of a column in the head."""
        return sum(len(cell_text(record.cells.get(column, ""))) for record in self.head)


def look(reader: Reader) -> Survey:
    """Read the head of every part.

    Raises:
        DataGateError: no part has a row.
        InputError, ConfigError, StorageError: a part cannot be read.
    """
    head: tuple[Record, ...] = ()
    by_part: dict[str, frozenset[str]] = {}
    columns: dict[str, None] = {}
    for part in reader.parts:
        first = _head(reader, part)
        if not first:
            reader.notes.append(f"{part.name}: has no rows")
            continue
        head = head or first
        own = dict.fromkeys(name for record in first for name in record.cells)
        columns |= own
        by_part[part.name] = frozenset(own)
    if not head:
        raise DataGateError(f"{reader.name}: has no rows. Give labelled rows under a header.")
    return Survey(reader.name, tuple(columns), by_part, head)


def require(reader: Reader, survey: Survey, wanted: Wanted) -> None:
    """Check that every part has the named columns; a part is read on where they are not there yet.

    Raises:
        InputError: all columns that the first incomplete part lacks.
    """
    for part in reader.parts:
        if part.name not in survey.by_part:
            continue
        found = dict.fromkeys(c for c in survey.columns if c in survey.by_part[part.name])
        if _lacking(found, wanted):
            for record in reader.records(part):
                found |= dict.fromkeys(record.cells)
                if not _lacking(found, wanted):
                    break
        problems = [
            f"{setting}: there is no column {' or '.join(map(repr, names))}."
            f"{nearest(next(iter(names)), found)}"
            for setting, names in _lacking(found, wanted).items()
        ]
        if problems:
            place = part.path or part.name
            raise InputError(f"{place}: {' '.join(problems)} {listed(found)}")


def listed(columns: Collection[str]) -> str:
    """A sentence that names the columns, at most twenty."""
    shown = ", ".join(repr(column) for column in list(columns)[:_LISTED])
    more = len(columns) - _LISTED
    return f"The columns are {shown}{f' and {more} more' if more > 0 else ''}."


def _head(reader: Reader, part: Part) -> tuple[Record, ...]:
    head: list[Record] = []
    characters = 0
    for record in islice(reader.records(part), _ROWS):
        head.append(record)
        characters += sum(len(cell_text(cell)) for cell in record.cells.values())
        if characters > _CHARACTERS:
            break
    return tuple(head)


def _lacking(found: Collection[str], wanted: Wanted) -> Wanted:
    return {setting: names for setting, names in wanted.items() if not set(names) & set(found)}
