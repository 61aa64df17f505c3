"""Rendering for the linter: templates from outside in two limited child processes.

Each row is rendered twice, and a text that depends on the process it came from, such as on the
order of a set, differs. A template that came with Tutelage is rendered here, both times.
"""

from __future__ import annotations

import time
from types import TracebackType

from tutelage.templates.child import Child, Limits
from tutelage.templates.renderer import SafeRenderer


class TwoProcesses:
    """Two renderers, each with a child of its own; use it in a `with` block."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.first = SafeRenderer(Child(limits, hash_seed=0))
        self.second = SafeRenderer(Child(limits, hash_seed=1))

    def __enter__(self) -> TwoProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.first.close()
        self.second.close()

    def clock(self) -> float:
        """Processor time in seconds, here and for rows in both processes, without their starts."""
        return time.process_time() + self.first.child.seconds + self.second.child.seconds
