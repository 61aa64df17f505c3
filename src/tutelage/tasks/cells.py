"""Cells: text at the top of a row, plain data (lists, mappings, numbers) below it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from tutelage.errors import InputError
from tutelage.files import canonical_json

_DEEPEST = 32


class Digits(str):
    """A JSON number as it is written."""

    __slots__ = ()


class CellError(InputError):
    """A value that cannot be a cell; the message goes behind the cell's name."""


def cell_of(value: Any) -> Any:
    """A source's value as a cell: numbers and booleans as JSON text, nothing as the empty text.

    Lists and mappings stay plain data. A float that is not a number stands for nothing, because
    tables that came through pandas write missing numbers so.

    Raises:
        CellError: bytes, an infinite number, half a surrogate pair, or too deep nesting.
    """
    if isinstance(value, str):
        return _text(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | int):
        return json.dumps(value)
    plain = plain_data(value)
    return repr(plain) if isinstance(plain, float) else plain


def plain_data(value: Any, depth: int = 0) -> Any:
    """Nested data as JSON would hold it; `Digits` become numbers.

    Raises:
        CellError: as `cell_of`.
    """
    if isinstance(value, Digits):
        return _number(value)
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return _finite(value)
    if depth > _DEEPEST:
        raise CellError(f"is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return {_key(key): plain_data(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(inner, depth + 1) for inner in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise CellError(f"holds {type(value).__name__}, neither text nor numbers; leave it out")


def cell_text(cell: Any) -> str:
    """A cell as text: as it stands, or the JSON of a list or mapping; nothing is empty."""
    if isinstance(cell, str):
        return cell
    return "" if cell is None else canonical_json(cell)


def is_empty(cell: Any) -> bool:
    """Whether a cell holds neither text nor data."""
    return not (cell.strip() if isinstance(cell, str) else cell)


def check_text(text: str) -> str:
    """What is wrong with a text, or the empty string."""
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "contains half a surrogate pair (\\ud800…\\udfff)"
    return ""


def _text(value: str) -> str:
    if wrong := check_text(value):
        raise CellError(wrong)
    return str(value)


def _key(key: Any) -> str:
    return _text(key) if isinstance(key, str) else str(key)


def _number(digits: Digits) -> int | float | None:
    try:
        return int(digits)
    except ValueError:
        return _finite(float(digits)) if not digits.lstrip("-").isdigit() else _too_long()


def _too_long() -> int:
    raise CellError("holds a number of over 4,300 digits")


def _finite(value: float) -> float | None:
    if math.isinf(value):
        raise CellError("holds an infinite number")
    return None if math.isnan(value) else value
