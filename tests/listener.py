"""A receiver of messages that remembers them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from tutelage.progress import Quiet


class Listener(Quiet):
    """Keeps what is said and what bars count; `stop` asks to stop."""

    def __init__(self, *, stop: bool = False) -> None:
        self.said: list[str] = []
        self.counted: dict[str, int] = {}
        self.stop = stop

    def say(self, message: str) -> None:
        self.said.append(message)

    @contextmanager
    def bar(self, title: str, total: int, unit: str) -> Any:
        def advance(n: int) -> None:
            self.counted[title] = self.counted.get(title, 0) + n

        yield advance

    def stopping(self) -> bool:
        return self.stop
