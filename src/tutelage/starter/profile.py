"""What one column of a table looks like: how full, how varied, how long, and what its cells are."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tutelage.tasks.table import Table

MOST_CLASSES = 200
_SAMPLE = 1000  # cells that are looked into; lengths and counts are over all of them
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True)
class Profile:
    """A column. `rows` counts all cells, `counts` those that are not blank, by their text."""

    name: str
    rows: int
    counts: Counter[str]
    cells: tuple[Any, ...]
    characters: float
    words: float

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The words of the name: `sourceText_en` is source, text, en."""
        return tuple(word.casefold() for word in _WORD.findall(self.name))

    @property
    def key(self) -> str:
        """The name without spaces, case and signs."""
        return "".join(self.tokens)

    @property
    def filled(self) -> int:
        """Cells that are not blank."""
        return self.counts.total()

    @property
    def distinct(self) -> int:
        """Different texts of cells."""
        return len(self.counts)

    @property
    def repeats(self) -> bool:
        """Whether at least a twentieth of the cells repeat another one."""
        return 1 < self.distinct <= 0.95 * self.filled

    def share(self, test: Callable[[Any], bool]) -> float:
        """Share of the sampled cells that pass a test; 0 for an empty column."""
        return sum(map(test, self.cells)) / len(self.cells) if self.cells else 0.0

    @property
    def numeric(self) -> bool:
        """Whether all but a few cells are numbers."""
        return self.share(lambda cell: number(cell) is not None) >= 0.95

    @property
    def classes(self) -> bool:
        """Whether the cells look like labels: few, short, repeated."""
        few = 2 <= self.distinct <= min(MOST_CLASSES, max(2, self.filled // 2))
        return few and self.characters <= 40 and self.words <= 5 and self.share(is_nested) == 0

    @property
    def text(self) -> bool:
        """Whether the cells are worth reading: mostly different, with letters, not nested."""
        if self.filled < self.rows / 2 or self.share(is_nested) > 0.1 or self.numeric:
            return False
        return not self.classes or self.words >= 3


def profiles(table: Table) -> tuple[Profile, ...]:
    """The columns of a table, in its order."""
    return tuple(_profile(name, table) for name in table.columns)


def number(cell: Any) -> float | None:
    """The finite number that a cell is, thousands separators and a dollar sign allowed."""
    try:
        value = float(re.sub(r"(?<=\d),(?=\d{3})|^\s*\$", "", cell_text(cell)))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_nested(cell: Any) -> bool:
    """Whether a cell is a list or a mapping."""
    return isinstance(cell, list | tuple | Mapping)


def json_object(cell: Any) -> Mapping[str, Any] | None:
    """The mapping that a cell is or spells in JSON."""
    if isinstance(cell, Mapping):
        return cell
    value = _json(cell, "{")
    return value if isinstance(value, dict) else None


def json_list(cell: Any) -> list[Any] | None:
    """The list that a cell is or spells in JSON."""
    if isinstance(cell, list | tuple):
        return list(cell)
    value = _json(cell, "[")
    return value if isinstance(value, list) else None


def cell_text(cell: Any) -> str:
    """A cell as text: nothing for null, JSON for what is no text."""
    if isinstance(cell, str):
        return cell
    return "" if cell is None else json.dumps(cell, ensure_ascii=False, default=dict)


def _json(cell: Any, opening: str) -> Any:
    text = cell_text(cell).strip()
    if not text.startswith(opening):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _profile(name: str, table: Table) -> Profile:
    counts: Counter[str] = Counter()
    cells: list[Any] = []
    characters = words = 0
    for record in table.records:
        cell = record.cells.get(name, "")
        text = cell_text(cell)
        if not text.strip():
            continue
        counts[text] += 1
        characters += len(text)
        words += len(text.split())
        if len(cells) < _SAMPLE:
            cells.append(cell)
    filled = max(counts.total(), 1)
    return Profile(
        name, len(table.records), counts, tuple(cells), characters / filled, words / filled
    )
