"""YAML files whose scalars stay what was typed, with the line of every key.

YAML guesses types from spelling: `no` turns into false, `012` into a number, `1:30` into ninety,
`~` into nothing. For labels and column names each of these guesses is a silent fault, so none is
made here: **a scalar is its text, and the schema that validates the document gives it a type**
(pydantic reads `2` as a number where a number is declared). The one exception is a plain `null`,
`~` or nothing at all as the value of a key, which is None; in a list even those are text.

The syntax is YAML 1.2. Duplicate keys, anchors, aliases, merge keys and tags are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml import events as ev
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from tutelage.errors import ConfigError

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: plain data, and the line (from 1) of every key and list item."""

    data: Any
    lines: Mapping[KeyPath, int]
    name: str

    def line(self, path: KeyPath) -> int:
        """Line of the key, or of the nearest section around it that the file holds."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(path: Path) -> Document:
    """Read a UTF-8 YAML file.

    Raises:
        ConfigError: the file is missing, too large, not UTF-8 or not YAML, or holds what is
            refused; all refused places are listed.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            f"{path}: is larger than {MAX_BYTES} bytes, too large for a YAML file of ours. "
            "If it is data, give it the extension of a table."
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: is not UTF-8 (byte {error.start}). Save the file as UTF-8."
        ) from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Parse YAML text; `name` stands for the file in error messages.

    Raises:
        ConfigError: as `read`.
    """
    builder = _Builder(name)
    try:
        stream = iter(YAML(typ="safe", pure=True).parse(text))
        data = builder.document(stream)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}" if mark else ""
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{name}{place}: is not valid YAML ({what}). Correct it.") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}:{line}: holds a character that YAML does not allow "
            f"(U+{ord(text[error.position]):04X}). Remove it."
        ) from error
    except YAMLError as error:
        raise ConfigError(f"{name}: is not valid YAML ({error}). Correct it.") from error
    if builder.problems:
        raise ConfigError("\n".join(builder.problems))
    return Document(data, builder.lines, name)


def parse_scalar(text: str) -> Any:
    """The value in `--set key=value`: a flow list or mapping, a quoted text, null, or plain text.

    Plain text is taken as typed, so `C:\\data`, `#1` and `a: b` need no quotes.

    >>> parse_scalar("[no, 012]"), parse_scalar("0.5"), parse_scalar("null")
    (['no', '012'], '0.5', None)

    Raises:
        ConfigError: the text opens a list, a mapping or a quote that does not parse.
    """
    text = text.strip()
    if text in _NULLS:
        return None
    return parse(text, "value").data if text[0] in "[{\"'" else text


@dataclass
class _Builder:
    """Plain data from parser events; collects what is refused."""

    name: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def document(self, events: Iterator[ev.Event]) -> Any:
        """The first document of a stream, None for an empty one."""
        data, seen = None, 0
        for event in events:
            if isinstance(event, ev.DocumentStartEvent):
                seen += 1
                if seen > 1:
                    self._refuse(event, "a second document starts here. Keep one per file.")
                    break
                data = self._value(next(events), events, ())
        return data

    def _refuse(self, event: ev.Event, what: str) -> None:
        self.problems.append(f"{self.name}:{event.start_mark.line + 1}: {what}")

    def _check(self, event: ev.Event) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, ev.AliasEvent):
            self._refuse(event, f"`*{anchor}` is an alias. Write the value out.")
        elif anchor:
            self._refuse(event, f"`&{anchor}` is an anchor. Write values out where used.")
        if tag:
            short = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._refuse(event, f"the tag `{short}` is not supported. Remove it.")

    def _value(self, event: ev.Event, events: Iterator[ev.Event], path: KeyPath) -> Any:
        self._check(event)
        if isinstance(event, ev.CollectionStartEvent) and len(path) >= MAX_DEPTH:
            self._refuse(event, f"is nested deeper than {MAX_DEPTH} levels. Flatten it.")
            raise ConfigError("\n".join(self.problems))
        if isinstance(event, ev.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, ev.SequenceStartEvent):
            return self._sequence(events, path)
        return _scalar(event, nullable=not path or isinstance(path[-1], str))

    def _sequence(self, events: Iterator[ev.Event], path: KeyPath) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, ev.SequenceEndEvent):
                break
            here = (*path, len(items))
            self.lines[here] = event.start_mark.line + 1
            items.append(self._value(event, events, here))
        return items

    def _mapping(self, events: Iterator[ev.Event], path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in events:
            if isinstance(event, ev.MappingEndEvent):
                break
            key = self._key(event, events, path)
            here = (*path, key)
            if key in mapping:
                self._refuse(
                    event,
                    f"the key `{key}` is already there in line {self.lines[here]}. Remove one.",
                )
            else:
                self.lines[here] = event.start_mark.line + 1
            mapping[key] = self._value(next(events), events, here)
        return mapping

    def _key(self, event: ev.Event, events: Iterator[ev.Event], path: KeyPath) -> str:
        if isinstance(event, ev.CollectionStartEvent):
            self._refuse(event, "a key is a list or a mapping. Keys are plain text.")
            self._value(event, events, path)
            return ""
        self._check(event)
        key = str(_scalar(event, nullable=False))
        if key == "<<" and isinstance(event, ev.ScalarEvent) and event.style is None:
            self._refuse(event, "`<<` is a merge key. Write the keys out.")
        return key


def _scalar(event: ev.Event, *, nullable: bool) -> str | None:
    if not isinstance(event, ev.ScalarEvent):  # an alias, already refused
        return ""
    text = str(event.value)
    return None if nullable and event.style is None and text in _NULLS else text
