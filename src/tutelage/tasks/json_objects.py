"""JSON objects of a table: an array of them, or one per line; values become cells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tutelage.tasks.problems import Problems

_SPACE = re.compile(r"[ \t\n\r]*")


def line_objects(text: str, problems: Problems) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells) of JSON lines.

    A line ends at a line feed only: U+2028 and its like are part of a cell.
    """
    decoder = _decoder()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(" \t\r"):
            continue
        try:
            value = decoder.decode(line)
        except json.JSONDecodeError as error:
            problems.add(number, f"is not valid JSON (column {error.colno}: {error.msg})")
        except (ValueError, RecursionError) as error:
            problems.add(number, _why(error))
        else:
            yield from _cells(number, value, problems)


def array_objects(text: str, problems: Problems) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells) of an array of objects, up to the first place that does not parse."""
    decoder = _decoder()
    position = _skip(text, 0)
    if text[position] != "[":
        problems.add(1, "is not an array of objects; a file of one object per line is .jsonl")
        return
    position = _skip(text, position + 1)
    line, counted = 1, 0
    more = text[position : position + 1] != "]"
    try:
        while more:
            line, counted = line + text.count("\n", counted, position), position
            value, position = decoder.raw_decode(text, position)
            yield from _cells(line, value, problems)
            position = _skip(text, position)
            more = text[position : position + 1] == ","
            if more:
                position = _skip(text, position + 1)
        _expect_end(text, position)
    except json.JSONDecodeError as error:
        problems.add(error.lineno, f"is not valid JSON (column {error.colno}: {error.msg})")
    except (ValueError, RecursionError) as error:
        problems.add(line, _why(error))


def _expect_end(text: str, position: int) -> None:
    if text[position : position + 1] != "]":
        raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
    end = _skip(text, position + 1)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def _decoder() -> json.JSONDecoder:
    """Numbers keep their text, objects become tuples of pairs, NaN and Infinity are refused."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not a JSON value")

    return json.JSONDecoder(
        object_pairs_hook=tuple, parse_float=str, parse_int=str, parse_constant=refuse
    )


def _cells(line: int, value: Any, problems: Problems) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the cells of one object, or note what is wrong with it."""
    if not isinstance(value, tuple):
        problems.add(line, "is not a JSON object")
        return
    cells: dict[str, str] = {}
    before = len(problems.found)
    for key, content in value:
        if key in cells:
            problems.add(line, f"key {key!r} appears twice")
        elif isinstance(content, tuple | list):
            problems.add(line, f"field {key!r} holds a list or an object; flatten it")
        else:
            cells[key] = content if isinstance(content, str) else _constant(content)
    if len(problems.found) == before:
        yield line, cells


def _constant(value: bool | None) -> str:
    return "" if value is None else json.dumps(value)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _why(error: Exception) -> str:
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)
