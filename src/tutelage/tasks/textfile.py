"""Text files as lines or blocks, decoded strictly and read in bounded memory."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tutelage.errors import ConfigError, InputError
from tutelage.tasks.compressed import open_bytes
from tutelage.tasks.problems import Problems

LINE_LIMIT = 16 * 2**20  # characters
_BLOCK = 2**20
_NUL = "contains a NUL byte"
_IF_UTF16 = "If the file is UTF-16, use `--set task.source.encoding=utf-16`."


def text_lines(path: Path, encoding: str, problems: Problems, *, ends: str) -> Iterator[str]:
    r"""Yield the lines of a file with their ends, without a byte-order mark.

    `ends` is "\n" where only a line feed ends a line (U+2028 and its like never do), or "" where
    a carriage return does so as well. A line that is too long or holds a NUL byte goes to
    `problems`, and an empty line stands in its place.

    Raises:
        InputError: bytes that are not text in this encoding; names the first.
        ConfigError: the encoding is unknown.
    """
    with _opened(path, encoding, ends) as stream:
        number = 1
        line = stream.readline(LINE_LIMIT + 1).removeprefix("\ufeff")
        while line:
            if len(line) > LINE_LIMIT and line[-1] not in "\r\n":
                problems.add(number, f"is longer than {LINE_LIMIT:,} characters")
                while line and line[-1] not in "\r\n":
                    line = stream.readline(LINE_LIMIT)
                line = "\n"
            elif "\0" in line:
                problems.add(number, _NUL, _IF_UTF16)
                line = "\n"
            yield line
            number += 1
            line = stream.readline(LINE_LIMIT + 1)


def text_blocks(path: Path, encoding: str, problems: Problems) -> Iterator[str]:
    """Yield a file's text in blocks, without a byte-order mark; a NUL byte ends it.

    Raises:
        InputError, ConfigError: as `text_lines`.
    """
    with _opened(path, encoding, "\n") as stream:
        line = 1
        block = stream.read(_BLOCK).removeprefix("\ufeff")
        while block:
            if "\0" in block:
                problems.add(line + block[: block.index("\0")].count("\n"), _NUL, _IF_UTF16)
                return
            yield block
            line += block.count("\n")
            block = stream.read(_BLOCK)


@contextmanager
def _opened(path: Path, encoding: str, ends: str) -> Iterator[TextIO]:
    with open_bytes(path) as raw:
        try:
            stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline=ends)
        except LookupError as error:
            raise ConfigError(
                f"task.source.encoding: {encoding!r} is not a text encoding. Try utf-8 or latin-1."
            ) from error
        try:
            yield stream
        except UnicodeError as error:
            raise _undecodable(path, encoding) from error


def _undecodable(path: Path, encoding: str) -> InputError:
    """Where the first byte is that cannot be decoded, and what to try."""
    offset, line, start = _fault(path, encoding)
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    remedy = "utf-16" if wide else "latin-1"
    return InputError(
        f"{path}:{line}: byte {offset} is not {encoding} text. Save the file as UTF-8, or name "
        f"its encoding, such as `--set task.source.encoding={remedy}`."
    )


def _fault(path: Path, encoding: str) -> tuple[int, int, bytes]:
    """Offset in the content and line of the first fault, and the content's first two bytes."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, line, start = 0, 1, b""
    with open_bytes(path) as raw:
        while True:
            block = raw.read(_BLOCK)
            start = start or block[:2]
            held = len(decoder.getstate()[0])
            try:
                line += decoder.decode(block, not block).count("\n")
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(error.encoding, "replace")
                return offset - held + error.start, line + before.count("\n"), start
            except UnicodeError:
                return offset, line, start
            if not block:
                return offset, line, start
            offset += len(block)
