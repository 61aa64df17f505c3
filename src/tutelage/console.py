"""Progress on a terminal: bars with the time left; plain lines where there is no terminal."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tutelage.progress import Advance
from tutelage.report.text import visible

_LOG_SECONDS = 20.0  # between two lines of one bar where there is no terminal


class Terminal:
    """Progress receiver that writes to standard error and remembers a request to stop.

    The first ctrl-C or SIGTERM asks long loops to leave a whole checkpoint; the second one ends
    the process at once, which loses only what came after the last checkpoint.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._stop = False

    def listen(self) -> None:
        """Take over SIGINT and SIGTERM."""
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stop:
            signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt
        self._stop = True
        self.say("Stopping after this step; once more to stop at once.")

    def stopping(self) -> bool:
        """Whether a signal asked to stop."""
        return self._stop

    def say(self, message: str) -> None:
        """Print one line; text from data is never read as markup or as terminal codes."""
        self.console.print(visible(message), markup=False)

    @contextmanager
    def bar(self, title: str, total: int, unit: str) -> Iterator[Advance]:
        """A bar with the time left, or a line now and then."""
        if self.console.is_terminal:
            with self._rich_bar(title, total) as advance:
                yield advance
        else:
            yield _LineBar(title, total, unit).advance

    @contextmanager
    def _rich_bar(self, title: str, total: int) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=total)
            yield lambda n: progress.update(task, advance=n)


class _LineBar:
    """Says how far a loop is, with the time left, every few seconds."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._first: tuple[float, int] | None = None
        self._said = time.monotonic()

    def advance(self, n: int) -> None:
        """Count; print where it is time."""
        now = time.monotonic()
        self._done += n
        if self._first is None:
            self._first = (now, self._done)
            return
        if now - self._said < _LOG_SECONDS:
            return
        self._said = now
        started, before = self._first
        rate = (self._done - before) / max(now - started, 1e-9)
        left = (self._total - self._done) / rate if rate > 0 else float("nan")
        print(
            f"{self._title}: {self._done}/{self._total} {self._unit}, about {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
