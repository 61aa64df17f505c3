"""What the documentation shows as code: fenced blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SHELLS = frozenset({"console", "bash", "sh", "shell"})
_FENCE = re.compile(r"^(?P<indent>\s*)(?P<mark>`{3,}|~{3,})\s*(?P<language>[\w-]*).*$")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_JOINS = frozenset({"|", "||", "&&", ";", "&"})


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `line` is that of its first line of code."""

    page: Path
    line: int
    language: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its code."""
        return "\n".join(self.lines) + "\n"

    @property
    def where(self) -> str:
        """Address for messages."""
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """A `tutelage` command: its words after the name, and what is piped into it."""

    where: str
    words: tuple[str, ...]
    stdin: str = ""

    def __str__(self) -> str:
        return f"{self.where}: tutelage {shlex.join(self.words)}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a Markdown page, dedented."""
    mark, indent, language, start = "", 0, "", 0
    held: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if not mark and fence:
            mark, indent = fence["mark"], len(fence["indent"])
            language, start, held = fence["language"], number + 1, []
        elif mark and line.strip() == mark:
            yield Block(page, start, language, tuple(held))
            mark = ""
        elif mark:
            held.append(line[indent:] if not line[:indent].strip() else line.lstrip())


def commands(block: Block) -> Iterator[Command]:
    """The `tutelage` commands of a shell block.

    Where a line begins with the prompt `$ `, only such lines are commands and the others are
    output; else every line is one. A backslash at the end joins the next line. Of a pipe, what
    `echo` or `printf` says is the command's input; files that output goes to are left out.
    """
    prompted = any(line.startswith("$ ") for line in block.lines)
    joined, start = "", 0
    for number, line in enumerate(block.lines, block.line):
        if not joined:
            if prompted and not line.startswith("$ "):
                continue
            line, start = line.removeprefix("$ "), number
        else:
            line = line.removeprefix("> ")
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        yield from _parsed(joined + line, f"{block.page.name}:{start}")
        joined = ""
    assert not joined, f"{block.where}: the block ends in a backslash"


def _parsed(line: str, where: str) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    said = ""
    for token in [*lexer, ";"]:
        if token not in _JOINS:
            words.append(token)
            continue
        plain = _without_redirections(words)
        if plain and plain[0].rpartition("/")[2] == "tutelage":
            yield Command(where, tuple(plain[1:]), said)
        said = _echoed(plain) if token == "|" else ""
        words = []


def _without_redirections(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word and set(word) <= set("<>&"):
            skip = True
        elif kept or not _ASSIGNMENT.match(word):
            kept.append(word)
    return kept


def _echoed(words: Sequence[str]) -> str:
    if not words or words[0] not in ("echo", "printf"):
        return ""
    said = " ".join(word for word in words[1:] if word not in ("-e", "-n"))
    return said.replace("\\n", "\n") + "\n"
