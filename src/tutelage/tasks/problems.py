"""The problems of a file, gathered so that one message names several places."""

from __future__ import annotations

from pathlib import Path

from tutelage.errors import InputError

_SHOWN = 5


class Problems:
    """Collects (line, what is wrong) of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[tuple[int, str]] = []

    def add(self, line: int, what: str) -> None:
        """Note a problem."""
        self.found.append((line, what))

    def raise_any(self, remedy: str = "Correct the file.") -> None:
        """Raise InputError if there was any problem, naming the first five and their number."""
        if not self.found:
            return
        first = sorted(self.found, key=lambda problem: problem[0])[:_SHOWN]
        shown = "; ".join(f"{self.path}:{line}: {what}" for line, what in first)
        more = len(self.found) - _SHOWN
        rest = f"; and {more:,} more, {len(self.found):,} in all" if more > 0 else ""
        raise InputError(f"{shown}{rest}. {remedy}")
