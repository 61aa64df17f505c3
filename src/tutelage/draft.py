"""A configuration in the making: plain data in layers, and where each value came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from tutelage.errors import ConfigError, TutelageError
from tutelage.violations import dotted
from tutelage.yamlfile import Document, KeyPath, parse_scalar

Origin = Literal["default", "file", "flag"]


_SETTING = re.compile(r"(?:task|model|split|baselines|training|report)(?:\.\w+)*(?=: )")


class Origins(dict[str, Origin]):
    """Where each setting came from by its dotted key, and the address that errors give it."""

    def __init__(
        self,
        found: Mapping[str, Origin] | None = None,
        address: Callable[[KeyPath], str] | None = None,
    ) -> None:
        super().__init__(found or {})
        self._address = address or dotted

    def located(self, text: str) -> str:
        """The text of an error, `file:line:` before every line that begins with a setting."""
        return "\n".join(self._placed(line) for line in text.split("\n"))

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Give errors that come out of this block their addresses."""
        try:
            yield
        except TutelageError as error:
            error.args = (self.located(str(error)),)
            raise

    def _placed(self, line: str) -> str:
        key = _SETTING.match(line)
        return f"{self._address(tuple(key[0].split('.')))}{line[key.end() :]}" if key else line


@dataclass
class Draft:
    """The data of a file, or of a built-in task, under what was given by flag.

    `flags` maps a key path to what stands before it in an address (`--set `). `problems` collects
    what cannot be entered; it is reported together with what validation finds.
    """

    data: dict[str, Any]
    document: Document | None = None
    flags: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def put(self, key: str, value: Any, given: str = "option ") -> None:
        """Enter a value under its dotted key; sections on the way are made."""
        path = tuple(key.split("."))
        section = self.data
        for depth, part in enumerate(path[:-1], 1):
            inner = section.get(part)
            if inner is None:
                inner = section[part] = {}
            if not isinstance(inner, dict):
                self.problems.append(
                    f"{given}{key}: `{dotted(path[:depth])}` holds a value and no keys. "
                    "Set it as a whole."
                )
                return
            section = inner
        section[path[-1]] = deepcopy(value)
        self.flags[path] = given

    def put_text(self, assignment: str) -> None:
        """Enter one `section.key=value` of `--set`."""
        key, equals, text = assignment.partition("=")
        if not (equals and key.strip()):
            self.problems.append(f"--set {assignment}: write it as section.key=value.")
            return
        try:
            self.put(key.strip(), parse_scalar(text), "--set ")
        except ConfigError as error:
            self.problems.append(f"--set {key.strip()}: {error}")

    def address(self, path: KeyPath) -> str:
        """`--set section.key`, `file:line:section.key`, or `section.key` alone."""
        for depth in range(len(path), 0, -1):
            if path[:depth] in self.flags:
                return f"{self.flags[path[:depth]]}{dotted(path)}"
        if self.document is None:
            return dotted(path)
        return f"{self.document.name}:{self.document.line(path)}:{dotted(path)}".rstrip(":")

    def origin(self, path: KeyPath) -> Origin:
        """Where the value under a key path came from."""
        for flag in self.flags:
            if flag[: len(path)] == path[: len(flag)]:
                return "flag"
        in_file = self.document is not None and path in self.document.lines
        return "file" if in_file else "default"
