"""JSON objects: an array of them, or one per line; values become cells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tutelage.tasks.cells import CellError, Digits, cell_of, check_text
from tutelage.tasks.problems import Problems
from tutelage.tasks.textfile import LINE_LIMIT

_SPACE = re.compile(r"[ \t\n\r]*")
_NO_ARRAY = (
    "is not an array of objects; a file of one object per line is .jsonl, or has "
    "task.source.format=jsonl"
)


def line_objects(lines: Iterable[str], problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, cells) of JSON lines; what does not parse goes to `problems`."""
    decoder = _decoder()
    reader = _Cells(problems)
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            value = decoder.decode(line.rstrip("\n"))
        except json.JSONDecodeError as error:
            problems.add(number, f"is not valid JSON (column {error.colno}: {error.msg})")
        except (ValueError, RecursionError) as error:
            problems.add(number, _why(error))
        else:
            yield from reader.read(number, value)


def array_objects(
    blocks: Iterable[str], problems: Problems
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, cells) of an array of objects, up to the first place that does not parse."""
    window = _Window(iter(blocks))
    reader = _Cells(problems)
    if window.peek() != "[":
        if window.peek():
            problems.add(window.place()[0], _NO_ARRAY)
        return
    window.take()
    try:
        more = window.peek() != "]"
        while more:
            window.peek()
            line, _ = window.place()
            yield from reader.read(line, window.value())
            more = window.peek() == ","
            if more:
                window.take()
        if window.peek() != "]":
            window.fail("Expecting ',' or ']'")
        window.take()
        if window.peek():
            window.fail("Extra data")
    except json.JSONDecodeError as error:
        line, column = window.place(error.pos)
        problems.add(line, f"is not valid JSON (column {column}: {error.msg})")
    except (ValueError, RecursionError) as error:
        problems.add(window.place()[0], _why(error))


class _Window:
    """The part of a text that is being parsed; what lies behind it is dropped."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self._blocks = blocks
        self._decoder = _decoder()
        self._text, self._at = "", 0
        self._mark = 0  # a position whose line, and characters before it there, are known
        self._line, self._column = 1, 0

    def peek(self) -> str:
        """The next character that is no white space, which becomes the place; "" at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self) -> None:
        """Step over one character."""
        self._at += 1

    def value(self) -> Any:
        """The JSON value here; the place moves behind it."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if len(self._text) - self._at > LINE_LIMIT:
                    what = f"holds a value of over {LINE_LIMIT:,} characters, or a broken one"
                    raise ValueError(what) from None
                if self._more():  # the value may only be cut here
                    continue
                raise
            if end < len(self._text) or not self._more():
                self._at = end
                return value

    def fail(self, message: str) -> None:
        """Raise a JSON error here."""
        raise json.JSONDecodeError(message, self._text, self._at)

    def place(self, position: int | None = None) -> tuple[int, int]:
        """Line and column, from 1, of a position in the window, by default the present one."""
        position = self._at if position is None else position
        if position < self._mark:
            return self._line, 1
        passed = self._text[self._mark : position]
        lines = passed.count("\n")
        self._line += lines
        self._column = len(passed) - passed.rfind("\n") - 1 + (0 if lines else self._column)
        self._mark = position
        return self._line, self._column + 1

    def _more(self) -> bool:
        block = next(self._blocks, "")
        if not block:
            return False
        self.place()
        self._text, self._at, self._mark = self._text[self._at :] + block, 0, 0
        return True


class _Cells:
    """Turns objects into cells and notes what is wrong with them."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._known: set[str] = set()

    def read(self, line: int, value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the cells of one object, or note why there are none."""
        if not isinstance(value, dict):
            self._problems.add(line, "is not a JSON object")
            return
        cells: dict[str, Any] = {}
        fine = True
        for position, (name, content) in enumerate(value.items(), 1):
            fine &= name in self._known or self._name_is_fine(line, position, name)
            try:
                cells[name] = cell_of(content)
            except CellError as error:
                fine = False
                self._problems.add(line, f"cell {name!r} {error}")
        if fine:
            yield line, cells

    def _name_is_fine(self, line: int, position: int, name: str) -> bool:
        if not name.strip():
            self._problems.add(line, f"column {position} has no name; name it or drop it")
        elif wrong := check_text(name):
            self._problems.add(line, f"column name {name!r} {wrong}")
        else:
            self._known.add(name)
            return True
        return False


def _decoder() -> json.JSONDecoder:
    """Numbers keep their text; doubled keys, NaN and Infinity are refused."""
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_float=Digits, parse_int=Digits, parse_constant=_refuse
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {doubled!r} appears twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON value")


def _why(error: Exception) -> str:
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)
