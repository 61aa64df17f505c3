"""Which rows a task asks for: its filters, and its sample of what is left."""

from __future__ import annotations

import hashlib
import heapq
import math
import re
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any

from tutelage.records import Row
from tutelage.tasks.cells import cell_text
from tutelage.tasks.schema import RowFilter, Sample
from tutelage.tasks.skips import Skips

Test = Callable[[str], bool]


class Filters:
    """The filters of a task, in their order."""

    def __init__(self, filters: Iterable[RowFilter]) -> None:
        self._filters = [(f.column, list(_tests(number, f))) for number, f in enumerate(filters)]

    def reason(self, cells: Any) -> str | None:
        """The first condition that a row fails; None keeps the row."""
        for column, tests in self._filters:
            text = cell_text(cells.get(column, ""))
            for reason, passes in tests:
                if not passes(text):
                    return reason
        return None


def _tests(number: int, chosen: RowFilter) -> Iterator[tuple[str, Test]]:
    """(reason for leaving a row out, test of its cell) for every condition."""
    place = f"filtered: task.filters.{number}: {chosen.column!r}"
    if chosen.equals is not None:
        wanted = _set(chosen.equals)
        yield f"{place} is not {chosen.equals!r}", wanted.__contains__
    if chosen.not_equals is not None:
        unwanted = _set(chosen.not_equals)
        yield f"{place} is {chosen.not_equals!r}", lambda text: text not in unwanted
    if chosen.matches is not None:
        pattern = re.compile(chosen.matches)
        yield f"{place} does not match {chosen.matches!r}", lambda t: bool(pattern.search(t))
    if chosen.at_least is not None:
        least = chosen.at_least
        yield f"{place} is not a number of at least {least:g}", lambda t: _number(t) >= least
    if chosen.at_most is not None:
        most = chosen.at_most
        yield f"{place} is not a number of at most {most:g}", lambda t: _number(t) <= most
    if chosen.shortest is not None:
        shortest = chosen.shortest
        yield f"{place} is shorter than {shortest} characters", lambda t: len(t) >= shortest
    if chosen.longest is not None:
        longest = chosen.longest
        yield f"{place} is longer than {longest} characters", lambda t: len(t) <= longest


def _set(texts: str | list[str]) -> frozenset[str]:
    return frozenset((texts,) if isinstance(texts, str) else texts)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # which passes no comparison


def sample_rows(rows: Iterable[Row], sample: Sample, skips: Skips) -> list[Row]:
    """The rows whose seeded hash of the id is smallest, in their order.

    Holds no more rows than it returns. The same row is drawn wherever it stands, and a larger
    sample keeps the rows of a smaller one.
    """
    heaps: dict[str, list[tuple[int, int, Row]]] = {}
    seen = 0
    for place, row in enumerate(rows):
        seen += 1
        heap = heaps.setdefault(row.label if sample.per_label else "", [])
        entry = (-_rank(row.id, sample.seed), place, row)
        if len(heap) < sample.rows:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    kept = sorted(
        ((place, row) for heap in heaps.values() for _, place, row in heap),
        key=itemgetter(0),
    )
    skips.count("not sampled", seen - len(kept))
    return [row for _, row in kept]


def _rank(row_id: str, seed: int) -> int:
    key = f"sample\0{seed}\0{row_id}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
