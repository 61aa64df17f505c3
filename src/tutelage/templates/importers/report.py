"""What an import found: how many templates there are, parse, render and are clean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tutelage.templates.importers.foreign import Unreadable
from tutelage.templates.schema import Template


@dataclass(frozen=True, slots=True)
class Imported:
    """One template that was imported; `faults` is what keeps it from being clean.

    `doubts` does not: it is what may be meant and should be looked at.
    """

    template: Template
    file: str
    faults: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """All templates of an import, and all that is wrong with any.

    A template that parses is imported even where no made-up row renders: real rows may.
    """

    imported: tuple[Imported, ...]
    unread: tuple[Unreadable, ...]
    unrendered: tuple[Unreadable, ...]

    @property
    def exceptions(self) -> tuple[Unreadable, ...]:
        """What did not parse, did not render, or is not clean, in that order."""
        faults = (
            Unreadable(item.file, item.template.name, "lint", " ".join(item.faults))
            for item in self.imported
            if item.faults
        )
        return (*self.unread, *self.unrendered, *faults)

    def to_json(self) -> dict[str, Any]:
        """Plain data: the four counts and every exception."""
        parsed = len(self.imported)
        rendered = parsed - len(self.unrendered)
        silent = {(bad.file, bad.name) for bad in self.unrendered}
        clean = sum(
            not item.faults and (item.file, item.template.name) not in silent
            for item in self.imported
        )
        return {
            "total": parsed + len(self.unread),
            "parsed": parsed,
            "rendered": rendered,
            "clean": clean,
            "exceptions": [
                {"file": e.file, "name": e.name, "stage": e.stage, "why": e.why}
                for e in self.exceptions
            ],
        }


def by_file(imported: Sequence[Imported]) -> dict[str, list[Imported]]:
    """The templates of each source file, in order."""
    files: dict[str, list[Imported]] = {}
    for item in imported:
        files.setdefault(item.file, []).append(item)
    return files
