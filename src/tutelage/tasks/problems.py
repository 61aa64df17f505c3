"""The problems of a source, gathered so that one message names several places."""

from __future__ import annotations

from pathlib import Path

from tutelage.errors import InputError

_SHOWN = 5


class Problems:
    """Counts what is wrong in one source and keeps the first five places."""

    def __init__(self, source: Path | str) -> None:
        self.source = str(source)
        self.count = 0
        self._first: list[str] = []
        self._remedy: str | None = None

    def add(self, line: int, what: str, remedy: str | None = None) -> None:
        """Note a problem on a line of the source; the first remedy that is given counts."""
        self.add_at(f"{self.source}:{line}", what, remedy)

    def add_at(self, where: str, what: str, remedy: str | None = None) -> None:
        """Note a problem at an address (`reviews.csv:17`)."""
        self.count += 1
        self._remedy = self._remedy or remedy
        if len(self._first) < _SHOWN:
            self._first.append(f"{where}: {what}")

    def take(self, others: Problems) -> None:
        """Note what was found in a part of the source."""
        self.count += others.count
        self._first = [*self._first, *others._first][:_SHOWN]
        self._remedy = self._remedy or others._remedy

    def raise_any(self, remedy: str = "Correct the file.") -> None:
        """Raise InputError if there was any problem, naming the first five and their number."""
        if not self.count:
            return
        more = self.count - _SHOWN
        rest = f"; and {more:,} more, {self.count:,} in all" if more > 0 else ""
        raise InputError(f"{'; '.join(self._first)}{rest}. {self._remedy or remedy}")
