"""The gold answers of a row with text answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tutelage.tasks.cells import cell_text


def gold_answers(cells: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    """All answers of a row, each once, in the order of the columns; the first is trained on.

    A list counts as several answers, and so does the list `text` of a mapping, as question sets
    on the hub have it. Empty answers do not count.
    """
    found: dict[str, None] = {}
    for column in columns:
        cell = cells.get(column, "")
        if isinstance(cell, Mapping) and isinstance(cell.get("text"), list | str):
            cell = cell["text"]
        for value in cell if isinstance(cell, list) else [cell]:
            text = cell_text(value) if value is not None else ""
            if text.strip():
                found.setdefault(text)
    return tuple(found)
