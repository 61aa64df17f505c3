"""Answers in JSON: whether they are, and how many of their fields are right."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

_FENCED = re.compile(r"```[A-Za-z]*\s*\n(.*?)\n?\s*```", re.DOTALL)

Field = tuple[str, Any]


def read_json_answer(text: str) -> Any:
    """The value of an answer that is JSON as a whole, or inside one fence of a code block.

    Raises:
        ValueError: it is not JSON (NaN and infinity are none), or nested too deeply.
    """
    text = text.strip()
    fenced = _FENCED.fullmatch(text)
    try:
        return json.loads(fenced[1] if fenced else text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def json_valid(text: str) -> bool:
    """Whether an answer is JSON."""
    try:
        read_json_answer(text)
    except ValueError:
        return False
    return True


def json_f1(answer: str, gold: str) -> float:
    """F1 of the fields of an answer: 2 · equal / (fields of the answer + fields of the gold one).

    A field is a path with its value; the places in a list do not count, so lists compare as bags.
    Texts are equal after NFC, trimming and case folding; numbers by value; true is not 1. An
    answer that is not JSON gets 0.

    Raises:
        ValueError: the gold answer is not JSON.
    """
    wanted = _bag(gold)
    try:
        said = _bag(answer)
    except ValueError:
        return 0.0
    return 2 * (wanted & said).total() / (wanted.total() + said.total())


def _bag(text: str) -> Counter[Field]:
    try:
        return Counter(_fields(read_json_answer(text), ""))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _fields(value: Any, path: str) -> Iterator[Field]:
    """Leaves of a value with their paths; an empty object or list is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{path}/{json.dumps(key)}")
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _fields(inner, f"{path}/[]")
    else:
        yield path, _leaf(value)


def _leaf(value: Any) -> Any:
    if isinstance(value, str):
        return "text", unicodedata.normalize("NFC", value).strip().casefold()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "other", json.dumps(value)
    return "number", Fraction(value) if math.isfinite(value) else repr(value)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
