"""The options of a row, and which of them its label means: a text, a number from 0, or a letter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tutelage.errors import InputError
from tutelage.tasks.cells import cell_text, is_empty
from tutelage.tasks.schema import normal_label

Reading = Literal["text", "number", "letter"]
READINGS: tuple[Reading, ...] = ("text", "number", "letter")
TOLD: Mapping[Reading, str] = {
    "text": "the text of an option",
    "number": "an option's number, counted from 0",
    "letter": "an option's letter",
}


class Options:
    """Reads options and gold options.

    A cell with the lists `text` and `label`, as question sets on the hub have it, brings its own
    keys, which the label then is.
    """

    def __init__(self, columns: Sequence[str], reading: Reading = "text") -> None:
        self._columns = tuple(columns)
        self.reading = reading

    def read(self, cells: Mapping[str, Any], label: str) -> tuple[tuple[str, ...], str]:
        """(options, gold option) of a row.

        Raises:
            InputError: what is wrong with them, without an address.
        """
        options, keys = self._options(cells)
        found = [text for text in options if text.strip()]
        if len(found) < 2:
            raise InputError(f"has {len(found)} options; a choice needs two")
        if len({normal_label(text) for text in found}) < len(found):
            raise InputError(f"has two equal options among {found!r}")
        place = self._place(options, keys, label)
        if place is None:
            meant = "a key of the options" if keys else TOLD[self.reading]
            raise InputError(f"the label {label!r} is not {meant} {list(keys) or found!r}")
        if not options[place].strip():
            raise InputError(f"the label {label!r} means option {place}, which is empty")
        return tuple(found), options[place]

    def texts(self, cells: Mapping[str, Any]) -> tuple[str, ...]:
        """The options of a row without a label, in their order.

        Raises:
            InputError: there are none to be read.
        """
        return tuple(text for text in self._options(cells)[0] if text.strip())

    def fits(self, cells: Mapping[str, Any], label: str) -> bool:
        """Whether the label can be read so."""
        try:
            self.read(cells, label)
        except InputError:
            return False
        return True

    def _options(self, cells: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """Options, empty ones included, and their keys where the cell brings them."""
        if len(self._columns) > 1:
            return [cell_text(cells.get(name, "")) for name in self._columns], []
        cell = cells.get(self._columns[0], "")
        if isinstance(cell, str) and cell.lstrip().startswith("["):
            try:
                cell = json.loads(cell)
            except ValueError as error:
                raise InputError(f"the options {cell[:60]!r} are not a JSON list") from error
        if isinstance(cell, Mapping):
            texts, keys = cell.get("text"), cell.get("label")
            if isinstance(texts, list) and isinstance(keys, list) and len(texts) == len(keys):
                return list(map(cell_text, texts)), list(map(cell_text, keys))
        if not isinstance(cell, list):
            told = "are empty" if is_empty(cell) else f"{cell_text(cell)[:60]!r} are not a list"
            raise InputError(f"the options in {self._columns[0]!r} {told}")
        return list(map(cell_text, cell)), []

    def _place(self, options: list[str], keys: list[str], label: str) -> int | None:
        if keys:
            return keys.index(label) if label in keys else None
        if self.reading == "text":
            return options.index(label) if label in options else None
        label = label.strip()
        if self.reading == "number":
            place = int(label) if label.isascii() and label.isdigit() else -1
        else:
            place = ord(label.upper()) - ord("A") if len(label) == 1 and label.isalpha() else -1
        return place if 0 <= place < len(options) else None


def choose_reading(
    columns: Sequence[str], rows: Iterable[tuple[Mapping[str, Any], str]]
) -> Reading:
    """How labels are to be read: the first way that fits all rows, else the one that fits most."""
    rows = list(rows)
    fitting = {r: sum(Options(columns, r).fits(*row) for row in rows) for r in READINGS}
    return max(READINGS, key=lambda reading: fitting[reading])
