"""Ids of records: the id column, which must be unique, else the row number."""

from __future__ import annotations

import hashlib
from array import array

import numpy as np

from tutelage.tasks.cells import cell_text
from tutelage.tasks.problems import Problems
from tutelage.tasks.reader import Reader
from tutelage.tasks.record import Record

_REMEDY = "Make the ids unique, or leave task.id out to count rows."


class Ids:
    """Gives ids in source order and remembers 8 bytes of each, to find doubled ones at the end."""

    def __init__(self, column: str | None, problems: Problems) -> None:
        self._column = column
        self._problems = problems
        self._rows = 0
        self._marks = array("Q")

    def next(self, record: Record) -> str:
        """The id of the next record: its id cell, else its number, counted from 1."""
        self._rows += 1
        if self._column is None:
            return str(self._rows)
        row_id = cell_text(record.cells.get(self._column, ""))
        if not row_id.strip():
            what = f"the id in {self._column!r} is empty"
            self._problems.add_at(record.where, what, _REMEDY)
        self._marks.append(_mark(row_id))
        return row_id

    def finish(self, reader: Reader) -> None:
        """Note every id that appears twice; the source is read again where one seems to."""
        marks, counts = np.unique(np.frombuffer(self._marks, np.uint64), return_counts=True)
        doubled = set(marks[counts > 1].tolist())
        if not doubled:
            return
        places: dict[str, str] = {}
        for part in reader.parts:
            for record in reader.records(part):
                row_id = cell_text(record.cells.get(self._column or "", ""))
                if not row_id.strip() or _mark(row_id) not in doubled:
                    continue
                first = places.setdefault(row_id, record.where)
                if first != record.where:
                    what = f"id {row_id[:60]!r} is also on line {first.rpartition(':')[2]}"
                    if first.rpartition(":")[0] != record.where.rpartition(":")[0]:
                        what = f"id {row_id[:60]!r} is also at {first}"
                    self._problems.add_at(record.where, what, _REMEDY)


def _mark(row_id: str) -> int:
    digest = hashlib.blake2b(row_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest)
