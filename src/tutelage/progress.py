"""What long work says while it runs; the command line draws it, a library call stays quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Receiver of messages, bars and stop requests."""

    def say(self, message: str) -> None:
        """One plain line for the user."""

    def bar(self, title: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """A context manager that yields `advance(n)`."""

    def stopping(self) -> bool:
        """Whether the user asked to stop; long loops poll it and leave whole results behind."""


class Quiet:
    """Says nothing and never stops."""

    def say(self, message: str) -> None:
        """Drop the message."""

    @contextmanager
    def bar(self, title: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG002
        """A bar nobody sees."""
        yield lambda _n: None

    def stopping(self) -> bool:
        """Never."""
        return False
