"""Rows that are left out, and why; many with one reason are counted instead of listed."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

_LISTED = 1000


class Skipped(NamedTuple):
    """A row that is left out, or with `rows` above 1 several rows without their ids."""

    id: str
    where: str
    reason: str
    rows: int = 1


class Skips:
    """Counts what is left out, listing the first thousand rows of every reason."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.counts: Counter[str] = Counter()
        self._listed: list[Skipped] = []
        self._unlisted: Counter[str] = Counter()

    def add(self, row_id: str, where: str, reason: str) -> None:
        """Leave out one row."""
        self.counts[reason] += 1
        if self.counts[reason] <= _LISTED:
            self._listed.append(Skipped(row_id, where, reason))
        else:
            self._unlisted[reason] += 1

    def count(self, reason: str, rows: int = 1) -> None:
        """Leave out rows that nobody wants listed, such as those that a filter removes."""
        if rows:
            self.counts[reason] += rows
            self._unlisted[reason] += rows

    def all(self) -> tuple[Skipped, ...]:
        """The listed rows, then one entry for the others of every reason."""
        rest = (Skipped("", self.where, what, rows) for what, rows in self._unlisted.items())
        return (*self._listed, *rest)

    def told(self) -> str:
        """`12 empty label, 3 not sampled`, the most frequent first."""
        return ", ".join(f"{rows:,} {reason}" for reason, rows in self.counts.most_common(10))
