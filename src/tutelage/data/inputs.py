"""What a row says: its fields and the turns before them, normalised for comparison."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tutelage.data.buckets import Integers
from tutelage.records import Row


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Inputs:
    """The distinct normal inputs of some rows, sorted, and for every row the index of its own."""

    texts: list[str]
    of: Integers

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> Inputs:
        """Normalise the input of every row; a million rows of 100 characters take 0.2 GB."""
        normal = [normal_input(row) for row in rows]
        texts = sorted(set(normal))
        index = {text: i for i, text in enumerate(texts)}
        return cls(texts, np.fromiter((index[text] for text in normal), np.int64, len(normal)))


def normal_input(row: Row) -> str:
    """Input of a row for comparison: the turns before the prompt and the fields."""
    fields = normal_text(row.fields)
    if not row.turns:
        return fields
    turns = (f"{turn.role} {normal_cell(turn.content)}" for turn in row.turns)
    return "\0".join((*turns, fields))


def row_text(row: Row) -> str:
    """The input as one text: turns, then fields by name."""
    turns = [turn.content for turn in row.turns]
    return "\n".join(
        (*turns, *(t for name in sorted(row.fields) for t in cell_texts(row.fields[name])))
    )


def normal_text(fields: Mapping[str, Any]) -> str:
    """Fields for comparison: NFKC, case folded, white space collapsed.

    Fields are joined in sorted name order by a NUL, which collapsing does not touch. Of plain
    data every text is normalised and the whole written as JSON with sorted keys.
    """
    return "\0".join(normal_cell(fields[name]) for name in sorted(fields))


def normal_cell(value: Any) -> str:
    """One cell for comparison; nothing is the empty text, and 3.0 is 3."""
    if isinstance(value, str):
        return _normal(value)
    if value is None:
        return ""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=str)


def cell_texts(value: Any) -> list[str]:
    """All texts inside a cell, in order; of numbers their JSON."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in cell_texts(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in cell_texts(inner)]
    return [] if value is None else [normal_cell(value)]


def _normal(text: str) -> str:
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _normal(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {_normal(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
